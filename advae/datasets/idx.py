"""IDX, the format in which MNIST and its drop-in replacements are published: four files, gzip-compressed or not.

http://yann.lecun.com/exdb/mnist/, "the IDX file format".
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advae.arrayfiles import require_regular
from advae.datasets.decoded import Decoded, check_counts, show_shape
from advae.datasets.reading import READ_ERRORS, exists, list_contents, refuse_unreadable
from advae.errors import DatasetError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GZIP_MAGIC = b"\x1f\x8b"
IDX_UINT8 = 0x0800
"""Magic number of an IDX file of unsigned bytes, minus its number of axes."""


GZIP_SLACK = 1 << 16
"""Most bytes by which a compressed file may be larger than the unpacked one."""


@dataclass(frozen=True)
class IdxFile:
    """One published IDX file of unsigned bytes."""

    name: str
    """File name without ``.gz``."""
    shape: tuple[int, ...]
    """Shape of its array; the first axis counts images."""
    sha256: str
    """Hex digest of the unpacked file: mirrors compress differently."""

    @property
    def size(self) -> int:
        """Bytes of the unpacked file."""
        return _count_bytes(self.shape)

    @property
    def checksums(self) -> dict[str, str]:
        """Hex digest of the unpacked file, by the name of the hash function."""
        return {"sha256": self.sha256}


def _count_bytes(shape: tuple[int, ...]) -> int:
    return 4 + 4 * len(shape) + math.prod(shape)


def read_idx(path: Path, *, limit: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the array in an IDX file of unsigned bytes, gzip-compressed or not.

    limit: the expected shape; the first axis may be shorter, but not empty. Reads at most one byte more than that.
    Raises DatasetError if the file cannot be read, is truncated, has bytes after its array, or another shape or type.
    """
    import numpy as np

    with _open_idx(path, _count_bytes(limit)) as stream:
        shape = _read_header(stream, path, limit)
        size = math.prod(shape)
        data = stream.read(size + 1)
    if len(data) != size:
        got = f"only {len(data)}" if len(data) < size else "more"
        raise DatasetError(f"{path}: the header claims {size} bytes of data, got {got}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def read_idx_folder(folder: Path, files: Sequence[IdxFile], *, classes: int) -> Decoded:
    """Return the arrays of a folder's four files: training images and labels, test images and labels.

    Raises DatasetError if a file is missing or damaged, or if labels fit neither their images nor ``classes``.
    """
    import numpy as np

    paths = _find_all(folder, files)
    arrays = [read_idx(path, limit=file.shape) for path, file in zip(paths, files, strict=True)]
    for images, labels, path in zip(arrays[::2], arrays[1::2], paths[1::2], strict=True):
        check_counts(str(path), images=len(images), labels=len(labels))
        if labels.max() >= classes:
            raise DatasetError(f"{path}: label {labels.max()}, expected 0 to {classes - 1}")
    x_train, y_train, x_test, y_test = arrays
    return Decoded(x_train, y_train.astype(np.int64), x_test, y_test.astype(np.int64))


def count_idx_folder(folder: Path, files: Sequence[IdxFile]) -> tuple[int, int]:
    """Return how many training and test images the files claim to hold. Raises DatasetError for a bad header."""
    counts = []
    for path, file in zip(_find_all(folder, files), files, strict=True):
        with _open_idx(path, file.size) as stream:
            counts.append(_read_header(stream, path, file.shape)[0])
    return counts[0], counts[2]


def find_idx(folder: Path, file: IdxFile) -> Path | None:
    """Return the path of the file in a folder, plain or .gz, with a hyphen or a dot before ``idx``.

    A file is preferred to a folder of that name, into which archives are often unpacked.
    """
    names = (file.name, file.name.replace("-idx", ".idx"))
    found = [path for name in names for path in (folder / name, folder / f"{name}.gz") if exists(path)]
    return next((path for path in found if path.is_file()), found[0] if found else None)


def holds_idx(folder: Path, file: IdxFile) -> bool:
    """Return whether a folder contains the published file, by its SHA-256; False where it is unreadable."""
    path = find_idx(folder, file)
    if path is None:
        return False
    try:
        with _open_idx(path, file.size) as stream:
            return hashlib.sha256(stream.read(file.size + 1)).hexdigest() == file.sha256
    except DatasetError:
        return False


def _find_all(folder: Path, files: Sequence[IdxFile]) -> list[Path]:
    paths = []
    for file in files:
        path = find_idx(folder, file)
        if path is None:
            raise DatasetError(f"{folder}: no {file.name}, neither plain nor .gz; it holds {list_contents(folder)}")
        paths.append(path)
    return paths


@contextmanager
def _open_idx(path: Path, longest: int) -> Iterator[io.BufferedIOBase]:
    """Give the unpacked bytes of a file, compressed or not; the name does not decide, because some browsers unpack a
    file without removing ``.gz``.

    longest: most bytes of the unpacked file.
    """
    with refuse_unreadable(path, (*READ_ERRORS, ValueError)):
        length = require_regular(path)
    with refuse_unreadable(path), path.open("rb") as packed:
        if packed.peek(2)[:2] != GZIP_MAGIC:
            yield packed
            return
        # gzip allows any amount of padding and empty members, which Python reads byte by byte.
        if length > longest + GZIP_SLACK:
            raise DatasetError(f"{path}: {length} bytes, expected no more than the {longest} that it unpacks to")
        with gzip.GzipFile(fileobj=packed) as unpacked:
            yield unpacked


def _read_header(stream: io.BufferedIOBase, path: Path, limit: tuple[int, ...]) -> tuple[int, ...]:
    size = 4 + 4 * len(limit)
    header = stream.read(size)
    if len(header) < size:
        raise DatasetError(f"{path}: the header has {len(header)} bytes, expected {size}")
    magic, *shape = struct.unpack(f">{1 + len(limit)}I", header)
    if magic != IDX_UINT8 + len(limit):
        raise DatasetError(f"{path}: magic number {magic:#010x}, expected {IDX_UINT8 + len(limit):#010x}")
    if tuple(shape[1:]) != limit[1:]:
        raise DatasetError(f"{path}: images of {show_shape(shape[1:])} pixels, expected {show_shape(limit[1:])}")
    if not 1 <= shape[0] <= limit[0]:
        raise DatasetError(f"{path}: the header claims {shape[0]} items, expected 1 to {limit[0]}")
    return tuple(shape)
