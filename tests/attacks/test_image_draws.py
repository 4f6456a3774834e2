"""Random numbers that belong to an image: uniform, normal, and the same beside whichever other images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from advae.attacks.ball import random_point
from advae.attacks.goals import Goal, narrow
from advae.attacks.image_draws import draw_normal, draw_uniform, make_keys
from tests.attacks.models import make_goal

IMAGES, PIXELS = 400, 64


def goal_of(ids: Any, *, restart: int = 0, seed: int = 0, norm: str = "linf") -> Goal:
    import tensorflow as tf

    goal = make_goal(lambda images: images, np.zeros(len(ids)), seed=seed, norm=norm)
    return replace(goal, keys=make_keys(tf.constant(ids), tf.constant(restart)))


def test_they_are_uniform_and_independent_between_images_pixels_streams_and_restarts() -> None:
    ids = np.arange(IMAGES)
    drawn = draw_uniform(goal_of(ids).seeded_keys, 0, PIXELS).numpy()
    assert drawn.dtype == np.float32
    assert (drawn >= 0).all()
    assert (drawn < 1).all()
    assert stats.kstest(drawn.ravel(), "uniform").pvalue > 1e-3
    others = [
        np.roll(drawn, 1, axis=0),
        np.roll(drawn, 1, axis=1),
        draw_uniform(goal_of(ids).seeded_keys, 1, PIXELS).numpy(),
        draw_uniform(goal_of(ids, restart=1).seeded_keys, 0, PIXELS).numpy(),
        draw_uniform(goal_of(ids, seed=1).seeded_keys, 0, PIXELS).numpy(),
    ]
    # Of so many independent pairs the correlation is below four standard errors.
    assert all(abs(np.corrcoef(drawn.ravel(), other.ravel())[0, 1]) < 4 / drawn.size**0.5 for other in others)
    normal = draw_normal(goal_of(ids).seeded_keys, 0, PIXELS).numpy()
    assert np.isfinite(normal).all()
    assert stats.kstest(normal.ravel(), "norm").pvalue > 1e-3


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_image_has_the_same_random_start_in_any_batch(norm: str) -> None:
    import tensorflow as tf

    some = np.array([3, 17, 2, 390])
    every, few = (random_point(goal_of(ids, norm=norm), tf.zeros((len(ids), PIXELS)), tf.constant(0.3)).numpy()
                  for ids in (np.arange(IMAGES), some))  # fmt: skip
    # A power is rounded by the place of its number among those computed together.
    np.testing.assert_allclose(every[some], few, rtol=0 if norm == "linf" else 1e-6)
    lengths = np.abs(every).max(axis=1) if norm == "linf" else np.linalg.norm(every, axis=1)
    assert (lengths <= 0.3 + 1e-6).all()
    assert lengths.max() > 0.29


def test_without_keys_an_image_keeps_the_numbers_of_its_position() -> None:
    import tensorflow as tf

    goal = make_goal(lambda images: images, np.zeros(9))
    kept = narrow(narrow(goal, tf.constant([1, 4, 8])), tf.constant([2, 0]))
    np.testing.assert_array_equal(
        draw_uniform(kept.seeded_keys, 5, 3), tf.gather(draw_uniform(goal.seeded_keys, 5, 3), [8, 1])
    )
