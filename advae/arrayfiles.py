"""Reading .npy and .npz files that may be damaged or hostile: sizes are checked first, nothing is executed."""

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
"""The exceptions that reading a damaged file raises."""

MAX_HEADER = 10_000
"""Bytes; the longest header that numpy accepts."""

MAX_DIRECTORY = 1 << 20
"""Bytes of an archive's directory; an array takes about a hundred."""

_OPENING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Flags with which opening a pipe does not wait for a writer."""

_END, _LOCATOR, _END64 = 22, 20, 56
"""Bytes of the last record of an archive without a comment, and of the two before it in a 64-bit archive."""

MAX_AXES = 32
"""The most that every version of numpy can read."""

VERSIONS = ((1, 0), (2, 0), (3, 0))
"""The versions of the .npy format that are read."""

PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The compressions that numpy.savez and numpy.savez_compressed write."""


def explain(error: Exception) -> str:
    """Return the reason of an error on one line, without the unprintable characters that a file or server may send."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


def require_regular(path: Path) -> int:
    """Return a file's size in bytes. Raises ValueError for a folder, pipe or device, which may be endless."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a regular file")
    return found.st_size


def read_regular(path: str, longest: int) -> bytes:
    """Return the bytes of a file, three times as fast as Path.read_bytes, for lists of thousands of files.

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
    """Shape and dtype of a stored array, from its header."""

    shape: tuple[int, ...]
    """Shape of the array."""
    dtype: np.dtype[Any]
    """Dtype of its values."""


def holds_numbers(dtype: np.dtype[Any]) -> bool:
    """Return whether the values of a dtype are truth values or real numbers."""
    return dtype.kind in "buif"


def read_header(stream: IO[bytes], size: int, accepts: Callable[[np.dtype[Any]], bool] = holds_numbers) -> Header:
    """Return shape and dtype of a .npy stream of ``size`` bytes.

    accepts: which dtypes are read; none that holds objects may be among them. Raises ValueError for another dtype, and
    unless there are exactly as many values as the header claims; or one of DAMAGED.
    """
    from numpy.lib import format as npy

    # numpy allocates memory for the header before it checks the header's claimed length.
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
        # numpy rewrites a header of Python 2, with a warning, at each reading.
        warnings.simplefilter("error", UserWarning)
        try:
            shape, _, dtype = read(stream)
        except UserWarning:
            raise ValueError("its header is Python 2's; save it again with a current numpy") from None
    left = size - stream.tell()
    if dtype.hasobject or not accepts(dtype):
        raise ValueError(f"it holds {dtype} values, expected numbers")
    if len(shape) > MAX_AXES or any(n >= 1 << 63 for n in shape):
        raise ValueError(f"it claims a shape of {len(shape)} axes that no array has")
    if any(isinstance(n, bool) or n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != left:
        claimed = " x ".join(map(str, shape)) or "one"
        raise ValueError(f"it claims {claimed} {dtype} values, got {left} bytes for them")
    return Header(shape, dtype)


def require_small_directory(
    stream: IO[bytes], size: int, *, longest: int = MAX_DIRECTORY, writer: str = "numpy.savez"
) -> None:
    """Raise ValueError where an archive of ``size`` bytes claims a directory of more than ``longest`` bytes.

    zipfile reads the whole directory and takes ten times its memory. In a 64-bit archive it uses the 64-bit record
    alone, whatever the archive's last bytes say. writer: what writes such archives, for the error.
    """
    stream.seek(max(0, size - _END - _LOCATOR - _END64))
    tail = stream.read(_END + _LOCATOR + _END64)
    end, locator, record = tail[-_END:], tail[-_END - _LOCATOR : -_END], tail[: -_END - _LOCATOR]
    claimed = int.from_bytes(end[12:16], "little")
    ours = end[:4] == b"PK\x05\x06" and end[20:] == b"\0\0"
    if locator[:4] == b"PK\x06\x07":
        # Only some versions of zipfile find a record that is not directly before it.
        ours &= record[:4] == b"PK\x06\x06" and int.from_bytes(locator[8:16], "little") == size - len(tail)
        claimed = int.from_bytes(record[40:48], "little")
    if not ours:
        raise ValueError(f"it is not an archive that {writer} writes")
    if claimed > longest:
        raise ValueError(f"its directory claims {claimed} bytes, expected at most {longest}")


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Give an .npz whose list of members takes little memory. Raises ValueError or one of DAMAGED."""
    size = require_regular(path)
    with path.open("rb") as stream:
        require_small_directory(stream, size)
        with zipfile.ZipFile(stream) as archive:
            yield archive


def read_member_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Header:
    """Return the header of a member of an .npz.

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
    """Give an .npz that was written uncompressed, as the registry does, and the header of each of its arrays.

    Raises ValueError or one of DAMAGED for another.
    """
    with open_archive(path) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        if any(not member.filename.endswith(".npy") for member in archive.infolist()):
            raise ValueError("it contains other files than arrays")
        if len(members) < len(archive.infolist()):
            raise ValueError("it contains an array twice")
        # An uncompressed archive cannot contain more bytes than its file.
        if sum(member.file_size for member in members.values()) > path.stat().st_size:
            raise ValueError("it claims more bytes than it has")
        yield archive, {name: read_member_header(archive, member) for name, member in members.items()}


def check_stored_arrays(path: Path) -> None:
    """Raise ValueError or one of DAMAGED where ``read_stored_arrays`` would, without loading an array into memory."""
    with _open_stored(path) as (archive, _):
        damaged = archive.testzip()
    if damaged:
        raise ValueError(f"{damaged} does not match its checksum")


def read_stored_arrays(
    path: Path, check: Callable[[Mapping[str, Header]], None] = lambda headers: None
) -> dict[str, NDArray[Any]]:
    """Return all arrays of an .npz that was written uncompressed. Raises ValueError or one of DAMAGED.

    check: takes the headers by name, and may raise before an array is read.
    """
    with _open_stored(path) as (archive, headers):
        check(headers)
        return {name: read_member(archive, name) for name in headers}


PIXEL_ROUNDING = 1e-6
"""By how much a pixel may exceed [0, 1] by float32 rounding. A larger excess means that the range is another one."""


def clip_rounding(images: NDArray[Any]) -> NDArray[Any] | None:
    """Return float images, clipped to [0, 1]; None where a value exceeds it by more than rounding, or is NaN.

    longdouble becomes float64, because its bytes depend on the machine; other dtypes are unchanged.
    """
    import numpy as np

    # min and max propagate NaN, which fails both comparisons.
    low, high = float(images.min()), float(images.max())
    if not (low >= -PIXEL_ROUNDING and high <= 1 + PIXEL_ROUNDING):
        return None
    if images.dtype.itemsize > np.dtype(np.float64).itemsize:
        images = images.astype(np.float64)
    return images if low >= 0 and high <= 1 else images.clip(0, 1)


def show_range(images: NDArray[Any]) -> str:
    """Return the range of values, such as ``0 to 255``, with enough digits to show whether a value is out of [0, 1]."""
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
