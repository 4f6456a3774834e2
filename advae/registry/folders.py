"""The folders of a home, and their writing: a name never refers to a partly written entry.

<home>/VERSION                    schema number
<home>/entries/<id>/manifest.json + artifacts      appears by one rename, never changes
<home>/refs/<kind>/<alias>        one line: an id
<home>/locks/<id>.lock            who is making an entry right now; correctness never depends on it
<home>/locks/lease-<number>.lock  which entries a running command needs
<home>/checkpoints/<id>.npz       checkpoint of an unfinished training
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

from advae.arrayfiles import explain, require_regular
from advae.atomic_files import sync
from advae.errors import CorruptError, DiskError
from advae.identity import ID, KINDS, STORE_SCHEMA
from advae.registry.manifest_files import UPGRADE

if TYPE_CHECKING:
    import numpy as np

    Arrays = Mapping[str, np.ndarray[Any, Any]]

MANIFEST = "manifest.json"

DRAFT_PURPOSES = (
    *("checkpoint", "check", "dask", "import", "names", "name", "publish", "ref", "remove", "temporary", "version"),
)
"""Purposes of drafts, now or in earlier versions; ``temporary``: files of libraries."""

DRAFT = re.compile(rf"({'|'.join(DRAFT_PURPOSES)})-[0-9a-f]{{16}}(-.+)?")
"""Names in tmp/: the purpose, a random number and, for what was moved aside, its former name."""

PROBE = re.compile(r"\.check-[0-9a-f]{16}")
"""Names of folders that are moved into another and back, to test whether it can be written."""

LOCK = re.compile(rf"({ID.pattern}|lease-[0-9a-f]{{16}})\.lock")

FORMS = {
    "entries": ID,
    "refs": re.compile("|".join(KINDS)),
    "locks": LOCK,
    "checkpoints": re.compile(rf"({ID.pattern})\.npz"),
    "tmp": DRAFT,
}
"""The folders of a home, and the form of the names in each; names that begin with a dot are ignored."""

PARALLEL_FROM = 100
"""From this number on, paths are removed in parallel."""

TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
"""Errors of renaming a folder onto something that exists."""


class Folders:
    """The paths under one home. Reading never writes; the folders are made with the first draft."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.version = home / "VERSION"
        self.entries = home / "entries"
        self.refs = home / "refs"
        self.locks = home / "locks"
        self.checkpoints = home / "checkpoints"
        self.tmp = home / "tmp"

    def check(self) -> None:
        """Raise DiskError where the folder is no registry, CorruptError where a newer program wrote here.

        A registry is missing, empty, has a VERSION as this program writes it, or holds only a registry's folders: the
        process that made them may have been killed before it wrote VERSION.
        """
        if not self._has_version() and (foreign := self._find_foreign(alone=True)):
            raise DiskError(
                f"{self.home} is not a registry: it holds {foreign.relative_to(self.home)}; name an empty folder "
                f"with --home DIR, or `advae registry init {self.home}` makes it one"
            )

    def _has_version(self) -> bool:
        """Return whether this program wrote VERSION; False where there is none. Raises DiskError, CorruptError."""
        try:
            require_regular(self.version)
            with self.version.open("rb") as stream:
                content = stream.read(1000)
        except FileNotFoundError:
            return False
        except (OSError, ValueError) as error:
            raise DiskError(f"{self.home} cannot be a registry: {self.version}: {explain(error)}") from None
        # Other projects have a VERSION, too, with only a number. A registry's is written after its folders.
        written = re.fullmatch(rb"[1-9][0-9]*\n?", content)
        if not written or not (self.entries.is_dir() or self._find_foreign(alone=True) is None):
            raise DiskError(
                f"{self.home} is not a registry: advae did not write its VERSION; name an empty folder with --home DIR"
            )
        if int(content[:20]) > STORE_SCHEMA:
            raise CorruptError(f"{self.version} says schema {content[:20].decode().strip()!r}, {UPGRADE}")
        return True

    def _find_foreign(self, *, alone: bool = False) -> Path | None:
        """Return a foreign file in the registry's folders, or in place of one; alone: or beside them."""
        for path in list_folder(self.home):
            form = FORMS.get(path.name)
            if not form:
                # Another process may have written VERSION in the meantime.
                if alone and path.name not in ("lost+found", self.version.name):
                    return path
            elif path.is_symlink() or not path.is_dir():
                return path
            else:
                strange = (inner for inner in list_folder(path) if not form.fullmatch(inner.name))
                if found := next(strange, None):
                    return found
        return None

    def adopt(self) -> None:
        """Make the folder a registry, also one with other files. Raises DiskError where these have its names."""
        if not self._has_version() and (foreign := self._find_foreign()):
            raise DiskError(f"{self.home} cannot be a registry: advae did not write {foreign}; name an empty folder")
        with self.writing():
            self._make()

    @contextmanager
    def aside(self, what: str) -> Iterator[Callable[[str], Path]]:
        """Give unused paths in tmp/, by name, to move things to; at the end they are removed.

        No folder is made beforehand, so that entries can be removed from a full disk.
        """
        self.prepare()
        token, used = secrets.token_hex(8), list[Path]()

        def spare(name: str) -> Path:
            used.append(self.tmp / f"{what}-{token}-{name}")
            return used[-1]

        try:
            yield spare
        finally:
            _remove_all(used)

    @contextmanager
    def draft(self, what: str) -> Iterator[Path]:
        """Give a new folder in tmp/, with the permissions of the umask, and remove it with its contents afterwards."""
        self.prepare()
        folder = self.tmp / f"{what}-{secrets.token_hex(8)}"
        folder.mkdir()
        try:
            yield folder
        finally:
            remove_tree(folder)

    def prepare(self) -> None:
        """Make the folders of a registry, with a VERSION that says that this program has written here."""
        self.check()
        self._make()

    def _make(self) -> None:
        for folder in (self.entries, self.locks, self.tmp):
            make_synced_folder(folder)
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
        """Turn the errors of failed writes into DiskError."""
        try:
            yield
        except OSError as error:
            where = f": {error.filename}" if isinstance(error.filename, str | Path) else ""
            raise DiskError(f"cannot write to {self.home}: {error.strerror or error}{where}") from None


_VERSION_LINE = f"{STORE_SCHEMA}\n".encode()


# ---------------------------------------------------------------- files


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


def _remove_all(paths: list[Path]) -> None:
    """Remove files and folders, as far as possible; many of them in parallel.

    Removing a folder waits for the disk: on ext4 3 ms, for eight in parallel together.
    """
    if len(paths) < PARALLEL_FROM:
        for path in paths:
            remove_tree(path)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(remove_tree, paths))


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
