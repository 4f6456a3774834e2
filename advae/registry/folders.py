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
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from advae.arrayfiles import explain, require_regular
from advae.atomic_files import sync
from advae.errors import CorruptError, DiskError
from advae.identity import ID, KINDS, STORE_SCHEMA
from advae.registry.manifest_files import UPGRADE
from advae.registry.synced_files import list_folder, make_synced_folder, read_small, remove_tree, write_synced

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


def _remove_all(paths: list[Path]) -> None:
    """Remove files and folders, as far as possible; many of them in parallel.

    Removing a folder waits for the disk, about 3 ms on ext4; eight in parallel take no longer than one.
    """
    if len(paths) < PARALLEL_FROM:
        for path in paths:
            remove_tree(path)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(remove_tree, paths))


_VERSION_LINE = f"{STORE_SCHEMA}\n".encode()
