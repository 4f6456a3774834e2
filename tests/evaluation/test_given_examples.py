"""Adversarial examples that were made elsewhere: what is farther than eps counts as the unchanged image."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from advae.checks import check_run
from advae.evaluation.evaluate import evaluate
from advae.metrics import BUDGET_TOLERANCE, DISTANCE, digest_examples
from advae.records import OUTCOMES
from advae.threats import THREATS, Pipeline
from tests.evaluation.test_evaluate import CLASSES, SIDE, make_recipe

N = 40


@pytest.fixture(scope="module")
def toy() -> tuple[Any, Any, Pipeline]:
    """A linear classifier whose labels are all right."""
    import tensorflow as tf

    rng = np.random.default_rng(1)
    weights = rng.normal(size=(SIDE * SIDE, CLASSES)).astype("f4")
    x = rng.uniform(0.2, 0.8, size=(N, SIDE * SIDE)).astype("f4")
    return x, (x @ weights).argmax(1), Pipeline(classify=lambda images: images @ tf.constant(weights))


def score(toy: Any, given: Any, **changes: Any) -> Any:
    x, y, pipeline = toy
    recipe = make_recipe("from-file", threat="elsewhere", examples=digest_examples(given), **changes)
    return recipe, evaluate(THREATS["elsewhere"].view(pipeline), recipe, x, y, given=given)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_only_examples_within_eps_count(norm: Any, toy: Any) -> None:
    x, y, _ = toy
    # Every second one is another image, which the classifier takes for another class.
    other = np.argmax(y[:, None] != y[None], axis=1)
    given = np.where(np.arange(N)[:, None] % 2 == 0, x[other], x).astype("f4")
    distance = np.abs(given - x).max(1) if norm == "linf" else np.linalg.norm(given.astype("f8") - x, axis=1)
    small, large = float(np.median(distance[::2])), float(distance.max())
    _, found = score(toy, given, norm=norm, eps=(0.0, small, large))
    outcomes = found.arrays[OUTCOMES]
    np.testing.assert_allclose(outcomes[DISTANCE], distance, rtol=1e-5)
    for index, (result, eps) in enumerate(zip(found.metrics.results, (0.0, small, large), strict=True)):
        within = outcomes[DISTANCE] <= eps + BUDGET_TOLERANCE
        assert result.over_budget == (~within).sum()
        # The classifier is right on what is unchanged and wrong on what is another image.
        np.testing.assert_array_equal(outcomes["predictions"][index] == y, ~(within & (distance > 0)))
        assert result.accuracy == (~(within & (distance > 0))).mean()
        assert result.norm_max <= eps + BUDGET_TOLERANCE
    assert [result.over_budget for result in found.metrics.results][::2] == [N // 2, 0]
    least, median, most = found.metrics.distances
    assert (least, median, most) == pytest.approx((0.0, np.median(distance), distance.max()))


def test_what_exceeds_eps_by_rounding_is_within(toy: Any) -> None:
    x = toy[0]
    for over, counted in ((0.5, 0), (3.0, N)):
        given = (x.astype("f8") + 0.1 + over * BUDGET_TOLERANCE).astype("f4")
        assert score(toy, given)[1].metrics.results[0].over_budget == counted


def test_a_random_purifier_is_scored_as_under_any_attack(toy: Any) -> None:
    import tensorflow as tf

    def purify(images: Any, draw: Any) -> Any:
        return images + tf.random.stateless_normal(tf.shape(images), tf.stack([draw, 7]), stddev=0.05)

    x, y, pipeline = toy
    sampling = dataclasses.replace(pipeline, purify=purify, samples=True)
    _, found = score((x, y, sampling), np.clip(x + 0.1, 0, 1).astype("f4"))
    assert found.metrics.results[0].expected_accuracy is not None


def test_checks_on_how_an_attack_searches_are_not_run(toy: Any) -> None:
    x = toy[0]
    recipe, found = score(toy, np.clip(x + 0.1, 0, 1).astype("f4"), eps=(0.05, 0.1))
    statuses = {one.check: one for one in check_run(recipe, found.metrics)}
    absent = ("monotone", "gradients", "convergence", "best-iterate", "logits")
    assert {statuses[name].status for name in absent} == {"NOT RUN"}
    assert {statuses[name].sentence for name in absent} == {
        "the adversarial examples come from a file: how they were made is not known"
    }
    assert statuses["budget"].status == "PASS"
