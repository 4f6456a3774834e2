"""Decision surfaces for reports, published as if they had been computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from advae.checks.decision_surfaces import average_planes, describe_planes
from advae.records import SURFACES, Manifest, SurfaceMetrics, SurfaceRecipe
from tests.report_fixtures import Lab

POINTS = 5


def make_planes(lost: float = 0.2) -> np.ndarray[Any, Any]:
    """Return planes of three images that fall up the gradient, from a step beyond ``lost`` on."""
    steps = np.linspace(-0.3, 0.3, POINTS)
    return np.stack([np.broadcast_to((place + 1) * (lost - steps), (POINTS, POINTS)) for place in range(3)]).astype(
        "f4"
    )


def add_surface(
    lab: Lab,
    classifier: Manifest,
    margins: np.ndarray[Any, Any] | None = None,
    *,
    ids: tuple[int, ...] = (3, 1, 8),
    stuck: tuple[bool, ...] = (False, False, False),
    found: dict[str, Any] | None = None,
    spoil: Callable[[dict[str, Any]], object] = lambda arrays: None,
    **changes: Any,
) -> Manifest:
    """Publish decision surfaces of images of the classes 0, 2 and 5."""
    fields: dict[str, Any] = {"radius": 0.3, "points": POINTS, "clip": True, "seed": 0, "recipe_rev": 1}
    recipe = SurfaceRecipe(classifier=classifier.id, dataset=lab.dataset, **(fields | changes))
    planes = make_planes() if margins is None else margins
    labels = (0, 2, 5)[: len(planes)]
    ids, stuck = ids[: len(planes)], stuck[: len(planes)]
    images = describe_planes(planes, labels, ids, stuck)
    own: dict[str, Any] = {
        "images": images,
        "missing": tuple(label for label in range(10) if label not in labels),
        "left_out": 0,
        "outside_fraction": 0.25,
        "backward": "exact",
        "fixed_draw": False,
        "samples_digest": "5" * 64,
        "seconds": 1.0,
    }
    arrays: dict[str, Any] = {
        "sample_ids": np.array(ids, np.int64),
        "labels": np.array(labels, np.int64),
        "margins": planes,
        "zero_gradient": np.array(stuck, bool),
    }
    spoil(arrays)
    metrics = SurfaceMetrics(**(average_planes(images) | own | (found or {})))
    return lab._publish(recipe, metrics, {SURFACES: arrays})
