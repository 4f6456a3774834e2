"""Classifiers: logits equal what the fitted model says, rebuilt from arrays alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from advae.batching import apply
from advae.errors import CorruptError, UsageError
from advae.models.classifiers import CLASSIFIERS, make_classifier_recipe
from advae.models.layers import require_weights
from advae.models.logistic import LogisticKind
from advae.models.noises import NoisyView
from advae.records import Dataset, LogisticOptions, entry_id
from advae.requests import ClassifierRequest, LogisticRequest, NetworkRequest
from tests.entries import forbid_building, spoil

REQUESTS = {
    "lr": ClassifierRequest(model="lr"),
    "nn": ClassifierRequest(model="nn", network=NetworkRequest(epochs=8)),
    "mlp": ClassifierRequest(model="mlp", network=NetworkRequest(epochs=20)),
    "cnn": ClassifierRequest(model="cnn", network=NetworkRequest(epochs=8, hidden=32)),
}


FITTED: dict[str, tuple[Any, Any]] = {}


def fit(request: ClassifierRequest, dataset: Dataset) -> tuple[Any, Any]:
    """Return (recipe, what was fitted), trained once for all tests."""
    key = f"{len(dataset.x_train)} {request.model_dump_json()}"
    if key not in FITTED:
        FITTED[key] = fit_anew(request, dataset)
    return FITTED[key]


def fit_anew(request: ClassifierRequest, dataset: Dataset) -> tuple[Any, Any]:
    recipe = make_classifier_recipe(request, dataset, None)
    kind = CLASSIFIERS[request.model]
    return recipe, kind.fit(recipe, dataset.x_train, dataset.y_train, lambda epoch: None)


def predict(recipe: Any, arrays: Any, x: Any) -> Any:
    logits = CLASSIFIERS[recipe.model].restore(recipe, arrays, "float32")
    return apply(lambda batch, draw: logits(batch), x)


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_every_kind_keeps_its_contract(model: str, digits: Dataset) -> None:
    """Same recipe, same bits; logits of the right shape; it has learned something."""
    recipe, fitted = fit(REQUESTS[model], digits)
    _, again = fit_anew(REQUESTS[model], digits)
    assert {n: a.tobytes() for n, a in fitted.arrays.items()} == {n: a.tobytes() for n, a in again.arrays.items()}
    logits = predict(recipe, fitted.arrays, digits.x_test)
    assert logits.shape == (len(digits.x_test), 10)
    assert (logits.argmax(1) == digits.y_test).mean() > 0.85


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_lr_logits_are_scikit_learns_decision_function(classes: int, intercept: bool, digits: Dataset) -> None:
    from sklearn.linear_model import LogisticRegression

    kept = digits.y_train < classes
    ref = digits.ref.model_copy(update={"classes": digits.ref.classes[:classes]})
    part = dataclasses.replace(digits, ref=ref, x_train=digits.x_train[kept], y_train=digits.y_train[kept])
    options = LogisticRequest(C=10.0, intercept=intercept, max_iter=50)
    recipe, fitted = fit(ClassifierRequest(model="lr", logistic=options), part)
    theirs = LogisticRegression(C=10.0, fit_intercept=intercept, max_iter=50).fit(part.x_train, part.y_train)
    logits = predict(recipe, fitted.arrays, digits.x_test)
    margins = theirs.decision_function(digits.x_test)
    expected = np.stack([np.zeros_like(margins), margins], 1) if classes == 2 else margins
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)


def take_two_classes(digits: Dataset) -> Dataset:
    kept = digits.y_train < 2
    ref = digits.ref.model_copy(update={"classes": digits.ref.classes[:2]})
    return dataclasses.replace(digits, ref=ref, x_train=digits.x_train[kept], y_train=digits.y_train[kept])


@pytest.mark.parametrize("compiled", ["eager", "graph", "XLA"])
@pytest.mark.parametrize("classes", [2, 10])
def test_lr_logits_and_gradient_are_those_of_w_x_plus_b(classes: int, compiled: str, digits: Dataset) -> None:
    """In the terms of TensorFlow, in which stored results were computed; another kernel may round another last bit."""
    import tensorflow as tf

    part = digits if classes == 10 else take_two_classes(digits)
    recipe, fitted = fit(ClassifierRequest(model="lr", logistic=LogisticRequest(intercept=True)), part)
    w, b = tf.constant(fitted.arrays["coef"].T), tf.constant(fitted.arrays["intercept"])

    def score(x: Any) -> Any:
        scores = x @ w + b
        return scores if classes > 2 else tf.concat([tf.zeros_like(scores), scores], axis=-1)

    def differentiate(logits: Any) -> Any:
        def run(x: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                outputs = logits(x)
                first = outputs[:, 1]
            return outputs, tape.gradient(first, x)

        traced = run if compiled == "eager" else tf.function(run, jit_compile=compiled == "XLA")
        return [array.numpy() for array in traced(tf.constant(digits.x_test))]

    ours, theirs = differentiate(CLASSIFIERS["lr"].restore(recipe, fitted.arrays, "float32")), differentiate(score)
    for found, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_a_keras_input_can_take_the_place_of_images(model: str, digits: Dataset) -> None:
    import keras

    recipe, fitted = fit(REQUESTS[model], digits)
    logits = CLASSIFIERS[model].restore(recipe, fitted.arrays, "float32")
    images = keras.Input((64,))
    np.testing.assert_array_equal(
        keras.Model(images, logits(images))(digits.x_test).numpy(), logits(digits.x_test).numpy()
    )


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("classes", [2, 10])
def test_a_rebuilt_regression_is_the_one_that_was_fitted(classes: int, intercept: bool, digits: Dataset) -> None:
    from sklearn.linear_model import LogisticRegression

    part = digits if classes == 10 else take_two_classes(digits)
    options = LogisticRequest(C=10.0, intercept=intercept, max_iter=50)
    recipe, fitted = fit(ClassifierRequest(model="lr", logistic=options), part)
    model = LogisticKind().rebuild(recipe, fitted.arrays, fitted.iterations)
    theirs = LogisticRegression(C=10.0, fit_intercept=intercept, max_iter=50).fit(part.x_train, part.y_train)
    assert model.get_params() == theirs.get_params()
    assert {name for name in vars(theirs) if name.endswith("_")} == {name for name in vars(model) if name.endswith("_")}
    assert model.n_iter_.tolist() == theirs.n_iter_.tolist()
    for method in ("predict", "predict_proba", "decision_function"):
        found, expected = (getattr(one, method)(digits.x_test) for one in (model, theirs))
        np.testing.assert_array_equal(found, expected)


def test_the_papers_logistic_regression_is_the_default_and_says_when_it_has_not_converged(digits: Dataset) -> None:
    recipe = make_classifier_recipe(ClassifierRequest(model="lr"), digits, None)
    assert recipe.options == LogisticOptions(C=255.0**2, intercept=False, max_iter=100)
    hurried = LogisticRequest(max_iter=3)
    _, stopped = fit(ClassifierRequest(model="lr", logistic=hurried), digits)
    assert stopped.converged is False
    assert stopped.iterations == 3


def test_options_of_the_other_model_are_refused(digits: Dataset) -> None:
    with pytest.raises(UsageError, match="do not fit --model lr"):
        make_classifier_recipe(ClassifierRequest(model="lr", network=NetworkRequest()), digits, None)
    logistic = LogisticRequest(C=1.0)
    with pytest.raises(UsageError, match="do not fit --model nn"):
        make_classifier_recipe(ClassifierRequest(model="nn", logistic=logistic), digits, None)
    with pytest.raises(UsageError, match="unknown classifier"):
        make_classifier_recipe(ClassifierRequest(model="svm"), digits, None)
    with pytest.raises(UsageError, match="bad --C"):
        LogisticRequest(C=1e200)


def test_images_too_large_for_the_default_layers_ask_for_an_option(digits: Dataset) -> None:
    wide = dataclasses.replace(digits, ref=digits.ref.model_copy(update={"side": 400}))
    for model in ("nn", "mlp"):
        with pytest.raises(UsageError, match="need --hidden-size N, at most 65536: by default it would be 102857"):
            make_classifier_recipe(ClassifierRequest(model=model), wide, None)
        given = NetworkRequest(hidden=9)
        assert make_classifier_recipe(ClassifierRequest(model=model, network=given), wide, None).options.hidden == 9
    assert make_classifier_recipe(ClassifierRequest(model="lr"), wide, None)


@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("model", CLASSIFIERS)
def test_weights_follow_from_the_recipe_and_others_are_refused_before_anything_is_built(
    model: str, classes: int, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = ClassifierRequest(model=model, network=None if model == "lr" else NetworkRequest(epochs=1))
    recipe, fitted = fit(REQUESTS[model], digits) if classes == 10 else fit(quick, take_two_classes(digits))
    declared = CLASSIFIERS[model].weights(recipe)
    assert declared.keys() == fitted.arrays.keys()
    require_weights(declared, fitted.arrays)
    forbid_building(monkeypatch)
    assert CLASSIFIERS[model].weights(recipe) == declared
    for changed in spoil(fitted.arrays):
        with pytest.raises(CorruptError, match="do not fit the recipe"):
            CLASSIFIERS[model].restore(recipe, changed, "float32")
        if model == "lr":
            with pytest.raises(CorruptError, match="do not fit the recipe"):
                LogisticKind().rebuild(recipe, changed, None)


def test_classes_that_are_not_counted_from_0_are_refused(digits: Dataset) -> None:
    recipe, fitted = fit(ClassifierRequest(model="lr"), digits)
    damaged = fitted.arrays | {"classes": fitted.arrays["classes"] + 1}
    with pytest.raises(CorruptError):
        CLASSIFIERS["lr"].restore(recipe, damaged, "float32")
    with pytest.raises(CorruptError):
        LogisticKind().rebuild(recipe, damaged, None)


# ---------------------------------------------------------------- noise


@pytest.mark.parametrize("model", ["lr", "nn"])
def test_training_on_noise_helps_on_noise(model: str, digits: Dataset) -> None:
    """Under noise that was seen in training the accuracy is higher than of the same classifier trained without it."""
    request = {
        "lr": ClassifierRequest(model="lr", noise_level=0.5),
        "nn": ClassifierRequest(model="nn", network=NetworkRequest(epochs=20), noise_level=0.5),
    }[model]
    plain = request.model_copy(update={"noise_level": None})
    noisy_x = digits.x_test + 0.5 * np.random.default_rng(7).normal(size=digits.x_test.shape).astype("f4")
    found = {}
    for asked in (request, plain):
        recipe = make_classifier_recipe(asked, digits, None)
        view = NoisyView(recipe.noise_level) if recipe.noise_level else None
        fitted = CLASSIFIERS[model].fit(recipe, digits.x_train, digits.y_train, lambda epoch: None, view)
        found[asked.noise_level] = (predict(recipe, fitted.arrays, noisy_x).argmax(1) == digits.y_test).mean()
    assert found[0.5] > found[None] + 0.1


def test_a_recipe_has_a_noise_level_only_where_one_was_given(digits: Dataset) -> None:
    plain = make_classifier_recipe(REQUESTS["lr"], digits, None)
    noisy = make_classifier_recipe(REQUESTS["lr"].model_copy(update={"noise_level": 0.25}), digits, None)
    assert "noise_level" not in plain.model_dump(mode="json")
    assert noisy.model_dump(mode="json")["noise_level"] == 0.25
    assert entry_id(plain) != entry_id(noisy)
    for value in (0.0, -1.0, float("inf"), "0.5", True):
        with pytest.raises(UsageError, match="bad --noise-level"):
            ClassifierRequest(model="lr", noise_level=value)


def test_the_noise_is_added_before_the_purifier_fresh_for_each_batch_and_not_clipped() -> None:
    import tensorflow as tf

    def halve(x: Any, draw: Any) -> Any:
        return x / 2 + 0 * tf.cast(draw, tf.float32)

    x = tf.fill((400, 100), 0.5)
    bare, behind, other = (
        NoisyView(0.5, purify).show(x, tf.constant([1, step])).numpy()
        for purify, step in ((None, 3), (halve, 3), (None, 4))
    )
    assert bare.min() < -0.5
    assert bare.max() > 1.5
    assert (bare - 0.5).std() == pytest.approx(0.5, rel=0.02)
    np.testing.assert_array_equal(behind, bare / 2)
    assert not np.array_equal(bare, other)
