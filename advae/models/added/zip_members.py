"""Members of a zip archive that another program wrote, read from bytes within limits."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import PurePosixPath

from advae.arrayfiles import PACKINGS, require_small_directory
from advae.errors import printable

MAX_ZIP_MEMBERS = 100_000
"""Boosted trees of scikit-learn have ten thousands."""

MAX_ZIP_DIRECTORY = 1 << 24
"""Bytes of the directory; a member takes about a hundred."""

MAX_ZIP_RATIO = 100
FREE_OF_ZIP_RATIO = 1 << 20
"""An archive may unpack to 100 times its size, and to 1 MiB in any case."""


def open_zip(content: bytes, *, writer: str) -> zipfile.ZipFile:
    """Return an archive whose members have plain, different names and are not larger than the limits.

    writer: what writes such archives, for the error. Raises ValueError, or another of arrayfiles.DAMAGED.
    """
    stream = io.BytesIO(content)
    require_small_directory(stream, len(content), longest=MAX_ZIP_DIRECTORY, writer=writer)
    archive = zipfile.ZipFile(stream)
    members = archive.infolist()
    if len(members) > MAX_ZIP_MEMBERS:
        raise ValueError(f"it holds {len(members)} files, expected at most {MAX_ZIP_MEMBERS}")
    for member in members:
        _require_plain(member)
    if len({member.filename for member in members}) < len(members):
        raise ValueError("it holds two files of the same name")
    total, most = sum(member.file_size for member in members), max(FREE_OF_ZIP_RATIO, MAX_ZIP_RATIO * len(content))
    if total > most:
        raise ValueError(f"it unpacks to {total} bytes, expected at most {most}")
    return archive


def _require_plain(member: zipfile.ZipInfo) -> None:
    """Raise ValueError for a member that could be written outside a folder, is encrypted or packed unusually."""
    path = PurePosixPath(member.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in member.filename:
        raise ValueError(f"it holds a file with the path {printable(member.filename[:80])!r}, expected a plain name")
    if member.flag_bits & 1 or member.compress_type not in PACKINGS:
        raise ValueError(f"{printable(member.filename[:80])!r} is encrypted or packed unusually")
    if member.compress_type == zipfile.ZIP_STORED and member.compress_size != member.file_size:
        raise ValueError(f"{printable(member.filename[:80])!r}, not packed, claims another size than it has")


def read_zip_member(archive: zipfile.ZipFile, name: str, *, longest: int) -> bytes:
    """Return one member of an archive. Raises ValueError for more than ``longest`` bytes, or one of DAMAGED."""
    member = archive.getinfo(name)
    if member.file_size > longest:
        raise ValueError(f"its {name} has {member.file_size} bytes, expected at most {longest}")
    with archive.open(member) as stream:
        return stream.read()


def refuse_members(archive: zipfile.ZipFile, allowed: Callable[[str], bool]) -> None:
    """Raise ValueError that names the first member that is not allowed."""
    for name in archive.namelist():
        if not allowed(name):
            raise ValueError(f"it holds {printable(name[:80])!r}, which no model of allowed layers needs")
