"""Carlini and Wagner's attack against the distance to the boundary of linear models, at every scale of the logits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from advae.attacks.carlini_wagner import cw
from advae.attacks.goals import Goal
from advae.tracing import trace
from tests.attacks.models import binary_model, linear_model, make_goal, run_attack, small_network


def run(goal: Goal, x: Any, steps: int = 200, eps: float = 1.0) -> Any:
    return run_attack(cw, goal, x, eps, steps)


def make_binary(scale: float = 1.0) -> tuple[Any, Any, Any]:
    """Return images, the labels that a linear model of two classes gives them, and the model."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=50).astype("f4")
    w -= w.mean()
    x = rng.uniform(0.3, 0.7, size=(40, 50)).astype("f4")
    return x, (x @ w > 0).astype(int), (scale * w).astype("f4")


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e6])
def test_the_distance_to_a_linear_boundary_is_found_and_never_undercut(scale: float) -> None:
    """|x . w| / ||w||, whatever the scale of the logits."""
    x, y, w = make_binary(scale)
    goal = make_goal(binary_model(w), y, norm="l2")
    moved = run(goal, x)
    assert (goal.look(moved, 0)[1].numpy() < 0.0).all()
    nearest = np.abs(x @ w) / np.linalg.norm(w)
    length = np.linalg.norm(moved - x, axis=1)
    assert (length >= nearest - 1e-5).all()
    assert (length <= 1.05 * nearest + 1e-3).all()
    assert np.median(length / nearest) < 1.02


def test_the_nearest_of_several_linear_boundaries_is_found() -> None:
    rng = np.random.default_rng(1)
    weights, bias, logits = linear_model(rng, 6, 49)
    x = rng.uniform(0.3, 0.7, size=(40, 49)).astype("f4")
    z = x @ weights.T + bias
    y = z.argmax(axis=1)
    distances = np.full(z.shape, np.inf)
    for i, own in enumerate(y):
        for other in set(range(6)) - {int(own)}:
            distances[i, other] = (z[i, own] - z[i, other]) / np.linalg.norm(weights[own] - weights[other])
    moved = run(make_goal(logits, y, norm="l2"), x)
    length = np.linalg.norm(moved - x, axis=1)
    nearest = distances.min(axis=1)
    assert (length >= nearest - 1e-5).all()
    assert np.median(length / nearest) < 1.03


def test_a_target_is_reached_by_the_nearest_way() -> None:
    x, y, w = make_binary()
    goal = make_goal(binary_model(w), 1 - y, targeted=True, norm="l2")
    moved = run(goal, x)
    assert (binary_model(w)(moved).numpy().argmax(axis=1) == 1 - y).all()
    nearest = np.abs(x @ w) / np.linalg.norm(w)
    assert np.median(np.linalg.norm(moved - x, axis=1) / nearest) < 1.02


def test_pixels_that_are_black_or_white_are_moved_too() -> None:
    """Where arctanh is infinite; the perturbations that end at the range's edge are left out of the oracle."""
    rng = np.random.default_rng(2)
    w = np.abs(rng.normal(size=49)).astype("f4")
    x = np.zeros((20, 49), "f4")
    bias = rng.uniform(1.0, 4.0, size=(20, 1)).astype("f4")
    linear = binary_model(w)

    def logits(images: Any) -> Any:
        import tensorflow as tf

        return linear(images) + tf.concat([tf.constant(bias), tf.zeros_like(bias)], axis=-1)

    moved = run(make_goal(logits, np.zeros(20), norm="l2"), x)
    assert moved.min() >= 0.0
    nearest = bias[:, 0] / np.linalg.norm(w)
    length = np.linalg.norm(moved - x, axis=1)
    assert (length >= nearest - 1e-5).all()
    assert (length <= 1.05 * nearest).all()


def test_misclassified_samples_stay_and_samples_out_of_reach_come_as_near_as_they_can() -> None:
    x, y, w = make_binary()
    misclassified = run(make_goal(binary_model(w), 1 - y, norm="l2"), x, steps=5)
    np.testing.assert_array_equal(misclassified, x)
    linear = binary_model(w)

    def unreachable(images: Any) -> Any:
        import tensorflow as tf

        return linear(images) + tf.constant([-1e3, 0.0])

    goal = make_goal(unreachable, np.ones(len(x)), norm="l2")
    moved = run(goal, x)
    before, after = goal.look(x, 0)[1].numpy(), goal.look(moved, 0)[1].numpy()
    # All pixels at that end of the range which lowers the score.
    assert ((before - after) > 0.95 * (x @ w + np.maximum(-w, 0).sum())).all()


def test_more_iterations_find_shorter_ways() -> None:
    rng = np.random.default_rng(3)
    network = small_network(3)
    x = rng.random((30, 36)).astype("f4")
    goal = make_goal(network, network(x).numpy().argmax(axis=1), norm="l2")
    few, many = (run(goal, x, steps=steps) for steps in (30, 200))
    assert np.linalg.norm(many - x, axis=1).mean() < np.linalg.norm(few - x, axis=1).mean()
    assert (goal.look(many, 0)[1].numpy() < 0.0).all()


def test_a_range_without_upper_end_is_ended_by_the_ball() -> None:
    import tensorflow as tf

    x, y, w = make_binary()
    goal = replace(make_goal(binary_model(w), y, norm="l2"), upper=tf.fill(x.shape, float("inf")))
    moved = run(goal, x, eps=2.0)
    nearest = np.abs(x @ w) / np.linalg.norm(w)
    assert np.median(np.linalg.norm(moved - x, axis=1) / nearest) < 1.02
    still = run(goal, x, steps=30, eps=0.0)
    np.testing.assert_array_equal(still[:, w == 0], x[:, w == 0])
    assert np.isfinite(still).all()


def test_overflowing_samples_do_not_spoil_the_others() -> None:
    import tensorflow as tf

    x, y, w = make_binary()
    linear = binary_model(w)

    def overflow(images: Any) -> Any:
        broken = tf.range(tf.shape(images)[0])[:, None] < 5
        return tf.where(broken, float("inf"), 1.0) * linear(images)

    moved = run(make_goal(overflow, y, norm="l2"), x)
    assert np.isfinite(moved).all()
    nearest = np.abs(x @ w) / np.linalg.norm(w)
    assert np.median((np.linalg.norm(moved - x, axis=1) / nearest)[5:]) < 1.02


def test_one_trace_serves_every_eps_and_every_number_of_steps_and_gives_the_same_bits() -> None:
    import tensorflow as tf

    x, y, w = make_binary()
    traces = []

    def attack(eps: Any, steps: Any) -> Any:
        traces.append(1)
        return cw(make_goal(binary_model(w), y, norm="l2"), tf.constant(x), eps=eps, step_size=eps, steps=steps)

    compiled = trace(attack)
    found = [compiled(tf.constant(eps), tf.constant(steps)).numpy() for eps, steps in ((0.1, 3), (0.2, 3), (0.2, 30))]
    assert len(traces) == 1
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[2] != found[1]).any()
