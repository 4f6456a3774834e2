"""Noise has the norm that it is asked for, and comes from the seed alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from advae.attacks.ball import noise
from tests.attacks.models import make_goal


def refuse(images: Any) -> Any:
    raise AssertionError("noise looked at the model")


def draw(norm: str, eps: float, seed: int = 0, level: float = 0.5) -> Any:
    import tensorflow as tf

    goal = make_goal(refuse, np.zeros(60), norm=norm, seed=seed)
    return noise(goal, tf.fill((60, 49), level), eps=tf.constant(eps)).numpy()


def test_linf_noise_changes_every_pixel_by_eps_and_as_often_up_as_down() -> None:
    change = draw("linf", 0.2) - np.float32(0.5)
    np.testing.assert_allclose(np.abs(change), 0.2, atol=1e-7)
    assert 0.45 < (change > 0).mean() < 0.55


def test_l2_noise_has_the_length_eps_and_no_favourite_direction() -> None:
    change = draw("l2", 0.7) - np.float32(0.5)
    np.testing.assert_allclose(np.linalg.norm(change, axis=1), 0.7, rtol=1e-6)
    assert np.abs(change.mean(axis=0)).max() < 4 * 0.7 / np.sqrt(49 * 60)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_same_seed_gives_the_same_bits_and_another_others(norm: str) -> None:
    np.testing.assert_array_equal(draw(norm, 0.1, seed=3), draw(norm, 0.1, seed=3))
    assert (draw(norm, 0.1, seed=3) != draw(norm, 0.1, seed=4)).any()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_noise_stays_in_the_valid_range(norm: str) -> None:
    moved = draw(norm, 0.8, level=0.0)
    assert moved.min() == 0.0
    assert moved.max() > 0.0
