"""Attacks and models that are broken on purpose: the check meant for each finds it and passes the sound one."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from advae.attacks import ATTACKS
from advae.checks import check_run
from advae.errors import AdvaeError
from advae.evaluation.attacker import Attacker
from advae.evaluation.evaluate import evaluate
from advae.records import CheckResult
from advae.threats import THREATS, Pipeline
from tests.evaluation.test_evaluate import CLASSES, SIDE, make_recipe

N = 1200
"""Enough that no check warns of a small sample."""


@pytest.fixture(scope="module")
def images() -> tuple[Any, Any]:
    """Images of four blurred prototypes, which a linear classifier tells apart."""
    rng = np.random.default_rng(0)
    prototypes = rng.uniform(0.2, 0.8, size=(CLASSES, SIDE * SIDE))
    y = np.arange(N) % CLASSES
    x = np.clip(prototypes[y] + rng.normal(0, 0.05, size=(N, SIDE * SIDE)), 0, 1).astype("f4")
    return x, y


@pytest.fixture(scope="module")
def classify(images: Any) -> Any:
    """A linear classifier of prototypes, right on all images."""
    import tensorflow as tf

    x, y = images
    centres = np.stack([x[y == label].mean(axis=0) for label in range(CLASSES)])
    weights, bias = tf.constant(2 * centres.T), tf.constant(-(centres**2).sum(axis=1))
    return lambda z: 20.0 * (z @ weights + bias)


def run_checks(pipeline: Pipeline, images: Any, method: str = "bim", **changes: Any) -> dict[str, CheckResult]:
    x, y = images
    recipe = make_recipe(method, **({"eps": (0.1, 0.3), "recipe_rev": 2} | changes))
    found = evaluate(THREATS[recipe.threat].view(pipeline), recipe, x, y)
    return {result.check: result for result in check_run(recipe, found.metrics)}


def find_troubles(results: dict[str, CheckResult]) -> set[str]:
    return {result.check for result in results.values() if result.status in ("FAIL", "WARN")}


@pytest.mark.parametrize("method", ["bim", "pgd", "apgd"])
def test_a_healthy_attack_troubles_no_check(method: str, classify: Any, images: Any) -> None:
    results = run_checks(Pipeline(classify), images, method)
    assert find_troubles(results) == set()
    assert {name for name, result in results.items() if result.status == "NOT RUN"} == {
        "convergence",
        "clean-accuracy",
    }


@pytest.mark.parametrize("method", ["bim", "pgd"])
def test_a_gradient_of_the_wrong_sign_is_found(
    method: str, classify: Any, images: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = ATTACKS[method]

    def descend(goal: Any, x: Any, **numbers: Any) -> Any:
        return row.run(dataclasses.replace(goal, loss=lambda labels, logits: -goal.loss(labels, logits)), x, **numbers)

    monkeypatch.setitem(ATTACKS, method, dataclasses.replace(row, run=descend))
    results = run_checks(Pipeline(classify), images, method)
    assert results["convergence"].status == "FAIL"
    assert "does not raise its loss" in results["convergence"].sentence


def test_an_attack_outside_its_budget_is_refused(classify: Any, images: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Attacker, "_shorten", lambda self, delta, eps: 1.5 * delta)
    with pytest.raises(AdvaeError, match="left its budget"):
        run_checks(Pipeline(classify), images)


def test_an_attack_that_is_not_clipped_is_outside_its_budget(classify: Any, images: Any) -> None:
    results = run_checks(Pipeline(classify), images, "non-targeted", clip=False)
    assert results["budget"].status == "FAIL"


def test_a_model_that_returns_probabilities_is_found(classify: Any, images: Any) -> None:
    import tensorflow as tf

    results = run_checks(Pipeline(lambda z: tf.nn.softmax(classify(z))), images)
    assert results["logits"].status == "FAIL"


def test_a_rounding_layer_is_found_and_passed_by_the_identity(classify: Any, images: Any) -> None:
    import tensorflow as tf

    rounded = Pipeline(classify, purify=lambda z, draw: tf.round(10.0 * z) / 10.0)
    assert run_checks(rounded, images)["gradients"].status == "FAIL"
    passed = run_checks(dataclasses.replace(rounded, differentiable=False), images)
    assert find_troubles(passed) == set()
    assert "identity" in passed["gradients"].sentence
    x, y = images
    left = [
        evaluate(THREATS["adaptive"].view(pipeline), make_recipe(eps=(0.3,)), x, y).metrics.results[0].accuracy
        for pipeline in (rounded, dataclasses.replace(rounded, differentiable=False))
    ]
    assert left[0] == 1.0
    assert left[1] < 0.1


def test_a_saturated_model_is_found_under_cross_entropy_and_only_there(classify: Any, images: Any) -> None:
    saturated = Pipeline(lambda z: 1e4 * classify(z))
    assert run_checks(saturated, images, loss="ce")["gradients"].status == "FAIL"
    assert find_troubles(run_checks(saturated, images, loss="scaled")) == set()


def test_a_stretched_encoded_space_is_found(classify: Any, images: Any) -> None:
    """The paper's headline: the same eps is added to data that span 45 times the range of an image."""
    stretched = Pipeline(lambda z: classify(z / 45.0), purify=lambda z, draw: 45.0 * z, unit_range=False)
    results = run_checks(stretched, images, threat="encoded")
    assert results["proportion"].status == "FAIL"
    assert results["proportion"].number == pytest.approx(45, rel=0.1)
    assert run_checks(stretched, images)["proportion"].status == "PASS"


def test_one_draw_of_a_pipeline_that_samples_is_found_and_many_pass(classify: Any, images: Any) -> None:
    import tensorflow as tf

    def purify(z: Any, draw: Any) -> Any:
        return z + 0.05 * tf.random.stateless_normal(tf.shape(z), tf.stack([3, draw]))

    pipeline = Pipeline(classify, purify)
    assert run_checks(pipeline, images)["logits"].status == "FAIL"
    assert run_checks(pipeline, images, draws=8)["logits"].status == "PASS"


def test_a_success_that_is_not_kept_is_found(classify: Any, images: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    row = ATTACKS["bim"]

    def return_to_start(goal: Any, x: Any, *, eps: Any, step_size: Any, steps: Any) -> Any:
        import tensorflow as tf

        found = row.run(goal, x, eps=eps, step_size=step_size, steps=steps)
        return tf.where(steps >= 5, x + 0.01 * (found - x), found)

    monkeypatch.setitem(ATTACKS, "bim", dataclasses.replace(row, run=return_to_start))
    assert run_checks(Pipeline(classify), images, eps=(0.3,), step_size=0.3)["best-iterate"].status == "WARN"
