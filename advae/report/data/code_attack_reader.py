"""Reads attacks on codes, and refuses one whose manifest, arrays and autoencoder contradict each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from advae.distortion_curves import PairDistances, summarize_curves
from advae.errors import CorruptError
from advae.records import SAMPLES, STEERED, AutoencoderRecipe, CodeAttackMetrics, CodeAttackRecipe, Manifest
from advae.report.data.agreement import list_differences
from advae.report.data.entry_arrays import count_items, fit_artifact, suggest_repair

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.registry import Registry
    from advae.report.data.entry_arrays import Arrays

PICTURES = ("x", "x_adv", "purified", "target", "purified_target")
"""Arrays of images that an attack on a code keeps, each (pairs, d)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SteeredCode:
    """An attack on a code, with what it found on each pair."""

    manifest: Manifest
    """Manifest of the attack."""
    recipe: CodeAttackRecipe
    """Its recipe."""
    metrics: CodeAttackMetrics
    """Its metrics."""
    autoencoder: Manifest
    """Manifest of the attacked autoencoder."""
    dataset: str
    """Name of the dataset, unique in the report."""
    distances: PairDistances = field(repr=False)
    """Distances of all pairs."""
    complete: NDArray[np.bool_] = field(repr=False)
    """Which pairs have a curve, bool (p,)."""
    arrays: Arrays = field(repr=False)
    """All arrays of the attack, by name."""
    pictures: Arrays = field(repr=False)
    """Arrays of ``samples.npz``: the images of a few pairs."""

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def autoencoder_recipe(self) -> AutoencoderRecipe:
        return self.autoencoder.as_autoencoder()[0]

    @property
    def imported(self) -> tuple[str, ...]:
        """Ids of what came from a bundle, of the attack and its autoencoder."""
        return tuple(entry.id for entry in (self.manifest, self.autoencoder) if entry.imported)


def open_code_attack(registry: Registry, manifest: Manifest) -> SteeredCode:
    """Return an attack on a code with its arrays, held against each other.

    Raises CorruptError for an entry that is none, whose arrays do not fit its recipe, or whose numbers are not those of
    its arrays; and what the registry raises.
    """
    recipe, metrics = manifest.as_code_attack()
    autoencoder = registry.manifest(recipe.autoencoder)
    autoencoder.as_autoencoder()
    arrays = _read_arrays(registry, manifest)
    names = ("images", "before", "best", "distortion", "reached")
    found = SteeredCode(
        manifest=manifest,
        recipe=recipe,
        metrics=metrics,
        autoencoder=autoencoder,
        dataset=recipe.dataset.title,
        distances=PairDistances(**{name: arrays[name] for name in names}),
        complete=arrays["complete"],
        arrays=arrays,
        pictures=_read_pictures(registry, manifest),
    )
    if contradiction := next(_find_contradictions(found), None):
        raise CorruptError(f"{manifest.id} contradicts itself: {contradiction}; {suggest_repair(manifest)}")
    return found


def _read_arrays(registry: Registry, manifest: Manifest) -> Arrays:
    recipe, _ = manifest.as_code_attack()
    pairs = ("original_ids", "target_ids", "labels", "target_labels", "images", "before", "best", "codes_apart")
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys((*pairs, "complete"), (recipe.pairs,))
    shapes |= dict.fromkeys(("distortion", "reached", "code_distances"), (recipe.pairs, recipe.points))
    shapes["weights"] = (recipe.points,)
    return fit_artifact(manifest, STEERED, registry.read_arrays(manifest, STEERED), shapes)


def _read_pictures(registry: Registry, manifest: Manifest) -> Arrays:
    if SAMPLES not in manifest.artifacts:
        return {}
    found = registry.read_arrays(manifest, SAMPLES)
    shown, size = count_items(found, "pairs"), manifest.recipe.dataset.shape.size
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(PICTURES, (shown, size))
    return fit_artifact(manifest, SAMPLES, found, shapes | dict.fromkeys(("pairs", "shown"), (shown,)))


def _find_contradictions(found: SteeredCode) -> Iterator[str]:
    """Yield what is wrong with an attack whose arrays have the right shapes."""
    recipe, metrics, arrays = found.recipe, found.metrics, found.arrays
    if found.autoencoder.recipe.dataset.key != recipe.dataset.key:
        yield f"it is on another dataset than {found.autoencoder.id}"
    if (arrays["labels"] == arrays["target_labels"]).any():
        yield "a pair has two images of one class"
    if recipe.target is not None and (arrays["target_labels"] != recipe.target).any():
        yield "a target is of another class than its recipe says"
    if (found.complete & ~found.distances.find_complete()).any():
        yield "it counts a pair that has no curve"
    for name, most in (("pairs", recipe.pairs), ("shown", recipe.points)):
        if any(not 0 <= place < most for place in found.pictures.get(name, ())):
            yield f"its {SAMPLES} shows {name} that it does not have"
    if not found.complete[found.pictures.get("pairs", slice(0))].all():
        yield f"its {SAMPLES} shows a pair that has no curve"
    numbers = summarize_curves(*found.distances.relate(found.complete))
    numbers["left_out"] = recipe.pairs - int(found.complete.sum())
    yield from list_differences(metrics, numbers, STEERED)
