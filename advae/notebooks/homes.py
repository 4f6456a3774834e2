"""A registry for notebooks: what was trained on the command line, loaded by id, tag or ``latest``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advae.backend import start_tensorflow
from advae.errors import UsageError
from advae.identity import RESULTS
from advae.notebooks.loaded import LoadedPipeline, LoadedPurifier
from advae.paths import default_home, to_path

if TYPE_CHECKING:
    from advae.registry import Registry


def open_registry(home: str | Path | None = None) -> Home:
    """Return the registry in a folder. Nothing is read or written yet.

    home: the folder, ``~`` included; None for the folder that the command line uses: ADVAE_HOME where it is set, else
    the platform's folder for user data.

    >>> import advae
    >>> home = advae.open_registry()
    >>> home.load("best").id == home.load("latest").id
    True
    """
    from advae.registry import Registry

    chosen = home or os.environ.get("ADVAE_HOME") or default_home()
    return Home(Registry(to_path(chosen)))


@dataclass(frozen=True, eq=False, repr=False)
class Home:
    """A registry."""

    registry: Registry
    """The registry as the library's other rooms use it."""

    def __repr__(self) -> str:
        return f"advae.open_registry({str(self.path)!r})"

    @property
    def path(self) -> Path:
        """Folder of the registry."""
        return self.registry.home

    def load(self, ref: str = "latest") -> LoadedPipeline:
        """Return a classifier behind its purifier, or a purifier alone, which only purifies.

        ref: an id, the beginning of one, a tag, or ``latest``, the newest classifier. Raises NotFoundError where there
        is no such entry, UsageError for a run or a certificate, CorruptError where an entry is damaged.

        >>> import advae
        >>> advae.open_registry().load("autoencoder")  # doctest: +ELLIPSIS
        LoadedPipeline(ae-..., a purifier alone, images of 8 x 8 pixels)
        """
        from advae.evaluation.pipelines import find_purifier, load_pipeline, load_purifier

        manifest = self.registry.resolve(ref, "clf" if ref == "latest" else None)
        if manifest.kind in RESULTS:
            raise UsageError(f"{manifest.id} holds numbers, it is no model; load a classifier or a purifier")
        start_tensorflow(self.registry.folders.tmp)
        found = manifest if manifest.kind == "ae" else find_purifier(self.registry, manifest)
        purifier = LoadedPurifier(found, load_purifier(self.registry, found)) if found else None
        function = load_pipeline(self.registry, manifest) if manifest.kind == "clf" else None
        return LoadedPipeline(manifest, self.registry, purifier, function)
