"""The place where a workflow works, and two steps that all share: load the dataset, find or compute the entry."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.backend import start_tensorflow
from advae.datasets import DATASETS, describe_trouble, load_dataset
from advae.errors import DatasetError, UsageError
from advae.models.fitting import OnEpoch
from advae.records import AutoencoderRecipe, ClassifierRecipe, Dataset, Manifest, Metrics, RunRecipe, entry_id
from advae.registry import Registry

if TYPE_CHECKING:
    import numpy as np

DEFAULT_DATASET = "digits"


@dataclass(frozen=True)
class Workspace:
    """Where a command works: registry, data folder, and callbacks for progress."""

    registry: Registry
    data_dir: Path | None = None
    force: bool = False
    """Whether existing entries and files are computed again or replaced."""
    on_epoch: OnEpoch = lambda epoch: None
    on_batch: Callable[[int, int], None] = lambda done, total: None
    tell: Callable[[str], None] = lambda line: None
    """Takes a line for people."""


@dataclass(frozen=True)
class Made:
    """An entry that a command returns."""

    manifest: Manifest
    cached: bool
    """Whether the registry had it already."""


Content = tuple[Metrics, "dict[str, dict[str, np.ndarray[Any, Any]]]"]


def make_entry(
    workspace: Workspace,
    recipe: AutoencoderRecipe | ClassifierRecipe | RunRecipe,
    compute: Callable[[], Content],
    source: str | None,
    *,
    prepare: Callable[[], None] = lambda: None,
    latest: bool = True,
) -> Made:
    """Return the entry of a recipe, computed where it is missing or ``force`` is on.

    prepare: computes missing entries that it needs. latest: whether ``latest`` names it afterwards; False for what a
    command computes on its way.
    """
    registry = workspace.registry

    def start_and_prepare() -> None:
        _tell_of_dependants(workspace, entry_id(recipe))
        start_tensorflow(registry.folders.tmp)
        prepare()

    manifest, cached = registry.obtain(
        recipe,
        compute,
        prepare=start_and_prepare,
        source=source,
        force=workspace.force,
        latest=latest,
        tell=workspace.tell,
    )
    return Made(manifest, cached)


def _tell_of_dependants(workspace: Workspace, id_: str) -> None:
    """Tell which entries were computed from one that is about to be replaced: they stay as they are."""
    resting = [entry.id for entry in workspace.registry.glance()[0] if id_ in entry.parents] if workspace.force else []
    if resting:
        workspace.tell(f"{id_} is made anew; {', '.join(resting)} rest on what it was, --force makes them anew too")


def refuse_inside(workspace: Workspace, target: Path, what: str = "FILE") -> None:
    """Raise UsageError for what would be written into the registry's own folder, also through a link."""
    # Unlike Path.resolve, it takes a link to itself.
    if Path(os.path.realpath(target)).is_relative_to(os.path.realpath(workspace.registry.home)):
        raise UsageError(f"bad {what} {target}: it lies in the registry; write it elsewhere")


def check_targets(workspace: Workspace, *targets: Path) -> None:
    """Raise UsageError where a file to write lies in the registry, or is there already and ``force`` is off."""
    for target in targets:
        refuse_inside(workspace, target)
        # What is no file, such as a folder or a device, is refused by what writes.
        if target.is_file() and not workspace.force:
            raise UsageError(f"bad FILE {target}: it exists already; name another file, or replace it with --force")


def identify_dataset(name: str, data_dir: Path | None) -> str:
    """Return what identifies a dataset in entries: the name of a published one, the digest of a file.

    Raises UsageError and DatasetError as ``load_dataset`` does.
    """
    return name if name in DATASETS else load_dataset(name, data_dir=data_dir).ref.digest


def load_named(workspace: Workspace, name: str) -> Dataset:
    """Return a dataset; people are told where it differs from the published one of its name.

    And where its pixels do not span the range that eps is measured in.
    """
    dataset = load_dataset(name, data_dir=workspace.data_dir)
    row = DATASETS.get(name)
    if row and row.digest != dataset.ref.digest:
        counts = f"{len(dataset.x_train)} training and {len(dataset.x_test)} test images"
        workspace.tell(f"{dataset.source} is not the published {name}: it holds {counts}")
    if not row or row.digest != dataset.ref.digest:
        trouble = describe_trouble(dataset)
        if trouble:
            workspace.tell(trouble)
    return dataset


def load_dataset_of(workspace: Workspace, parent: Manifest | None, name: str | None) -> Dataset:
    """Return the dataset of a parent entry, checked to be the same arrays, or of ``name`` where there is no parent.

    Raises UsageError where ``name`` is another dataset than the parent's, DatasetError where its arrays are not found.
    """
    if parent is None:
        return load_named(workspace, name or DEFAULT_DATASET)
    ref = parent.recipe.dataset
    if name in DATASETS and name != ref.name:
        raise UsageError(f"{parent.id} was made from dataset {ref.name!r}, not {name!r}")
    if not name:
        return _load_recorded(workspace, parent)
    dataset = load_named(workspace, name)
    if dataset.ref.digest != ref.digest:
        raise UsageError(f"{parent.id} was made from dataset {ref.name!r}, and {name!r} holds other images")
    return dataset


def _load_recorded(workspace: Workspace, parent: Manifest) -> Dataset:
    """Return the dataset that an entry was made from, read from where it was then. Raises DatasetError."""
    ref = parent.recipe.dataset
    own = ref.name not in DATASETS
    place, hint = (parent.source, "; if it has moved, pass --dataset PATH.npz") if own else (ref.name, "")
    if place is None:
        raise DatasetError(f"{parent.id} does not say where dataset {ref.name!r} is; pass --dataset PATH.npz")
    try:
        dataset = load_named(workspace, place)
    except DatasetError as error:
        raise DatasetError(f"{error}{hint}") from error
    if dataset.ref.digest != ref.digest:
        where = dataset.source or place
        raise DatasetError(f"{where} no longer holds the images that {parent.id} was made from{hint}")
    return dataset
