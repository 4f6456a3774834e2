"""Reading of entries: everything is compared with its stored digest before it is returned."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from advae.arrayfiles import DAMAGED, Header, explain, read_regular, read_stored_arrays, require_regular
from advae.errors import AdvaeError, CorruptError, DiskError, NewerSchemaError, NotFoundError
from advae.identity import ID, Kind
from advae.registry.folders import MANIFEST, Folders
from advae.registry.manifest_files import MAX_MANIFEST, decode, list_needed, open_document
from advae.registry.summaries import EntrySummary, summarize_entry
from advae.registry.synced_files import hash_file

if TYPE_CHECKING:
    import numpy as np

    from advae.records import Manifest, Recipe

Read = TypeVar("Read", "Manifest", EntrySummary)

REFUSALS = (errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors of the system that do not mean that a file is damaged."""


class Entries:
    """The entries under one home folder. Nothing is written."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folders = Folders(home)

    def manifest(self, id_: str) -> Manifest:
        """Return the manifest of an entry.

        Raises NotFoundError where there is none, CorruptError where it is not what it claims to be, DiskError where
        the system does not let us read it.
        """
        self.folders.check()
        return self._read_manifest(id_, decode)

    def _read_manifest(self, id_: str, read: Callable[[bytes], Read], *, again: bool = True) -> Read:
        path = self._locate_manifest(id_)
        try:
            found = read(read_regular(path, MAX_MANIFEST))
            if found.id != id_:
                raise ValueError(f"it is the manifest of {found.id}")
        except NewerSchemaError as error:
            raise NewerSchemaError(f"{path}: {error}") from None
        except (FileNotFoundError, NotADirectoryError):
            if not os.path.lexists(self.folders.entries / id_):
                raise NotFoundError(f"no entry {id_} in {self.home}") from None
            if again:
                # Another process may have published it between the two steps.
                return self._read_manifest(id_, read, again=False)
            raise CorruptError(f"{path} is missing; {_repair(id_)}") from None
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in REFUSALS:
                raise DiskError(f"{path} cannot be read: {explain(error)}") from None
            raise CorruptError(f"{path} cannot be read: {explain(error)}; {_repair(id_)}") from None
        return found

    def _locate_manifest(self, id_: str) -> str:
        return f"{self.folders.entries}/{id_}/{MANIFEST}"

    def find(self, id_: str) -> Manifest | None:
        """Return the manifest of an entry, None where there is none. Raises CorruptError as ``manifest`` does."""
        try:
            return self.manifest(id_)
        except NotFoundError:
            return None

    def read_summary(self, id_: str) -> EntrySummary:
        """Return the summary of an entry. Raises as ``manifest`` does."""
        self.folders.check()
        return self._read_manifest(id_, _summarize)

    def ids(self, kind: Kind | None = None) -> list[str]:
        """Return all ids of a kind, sorted; none where there is no home yet."""
        self.folders.check()
        try:
            with os.scandir(self.folders.entries) as found:
                names = sorted(entry.name for entry in found)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DiskError(f"{self.folders.entries} cannot be read: {error.strerror}") from None
        return [name for name in names if ID.fullmatch(name) and (kind is None or name.startswith(f"{kind}-"))]

    def scan(self, kind: Kind | None = None) -> tuple[list[Manifest], dict[str, AdvaeError]]:
        """Return the manifests of a kind, newest first, and what is wrong with those that cannot be read, by id."""
        return self._scan(kind, decode)

    def list_summaries(self, kind: Kind | None = None) -> tuple[list[EntrySummary], dict[str, AdvaeError]]:
        """Return the summaries of the entries of a kind, as ``scan`` does; fast enough for thousands of entries."""
        return self._scan(kind, _summarize)

    def _scan(self, kind: Kind | None, read: Callable[[bytes], Read]) -> tuple[list[Read], dict[str, AdvaeError]]:
        found, corrupt = [], dict[str, AdvaeError]()
        for id_ in self.ids(kind):
            try:
                found.append(self._read_manifest(id_, read))
            except (CorruptError, DiskError) as error:
                corrupt[id_] = error
            except NotFoundError:
                # Removed since the folder was listed.
                continue
        return sorted(found, key=lambda entry: (entry.created, entry.id), reverse=True), corrupt

    def entries(self, kind: Kind | None = None) -> list[Manifest]:
        """Return the manifests of a kind that can be read, newest first."""
        return self.scan(kind)[0]

    def locate(self, manifest: Manifest, name: str) -> Path:
        """Return the path of an artifact, its size and SHA-256 checked. Raises CorruptError, naming file and repair."""
        path = self.folders.entries / manifest.id / name
        expected = manifest.artifacts.get(name)
        if expected is None:
            raise CorruptError(f"{manifest.id} has no artifact {name}; {_repair(manifest.id)}")
        try:
            size = require_regular(path)
            # The size first: it costs nothing, and a malicious file may be too large to hash.
            if size != expected.size or hash_file(path) != expected.sha256:
                raise ValueError(f"it differs from what was stored ({size} bytes)")
        except (OSError, ValueError) as error:
            self._blame(manifest, path, error)
        return path

    def _blame(self, manifest: Manifest, path: Path, error: Exception) -> NoReturn:
        """Raise the error of an artifact that cannot be read: damaged, access refused, or the entry was replaced."""
        if self.manifest(manifest.id) != manifest:
            raise NotFoundError(f"{manifest.id} was replaced while it was read; try again")
        if isinstance(error, OSError) and error.errno in REFUSALS:
            raise DiskError(f"{path} cannot be read: {explain(error)}")
        raise CorruptError(f"{path} cannot be read: {explain(error)}; {_repair(manifest.id)}")

    def check(self, manifest: Manifest) -> None:
        """Raise CorruptError unless every file of an entry is as it was stored, and the entry fits its parents here."""
        self._require_same_parents(manifest)
        for name in manifest.artifacts:
            self.locate(manifest, name)

    def read_arrays(
        self, manifest: Manifest, name: str, check: Callable[[Mapping[str, Header]], None] = lambda headers: None
    ) -> dict[str, np.ndarray[Any, Any]]:
        """Return the arrays of the artifact ``name``, checked against size and SHA-256 before they are decoded.

        check: takes the headers of the arrays by name, and may raise CorruptError before one is read. Raises
        CorruptError, naming the file and the repair, also where the entry was made from other weights than its parents
        have here; NotFoundError where the entry is replaced meanwhile.
        """
        self._require_same_parents(manifest)
        path = self.locate(manifest, name)
        try:
            return read_stored_arrays(path, check)
        except (*DAMAGED, CorruptError) as error:
            self._blame(manifest, path, error)

    def size(self, manifest: Manifest) -> int:
        """Return the bytes that an entry's artifacts take on disk."""
        return sum(artifact.size for artifact in manifest.artifacts.values())

    def ancestors(self, manifest: Manifest) -> list[Manifest]:
        """Return all that an entry depends on, ancestors first. Raises as ``manifest`` does."""
        return [self.manifest(id_) for id_ in self.summarize_lineage(manifest.id) if id_ != manifest.id]

    def summarize_lineage(self, id_: str) -> dict[str, EntrySummary | None]:
        """Return an entry, last, and all that it depends on, by id, ancestors first; None for what cannot be read."""
        seen: dict[str, EntrySummary | None] = {}

        def find_parents(current: str) -> tuple[str, ...]:
            entry = seen[current] = self._try_summary(current)
            return entry.parents if entry else ()

        return {reached: seen[reached] for reached in list_reached(id_, find_parents)}

    def _try_summary(self, id_: str) -> EntrySummary | None:
        try:
            return self.read_summary(id_)
        except AdvaeError:
            return None

    def digest_parents(self, recipe: Recipe) -> dict[str, str]:
        """Return the digests of the weights that an entry of the recipe is computed from, as they are here now.

        By id: its parents, and the purifiers in front of these. Raises as ``manifest`` does.
        """
        needed = list_needed(recipe.parents, lambda id_: self.read_summary(id_).parents)
        return {id_: self.read_summary(id_).weights for id_ in needed}

    def find_changed_parents(self, manifest: Manifest) -> list[str]:
        """Return which of the parents that an entry names have other weights here than those it was computed from."""
        then = manifest.parent_digests or {}
        now = {id_: self._try_summary(id_) for id_ in then}
        return [id_ for id_, entry in now.items() if entry and entry.weights != then[id_]]

    def open_parent(self, manifest: Manifest, id_: str) -> Manifest:
        """Return the manifest of what an entry depends on. Raises CorruptError where its weights were replaced."""
        parent = self.manifest(id_)
        if (manifest.parent_digests or {}).get(id_, parent.weights) != parent.weights:
            raise CorruptError(tell_of_changed(manifest.id, id_))
        return parent

    def _require_same_parents(self, manifest: Manifest) -> None:
        changed = self.find_changed_parents(manifest)
        if changed and self.find(manifest.id) == manifest:
            raise CorruptError(tell_of_changed(manifest.id, changed[0]))


def list_reached(id_: str, following: Callable[[str], Iterable[str]]) -> list[str]:
    """Return all ids that are reached from one, itself last, each after those that follow it.

    Without recursion: a malicious lineage may be longer than Python's stack.
    """
    ahead: dict[str, list[str]] = {}
    found: dict[str, None] = {}
    waiting = [id_]
    while waiting:
        current = waiting[-1]
        if current not in ahead:
            ahead[current] = list(following(current))
        missing = [other for other in ahead[current] if other not in ahead]
        if missing:
            waiting += reversed(missing)
        else:
            found.setdefault(waiting.pop())
    return list(found)


def _summarize(content: bytes) -> EntrySummary:
    return summarize_entry(open_document(content))


def tell_of_changed(id_: str, parent: str) -> str:
    """Return the line for an entry that does not fit a parent which was replaced."""
    return f"{id_} was made from other weights of {parent} than the registry has now; {_repair(id_)}"


def _repair(id_: str) -> str:
    return (
        f"the command that made it repairs it with --force, `advae registry rm {id_}` removes it, "
        "`advae registry verify` looks for more"
    )
