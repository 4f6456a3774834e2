"""A synthetic attack on a code, consistent with its arrays and made without a network."""

from __future__ import annotations

from typing import Any

import numpy as np

from advae.checks.steered_codes import CODE_CHECKS
from advae.distortion_curves import PairDistances, summarize_curves
from advae.records import SAMPLES, STEERED, CheckResult, CodeAttackMetrics, CodeAttackRecipe, Manifest
from tests.report_fixtures import Lab, load_images

Arrays = dict[str, np.ndarray[Any, Any]]


def make_steered(pairs: int = 4, points: int = 5, bend: float = 0.5) -> Arrays:
    """Return the arrays of an attack whose curves go through (x, (1 - x) bend), the largest weight last."""
    x = np.linspace(1.0, 0.0, points)
    images, before, best = np.full(pairs, 4.0), np.full(pairs, 5.0), np.full(pairs, 1.0)
    y = np.where(x > 0, (1 - x) * bend, 1.0) + 0.01 * np.arange(pairs)[:, None] * (x > 0)
    labels = np.arange(pairs) % 10
    return {
        "original_ids": np.arange(pairs),
        "target_ids": np.arange(pairs) + 10,
        "labels": labels,
        "target_labels": (labels + 1) % 10,
        "weights": 2.0 ** np.linspace(-20, 20, points),
        "images": images,
        "before": before,
        "best": best,
        "distortion": np.tile(x * 4.0, (pairs, 1)),
        "reached": best[:, None] + y * (before - best)[:, None],
        "code_distances": np.tile(np.linspace(0, 9, points), (pairs, 1)),
        "codes_apart": np.full(pairs, 9.0),
        "complete": np.ones(pairs, bool),
    }


def make_pictures(shown: int = 2) -> Arrays:
    """Return the images of the first pairs."""
    x, _ = load_images(2 * shown)
    images = {"x": x[:shown], "x_adv": np.clip(x[:shown] + 0.1, 0, 1), "purified": 0.9 * x[shown:]}
    images |= {"target": x[shown:], "purified_target": 0.8 * x[shown:]}
    return {
        "pairs": np.arange(shown),
        "shown": np.ones(shown, np.int64),
        **{n: v.astype("f4") for n, v in images.items()},
    }


def add_code_attack(
    lab: Lab,
    autoencoder: Manifest,
    *,
    arrays: Arrays | None = None,
    pictures: Arrays | None = None,
    said: dict[str, Any] | None = None,
    statuses: dict[str, Any] | None = None,
    **changes: Any,
) -> Manifest:
    """Publish an attack on a code. said: fields of its metrics, whatever its arrays are; changes: of its recipe."""
    found = make_steered() if arrays is None else arrays
    fields: dict[str, Any] = {
        "autoencoder": autoencoder.id, "dataset": lab.dataset, "pairs": found["distortion"].shape[0], "target": None,
        "limit": None, "points": found["distortion"].shape[1], "optimizer": "adam", "steps": 9, "seed": 0,
        "recipe_rev": 1,
    }  # fmt: skip
    recipe = CodeAttackRecipe(**(fields | changes))
    distances = PairDistances(**{name: found[name] for name in ("images", "before", "best", "distortion", "reached")})
    numbers = summarize_curves(*distances.relate(found["complete"] & distances.find_complete())) | {
        "left_out": int((~found["complete"]).sum()), "pixel_range": (0.0, 1.0), "pairs_digest": "0" * 64,
        "seconds": 1.0,
        "checks": tuple(
            CheckResult(check=name, status=(statuses or {}).get(name, "PASS"), sentence=f"{name} is so")
            for name in CODE_CHECKS
        ),
    }  # fmt: skip
    stored = {STEERED: found, SAMPLES: make_pictures() if pictures is None else pictures}
    return lab._publish(recipe, CodeAttackMetrics(**(numbers | (said or {}))), stored)
