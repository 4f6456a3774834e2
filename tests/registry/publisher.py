"""What a process does to a registry, each operation under a name, over small homes of known content. No TensorFlow."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from advae.errors import NotFoundError
from advae.records import Manifest, Recipe, entry_id
from advae.registry import Registry
from tests.entries import (
    WEIGHTS,
    locate,
    make_arrays,
    make_autoencoder_recipe,
    make_classifier_recipe,
    make_metrics,
    make_run_recipe,
    pack_bundle,
    publish,
    take_bundle,
)

AE, OTHER, NEW = (make_autoencoder_recipe(seed=seed) for seed in (1, 2, 3))
CLF = make_classifier_recipe(autoencoder=entry_id(AE))
RUN = make_run_recipe(classifier=entry_id(CLF))
NEW_CLF = make_classifier_recipe(autoencoder=entry_id(NEW))
FAMILY = (AE, CLF, RUN)
BUNDLES: dict[str, tuple[Recipe, ...]] = {"family": FAMILY, "new": (NEW, NEW_CLF)}


# ---------------------------------------------------------------- homes


def furnish(home: Path) -> None:
    """Publish a family of three and an autoencoder beside it, with tags and ``latest``."""
    registry = Registry(home)
    entries = [publish(registry, recipe) for recipe in (*FAMILY, OTHER)]
    for entry, alias in zip(entries, ("old", "best", "third", "second"), strict=True):
        registry.tag(entry, alias)
    for entry in entries[:3]:
        registry.mark_latest(entry)


def furnish_plainly(home: Path) -> None:
    """Publish one entry, which nothing names."""
    publish(Registry(home), AE)


def furnish_pair(home: Path) -> None:
    """Publish two autoencoders on which nothing rests, each with a tag, the first the latest."""
    registry = Registry(home)
    for recipe, alias in ((AE, "old"), (OTHER, "second")):
        registry.tag(publish(registry, recipe), alias)
    registry.mark_latest(find(registry, AE))


def furnish_damaged(home: Path) -> None:
    """Furnish a home, and break the weights of its first entry."""
    furnish(home)
    locate(Registry(home), Registry(home).manifest(entry_id(AE)), WEIGHTS).write_bytes(b"PK")


def furnish_nothing(home: Path) -> None:
    """Leave a home out."""


@cache
def make_bundle(name: str) -> bytes:
    """Return one of BUNDLES."""
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry(Path(folder))
        return pack_bundle(registry, [publish(registry, recipe) for recipe in BUNDLES[name]][-1])


# ---------------------------------------------------------------- operations


def find(registry: Registry, recipe: Recipe) -> Manifest:
    return registry.manifest(entry_id(recipe))


def obtain(registry: Registry, recipe: Recipe, **options: Any) -> Manifest:
    return registry.obtain(recipe, lambda: (make_metrics(recipe), make_arrays()), **options)[0]


def train(registry: Registry, recipe: Recipe) -> None:
    """Do what a train command with ``--tag`` does."""
    entry = obtain(registry, recipe)
    registry.mark_latest(entry)
    registry.tag(entry, "old")


def bring(registry: Registry, bundle: str, *, replace: bool = False) -> None:
    take_bundle(registry, make_bundle(bundle), replace=replace)


@dataclass(frozen=True)
class Operation:
    """act: what is done to a home that ``furnish`` made. replaces: recipes whose entries may be others afterwards."""

    act: Callable[[Registry], Any]
    furnish: Callable[[Path], None] = furnish
    replaces: tuple[Recipe, ...] = ()

    def repeat(self, registry: Registry) -> None:
        """Do it once more; what has been removed already cannot be removed again."""
        with suppress(NotFoundError):
            self.act(registry)


OPERATIONS: Mapping[str, Operation] = {
    "publish": Operation(lambda registry: publish(registry, NEW)),
    "publish, first": Operation(lambda registry: publish(registry, NEW), furnish_nothing),
    "publish, equal": Operation(lambda registry: publish(registry, AE)),
    "publish, replace": Operation(lambda registry: publish(registry, AE, replace=True), replaces=(AE,)),
    "publish, replace nothing": Operation(lambda registry: publish(registry, NEW, replace=True)),
    "publish, replace damaged": Operation(
        lambda registry: publish(registry, AE, replace=True), furnish_damaged, replaces=(AE,)
    ),
    "tag": Operation(lambda registry: registry.tag(find(registry, AE), "new")),
    "tag, first": Operation(lambda registry: registry.tag(find(registry, AE), "new"), furnish_plainly),
    "tag, moved": Operation(lambda registry: registry.tag(find(registry, OTHER), "old")),
    "latest": Operation(lambda registry: registry.mark_latest(find(registry, OTHER))),
    "latest, first": Operation(lambda registry: registry.mark_latest(find(registry, AE)), furnish_plainly),
    "untag": Operation(lambda registry: registry.untag("old")),
    "remove": Operation(lambda registry: registry.remove(entry_id(RUN))),
    "remove, recursive": Operation(lambda registry: registry.remove(entry_id(AE), recursive=True)),
    "remove, damaged": Operation(
        lambda registry: registry.remove(entry_id(AE), recursive=True), furnish_damaged, replaces=(AE,)
    ),
    "import": Operation(lambda registry: bring(registry, "new")),
    "import, first": Operation(lambda registry: bring(registry, "new"), furnish_nothing),
    "import, present": Operation(lambda registry: bring(registry, "family")),
    "import, replace": Operation(lambda registry: bring(registry, "family", replace=True), replaces=FAMILY),
    "check": Operation(lambda registry: registry.check_writable()),
    "check, first": Operation(lambda registry: registry.check_writable(), furnish_nothing),
    "obtain": Operation(lambda registry: obtain(registry, NEW)),
    "obtain, present": Operation(lambda registry: obtain(registry, AE)),
    "obtain, forced": Operation(lambda registry: obtain(registry, AE, force=True), replaces=(AE,)),
    "train": Operation(lambda registry: train(registry, NEW)),
}


MEETING: Mapping[str, Operation] = {
    "publish, equal": Operation(lambda registry: publish(registry, AE), furnish_pair),
    "publish, replace": Operation(lambda registry: publish(registry, AE, replace=True), furnish_pair, replaces=(AE,)),
    "tag": Operation(lambda registry: registry.tag(find(registry, AE), "new"), furnish_pair),
    "tag, moved": Operation(lambda registry: registry.tag(find(registry, OTHER), "old"), furnish_pair),
    "tag, moved back": Operation(lambda registry: registry.tag(find(registry, AE), "second"), furnish_pair),
    "latest": Operation(lambda registry: registry.mark_latest(find(registry, OTHER)), furnish_pair),
    "untag": Operation(lambda registry: registry.untag("old"), furnish_pair),
    "remove": Operation(lambda registry: registry.remove(entry_id(AE)), furnish_pair),
    "remove other": Operation(lambda registry: registry.remove(entry_id(OTHER)), furnish_pair),
}
"""Operations on one entry that can get into each other's way."""


class Shelf:
    """Furnished homes, each kind made once, from which every trial takes a copy."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._taken, self._made = folder, 0, dict[Callable[[Path], None], Path]()
        for name in BUNDLES:
            make_bundle(name)

    def take(self, operation: Operation) -> Path:
        """Return a fresh home for an operation."""
        template = self._made.get(operation.furnish)
        if template is None:
            template = self._made[operation.furnish] = self._folder / operation.furnish.__name__
            operation.furnish(template)
        self._taken += 1
        home = self._folder / f"home{self._taken}"
        if template.is_dir():
            shutil.copytree(template, home)
        return home
