"""Attacks towards one class after the other against exact answers on linear models, with 2, 3, 4 and 12 classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from advae.attacks.fab import fab
from advae.attacks.iterative import apgd
from advae.attacks.losses import dlr_towards
from advae.attacks.target_turns import MOST_TARGETS, aim, apgd_targeted, rank_others
from advae.tracing import trace
from tests.attacks.models import linear_model, make_goal, run_attack

PIXELS = 25


def make_samples(classes: int, n: int = 12) -> tuple[Any, Any, Any, Any]:
    """Return images, their logits, the exact distance of each to each other class, and the model."""
    weights, _, logits = linear_model(np.random.default_rng(classes), classes, PIXELS)
    x = np.random.default_rng(1).uniform(0.45, 0.55, size=(n, PIXELS)).astype("f4")
    z = logits(x).numpy()
    own = z.argmax(axis=1)
    gap = z[np.arange(n), own][:, None] - z
    slope = np.abs(weights[own][:, None, :] - weights[None]).sum(axis=-1)
    return x, z, np.where(slope > 0, gap / np.maximum(slope, 1e-12), np.inf), logits


@pytest.mark.parametrize("classes", [2, 3, 4, 7, 12])
def test_the_most_likely_other_classes_are_ranked(classes: int) -> None:
    import tensorflow as tf

    x, z, _, logits = make_samples(classes)
    # A label that is not the predicted one, too.
    for labels in (z.argmax(axis=1), z.argmin(axis=1)):
        ranked = rank_others(make_goal(logits, labels), tf.constant(x)).numpy()
        assert ranked.shape == (len(x), min(MOST_TARGETS, classes - 1))
        for row, label, scores in zip(ranked, labels, z, strict=True):
            others = [int(c) for c in np.argsort(-scores, kind="stable") if c != label]
            assert row.tolist() == others[: len(row)]


@pytest.mark.parametrize("classes", [2, 3, 4, 7])
def test_the_targeted_loss_is_its_formula(classes: int) -> None:
    import tensorflow as tf

    rng = np.random.default_rng(2)
    z, y = rng.normal(size=(30, classes)).astype("f4"), rng.integers(0, classes, 30)
    t = (y + rng.integers(1, classes, 30)) % classes
    for scores, own, rival, loss in zip(z, y, t, dlr_towards(*map(tf.constant, (y, z, t))).numpy(), strict=True):
        ranked, gap = np.sort(scores)[::-1], scores[rival] - scores[own]
        # With fewer than four classes there is no fourth logit.
        expected = gap / (ranked[0] - (ranked[2] + ranked[3]) / 2) if classes > 3 else gap
        assert loss == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("classes", [2, 3, 4, 12])
@pytest.mark.parametrize("attack", [apgd_targeted, fab])
def test_eps_just_above_the_distance_is_enough_and_just_below_is_not(attack: Any, classes: int) -> None:
    x, z, distances, logits = make_samples(classes)
    y, nearest = z.argmax(axis=1), distances.min(axis=1)
    inside = (nearest > 1e-3) & (nearest < 0.4)
    assert inside.sum() >= 3
    for i in np.flatnonzero(inside)[:3]:
        goal = make_goal(logits, y[i : i + 1])
        above, below = (run_attack(attack, goal, x[i : i + 1], float(f * nearest[i]), 100) for f in (1.02, 0.98))
        assert logits(above).numpy().argmax() != y[i]
        assert logits(below).numpy().argmax() == y[i]
        assert np.abs(above - x[i]).max() <= 1.02 * nearest[i] + 1e-6


@pytest.mark.parametrize("rank", [1, 2])
def test_a_class_is_reached_just_above_its_own_distance_and_not_below(rank: int) -> None:
    """A model of class rank against the label alone, so that no other class is in the way."""
    import tensorflow as tf

    x, z, distances, logits = make_samples(6)
    y, rivals = z.argmax(axis=1), np.argsort(-z, axis=1)[:, rank]
    exact = distances[np.arange(len(x)), rivals]
    (i, *_) = np.flatnonzero((exact > 1e-3) & (exact < 0.4))
    one, kept = slice(i, i + 1), (int(y[i]), int(rivals[i]))

    def hide(images: Any) -> Any:
        """Lower all logits but two by so much that they stay in the ratio, but are never the largest."""
        return logits(images) - tf.constant([0.0 if k in kept else 50.0 for k in range(6)])

    goal = aim(make_goal(hide, y[one]), tf.constant(rivals[one]))
    steps = tf.constant(40)
    run = trace(lambda eps: apgd(goal, tf.constant(x[one]), eps=eps, step_size=eps, steps=steps))
    for factor, reached in ((1.03, True), (0.97, False)):
        moved = run(tf.constant(float(factor * exact[i]), tf.float32))
        assert (hide(moved).numpy().argmax() == rivals[i]) == reached


def test_a_misclassified_sample_is_not_attacked() -> None:
    x, z, _, logits = make_samples(5)
    wrong = (z.argmax(axis=1) + 1) % 5
    for attack in (apgd_targeted, fab):
        np.testing.assert_array_equal(run_attack(attack, make_goal(logits, wrong), x, 0.2, 5), x)
