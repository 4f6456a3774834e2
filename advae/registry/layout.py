"""The folders of a home, and how they are written: nothing half-made is ever under the name it is looked for by.

<home>/VERSION                    schema number
<home>/entries/<id>/manifest.json + artifacts      appears by one rename, never changes
<home>/refs/<kind>/<alias>        one line: an id
<home>/locks/<id>.lock            who is making an entry right now; correctness never depends on it
<home>/checkpoints/<id>.npz       how far an unfinished training has come
<home>/tmp/                       drafts, and what is about to be removed
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.arrayfiles import require_regular
from advae.drafts import sync
from advae.errors import CorruptError, DiskError
from advae.identity import SCHEMA
from advae.registry.documents import UPGRADE

if TYPE_CHECKING:
    import numpy as np

    Arrays = Mapping[str, np.ndarray[Any, Any]]

MANIFEST = "manifest.json"

DRAFT = re.compile(r"[a-z]+-[0-9a-f]{16}(-.+)?")
"""The names of what lies in tmp/: what it is, a random number, and of what is moved aside its own name."""

TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
"""What renaming a folder onto something that is there says."""


class Layout:
    """Where things lie under one home. Reading never writes; the folders appear with the first draft."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.version = home / "VERSION"
        self.entries = home / "entries"
        self.refs = home / "refs"
        self.locks = home / "locks"
        self.checkpoints = home / "checkpoints"
        self.tmp = home / "tmp"

    def refuse_newer_schema(self) -> None:
        """Raise CorruptError where VERSION says that a newer program wrote here."""
        try:
            require_regular(self.version)
            content = read_small(self.version).strip()
        except OSError:
            return
        except ValueError as error:
            raise CorruptError(f"{self.version}: {error}") from None
        if not (content.isdigit() and int(content) <= SCHEMA):
            raise CorruptError(f"{self.version} says schema {content[:20].decode(errors='replace')!r}, {UPGRADE}")

    @contextmanager
    def aside(self, what: str) -> Iterator[Callable[[str], Path]]:
        """Give unused paths in tmp/, by name, to move things to; in the end what lies there is removed.

        Nothing is made beforehand: a disk on which not even a folder fits can be emptied this way.
        """
        self._prepare()
        token, used = secrets.token_hex(8), list[Path]()

        def spare(name: str) -> Path:
            used.append(self.tmp / f"{what}-{token}-{name}")
            return used[-1]

        try:
            yield spare
        finally:
            for path in used:
                remove_tree(path)

    @contextmanager
    def draft(self, what: str) -> Iterator[Path]:
        """Give a new folder in tmp/, as open to others as the umask says, and remove it with all that is left in it."""
        self._prepare()
        folder = self.tmp / f"{what}-{secrets.token_hex(8)}"
        folder.mkdir()
        try:
            yield folder
        finally:
            remove_tree(folder)

    def _prepare(self) -> None:
        """Make the folders, and let VERSION say that this program has written here."""
        self.refuse_newer_schema()
        for folder in (self.entries, self.locks, self.tmp):
            make_folder(folder)
        if read_small(self.version) != _VERSION_LINE:
            draft = self.tmp / f"version-{secrets.token_hex(8)}"
            try:
                write_synced(draft, _VERSION_LINE)
                draft.replace(self.version)
                sync(self.home)
            finally:
                draft.unlink(missing_ok=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn what the system says of a failed write into a DiskError."""
        try:
            yield
        except OSError as error:
            where = f": {error.filename}" if isinstance(error.filename, str | Path) else ""
            raise DiskError(f"cannot write to {self.home}: {error.strerror or error}{where}") from None


_VERSION_LINE = f"{SCHEMA}\n".encode()


# ---------------------------------------------------------------- files


def read_small(path: Path) -> bytes:
    """Return the beginning of a small file, nothing where it cannot be read."""
    try:
        require_regular(path)
        with path.open("rb") as stream:
            return stream.read(1000)
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


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each name synced into the folder that holds it."""
    if not folder.is_dir():
        if folder.parent != folder:
            make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def remove_tree(path: Path) -> None:
    """Remove a file or a folder as far as that can be done."""
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
    """Let two names change what they stand for, in one step, and return whether this system can.

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
