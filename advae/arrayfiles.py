""".npy and .npz files that may be damaged or hostile: every claim is checked before memory is taken, nothing is run."""

from __future__ import annotations

import math
import os
import stat
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DAMAGED = (
    *(OSError, EOFError, zlib.error),
    # zipfile, on a damaged directory; RuntimeError includes NotImplementedError and, of ast, RecursionError.
    *(zipfile.BadZipFile, struct.error, RuntimeError, LookupError, OverflowError),
    # numpy.lib.format, which hands the header to tokenize, ast.literal_eval and numpy.dtype.
    *(ValueError, TypeError, SyntaxError, MemoryError, tokenize.TokenError),
)
"""What reading a damaged file raises."""

MAX_HEADER = 10_000
"""What numpy itself accepts of a header, in bytes."""

MAX_DIRECTORY = 1 << 20
"""Bytes; an array takes about a hundred."""

_OPENING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""How a file is opened that may turn out to be a pipe to which nobody writes."""

_END, _LOCATOR, _END64 = 22, 20, 56
"""Bytes at the end of an archive without a comment; the two that go before it where numbers need 64 bits."""

MAX_AXES = 32
"""What every version of numpy can read."""

VERSIONS = ((1, 0), (2, 0), (3, 0))
"""Of the .npy format."""

PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The two that numpy.savez and numpy.savez_compressed write."""


def explain(error: Exception) -> str:
    """Return the reason on one line, without the control characters that a file or a server may have put there."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


def require_regular(path: Path) -> int:
    """Return a file's size. Raises ValueError for a folder, pipe or device, which might never end or never begin."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a regular file")
    return found.st_size


def read_regular(path: str, longest: int) -> bytes:
    """Return all of a file, at a third of what a Path takes, for lists of thousands.

    Raises ValueError as ``require_regular`` does, and for more than ``longest`` bytes; OSError.
    """
    handle = os.open(path, _OPENING)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is not a regular file")
        if found.st_size > longest:
            raise ValueError(f"it is longer than {longest} bytes")
        parts = list[bytes]()
        left = found.st_size
        while left and (part := os.read(handle, left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(handle)


class Header(NamedTuple):
    """What an array claims to be."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def read_header(stream: IO[bytes], size: int) -> Header:
    """Return shape and dtype of a .npy stream of ``size`` bytes.

    Raises ValueError unless it holds numbers and exactly as many as it claims, or one of DAMAGED.
    """
    from numpy.lib import format as npy

    # numpy takes memory for the header before it looks at how long it claims to be.
    preamble = stream.read(12)
    longest = min(size, MAX_HEADER)
    if int.from_bytes(preamble[8 : 10 if preamble[6:7] == b"\x01" else 12], "little") > longest:
        raise ValueError(f"its header claims more than {longest} bytes")
    stream.seek(0)
    version = npy.read_magic(stream)
    if version not in VERSIONS:
        raise ValueError(f"format version {version} is unknown")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    with warnings.catch_warnings():
        # What numpy rewrites the header of, with a warning, and would again wherever the array is read.
        warnings.simplefilter("error", UserWarning)
        try:
            shape, _, dtype = read(stream)
        except UserWarning:
            raise ValueError("its header is Python 2's; save it again with a current numpy") from None
    left = size - stream.tell()
    if dtype.kind not in "buif":
        raise ValueError(f"it holds {dtype} values, expected numbers")
    if len(shape) > MAX_AXES or any(n >= 1 << 63 for n in shape):
        raise ValueError(f"it claims a shape of {len(shape)} axes that no array has")
    if any(isinstance(n, bool) or n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != left:
        claimed = " x ".join(map(str, shape)) or "one"
        raise ValueError(f"it claims {claimed} {dtype} values, got {left} bytes for them")
    return Header(shape, dtype)


def _require_small_directory(stream: IO[bytes], size: int) -> None:
    """Raise ValueError where an archive claims a directory that is more than any .npz of ours has.

    zipfile reads it whole, and takes ten times the memory. Where there is a record of 64-bit numbers, it goes by that
    alone, whatever the archive's last bytes say.
    """
    stream.seek(max(0, size - _END - _LOCATOR - _END64))
    tail = stream.read(_END + _LOCATOR + _END64)
    end, locator, record = tail[-_END:], tail[-_END - _LOCATOR : -_END], tail[: -_END - _LOCATOR]
    claimed = int.from_bytes(end[12:16], "little")
    ours = end[:4] == b"PK\x05\x06" and end[20:] == b"\0\0"
    if locator[:4] == b"PK\x06\x07":
        # Elsewhere than right before it, some versions of zipfile find it and others do not.
        ours &= record[:4] == b"PK\x06\x06" and int.from_bytes(locator[8:16], "little") == size - len(tail)
        claimed = int.from_bytes(record[40:48], "little")
    if not ours:
        raise ValueError("it is no archive that numpy.savez writes")
    if claimed > MAX_DIRECTORY:
        raise ValueError(f"its directory claims {claimed} bytes, expected at most {MAX_DIRECTORY}")


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Give an .npz whose list of members takes little memory. Raises ValueError or one of DAMAGED."""
    size = require_regular(path)
    with path.open("rb") as stream:
        _require_small_directory(stream, size)
        with zipfile.ZipFile(stream) as archive:
            yield archive


def read_member_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Header:
    """Return what a member of an .npz claims to be.

    Raises ValueError as ``read_header`` does, or one of DAMAGED, unless it is an array.
    """
    if member.compress_type not in PACKINGS:
        raise ValueError("packed in a way that numpy.savez does not use; expected stored or deflated")
    if member.compress_type == zipfile.ZIP_STORED and member.compress_size != member.file_size:
        raise ValueError(f"its {member.compress_size} bytes, not packed, claim to be {member.file_size}")
    with archive.open(member) as stream:
        return read_header(stream, member.file_size)


def read_member(archive: zipfile.ZipFile, key: str) -> NDArray[Any]:
    """Return one array of an .npz. Raises as ``read_member_header`` does."""
    from numpy.lib import format as npy

    member = archive.getinfo(f"{key}.npy")
    read_member_header(archive, member)
    with archive.open(member) as stream:
        array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
    return array


@contextmanager
def _open_stored(path: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, Header]]]:
    """Give an .npz that was written unpacked, as ours are, and what each of its arrays claims to be.

    Raises ValueError or one of DAMAGED for another.
    """
    with open_archive(path) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        if any(not member.filename.endswith(".npy") for member in archive.infolist()):
            raise ValueError("it holds something else than arrays")
        if len(members) < len(archive.infolist()):
            raise ValueError("it holds an array twice")
        # Against the file's own size: an unpacked archive cannot hold more than itself.
        if sum(member.file_size for member in members.values()) > path.stat().st_size:
            raise ValueError("it claims to hold more than it is long")
        yield archive, {name: read_member_header(archive, member) for name, member in members.items()}


