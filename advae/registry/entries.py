"""The entries of a registry: read only once they are found to be what was stored, published by one rename."""

from __future__ import annotations

import gc
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from advae.arrayfiles import DAMAGED, explain, read_stored_arrays, require_regular
from advae.errors import CorruptError, DiskError, NotFoundError
from advae.identity import ID, Kind
from advae.registry.documents import MAX_MANIFEST, Glance, NewerSchemaError, decode, encode, glance, open_document
from advae.registry.layout import (
    MANIFEST,
    TAKEN,
    Layout,
    exchange,
    hash_file,
    sync_folder,
    write_npz,
    write_synced,
)

if TYPE_CHECKING:
    import numpy as np

    from advae.records import Artifact, AutoencoderRecipe, ClassifierRecipe, Manifest, Metrics, RunRecipe
    from advae.registry.layout import Arrays

    AnyRecipe = AutoencoderRecipe | ClassifierRecipe | RunRecipe

Read = TypeVar("Read", "Manifest", Glance)

VERSIONED = ("advae", "tensorflow", "keras", "cleverhans", "scikit-learn", "numpy")


class Entries:
    """The entries under one home folder. Reading never writes."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.layout = Layout(home)

    # ------------------------------------------------------------ reading

    def manifest(self, id_: str) -> Manifest:
        """Return the manifest of an entry.

        Raises NotFoundError where there is none, CorruptError where it cannot be read as what it claims to be.
        """
        self.layout.refuse_newer_schema()
        return self._read_manifest(id_, decode)

    def _read_manifest(self, id_: str, read: Callable[[bytes], Read]) -> Read:
        path = self.layout.entries / id_ / MANIFEST
        try:
            if require_regular(path) > MAX_MANIFEST:
                raise ValueError(f"it is longer than {MAX_MANIFEST} bytes")
            found = read(path.read_bytes())
            if found.id != id_:
                raise ValueError(f"it is the manifest of {found.id}")
        except NewerSchemaError as error:
            raise CorruptError(f"{path}: {error}") from None
        except (FileNotFoundError, NotADirectoryError):
            if path.parent.exists():
                raise CorruptError(f"{path} is missing; {_repair(id_)}") from None
            raise NotFoundError(f"no entry {id_} in {self.home}") from None
        except (OSError, ValueError) as error:
            raise CorruptError(f"{path} cannot be read: {explain(error)}; {_repair(id_)}") from None
        return found

    def find(self, id_: str) -> Manifest | None:
        """Return the manifest of an entry, None where there is none. Raises CorruptError as ``manifest`` does."""
        try:
            return self.manifest(id_)
        except NotFoundError:
            return None

    def glance_at(self, id_: str) -> Glance:
        """Return what a list shows of an entry. Raises as ``manifest`` does."""
        self.layout.refuse_newer_schema()
        return self._read_manifest(id_, _glance_at)

    def ids(self, kind: Kind | None = None) -> list[str]:
        """Return all ids of a kind, sorted; none where there is no home yet."""
        self.layout.refuse_newer_schema()
        try:
            names = sorted(entry.name for entry in self.layout.entries.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DiskError(f"{self.layout.entries} cannot be read: {error.strerror}") from None
        return [name for name in names if ID.fullmatch(name) and (kind is None or name.startswith(f"{kind}-"))]

    def scan(self, kind: Kind | None = None) -> tuple[list[Manifest], dict[str, CorruptError]]:
        """Return the manifests of a kind, newest first, and what is wrong with those that cannot be read, by id."""
        return self._scan(kind, decode)

    def glance(self, kind: Kind | None = None) -> tuple[list[Glance], dict[str, CorruptError]]:
        """Return what a list shows of the entries of a kind, as ``scan`` does; thousands of them in a moment."""
        return self._scan(kind, _glance_at)

    def _scan(self, kind: Kind | None, read: Callable[[bytes], Read]) -> tuple[list[Read], dict[str, CorruptError]]:
        found, corrupt = [], {}
        with _no_collection():
            for id_ in self.ids(kind):
                try:
                    found.append(self._read_manifest(id_, read))
                except CorruptError as error:
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
        path = self.layout.entries / manifest.id / name
        expected = manifest.artifacts.get(name)
        if expected is None:
            raise CorruptError(f"{manifest.id} has no artifact {name}; {_repair(manifest.id)}")
        try:
            size = require_regular(path)
            # The size first: it costs nothing, and a file may have been made to take for ever to hash.
            if size != expected.size or hash_file(path) != expected.sha256:
                raise ValueError(f"it is not what was stored ({size} bytes)")
        except (OSError, ValueError) as error:
            raise CorruptError(f"{path} cannot be read: {explain(error)}; {_repair(manifest.id)}") from None
        return path

    def check(self, manifest: Manifest) -> None:
        """Raise CorruptError unless every artifact of an entry is what was stored."""
        for name in manifest.artifacts:
            self.locate(manifest, name)

    def read_arrays(self, manifest: Manifest, name: str) -> dict[str, np.ndarray[Any, Any]]:
        """Return the arrays of the artifact ``name``, checked against size and SHA-256 before they are decoded.

        Raises CorruptError, naming the file and the repair.
        """
        path = self.locate(manifest, name)
        try:
            return read_stored_arrays(path)
        except DAMAGED as error:
            raise CorruptError(f"{path} cannot be read: {explain(error)}; {_repair(manifest.id)}") from None

    def size(self, manifest: Manifest) -> int:
        """Return the bytes that an entry's artifacts take on disk."""
        return sum(artifact.size for artifact in manifest.artifacts.values())

    def ancestors(self, manifest: Manifest) -> list[Manifest]:
        """Return all that an entry rests on, each after what it rests on itself. Raises as ``manifest`` does."""
        found: dict[str, Manifest] = {}
        for parent in map(self.manifest, manifest.parents):
            found |= {entry.id: entry for entry in (*self.ancestors(parent), parent)}
        return list(found.values())

    def glance_at_lineage(self, id_: str) -> dict[str, Glance | None]:
        """Return an entry, last, and all that it rests on, by id; None for what cannot be read."""
        found: dict[str, Glance | None] = {}
        try:
            entry = self.glance_at(id_)
        except (CorruptError, NotFoundError):
            return {id_: None}
        for parent in entry.parents:
            found |= self.glance_at_lineage(parent)
        return found | {id_: entry}

    # ------------------------------------------------------------ writing

    def check_writable(self) -> None:
        """Raise DiskError where an entry could not be published, before hours are spent on making it."""
        with self.layout.writing(), self.layout.draft("check"):
            pass

    def publish(
        self,
        recipe: AnyRecipe,
        metrics: Metrics,
        arrays: Mapping[str, Arrays],
        *,
        source: str | None = None,
        replace: bool = False,
    ) -> Manifest:
        """Write an entry aside, make it visible by one rename, and return its manifest.

        arrays: file name (.npz) -> its arrays. replace: put it in the place of one that is there; otherwise losing
        to an equal entry is success. Raises DiskError, with nothing left behind.
        """
        from advae.records import DatasetKey, Manifest, entry_id

        with self.layout.writing(), self.layout.draft("publish") as draft:
            folder = draft / "entry"
            folder.mkdir()
            for name, content in arrays.items():
                write_npz(folder / name, content)
            dataset = recipe.dataset
            manifest = Manifest(
                id=entry_id(recipe),
                recipe=recipe,
                parents=recipe.parents,
                dataset=DatasetKey(name=dataset.name, digest=dataset.digest),
                metrics=metrics,
                artifacts={name: _describe(folder / name) for name in arrays},
                source=source,
                versions=library_versions(),
                created=datetime.now(UTC).isoformat(timespec="microseconds"),
            )
            write_synced(folder / MANIFEST, encode(manifest))
            return self.reveal(folder, manifest, replace=replace)

    def reveal(self, folder: Path, manifest: Manifest, *, replace: bool = False) -> Manifest:
        """Rename a finished folder into place and return the manifest that is there then.

        folder: in a draft of its own, its files synced; what it gives way to, or replaces, stays in the draft.
        """
        target, aside = self.layout.entries / manifest.id, folder.with_name("replaced")
        sync_folder(folder)
        try:
            while True:
                try:
                    folder.rename(target)
                except OSError as error:
                    if error.errno not in TAKEN:
                        raise
                else:
                    break
                if not replace:
                    there = self.find(manifest.id)
                    if there:
                        return there
                    continue
                with suppress(FileNotFoundError):
                    if exchange(folder, target):
                        break
                    # Where the system has no exchange there is a moment without the entry.
                    shutil.rmtree(aside, ignore_errors=True)
                    target.rename(aside)
        except BaseException:
            if aside.exists() and not target.exists():
                aside.rename(target)
            raise
        sync_folder(self.layout.entries)
        return manifest


@contextmanager
def _no_collection() -> Iterator[None]:
    """Let Python not look for cycles meanwhile: among thousands of new records it costs a third of reading them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide a result."""
    from importlib import metadata

    found = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _glance_at(content: bytes) -> Glance:
    return glance(open_document(content))


def _describe(path: Path) -> Artifact:
    from advae.records import Artifact

    return Artifact(sha256=hash_file(path), size=path.stat().st_size)


def _repair(id_: str) -> str:
    return (
        f"the command that made it repairs it with --force, `advae registry rm {id_}` removes it, "
        "`advae registry verify` looks for more"
    )
