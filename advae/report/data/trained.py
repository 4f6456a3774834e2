"""One trained entry as the report needs it: its loss history, and what an autoencoder keeps for the report."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from advae.records import SAMPLES, AutoencoderMetrics, AutoencoderRecipe, ClassifierMetrics, History, Manifest
from advae.report.data.dataset_names import name_dataset
from advae.report.data.entry_arrays import count_items, fit_artifact

if TYPE_CHECKING:
    from advae.registry import Registry
    from advae.report.data.entry_arrays import Arrays


@dataclass(frozen=True, eq=False)
class Network:
    """An autoencoder, a baseline or a network classifier."""

    manifest: Manifest
    """Its manifest."""
    dataset: str
    """Name of the dataset, unique in the report."""
    history: History | None
    """Loss and accuracy by epoch; None for a baseline."""
    views: Arrays | None = field(repr=False)
    """Arrays of ``samples.npz``; None for a classifier and for an old entry without them."""

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def purifier(self) -> AutoencoderRecipe | None:
        """The recipe of an autoencoder or a baseline, None for a classifier."""
        recipe = self.manifest.recipe
        return recipe if isinstance(recipe, AutoencoderRecipe) else None


def name_trained_purifier(network: Network) -> str:
    """Return the kind of an autoencoder with what sets it apart: one activation throughout, raw output."""
    recipe, metrics = network.purifier, network.manifest.metrics
    if recipe is None:
        return network.manifest.recipe.kind
    hidden = set(recipe.network.activations[:-1]) if recipe.network else set()
    same = f", {hidden.pop()} throughout" if len(hidden) == 1 else ""
    raw = isinstance(metrics, AutoencoderMetrics) and not metrics.unit_range
    return f"{recipe.type}{same}{', raw output' if raw else ''}"


def read_error(entry: Manifest) -> float | None:
    """Return the mean squared error per pixel of purified test images, None for a classifier."""
    return entry.metrics.test_mse if isinstance(entry.metrics, AutoencoderMetrics) else None


def open_network(registry: Registry, manifest: Manifest) -> Network:
    """Return a trained entry with what a report shows of it.

    Raises CorruptError for arrays that are damaged or do not fit the recipe, and what the registry raises.
    """
    stored = isinstance(manifest.recipe, AutoencoderRecipe) and SAMPLES in manifest.artifacts
    views = _read_views(registry, manifest) if stored else None
    return Network(manifest, name_dataset(manifest.recipe.dataset, {}), _read_history(manifest), views)


def _read_history(entry: Manifest) -> History | None:
    """Return the training history of an autoencoder or a classifier, None where it has none (lr, a baseline)."""
    metrics = entry.metrics
    return metrics.history if isinstance(metrics, AutoencoderMetrics | ClassifierMetrics) else None


def _read_views(registry: Registry, manifest: Manifest) -> Arrays:
    views = registry.read_arrays(manifest, SAMPLES)
    d, m = manifest.recipe.dataset.shape.size, count_items(views, "x")
    shapes: dict[str, tuple[int, ...]] = {"x": (m, d), "purified": (m, d), "labels": (m,)}
    if "codes" in views:
        k, along = count_items(views, "codes"), math.isqrt(count_items(views, "generated"))
        shapes |= {"codes": (k, 2), "code_labels": (k,), "axes": (2, along), "generated": (along**2, d)}
    return fit_artifact(manifest, SAMPLES, views, shapes)
