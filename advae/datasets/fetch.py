"""Downloads of datasets: a file appears in the cache under its name only after its checksums were compared."""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol, TypeVar

from advae.arrayfiles import explain
from advae.atomic_files import make_folder, write_aside
from advae.datasets.cifar import CifarArchive
from advae.datasets.idx import IdxFile
from advae.datasets.mirrors import open_request
from advae.datasets.search import choose_cache
from advae.datasets.table import find_row
from advae.deadlines import call_within
from advae.errors import DatasetError, UsageError

Answer = TypeVar("Answer")

PublishedFile = IdxFile | CifarArchive
"""What is fetched: IDX files are unpacked, an archive is kept as it is."""

Progress = Callable[[str, int, int], None]
"""(file name, bytes unpacked so far, bytes of the whole file) -> None."""

GZIP_WBITS = 31

MIRROR_CHUNK_BYTES = 1 << 14
"""Most bytes of one read from a mirror; gzip unpacks them to at most 1,032 times as many."""

MIRROR_TIMEOUT = 30.0
"""Seconds that a mirror may take in addition to the time that SLOWEST allows."""

SLOWEST = 20_000
"""Smallest average speed of a mirror, in bytes a second."""


def fetch_dataset(
    name: str,
    *,
    cache_dir: Path | None = None,
    mirrors: Sequence[str] | None = None,
    on_progress: Progress | None = None,
) -> Path:
    """Return the cache folder with the published files; download those that are missing or damaged.

    mirrors: base URLs in the order to try, default the table's. A file appears under its name only once its checksums
    are right. Raises UsageError if the name is unknown or needs no files; DatasetError if no mirror has a good copy;
    DiskError if the cache cannot be written.
    """
    row = find_row(name)
    if row and row.made_from:
        return fetch_dataset(row.made_from, cache_dir=cache_dir, mirrors=mirrors, on_progress=on_progress)
    files: tuple[PublishedFile, ...] = ((row.archive,) if row.archive else row.files) if row else ()
    if row is None or not files:
        reason = "comes with the installation" if row else "is your own"
        raise UsageError(f"{name} {reason}, there is nothing to fetch")
    folder = choose_cache(row, cache_dir)
    order = list(row.mirrors if mirrors is None else mirrors)
    for file in files:
        if not _is_intact(folder / file.name, file):
            _fetch_file(file, folder, order, on_progress)
    return folder


def _is_intact(path: Path, file: PublishedFile) -> bool:
    """Return whether a file exists and has the published checksums; False for one that cannot be read."""
    try:
        if path.stat().st_size != file.size:
            return False
        for function, expected in file.checksums.items():
            with path.open("rb") as stream:
                if hashlib.file_digest(stream, function).hexdigest() != expected:
                    return False
    except OSError:
        return False
    return True


def _fetch_file(file: PublishedFile, folder: Path, mirrors: list[str], on_progress: Progress | None) -> None:
    """Publish a file from the first mirror that has it. Mirrors that fail are tried last for the next file."""
    reasons, remote = [], f"{file.name}.gz" if isinstance(file, IdxFile) else file.name
    for mirror in tuple(mirrors):
        try:
            return _download(f"{mirror.rstrip('/')}/{remote}", file, folder / file.name, on_progress)
        except DatasetError as error:
            reasons.append(str(error))
            mirrors.append(mirrors.pop(0))
    raise DatasetError(f"{file.name} could not be fetched: {'; '.join(reasons) or 'no mirror is known'}")


def _download(url: str, file: PublishedFile, target: Path, on_progress: Progress | None) -> None:
    """Publish the file as ``target``, unpacked if it is an IDX file.

    Raises DatasetError for a bad mirror, DiskError for a bad disk.
    """
    hashes, done = {function: hashlib.new(function, usedforsecurity=False) for function in file.checksums}, 0
    inflater = zlib.decompressobj(wbits=GZIP_WBITS) if isinstance(file, IdxFile) else _KeptAsItIs(file.size)
    make_folder(target.parent)
    with write_aside(target) as draft:
        with draft.open("wb") as handle, closing(_stream(url, file.size + MIRROR_CHUNK_BYTES, inflater)) as chunks:
            for chunk in chunks:
                done += len(chunk)
                if done > file.size:
                    raise DatasetError(f"{url}: unpacks to more than {file.size} bytes")
                for each in hashes.values():
                    each.update(chunk)
                handle.write(chunk)
                if on_progress:
                    on_progress(file.name, done, file.size)
        for function, expected in file.checksums.items():
            if (found := hashes[function].hexdigest()) != expected:
                raise DatasetError(f"{url}: {function} {found} of {done} bytes, expected {expected}")


class _Inflater(Protocol):
    """What unpacks a stream, as zlib's do."""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was unpacked."""

    def decompress(self, data: bytes, /) -> bytes:
        """Return what some bytes unpack to."""


class _KeptAsItIs:
    """The unpacking of a file that is kept as it is: none. size: bytes of the file."""

    def __init__(self, size: int) -> None:
        self.left = size

    @property
    def eof(self) -> bool:
        return self.left <= 0

    def decompress(self, data: bytes, /) -> bytes:
        self.left -= len(data)
        return data


def _stream(url: str, limit: int, inflater: _Inflater) -> Generator[bytes]:
    """Yield the unpacked bytes of a file while they arrive. Raises DatasetError, also after ``limit`` packed bytes.

    The limit counts packed bytes because a gzip stream may be endless and unpack to nothing.
    """
    from http.client import HTTPException
    from urllib.error import HTTPError

    received, started = 0, time.monotonic()

    def wait_for(answer: Callable[[], Answer]) -> Answer:
        seconds = started + MIRROR_TIMEOUT + received / SLOWEST - time.monotonic()
        try:
            return call_within(seconds, answer)
        except TimeoutError:
            took = f"in {time.monotonic() - started:.0f} seconds"
            raise DatasetError(f"{url}: too slow, {received} bytes {took}") from None

    try:
        with open_request() as ask:
            response = wait_for(lambda: ask(url, MIRROR_TIMEOUT))
            while not inflater.eof:
                packed = wait_for(lambda: response.read1(MIRROR_CHUNK_BYTES))
                received += len(packed)
                if not packed or received > limit:
                    raise DatasetError(f"{url}: {'ends early' if not packed else f'sends more than {limit} bytes'}")
                yield inflater.decompress(packed)
    except (OSError, HTTPException, ValueError, zlib.error) as error:
        if isinstance(error, HTTPError):
            error.close()  # It is an open response.
        raise DatasetError(f"{url}: {explain(error)}") from error
