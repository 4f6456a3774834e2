"""Files of the registry: written so that they have reached the disk, listed, hashed, exchanged and removed."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.arrayfiles import require_regular
from advae.atomic_files import sync
from advae.errors import DiskError

if TYPE_CHECKING:
    import numpy as np

    Arrays = Mapping[str, np.ndarray[Any, Any]]


def list_folder(folder: Path) -> list[Path]:
    """Return what lies in a folder, sorted, but for names that begin with a dot; nothing where there is none.

    Raises DiskError.
    """
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DiskError(f"{folder} cannot be read: {error.strerror}") from None


def read_small(path: Path, most: int = 1000) -> bytes:
    """Return the beginning of a small file, nothing where it cannot be read."""
    try:
        require_regular(path)
        with path.open("rb") as stream:
            return stream.read(most)
    except (OSError, ValueError):
        return b""


def write_synced(path: Path, content: bytes) -> None:
    """Write a file that has reached the disk when this returns."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def write_npz(path: Path, arrays: Arrays) -> None:
    """Write an .npz that has reached the disk when this returns. Raises TypeError for what is never read back."""
    import numpy as np

    for name, array in arrays.items():
        if array.dtype.kind not in "buif":
            raise TypeError(f"array {name!r} holds {array.dtype} values, which are never read back")
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
        stream.flush()
        os.fsync(stream.fileno())


def make_synced_folder(folder: Path) -> None:
    """Make a folder and those above it, each name synced into the folder that holds it."""
    if not folder.is_dir():
        if folder.parent != folder:
            make_synced_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def try_moving(folder: Path, place: Path) -> None:
    """Move a draft's folder into another and back. Raises OSError, naming that other, where it cannot be done."""
    probe = place / f".{folder.name}"
    try:
        folder.rename(probe)
        probe.rename(folder)
    except OSError as error:
        why = f"it is on another disk than {folder.parent}" if error.errno == errno.EXDEV else error.strerror
        raise OSError(error.errno, why, str(place)) from None


def remove_tree(path: Path) -> None:
    """Remove a file or a folder, as far as possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; return whether this system can.

    Python has no call for it. Raises OSError where it can and fails, such as for a name that is not there.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(one), os.fsencode(other)
    swap, here = 2, -100 if sys.platform == "linux" else -2
    call = getattr(libc, "renameat2" if sys.platform == "linux" else "renameatx_np", None)
    if call is None:
        return False
    if call(here, paths[0], here, paths[1], swap) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM):
        return False
    raise OSError(code, os.strerror(code), str(other))
