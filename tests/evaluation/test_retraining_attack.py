"""The attack of a retraining: which there are, what is filled in and refused, what it does to a linear model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from advae.attacks import ATTACKS
from advae.attacks.retraining_methods import RETRAIN_METHODS
from advae.errors import CorruptError, UsageError
from advae.evaluation.pipelines import list_weights
from advae.evaluation.retraining_attack import (
    RETRAIN_REV,
    attack_images,
    describe_own_attack,
    fill_in_retraining,
    require_possible,
)
from advae.records import DatasetRef, RetrainOptions
from advae.requests import RetrainRequest
from advae.threats import Pipeline
from tests.entries import make_autoencoder_recipe, make_classifier_recipe

OPTIONS = RetrainOptions(rounds=2, method="bim", eps=0.1, steps=10, attack_rev=RETRAIN_REV)


def test_the_attacks_of_a_retraining_raise_a_loss_by_its_gradient_in_linf() -> None:
    assert set(RETRAIN_METHODS) == {"fgsm", "bim", "pgd", "mim", "apgd"}
    assert list(RETRAIN_METHODS) == [name for name in ATTACKS if name in RETRAIN_METHODS]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("bim", 10, None)),
        ({"retrain_method": "fgsm"}, ("fgsm", None, None)),
        ({"retrain_method": "pgd", "retrain_limit": 7}, ("pgd", 40, 7)),
        ({"retrain_method": "pgd", "retrain_steps": 5, "retrain_limit": 100}, ("pgd", 5, None)),
    ],
)
def test_defaults_are_filled_in(given: dict[str, Any], expected: tuple[str, int | None, int | None]) -> None:
    options = fill_in_retraining(RetrainRequest(retrain=3, retrain_eps=0.2, **given), 100)
    assert (options.method, options.steps, options.limit) == expected
    assert (options.rounds, options.eps, options.norm) == (3, 0.2, "linf")
    assert options.attack_rev == RETRAIN_REV + ATTACKS[options.method].revision
    # An option that is not given is not in the JSON, and another default of the attack is another id.
    assert ("limit" in options.model_dump(mode="json")) is (options.limit is not None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"retrain_eps": 0.1}, "--retrain-eps needs --retrain N"),
        ({"retrain_limit": 5}, "--retrain-limit needs --retrain N"),
        ({"retrain": 2}, "--retrain needs --retrain-eps E"),
        ({"retrain": 2, "retrain_eps": 0.1, "retrain_method": "fgms"}, "did you mean 'fgsm'"),
        ({"retrain": 2, "retrain_eps": 0.1, "retrain_method": "worst"}, "unknown attack 'worst'"),
        ({"retrain": 2, "retrain_eps": 0.1, "retrain_method": "fgsm", "retrain_steps": 2}, "takes a single step"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        fill_in_retraining(RetrainRequest(**given), 100)


@pytest.mark.parametrize("eps", [0.0, -0.1, 1.5, float("nan")])
def test_an_impossible_eps_is_refused_by_the_options_name(eps: float) -> None:
    with pytest.raises(UsageError, match=r"^bad --retrain-eps"):
        RetrainRequest(retrain=1, retrain_eps=eps)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"retrained": OPTIONS.model_copy(update={"method": "magic"})}, "unknown attack 'magic'"),
        ({"retrained": OPTIONS.model_copy(update={"method": "square"})}, "unknown attack 'square'"),
        ({"retrained": OPTIONS.model_copy(update={"steps": None})}, "--retrain-steps does not fit"),
        ({"retrained": OPTIONS.model_copy(update={"method": "fgsm"})}, "--retrain-steps does not fit"),
        ({"retrained": OPTIONS, "noise_level": 0.5}, "--noise-level"),
        ({"retrained": OPTIONS, "code": 3}, "--on code"),
        ({"retrained": OPTIONS, "distilled": "clf-0123456789ab"}, "trained on labels"),
    ],
)
def test_an_impossible_stored_recipe_is_corrupt_before_any_network_is_built(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(CorruptError, match=f"impossible recipe: .*{message}"):
        list_weights(make_classifier_recipe(**changes))


def test_a_random_purifier_is_refused() -> None:
    random = make_autoencoder_recipe(type="variational", options={"kl_weight": 1.0, "sample": True})
    still = make_autoencoder_recipe(type="variational", options={"kl_weight": 1.0, "sample": False})
    require_possible(make_classifier_recipe(retrained=OPTIONS), still)
    with pytest.raises(UsageError, match="which is random"):
        require_possible(make_classifier_recipe(retrained=OPTIONS), random)


@pytest.mark.parametrize("method", RETRAIN_METHODS)
def test_on_a_linear_classifier_every_attack_moves_the_margin_by_eps_times_the_norm_of_the_weights(
    method: str,
) -> None:
    """No image is near 0 or 1, so that the best perturbation is eps times the sign of the weights."""
    rng = np.random.default_rng(0)
    weights, x = rng.normal(size=9).astype("f4"), rng.uniform(0.4, 0.6, (40, 9)).astype("f4")
    # Images leave some attacks at their first success: none is a success here.
    margin, eps, low = x @ weights, 0.05, float((x @ weights).min()) - 0.05 * float(abs(weights).sum()) - 0.01
    y = np.zeros(40, np.int64)

    def classify(images: Any) -> Any:
        import tensorflow as tf

        score = tf.linalg.matvec(images, weights)
        return tf.stack([score - low, tf.zeros_like(score)], -1)

    recipe = make_classifier_recipe(
        dataset=DatasetRef(name="toy", digest="0", side=3, classes=("a", "b")),
        retrained=OPTIONS.model_copy(update={"method": method, "eps": eps, "steps": ATTACKS[method].steps}),
    )
    reports = []
    (batch,) = attack_images(Pipeline(classify, linear=True), recipe, x, y, lambda: reports.append(1))
    assert reports == [1]
    assert batch.rows.tolist() == list(range(40))
    assert batch.predictions.tolist() == [0] * 40
    assert np.abs(batch.seen - x).max() <= eps + 1e-6
    np.testing.assert_allclose(margin - batch.seen @ weights, eps * abs(weights).sum(), rtol=1e-3)


def test_the_attack_has_its_own_defaults_and_the_seed_of_the_classifier() -> None:
    attack = describe_own_attack(make_classifier_recipe(retrained=OPTIONS, seed=5))
    assert (attack.method, attack.threat, attack.eps, attack.steps) == ("bim", "adaptive", (0.1,), 10)
    assert (attack.loss, attack.norm, attack.clip, attack.seed) == (ATTACKS["bim"].loss, "linf", True, 5)
