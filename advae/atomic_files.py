"""Files outside the registry, written beside and renamed: a reader finds the old file or the new one, whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from advae.errors import DiskError


@contextmanager
def write_aside(target: Path) -> Iterator[Path]:
    """Give the path of a file to be written, which then becomes ``target`` by one rename; the folder must be there.

    The draft bears the target's name, since writers go by its ending, in a hidden folder of its own. Raises DiskError
    where the target is no file or cannot be written. Whatever is raised, the target is as it was and nothing is left.
    """
    import tempfile

    # Through a symbolic link the file that it names is written, as everywhere.
    target = Path(os.path.realpath(target))
    try:
        if target.exists() and not target.is_file():
            raise DiskError(f"cannot write {target}: it is a folder or a device, not a file")
        # A folder that cannot be removed is no reason to deny that the target has been written.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".advae-", ignore_cleanup_errors=True) as folder:
            draft = Path(folder) / target.name
            yield draft
            sync(draft)
            draft.replace(target)
    except OSError as error:
        raise DiskError(f"cannot write {target}: {error.strerror or error}") from None
    # From here on the target is the new file; not every file system can sync a folder.
    with suppress(OSError):
        sync(target.parent)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, where it is not there yet. Raises DiskError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(f"cannot write to {folder}: {error.strerror or error}") from None


def require_writable(folder: Path) -> None:
    """Raise DiskError where nothing could be written into a folder, which need not be there yet; leave nothing."""
    import tempfile

    place = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".advae-"):
            pass
    except OSError as error:
        raise DiskError(f"cannot write to {folder}: {error.strerror or error}") from None


def sync(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
