"""Downloads of datasets: a file appears in the cache under its name only after its SHA-256 was checked."""

from __future__ import annotations

import hashlib
import os
import time
import zlib
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from advae.arrayfiles import explain
from advae.atomic_files import make_folder, write_aside
from advae.datasets.idx import IdxFile
from advae.datasets.mirrors import open_request
from advae.datasets.search import choose_cache
from advae.datasets.table import find_row
from advae.deadlines import call_within
from advae.errors import DatasetError, UsageError

Answer = TypeVar("Answer")

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

    mirrors: base URLs in the order to try, default the table's. A file appears under its name only once its SHA-256
    is right. Raises UsageError if the name is unknown or needs no files; DatasetError if no mirror has a good copy;
    DiskError if the cache cannot be written.
    """
    row = find_row(name)
    if row and row.made_from:
        return fetch_dataset(row.made_from, cache_dir=cache_dir, mirrors=mirrors, on_progress=on_progress)
    if row is None or not row.files:
        reason = "comes with the installation" if row else "is your own file"
        raise UsageError(f"{name} {reason}, there is nothing to fetch")
    folder = choose_cache(row, cache_dir)
    order = list(row.mirrors if mirrors is None else mirrors)
    for file in row.files:
        if not _is_intact(folder / file.name, file):
            _fetch_file(file, folder, order, on_progress)
    return folder


def _is_intact(path: Path, file: IdxFile) -> bool:
    """Return whether a file exists and has the published SHA-256; False for one that cannot be read."""
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            return size == file.size and hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
    except OSError:
        return False


def _fetch_file(file: IdxFile, folder: Path, mirrors: list[str], on_progress: Progress | None) -> None:
    """Publish a file from the first mirror that has it. Mirrors that fail are tried last for the next file."""
    reasons = []
    for mirror in tuple(mirrors):
        try:
            return _download(f"{mirror.rstrip('/')}/{file.name}.gz", file, folder / file.name, on_progress)
        except DatasetError as error:
            reasons.append(str(error))
            mirrors.append(mirrors.pop(0))
    raise DatasetError(f"{file.name} could not be fetched: {'; '.join(reasons) or 'no mirror is known'}")


def _download(url: str, file: IdxFile, target: Path, on_progress: Progress | None) -> None:
    """Publish the unpacked file as ``target``. Raises DatasetError for a bad mirror, DiskError for a bad disk."""
    sha, done = hashlib.sha256(), 0
    make_folder(target.parent)
    with write_aside(target) as draft:
        with draft.open("wb") as handle, closing(_stream(url, file.size + MIRROR_CHUNK_BYTES)) as chunks:
            for chunk in chunks:
                done += len(chunk)
                if done > file.size:
                    raise DatasetError(f"{url}: unpacks to more than {file.size} bytes")
                sha.update(chunk)
                handle.write(chunk)
                if on_progress:
                    on_progress(file.name, done, file.size)
        if sha.hexdigest() != file.sha256:
            raise DatasetError(f"{url}: SHA-256 {sha.hexdigest()} of {done} bytes, expected {file.sha256}")


def _stream(url: str, limit: int) -> Generator[bytes]:
    """Yield the unpacked bytes of a .gz while they arrive. Raises DatasetError, also after ``limit`` packed bytes.

    The limit counts packed bytes because a gzip stream may be endless and unpack to nothing.
    """
    from http.client import HTTPException
    from urllib.error import HTTPError

    received, inflater, started = 0, zlib.decompressobj(wbits=GZIP_WBITS), time.monotonic()

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
