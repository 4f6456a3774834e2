"""HopSkipJump against exact distances of linear models, its budget of queries and what it may see."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from advae.attacks.hop_skip_jump import hop_skip_jump
from tests.attacks.models import linear_model, make_goal, run_attack, small_network

PIXELS, CLASSES = 36, 5


@cache
def make_model() -> tuple[Any, Any, Any]:
    """Return images, and the weights and logits of a linear model: the same each time, so that it is traced once."""
    rng = np.random.default_rng(0)
    weights, _, logits = linear_model(rng, CLASSES, PIXELS)
    return rng.uniform(0.3, 0.7, size=(20, PIXELS)).astype("f4"), weights, logits


def make_samples(n: int = 20) -> tuple[Any, Any, Any, Any]:
    """Return images, their logits, the weights of a linear model and the model."""
    x, weights, logits = make_model()
    return x[:n], logits(x[:n]).numpy(), weights, logits


def measure(moved: Any, x: Any, norm: str) -> Any:
    return np.abs(moved - x).max(axis=1) if norm == "linf" else np.linalg.norm(moved - x, axis=1)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_it_comes_near_the_boundary_of_a_linear_model(norm: str) -> None:
    """Whose distance is the margin divided by the dual norm of the difference of two rows of weights."""
    x, z, weights, logits = make_samples()
    y = z.argmax(axis=1)
    moved = run_attack(hop_skip_jump, make_goal(logits, y, norm=norm), x, 0.0, 2500)
    assert (logits(moved).numpy().argmax(axis=1) != y).all()
    others = [[k for k in range(CLASSES) if k != label] for label in y]
    order = 1 if norm == "linf" else 2
    exact = [
        min((z[i, y[i]] - z[i, k]) / np.linalg.norm(weights[y[i]] - weights[k], order) for k in others[i])
        for i in range(len(x))
    ]
    ratio = measure(moved, x, norm) / exact
    assert (ratio > 0.999).all()
    assert np.median(ratio) < 1.15


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_it_sees_labels_only(norm: str) -> None:
    """The same points are found where all logits but the largest are hidden, without a gradient."""
    import tensorflow as tf

    network = small_network(2)
    x = np.random.default_rng(2).random((20, PIXELS)).astype("f4")
    y = network(x).numpy().argmax(axis=1)

    def decide(images: Any) -> Any:
        labels = tf.numpy_function(lambda given: network(given).numpy().argmax(axis=1), [images], tf.int64)
        return tf.ensure_shape(tf.one_hot(labels, 10), (None, 10))

    eps = 0.1 if norm == "linf" else 0.5
    hidden, direct = (
        run_attack(hop_skip_jump, make_goal(model, y, norm=norm), x, eps, 400) for model in (decide, network)
    )
    np.testing.assert_array_equal(hidden, direct)
    assert (measure(hidden, x, norm) <= eps).mean() > 0.5
    assert (network(hidden).numpy().argmax(axis=1) != y).mean() > 0.9


def test_each_sample_gets_at_most_its_queries() -> None:
    """Counts the rows of every question; the point that is returned is among them."""
    import tensorflow as tf

    x, z, _, logits = make_samples(8)
    asked: list[Any] = []

    def note(images: Any) -> Any:
        asked.append(images)
        return images

    def noted(images: Any) -> Any:
        return logits(tf.ensure_shape(tf.numpy_function(note, [images], tf.float32), (None, PIXELS)))

    goal = make_goal(noted, z.argmax(axis=1))
    for queries in (1, 30, 150, 400):
        asked.clear()
        moved = run_attack(hop_skip_jump, goal, x, 0.0, queries)
        assert moved.shape == x.shape
        # The first question is at x.
        assert sum(map(len, asked[1:])) <= queries * len(x), queries
        rows = np.concatenate(asked)
        assert all((rows == point).all(axis=1).any() for point in moved), queries


def test_samples_do_not_depend_on_each_other_and_the_seed_decides() -> None:
    x, z, _, logits = make_samples(6)
    goal = make_goal(logits, z.argmax(axis=1), norm="l2")
    first, again = (run_attack(hop_skip_jump, goal, x, 0.0, 300) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    part = run_attack(hop_skip_jump, replace(goal, labels=goal.labels[:3]), x[:3], 0.0, 300)
    assert measure(part, x[:3], "l2") == pytest.approx(measure(first[:3], x[:3], "l2"), rel=0.3)
    other = run_attack(hop_skip_jump, replace(goal, seed=goal.seed + 1), x, 0.0, 300)
    assert (other != first).any()


def test_what_is_misclassified_or_in_the_ball_is_not_asked_again() -> None:
    x, z, _, logits = make_samples()
    wrong = (z.argmax(axis=1) + 1) % CLASSES
    np.testing.assert_array_equal(run_attack(hop_skip_jump, make_goal(logits, wrong), x, 0.1, 300), x)
    goal = make_goal(logits, z.argmax(axis=1))
    wide, narrow = (measure(run_attack(hop_skip_jump, goal, x, eps, 1000), x, "linf") for eps in (0.3, 0.0))
    assert (wide >= narrow - 1e-6).all()
    assert (wide <= 0.3).all()


def test_a_class_can_be_the_goal_and_what_cannot_be_reached_stays() -> None:
    import tensorflow as tf

    x, z, _, logits = make_samples()
    target = np.argsort(z, axis=1)[:, -2]
    moved = run_attack(hop_skip_jump, make_goal(logits, target, targeted=True, norm="l2"), x, 0.0, 1000)
    reached = logits(moved).numpy().argmax(axis=1) == target
    assert (reached | (moved == x).all(axis=1)).all()
    assert reached.any()

    def constant(images: Any) -> Any:
        return tf.one_hot(tf.zeros_like(images[:, 0], tf.int32), CLASSES)

    np.testing.assert_array_equal(run_attack(hop_skip_jump, make_goal(constant, np.zeros(20)), x, 0.1, 50), x)


def test_an_unbounded_range_has_finite_points() -> None:
    x, z, _, logits = make_samples(5)
    moved = run_attack(hop_skip_jump, make_goal(logits, z.argmax(axis=1), upper=np.inf), x, 0.0, 200)
    assert np.isfinite(moved).all()
    assert moved.min() >= 0.0


def test_on_a_noisy_pipeline_several_queries_must_agree() -> None:
    import tensorflow as tf

    x, z, _, logits = make_samples(6)

    def noisy(images: Any, draw: Any) -> Any:
        shift = tf.random.stateless_normal(tf.shape(images), tf.stack([7, draw]), stddev=0.01)
        return logits(images + shift)

    goal = replace(make_goal(logits, z.argmax(axis=1), norm="l2"), logits=noisy, noisy=True)
    moved = hop_skip_jump(goal, tf.constant(x), eps=tf.constant(0.0), step_size=0.0, steps=tf.constant(800)).numpy()
    assert (logits(moved).numpy().argmax(axis=1) != z.argmax(axis=1)).mean() > 0.6
