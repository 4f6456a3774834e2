"""Where a workflow works, and the two steps that all of them share: find the images, find or make the entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.backend import start_tensorflow
from advae.datasets import DATASETS, load_dataset
from advae.errors import DatasetError, UsageError
from advae.records import AutoencoderRecipe, ClassifierRecipe, Dataset, Manifest, Metrics, RunRecipe, entry_id
from advae.registry import Registry
from advae.training import OnEpoch

if TYPE_CHECKING:
    import numpy as np

DEFAULT_DATASET = "digits"


@dataclass(frozen=True)
class Workspace:
    """Where a command works and whom it tells: registry, data folder, progress.

    force: compute again what is already there. tell: takes a line for people.
    """

    registry: Registry
    data_dir: Path | None = None
    force: bool = False
    on_epoch: OnEpoch = lambda epoch: None
    on_batch: Callable[[int, int], None] = lambda done, total: None
    tell: Callable[[str], None] = lambda line: None


@dataclass(frozen=True)
class Made:
    """An entry, and whether it was there already."""

    manifest: Manifest
    cached: bool


Content = tuple[Metrics, "dict[str, dict[str, np.ndarray[Any, Any]]]"]


def make_entry(
    workspace: Workspace,
    recipe: AutoencoderRecipe | ClassifierRecipe | RunRecipe,
    compute: Callable[[], Content],
    source: str | None,
) -> Made:
    """Return the entry of a recipe, computed where it is missing or ``force`` is on, and mark it the latest."""
    registry = workspace.registry
    manifest = None if workspace.force else registry.find(entry_id(recipe))
    cached = manifest is not None
    if manifest is None:
        registry.check_writable()
        start_tensorflow()
        content, arrays = compute()
        manifest = registry.publish(recipe, content, arrays, source=source, replace=workspace.force)
    registry.mark_latest(manifest)
    return Made(manifest, cached)


def load_dataset_of(workspace: Workspace, parent: Manifest | None, name: str | None) -> Dataset:
    """Return the dataset of a parent entry, checked to be the same arrays, or of ``name`` where there is no parent.

    Raises UsageError where ``name`` is another dataset than the parent's, DatasetError where its arrays are not found.
    """
    if parent is None:
        return load_dataset(name or DEFAULT_DATASET, data_dir=workspace.data_dir)
    ref = parent.recipe.dataset
    if name in DATASETS and name != ref.name:
        raise UsageError(f"{parent.id} was made from dataset {ref.name!r}, not {name!r}")
    place = name or (ref.name if ref.name in DATASETS else parent.source)
    if place is None:
        raise DatasetError(f"{parent.id} does not say where dataset {ref.name!r} is; pass --dataset PATH.npz")
    dataset = load_dataset(place, data_dir=workspace.data_dir)
    if dataset.ref.digest == ref.digest:
        return dataset
    if name:
        raise UsageError(f"{parent.id} was made from dataset {ref.name!r}, and {name!r} holds other images")
    raise DatasetError(f"{dataset.source or place} no longer holds the images that {parent.id} was made from")
