"""Atomic writing of files outside the registry: a reader finds the old file or the whole new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from advae.errors import DiskError


@contextmanager
def write_aside(target: Path) -> Iterator[Path]:
    """Give the path of a draft, which becomes ``target`` by one rename; the target's folder must exist.

    The draft lies in a hidden folder of its own and has the target's name, because writers depend on its suffix. Raises
    DiskError where the target is no file or cannot be written. After any error the target is unchanged and the draft is
    removed.
    """
    import tempfile

    # Through a symbolic link, write the file that it names, as other programs do.
    target = Path(os.path.realpath(target))
    try:
        if target.exists() and not target.is_file():
            raise DiskError(f"cannot write {target}: it is a folder or a device, not a file")
        # The target is written even where the draft's folder cannot be removed.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".advae-", ignore_cleanup_errors=True) as folder:
            draft = Path(folder) / target.name
            yield draft
            sync(draft)
            draft.replace(target)
    except OSError as error:
        raise DiskError(f"cannot write {target}: {error.strerror or error}") from None
    # The target is already the new file; not every file system can sync a folder.
    with suppress(OSError):
        sync(target.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, where they are missing. Raises DiskError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        # The system says "File exists", as if it could be overwritten.
        raise DiskError(f"cannot write to {folder}: Not a directory") from None
    except OSError as error:
        raise DiskError(f"cannot write to {folder}: {error.strerror or error}") from None


def require_writable(folder: Path) -> None:
    """Raise DiskError unless files can be written into a folder, which need not exist yet; no file remains."""
    import tempfile

    place = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".advae-"):
            pass
    except OSError as error:
        raise DiskError(f"cannot write to {folder}: {error.strerror or error}") from None


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
