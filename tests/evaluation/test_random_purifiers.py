"""Pipelines that sample: success by one draw is no success, and pipelines that do not are attacked as before."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from advae.attacks import ATTACKS
from advae.attacks.ensemble_members import Member
from advae.attacks.goals import COMPARISON_DRAWS, CONFIRMED_SHARE, Goal
from advae.checks.single_run import AGREED
from advae.evaluation.attacker import Attacker
from advae.evaluation.eot_agreement import measure_agreement
from advae.evaluation.evaluate import evaluate
from advae.evaluation.purifier_draws import (
    FIRST_UNSEEN_DRAW,
    SCORING_DRAWS,
    draw_for_attack,
    draw_for_rate,
    draw_for_rate_trial,
    draw_for_score,
    draw_for_trial,
)
from advae.evaluation.scorer import Scorer
from advae.metrics import tally_draws, wilson_interval
from advae.records import RunRecipe
from advae.threats import THREATS, Pipeline
from advae.tracing import trace
from tests.evaluation.test_evaluate import CLASSES, SIDE, make_recipe

N, NOISE = 80, 0.4


@pytest.fixture(scope="module")
def noisy() -> tuple[Any, Any, Pipeline]:
    """Images of blurred prototypes, and a linear classifier behind noise as large as the distance between them."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    centres = rng.uniform(0.2, 0.8, size=(CLASSES, SIDE * SIDE)).astype("f4")
    y = np.arange(N) % CLASSES
    x = np.clip(centres[y] + rng.normal(0, 0.05, size=(N, SIDE * SIDE)), 0, 1).astype("f4")

    def purify(images: Any, draw: Any) -> Any:
        return images + NOISE * tf.random.stateless_normal(tf.shape(images), tf.stack([3, draw]))

    weights, bias = tf.constant(2 * centres.T), tf.constant(-(centres**2).sum(axis=1))
    return x, y, Pipeline(lambda images: images @ weights + bias, purify, samples=True)


def attack(noisy: tuple[Any, Any, Pipeline], recipe: RunRecipe, threat: str = "adaptive") -> tuple[float, Any]:
    """Return the accuracy that is expected after an attack, by draws of the test's own, and what was found."""
    import tensorflow as tf

    x, y, pipeline = noisy
    found = evaluate(THREATS[threat].view(pipeline), recipe.model_copy(update={"save_adversarial": True}), x, y)
    x_adv = tf.constant(found.arrays["adversarial.npz"]["x_adv"][0])
    look = trace(pipeline.defend, [tf.TensorSpec(x_adv.shape, tf.float32), tf.TensorSpec((), tf.int32)])
    right = [(look(x_adv, tf.constant(1_900_000_000 + k)).numpy().argmax(axis=1) == y).mean() for k in range(200)]
    return float(np.mean(right)), found


def test_the_success_rate_of_each_image_is_measured_on_draws_that_nothing_else_uses(noisy: Any) -> None:
    recipe = make_recipe("fgsm", eps=(0.1,), draws=8)
    expected, found = attack(noisy, recipe)
    outcomes, result = found.arrays["outcomes.npz"], found.metrics.results[0]
    assert (outcomes["success_rate"].shape, outcomes["clean_success_rate"].shape) == ((1, N), (N,))
    counts = outcomes["success_rate"] * found.metrics.fresh_draws
    np.testing.assert_allclose(counts, counts.round(), atol=1e-4)
    assert result.expected_accuracy == pytest.approx(1 - outcomes["success_rate"].mean(), abs=1e-6)
    assert result.expected_accuracy == pytest.approx(expected, abs=0.03)
    assert found.metrics.clean_expected_accuracy > result.expected_accuracy + 0.1
    # It is no repetition of the draw that gives the accuracy.
    assert 0.05 < outcomes["success_rate"].mean() < 0.95


