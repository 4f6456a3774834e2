"""CIFAR-10 in its binary version: six files of records, in a folder or still in the published .tar.gz.

https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version". The version for Python is pickled and never read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advae.arrayfiles import require_regular
from advae.datasets.decoded import Decoded
from advae.datasets.reading import READ_ERRORS, exists, list_contents, refuse_unreadable
from advae.errors import DatasetError

if TYPE_CHECKING:
    import gzip

    import numpy as np
    from numpy.typing import NDArray

    from advae.records import IntArray

CHANNELS, SIZE = 3, 32
RECORD = 1 + CHANNELS * SIZE * SIZE
"""Bytes of a record: its label, then all red, all green and all blue pixels."""

BATCH_RECORDS = 10_000
"""Records of a published file; a file may have fewer."""

CHUNK = 1 << 18
"""Bytes of an archive that are read at once."""

HEADERS = 1 << 20
"""Most bytes of an archive beside its records."""


@dataclass(frozen=True)
class CifarArchive:
    """The published archive, and the six files in it."""

    name: str
    """File name of the archive."""
    folder: str
    """Name of the folder in it."""
    size: int
    """Bytes of the archive."""
    checksums: Mapping[str, str]
    """Hex digests of the archive, by the name of the hash function."""
    batches: Mapping[str, str]
    """SHA-256 of each file, hex, by its name; the last one has the test images."""
    pickled: tuple[str, ...]
    """Names of the folder and the archive of the version that is never read."""

    @property
    def longest(self) -> int:
        """Most bytes that the archive may unpack to."""
        return len(self.batches) * BATCH_RECORDS * RECORD + HEADERS


def find_cifar(data_dir: Path, archive: CifarArchive, folders: tuple[str, ...]) -> Path | None:
    """Return the folder of batches or the archive in a data folder: the first that is whole, else the first of all.

    folders: names of folders in the data folder that may have it, too.
    """
    places = [data_dir, *(data_dir / name for name in folders)]
    named = [place / name for place in places for name in (archive.folder, archive.name)]
    loose = [place for place in places if exists(place / list(archive.batches)[-1])]
    found = [path for path in (*named, *loose) if exists(path)]
    whole = (path for path in found if path.is_file() or all(exists(path / name) for name in archive.batches))
    return next(whole, found[0] if found else None)


def find_pickled(data_dir: Path, archive: CifarArchive, folders: tuple[str, ...]) -> Path | None:
    """Return the pickled version in a data folder."""
    places = [data_dir, *(data_dir / name for name in folders)]
    return next((place / name for place in places for name in archive.pickled if exists(place / name)), None)


def count_cifar(path: Path, archive: CifarArchive) -> tuple[int | None, int | None]:
    """Return how many training and test images the lengths of the files say; None in an archive that is not as long
    as the published one. Raises DatasetError for a wrong length."""
    if not path.is_dir():
        with refuse_unreadable(path, (*READ_ERRORS, ValueError)):
            whole = require_regular(path) == archive.size
        return ((len(archive.batches) - 1) * BATCH_RECORDS, BATCH_RECORDS) if whole else (None, None)
    counts = [_measure_batch(_find_batch(path, name)) // RECORD for name in archive.batches]
    return sum(counts[:-1]), counts[-1]


def read_cifar(path: Path, archive: CifarArchive, *, classes: int) -> Decoded:
    """Return the images of a folder of batches or of the archive, uint8 (n, 32, 32, 3).

    Raises DatasetError if a file is missing or damaged, or a label is not below ``classes``.
    """
    import numpy as np

    batches = _read_folder(path, archive) if path.is_dir() else _read_archive(path, archive)
    records = {name: np.frombuffer(content, np.uint8).reshape(-1, RECORD) for name, content in batches.items()}
    for name, batch in records.items():
        if batch[:, 0].max() >= classes:
            raise DatasetError(f"{path}: {name} has label {batch[:, 0].max()}, expected 0 to {classes - 1}")
    *train, test = (records[name] for name in archive.batches)
    return Decoded(*_decode(np.concatenate(train)), *_decode(test))


def verify_cifar(path: Path, archive: CifarArchive) -> None:
    """Raise DatasetError unless the archive, or each file of the folder, is the published one, by its checksums."""
    files = (
        {path / name: {"sha256": digest} for name, digest in archive.batches.items()}
        if path.is_dir()
        else {path: archive.checksums}
    )
    for file, checksums in files.items():
        for function, expected in checksums.items():
            with refuse_unreadable(file), file.open("rb") as stream:
                found = hashlib.file_digest(stream, function).hexdigest()
            if found != expected:
                raise DatasetError(f"{file}: not the published file: {function} {found}, expected {expected}")


def _decode(records: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], IntArray]:
    import numpy as np

    planes = records[:, 1:].reshape(-1, CHANNELS, SIZE, SIZE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0].astype(np.int64)


def _find_batch(folder: Path, name: str) -> Path:
    if not exists(folder / name):
        raise DatasetError(f"{folder}: no {name}; it holds {list_contents(folder)}")
    return folder / name


def _measure_batch(path: Path) -> int:
    """Return the length of a file of records. Raises DatasetError for a wrong one."""
    with refuse_unreadable(path, (*READ_ERRORS, ValueError)):
        length = require_regular(path)
    _check_length(str(path), length)
    return length


def _check_length(where: str, length: int) -> None:
    if length % RECORD or not 0 < length <= BATCH_RECORDS * RECORD:
        raise DatasetError(f"{where}: {length} bytes, expected 1 to {BATCH_RECORDS} records of {RECORD} bytes")


def _read_folder(folder: Path, archive: CifarArchive) -> dict[str, bytes]:
    batches = {}
    for name in archive.batches:
        path = _find_batch(folder, name)
        length = _measure_batch(path)
        with refuse_unreadable(path), path.open("rb") as stream:
            batches[name] = stream.read(length)
        _check_length(str(path), len(batches[name]))
    return batches


def _read_archive(path: Path, archive: CifarArchive) -> dict[str, bytes]:
    """Return the contents of the six files by name. Nothing is extracted, and other members are passed over."""
    # Not at the top: every command imports the table of datasets.
    import gzip
    import tarfile

    with refuse_unreadable(path, (*READ_ERRORS, ValueError, tarfile.HeaderError)):
        length = require_regular(path)
        if length > archive.longest:
            raise DatasetError(
                f"{path}: {length} bytes, expected no more than the {archive.longest} that it unpacks to"
            )
        with gzip.open(path) as stream:
            batches = dict(_list_batches(stream, path, archive))
    missing = [name for name in archive.batches if name not in batches]
    if missing:
        raise DatasetError(f"{path}: no {', '.join(missing)} in {archive.folder}/, which the binary version has")
    return batches


def _read_up_to(stream: gzip.GzipFile, size: int) -> bytes:
    """Return the next bytes of a stream; no memory is taken for those that it does not have."""
    parts, left = [], size
    while left and (part := stream.read(min(left, CHUNK))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _list_batches(stream: gzip.GzipFile, path: Path, archive: CifarArchive) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file of records. Raises DatasetError before a claimed length is read."""
    import tarfile

    left, wanted = archive.longest, {f"{archive.folder}/{name}": name for name in archive.batches}
    while wanted and any(header := stream.read(tarfile.BLOCKSIZE)):
        member = tarfile.TarInfo.frombuf(header, "ascii", "surrogateescape")
        padded = -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        left -= len(header) + padded
        if member.size < 0 or left < 0:
            raise DatasetError(f"{path}: its members claim more than {archive.longest} bytes")
        name = wanted.pop(member.name, None) if member.isreg() else None
        if name is None:
            stream.seek(padded, 1)
            continue
        _check_length(f"{path}: {name}", member.size)
        content = _read_up_to(stream, member.size)
        if len(content) < member.size:
            raise DatasetError(f"{path}: {name} claims {member.size} bytes, got {len(content)}")
        stream.seek(padded - member.size, 1)
        yield name, content
