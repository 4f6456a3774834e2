"""Reads decision surfaces, and refuses one whose manifest, arrays and classifier contradict each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from advae.checks.decision_surfaces import DrawnSurface, average_planes, describe_planes
from advae.errors import CorruptError
from advae.records import SURFACES, Manifest
from advae.report.data.agreement import list_differences
from advae.report.data.entry_arrays import fit_artifact, suggest_repair

if TYPE_CHECKING:
    from advae.registry import Registry
    from advae.report.data.entry_arrays import Arrays


def open_surface(registry: Registry, manifest: Manifest) -> DrawnSurface:
    """Return a decision surface with its arrays, held against each other.

    Raises CorruptError for an entry that is no surface, whose arrays do not fit its recipe, or whose numbers are not
    those of its arrays; and what the registry raises.
    """
    recipe, metrics = manifest.as_surface()
    m = metrics.n
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("sample_ids", "labels", "zero_gradient"), (m,))
    shapes["margins"] = (m, recipe.points, recipe.points)
    arrays = fit_artifact(manifest, SURFACES, registry.read_arrays(manifest, SURFACES), shapes)
    found = _find_contradictions(manifest, arrays, registry.find(recipe.classifier))
    if contradiction := next(found, None):
        raise CorruptError(f"{manifest.id} contradicts itself: {contradiction}; {suggest_repair(manifest)}")
    return DrawnSurface(manifest.id, recipe, metrics, arrays["margins"], manifest.imported)


def _find_contradictions(manifest: Manifest, arrays: Arrays, classifier: Manifest | None) -> Iterator[str]:
    """Yield what is wrong with a surface whose arrays have the right shapes."""
    recipe, metrics = manifest.as_surface()
    if classifier and classifier.recipe.dataset.key != recipe.dataset.key:
        yield f"it is on another dataset than {classifier.id}"
    labels, ids, stuck = (arrays[name].tolist() for name in ("labels", "sample_ids", "zero_gradient"))
    if labels != sorted({*labels}):
        yield "it does not have one image of each class, by class"
    missing = {*metrics.missing}
    if not missing.isdisjoint(labels) or any(label >= len(recipe.dataset.classes) for label in missing):
        yield "it misses a class that it has an image of, or that there is not"
    found = describe_planes(arrays["margins"], labels, ids, stuck)
    for stored, one in zip(metrics.images, found, strict=False):
        yield from list_differences(stored, one.model_dump(), SURFACES, f" of image {one.sample_id}")
    if len(metrics.images) != len(found):
        yield f"it has the shares of {len(metrics.images)} images, and {len(found)} planes"
    yield from list_differences(metrics, average_planes(found), SURFACES)
