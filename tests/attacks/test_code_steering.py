"""Attacks on a code: the exact minimum of a linear encoder, the divergence of two Gaussians, bounds and weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from advae.attacks.code_steering import (
    CODE_OPTIMIZERS,
    CodeView,
    list_trade_offs,
    measure_divergence,
    measure_squared_distance,
    view_code,
)

tf: Any = pytest.importorskip("tensorflow")

RANDOM = np.random.default_rng(0)
MATRIX = RANDOM.normal(size=(6, 3)).astype(np.float32)
WEIGHTS = np.array([2.0**-20, 0.1, 1.0, 4.0, 2.0**20], np.float32)


def view_linear() -> CodeView:
    return view_code(lambda x: x @ MATRIX, None)


def attack(name: str, x: np.ndarray, target: np.ndarray, steps: int | None = None) -> np.ndarray:
    rows = np.repeat(x[None], len(WEIGHTS), axis=0).astype(np.float32)
    codes = np.repeat((target @ MATRIX)[None], len(WEIGHTS), axis=0).astype(np.float32)
    row = CODE_OPTIMIZERS[name]
    return row.compile(view_linear())(rows, codes, WEIGHTS, steps or row.steps)


@pytest.mark.parametrize("name", CODE_OPTIMIZERS)
def test_the_minimum_of_a_linear_encoder_is_found(name: str) -> None:
    x, target = np.full(6, 0.5), 0.5 + 0.05 * RANDOM.uniform(-1, 1, 6)
    gram = MATRIX.astype(np.float64) @ MATRIX.T
    exact = [x + np.linalg.solve(gram + weight * np.eye(6), gram @ (target - x)) for weight in WEIGHTS.astype(float)]
    assert 0 <= np.min(exact) <= np.max(exact) <= 1, "the exact minimum is inside the bounds"
    found = attack(name, x, target)
    assert found.dtype == np.float32
    # A weight of 2 ** -20 leaves what the encoder does not see almost free.
    assert np.abs(found @ MATRIX - np.array(exact) @ MATRIX).max() < 2e-3
    assert np.abs(found[1:] - np.array(exact)[1:]).max() < 2e-3


@pytest.mark.parametrize("name", CODE_OPTIMIZERS)
def test_pixels_stay_in_bounds_and_nothing_is_worse_than_no_attack(name: str) -> None:
    x, target = RANDOM.integers(0, 2, 6).astype(float), RANDOM.integers(0, 2, 6).astype(float)
    for steps in (1, 50):
        found = attack(name, x, target, steps)
        assert found.min() >= 0
        assert found.max() <= 1
        apart = ((found @ MATRIX - target @ MATRIX) ** 2).sum(1) + WEIGHTS * ((found - x) ** 2).sum(1)
        before = ((x @ MATRIX - target @ MATRIX) ** 2).sum()
        assert (apart <= before + 1e-5).all()


def test_both_optimizers_reach_the_same_objective_where_bounds_are_met() -> None:
    x, target = np.array([0.0, 1, 0, 1, 0.5, 0]), np.array([1.0, 0, 1, 1, 0, 1])
    adam, lbfgs = (attack(name, x, target) for name in ("adam", "l-bfgs-b"))

    def measure(found: np.ndarray) -> np.ndarray:
        return ((found @ MATRIX - target @ MATRIX) ** 2).sum(1) + WEIGHTS * ((found - x) ** 2).sum(1)

    assert measure(adam) == pytest.approx(measure(lbfgs), rel=2e-3, abs=1e-4)


def test_rows_do_not_depend_on_each_other() -> None:
    x, target = RANDOM.uniform(size=6), RANDOM.uniform(size=6)
    together = attack("adam", x, target, 20)
    code = (target @ MATRIX)[None].astype(np.float32)
    alone = CODE_OPTIMIZERS["adam"].compile(view_linear())(x[None].astype(np.float32), code, WEIGHTS[2:3], 20)
    assert together[2] == pytest.approx(alone[0], abs=1e-6)


def test_a_gradient_that_is_not_finite_moves_nothing() -> None:
    view = CodeView(lambda x: x / 0.0, measure_squared_distance)
    x = np.full((1, 3), 0.5, np.float32)
    found = CODE_OPTIMIZERS["adam"].compile(view)(x, np.zeros((1, 3), np.float32), np.ones(1, np.float32), 5)
    assert found.tolist() == x.tolist()


def test_the_divergence_is_that_of_gaussians() -> None:
    one, two = RANDOM.normal(size=(4, 6)).astype(np.float32), RANDOM.normal(size=(4, 6)).astype(np.float32)
    found = measure_divergence(tf.constant(one), tf.constant(two)).numpy()
    (mean, log_variance), (other, other_log) = np.split(one, 2, 1), np.split(two, 2, 1)
    variance, other_variance = np.exp(log_variance), np.exp(other_log)
    # The textbook formula, with standard deviations.
    exact = np.log(np.sqrt(other_variance / variance)) + (variance + (mean - other) ** 2) / (2 * other_variance) - 0.5
    assert found == pytest.approx(exact.sum(1), rel=1e-5)
    assert measure_divergence(tf.constant(one), tf.constant(one)).numpy() == pytest.approx(0, abs=1e-6)


def test_of_a_gaussian_code_the_variance_counts_too() -> None:
    view = view_code(lambda x: x, lambda x: (x, 2 * x))
    described = view.describe(tf.constant([[1.0, 2.0]])).numpy()
    assert described.tolist() == [[1.0, 2.0, 2.0, 4.0]]
    assert view.distance is measure_divergence


def test_a_code_of_many_axes_is_flat() -> None:
    view = view_code(lambda x: tf.reshape(x, (-1, 2, 3)), None)
    assert view.describe(tf.zeros((5, 6))).shape == (5, 6)


def test_the_weights_are_powers_of_two() -> None:
    assert list_trade_offs(41).tolist() == [2.0**power for power in range(-20, 21)]
    assert list_trade_offs(2).tolist() == [2.0**-20, 2.0**20]