@pytest.mark.parametrize("chance", [0.9, 0.5, 1.0])
def test_any_and_majority_of_k_draws_are_those_of_a_purifier_with_a_known_chance(chance: float) -> None:
    """Right with a fixed probability on each draw: all of k is its power, the majority is binomial."""
    import tensorflow as tf

    n, other = 2000, tf.constant([[0.0, 1.0]])
    x, y = np.tile(np.float32([1.0, 0.0]), (n, 1)), np.zeros(n, np.int64)

    def purify(images: Any, draw: Any) -> Any:
        right = tf.random.stateless_uniform((tf.shape(images)[0], 1), tf.stack([5, draw])) < chance
        return tf.where(right, images, other + 0 * images)

    recipe = make_recipe("bim", eps=(0.0,), steps=1, draws=2)
    found = evaluate(THREATS["adaptive"].view(Pipeline(lambda images: images, purify, samples=True)), recipe, x, y)
    metrics, result = found.metrics, found.metrics.results[0]
    k = metrics.k_draws or 0
    majority = sum(math.comb(k, j) * chance**j * (1 - chance) ** (k - j) for j in range(k // 2 + 1, k + 1))
    assert k == 10
    for expected, rate, interval in (
        (chance**k, result.any_of_k_accuracy, result.any_of_k_accuracy_interval),
        (majority, result.majority_of_k_accuracy, result.majority_of_k_accuracy_interval),
        (chance**k, metrics.clean_any_of_k_accuracy, metrics.clean_any_of_k_accuracy_interval),
        (majority, metrics.clean_majority_of_k_accuracy, metrics.clean_majority_of_k_accuracy_interval),
    ):
        assert rate == pytest.approx(expected, abs=4 * (expected * (1 - expected) / n) ** 0.5 + 1e-9)
        assert interval == wilson_interval(round(rate * n), n)
    assert result.accuracy == pytest.approx(chance, abs=0.05)
    assert (result.robust_accuracy, result.robust_interval) == (
        result.any_of_k_accuracy,
        result.any_of_k_accuracy_interval,
    )
    # The kept draws are the first of those that the success rate counts.
    outcomes = found.arrays["outcomes.npz"]
    rest = outcomes["success_rate"] * 50 - outcomes["wrong_draws"].sum(axis=-1)
    assert outcomes["wrong_draws"].shape == (1, n, k)
    assert rest.min() > -1e-3
    assert rest.max() < 40 + 1e-3


def test_a_tie_of_draws_counts_as_wrong() -> None:
    wrong = np.arange(10) < np.array([[0], [1], [4], [5], [6]])
    found = tally_draws(wrong)
    assert found["any_of_k"].tolist() == [True, False, False, False, False]
    assert found["majority_of_k"].tolist() == [True, True, True, False, False]


@pytest.mark.parametrize(("noise", "agrees"), [(0.1, True), (1000.0, False)])
def test_averages_of_a_gradient_agree_unless_it_is_noise(noise: float, agrees: bool) -> None:
    import tensorflow as tf

    rng = np.random.default_rng(1)
    x, y = rng.uniform(0.2, 0.8, (80, 16)).astype("f4"), np.arange(80) % 4
    weights = tf.constant(rng.normal(size=(16, 4)).astype("f4"))

    def purify(images: Any, draw: Any) -> Any:
        shift = noise * tf.random.stateless_normal(tf.shape(images), tf.stack([4, draw]))
        # A gradient of 1 plus noise at every pixel, in an image that hardly changes.
        return images + shift * (images - tf.stop_gradient(images))

    surface = THREATS["adaptive"].view(Pipeline(lambda images: images @ weights, purify, samples=True))
    recipe = make_recipe("fgsm", eps=(0.1,), draws=4)
    once, twice = measure_agreement([Attacker(surface, recipe, x, y, lambda: None)]) or (None, None)
    assert once is not None
    assert twice is not None
    assert (once > AGREED) is agrees
    assert once < 1.0
    if not agrees:
        assert abs(once) < 0.2
    fixed = THREATS["adaptive"].view(Pipeline(lambda images: images @ weights))
    assert measure_agreement([Attacker(fixed, recipe, x, y, lambda: None)]) is None


def test_robustness_that_is_luck_is_broken_where_the_draw_is_known() -> None:
    """The class is hidden by a random sign; averaged over its draws the gradient is zero."""
    import tensorflow as tf

    rng = np.random.default_rng(2)
    x, y = rng.uniform(0.4, 0.6, (60, 16)).astype("f4"), np.zeros(60, np.int64)

    def purify(images: Any, draw: Any) -> Any:
        sign = tf.sign(tf.random.stateless_normal((tf.shape(images)[0], 16), tf.stack([6, draw])))
        return 0.5 + sign * (images - 0.5)

    # Class 1 needs a mean far from the grey of 0.5, which only perturbations along the signs reach.
    def classify(images: Any) -> Any:
        mean = tf.reduce_mean(images - 0.5, axis=1, keepdims=True)
        return tf.concat([0.24 - mean, mean], axis=1)

    pipeline, found = Pipeline(classify, purify, samples=True), {}
    for threat in ("adaptive", "fixed-randomness"):
        recipe = make_recipe("bim", threat=threat, eps=(0.2,), draws=16 if threat == "adaptive" else None)
        found[threat] = evaluate(THREATS[threat].view(pipeline), recipe, x, y).metrics
    assert found["adaptive"].results[0].accuracy > 0.9
    assert found["fixed-randomness"].results[0].accuracy == 0.0
    assert found["fixed-randomness"].clean_accuracy > 0.9
    assert (found["fixed-randomness"].k_draws, found["fixed-randomness"].stochastic) == (None, False)


def test_no_two_purposes_share_a_draw() -> None:
    for seed in (0, 7, 2**31 - 1):
        singles = {of(seed, i) for i in range(4) for of in (draw_for_score, draw_for_trial)}
        crafted = {draw_for_attack(seed, i, step) for i in range(4) for step in (0, 40, FIRST_UNSEEN_DRAW)}
        many = [
            {of(seed, i, k) for i in range(4) for k in range(SCORING_DRAWS)}
            for of in (draw_for_rate, draw_for_rate_trial)
        ]
        kinds = [singles, crafted, *many]
        assert sum(map(len, kinds)) == len(set.union(*kinds)) == 8 + 12 + 2 * 4 * SCORING_DRAWS
        assert all(-(2**31) <= draw < 2**31 for kind in kinds for draw in kind)


def test_an_ensemble_is_not_weaker_than_its_members(noisy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It dropped an image after one lucky draw of the first attack."""
    members = {"linf": (Member("noise"), Member("bim"))}
    monkeypatch.setitem(ATTACKS, "worst", dataclasses.replace(ATTACKS["worst"], members=members))
    worst, bim = (attack(noisy, make_recipe(name, eps=(0.2,), draws=16, steps=10))[0] for name in ("worst", "bim"))
    assert worst <= bim + 0.02


def test_queries_find_what_they_would_find_without_noise(noisy: Any) -> None:
    """The search used to stop at the first misclassified draw, which was near its start."""
    recipe = make_recipe("square", threat="black-box", eps=(0.2,), steps=None, queries=400)
    left, found = attack(noisy, recipe, "black-box")
    # By one draw 0.85.
    assert left < 0.75
    assert found.metrics.results[0].lost_fraction == 0.0


def test_the_nearest_success_succeeds_in_most_draws(noisy: Any) -> None:
    recipe = make_recipe("cw", norm="l2", eps=(5.0,), steps=30, draws=16)
    left, _ = attack(noisy, recipe)
    # What is chosen by COMPARISON_DRAWS draws is as good on others, but for their error.
    assert left < 1 - CONFIRMED_SHARE + 2 * (0.25 / COMPARISON_DRAWS) ** 0.5


def test_a_lucky_draw_ends_no_restarts(noisy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, pipeline = noisy
    attacked: list[int] = []
    attempt = Attacker._try

    def count(self: Attacker, index: int, rows: Any, labels: Any, numbers: Any, *, restart: int) -> Any:
        attacked.append(len(rows))
        return attempt(self, index, rows, labels, numbers, restart=restart)

    monkeypatch.setattr(Attacker, "_try", count)
    recipe = make_recipe("pgd", eps=(0.1,), draws=1, restarts=3, steps=2)
    attacker = Attacker(THREATS["adaptive"].view(pipeline), recipe, x, y, lambda: None)
    list(attacker.propose(0.1, np.arange(N), None))
    assert attacked == [N, N, N]


@pytest.mark.parametrize("threat", ["encoded", "gray-box"])
def test_what_is_attacked_behind_the_draw_meets_no_other(noisy: Any, threat: str) -> None:
    x, y, pipeline = noisy
    found = evaluate(THREATS[threat].view(pipeline), make_recipe("fgsm", threat=threat), x, y)
    assert ("success_rate" in found.arrays["outcomes.npz"]) == (threat == "gray-box")


def test_natural_targets_are_what_many_draws_take_a_class_for(noisy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, pipeline = noisy
    counted: list[int] = []

    def choose(confusion: Any) -> tuple[int, ...]:
        counted.append(int(confusion.sum()))
        return (1, 0, 0, 0)

    monkeypatch.setitem(ATTACKS, "natural", dataclasses.replace(ATTACKS["natural"], choose_targets=choose))
    evaluate(THREATS["adaptive"].view(pipeline), make_recipe("natural", eps=(0.05,)), x, y)
    assert counted == [N * SCORING_DRAWS]


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("natural", {}),
        ("pgd", {"restarts": 2}),
        ("cw", {"norm": "l2", "steps": 5}),
        # With fgsm, pgd, apgd and square among its members.
        ("worst", {"queries": 5}),
    ],
)
def test_a_pipeline_that_does_not_sample_is_attacked_as_before(
    method: str, changes: dict[str, Any], noisy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a look more: whatever is for pipelines that sample is not even traced."""

    def refuse(*parts: Any, **named: Any) -> Any:
        raise AssertionError("a pipeline that does not sample was attacked as one that does")

    monkeypatch.setattr(Goal, "measure_success", refuse)
    monkeypatch.setattr("advae.attacks.noisy_search._add_answer", refuse)
    monkeypatch.setattr(Scorer, "rate", refuse)
    x, y, sampling = noisy
    recipe = make_recipe(method, **changes)
    found = evaluate(THREATS[recipe.threat].view(Pipeline(sampling.classify)), recipe, x, y)
    names = {"sample_ids", "labels", "clean_predictions", "predictions", "linf", "l2", "zero_gradient"}
    assert set(found.arrays["outcomes.npz"]) == names | ({"broken_by"} if method == "worst" else set())
    stored = found.metrics.model_dump(mode="json")
    assert not {"fresh_draws", "k_draws", "clean_expected_accuracy", "clean_any_of_k_accuracy"} & set(stored)
    assert not {"expected_accuracy", "any_of_k_accuracy", "majority_of_k_accuracy"} & set(stored["results"][0])