def check_stored_arrays(path: Path) -> None:
    """Raise ValueError or one of DAMAGED where ``read_stored_arrays`` would, without taking memory for an array."""
    with _open_stored(path) as (archive, _):
        damaged = archive.testzip()
    if damaged:
        raise ValueError(f"{damaged} does not match its checksum")


def read_stored_arrays(
    path: Path, check: Callable[[Mapping[str, Header]], None] = lambda headers: None
) -> dict[str, NDArray[Any]]:
    """Return all arrays of an .npz that was written unpacked, as ours are. Raises ValueError or one of DAMAGED.

    check: of what the arrays claim to be, by name, raises before one of them is read.
    """
    with _open_stored(path) as (archive, headers):
        check(headers)
        return {name: read_member(archive, name) for name in headers}


ROUNDING = 1e-6
"""By how much a pixel may leave [0, 1]: what float32 arithmetic leaves over. More is another range."""


def clip_rounding(images: NDArray[Any]) -> NDArray[Any] | None:
    """Return float images, what leaves [0, 1] by rounding cut off; None where more does, or a value is no number.

    longdouble becomes float64, since its bytes are those of one kind of machine; others keep their dtype.
    """
    import numpy as np

    # NaN goes through min and max, and fails both comparisons.
    low, high = float(images.min()), float(images.max())
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):
        return None
    if images.dtype.itemsize > np.dtype(np.float64).itemsize:
        images = images.astype(np.float64)
    return images if low >= 0 and high <= 1 else images.clip(0, 1)


def show_range(images: NDArray[Any]) -> str:
    """Return from where to where values reach, such as ``0 to 255``; what is out of range never looks inside it."""
    return f"{_show_pixel(float(images.min()))} to {_show_pixel(float(images.max()))}"


def _show_pixel(value: float) -> str:
    short = f"{value:.6g}"
    return short if (0 <= float(short) <= 1) == (0 <= value <= 1) else f"{value:.9g}"


def map_array(path: Path) -> NDArray[Any]:
    """Return the array of a .npy file, mapped, not read. Raises ValueError as ``read_header`` does, or of DAMAGED."""
    import numpy as np

    size = require_regular(path)
    if zipfile.is_zipfile(path):
        raise ValueError("it is an .npz archive; a .npy file is expected")
    with path.open("rb") as stream:
        read_header(stream, size)
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
