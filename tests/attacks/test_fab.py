"""The targeted FAB attack and its projection against exact answers: linear boundaries, a linear program, a solver."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from advae.attacks.fab import _approach, fab, project_onto_boundary
from tests.attacks.models import binary_model, linear_model, make_goal, run_attack, small_network


def measure(delta: Any, norm: str) -> Any:
    return np.abs(delta).max(axis=1) if norm == "linf" else np.linalg.norm(delta, axis=1)


def project(x: Any, w: Any, rise: Any, norm: str) -> Any:
    import tensorflow as tf

    parts = (tf.constant(one, tf.float32) for one in (x, w, rise))
    return project_onto_boundary(*parts, 0.0, 1.0, norm).numpy()


def make_points(n: int = 60, pixels: int = 12) -> tuple[Any, Any]:
    """Return points, many of whose pixels are black or white, and normals, some of whose entries are 0."""
    rng = np.random.default_rng(0)
    x = np.clip(rng.uniform(-0.4, 1.4, size=(n, pixels)), 0, 1).astype("f4")
    return x, (rng.normal(size=(n, pixels)) * (rng.random((n, pixels)) > 0.2)).astype("f4")


def test_the_linf_projection_is_that_of_a_linear_program() -> None:
    x, w = make_points()
    room = np.where(w > 0, (1 - x) * w, -x * w).sum(axis=1)
    rise = (np.random.default_rng(1).uniform(0.05, 0.95, len(x)) * room).astype("f4")
    found = project(x, w, rise, "linf")
    np.testing.assert_allclose((found * w).sum(axis=1), rise, atol=1e-5)
    for i in range(len(x)):
        # Variables: d, t; minimise t with |d| <= t.
        pixels = x.shape[1]
        sides = np.vstack([np.c_[np.eye(pixels), -np.ones(pixels)], np.c_[-np.eye(pixels), -np.ones(pixels)]])
        best = linprog(
            np.r_[np.zeros(pixels), 1.0],
            A_ub=sides,
            b_ub=np.zeros(2 * pixels),
            A_eq=np.r_[w[i], 0.0][None].astype("f8"),
            b_eq=[float(rise[i])],
            bounds=[*((-float(v), 1 - float(v)) for v in x[i]), (0, None)],
        )
        assert best.success
        assert np.abs(found[i]).max() == pytest.approx(best.fun, abs=1e-5)


def test_the_l2_projection_is_that_of_a_solver() -> None:
    x, w = make_points(12, 8)
    room = np.where(w > 0, (x - 1) * w, x * w).sum(axis=1)
    rise = (np.random.default_rng(2).uniform(0.05, 0.9, len(x)) * room).astype("f4")
    found = project(x, w, rise, "l2")
    np.testing.assert_allclose((found * w).sum(axis=1), rise, atol=1e-5)
    for i in range(len(x)):
        normal = w[i].astype("f8")
        best = minimize(
            lambda d: d @ d,
            found[i] * 0.5,
            jac=lambda d: 2 * d,
            method="SLSQP",
            bounds=[(-float(v), 1 - float(v)) for v in x[i]],
            constraints={"type": "eq", "fun": lambda d, n=normal, r=rise[i]: n @ d - r, "jac": lambda d, n=normal: n},
            options={"ftol": 1e-12, "maxiter": 500},
        )
        assert best.success
        assert np.linalg.norm(found[i]) == pytest.approx(np.sqrt(best.fun), abs=1e-4)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_projection_without_bounds_in_the_way_is_the_closed_form(norm: str) -> None:
    rng = np.random.default_rng(3)
    x, w = rng.uniform(0.4, 0.6, (20, 30)), rng.normal(size=(20, 30))
    rise = rng.normal(size=20)
    found = project(x, w, rise, norm)
    scale = np.abs(w).sum(axis=1) if norm == "linf" else (w**2).sum(axis=1)
    expected = (rise / scale)[:, None] * (np.sign(w) if norm == "linf" else w)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_boundary_beyond_the_range_is_approached_as_far_as_possible(norm: str) -> None:
    x, w = make_points()
    far = project(x, w, np.full(len(x), 1e3), norm)
    np.testing.assert_allclose(far, np.where(w == 0, 0, np.where(w > 0, 1 - x, -x)), atol=1e-6)
    np.testing.assert_array_equal(project(x, 0 * w, np.ones(len(x)), norm), 0 * x)
    np.testing.assert_array_equal(project(x, w, np.zeros(len(x)), norm), 0 * x)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_exact_distance_to_a_linear_boundary_is_found(norm: str) -> None:
    import tensorflow as tf

    rng = np.random.default_rng(4)
    w = rng.normal(size=50).astype("f4")
    w -= w.mean()
    x = rng.uniform(0.4, 0.6, size=(40, 50)).astype("f4")
    y = (x @ w > 0).astype(int)
    goal = make_goal(binary_model(w), y, norm=norm)
    moved = _approach(goal, tf.constant(x), tf.constant(1 - y), eps=tf.constant(0.0), steps=tf.constant(40)).numpy()
    assert (goal.look(moved, 0)[1].numpy() < 0.0).all()
    nearest = np.abs(x @ w) / (np.abs(w).sum() if norm == "linf" else np.linalg.norm(w))
    length = measure(moved - x, norm)
    assert (length >= nearest - 1e-5).all()
    assert (length <= 1.01 * nearest + 1e-5).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_eps_just_above_the_distance_is_enough_and_just_below_is_not(norm: str) -> None:
    """With three classes: the nearest boundary is that of the class that is found, whichever it is."""
    rng = np.random.default_rng(5)
    weights, bias, logits = linear_model(rng, 3, 49)
    x = rng.uniform(0.4, 0.6, size=(30, 49)).astype("f4")
    z = x @ weights.T + bias
    y = z.argmax(axis=1)
    dual = 1 if norm == "linf" else 2
    distances = np.full(z.shape, np.inf)
    for i, own in enumerate(y):
        for other in set(range(3)) - {int(own)}:
            gap = np.linalg.norm((weights[own] - weights[other]).astype("f8"), ord=dual)
            distances[i, other] = (z[i, own] - z[i, other]) / gap
    goal = make_goal(logits, y, norm=norm)
    near = (distances.min(axis=1) > 1e-3) & (distances.min(axis=1) < (0.3 if norm == "linf" else 1.5))
    assert near.sum() > 5
    for i in np.flatnonzero(near)[:6]:
        one = replace(goal, labels=goal.labels[i : i + 1])
        above, below = (run_attack(fab, one, x[i : i + 1], float(distances[i].min() * f), 60) for f in (1.01, 0.98))
        assert logits(above).numpy().argmax() != y[i]
        assert logits(below).numpy().argmax() == y[i]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_points_stay_in_the_ball_and_in_the_range(norm: str) -> None:
    rng = np.random.default_rng(6)
    network = small_network(3)
    x = np.clip(rng.uniform(-0.3, 1.3, size=(40, 36)), 0, 1).astype("f4")
    y = network(x).numpy().argmax(axis=1)
    eps = 0.1 if norm == "linf" else 0.5
    moved = run_attack(fab, make_goal(network, y, norm=norm), x, eps, 30)
    assert moved.min() >= 0.0
    assert moved.max() <= 1.0
    assert (measure(moved - x, norm) <= eps + 1e-6).all()
    assert (network(moved).numpy().argmax(axis=1) != y).mean() > 0.3


def test_an_unbounded_range_has_finite_points() -> None:
    rng = np.random.default_rng(7)
    _, _, logits = linear_model(rng, 4, 25)
    x = rng.random((10, 25)).astype("f4")
    moved = run_attack(fab, make_goal(logits, logits(x).numpy().argmax(axis=1), upper=np.inf), x, 0.5, 20)
    assert np.isfinite(moved).all()
