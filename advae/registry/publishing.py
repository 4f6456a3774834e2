"""Writing entries: each appears by one rename, whole, and never changes."""

from __future__ import annotations

import functools
import platform
import shutil
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from advae.atomic_files import sync
from advae.identity import Kind
from advae.registry.entries import Entries
from advae.registry.folders import MANIFEST, TAKEN
from advae.registry.manifest_files import ARTIFACT, encode
from advae.registry.synced_files import exchange, hash_file, try_moving, write_npz, write_synced

if TYPE_CHECKING:
    from advae.records import Artifact, Manifest, Metrics, Recipe
    from advae.registry.synced_files import Arrays

VERSIONED = ("advae", "tensorflow", "keras", "cleverhans", "scikit-learn", "numpy")
"""Libraries whose versions are stored with an entry, because they decide its numbers."""


class WritableEntries(Entries):
    """The entries under one home folder, and how new ones are published."""

    def check_writable(self, kind: Kind | None = None) -> None:
        """Raise DiskError where an entry could not be published, before hours are spent on making it.

        kind: kind of the entry that will get a name; None for no name.
        """
        with self.folders.writing(), self.folders.draft("check") as folder:
            names = self.folders.refs / kind if kind else self.folders.entries
            for place in dict.fromkeys((self.folders.entries, names if names.is_dir() else self.folders.refs)):
                if place.is_dir():
                    try_moving(folder, place)

    def publish(
        self,
        recipe: Recipe,
        metrics: Metrics,
        arrays: Mapping[str, Arrays],
        *,
        source: str | None = None,
        replace: bool = False,
        parent_digests: Mapping[str, str] | None = None,
    ) -> Manifest:
        """Write an entry aside, make it visible by one rename, and return its manifest.

        arrays: file name (.npz) -> its arrays. replace: replace an entry that is there; otherwise an equal entry that
        another process published first is returned. parent_digests: digests of the weights that it was computed from;
        None: as they are now. Raises DiskError, after which no file remains; ValueError for a file name that no reader
        accepts.
        """
        from advae.records import DatasetKey, Manifest, entry_id

        for name in arrays:
            if not ARTIFACT.fullmatch(name):
                raise ValueError(f"bad artifact {name!r}: its name must match {ARTIFACT.pattern}")

        with self.folders.writing(), self.folders.draft("publish") as draft:
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
                parent_digests=dict(self.digest_parents(recipe) if parent_digests is None else parent_digests),
            )
            write_synced(folder / MANIFEST, encode(manifest))
            return manifest if self.reveal(folder, manifest.id, replace=replace) else self.manifest(manifest.id)

    def reveal(self, folder: Path, id_: str, *, replace: bool = False) -> bool:
        """Rename a finished folder into place; return False where an equal entry is there already.

        folder: in a draft, its files synced; an entry that it replaces stays in the draft.
        """
        target, aside = self.folders.entries / id_, folder.with_name(f"{folder.name}-replaced")
        sync(folder)
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
                    if self.find(id_):
                        return False
                    continue
                with suppress(FileNotFoundError):
                    if exchange(folder, target):
                        break
                    # Where the system has no exchange there is a moment without the entry.
                    shutil.rmtree(aside, ignore_errors=True)
                    target.rename(aside)
        # Also an interrupt; it is raised again.
        except BaseException:
            if aside.exists() and not target.exists():
                aside.rename(target)
            raise
        sync(self.folders.entries)
        return True


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide a result."""
    return {"python": platform.python_version(), **{name: _find_version(name) for name in VERSIONED}}


@functools.cache
def _find_version(name: str) -> str:
    # Cached, because finding all of them takes longer than the rest of publishing a small entry.
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _describe(path: Path) -> Artifact:
    from advae.records import Artifact

    return Artifact(sha256=hash_file(path), size=path.stat().st_size)
