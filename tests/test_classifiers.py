"""Classifiers: logits equal what the fitted model says, rebuilt from arrays alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from advae.batching import apply
from advae.classifiers import CLASSIFIERS, make_recipe
from advae.errors import CorruptError, UsageError
from advae.records import ClassifierRequest, Dataset, LogisticOptions, LogisticRequest, NetworkRequest

REQUESTS = {
    "lr": ClassifierRequest(model="lr"),
    "nn": ClassifierRequest(model="nn", network=NetworkRequest(epochs=8)),
}


def fit(request: ClassifierRequest, dataset: Dataset) -> tuple[Any, Any]:
    recipe = make_recipe(request, dataset, None)
    kind = CLASSIFIERS[request.model]
    return recipe, kind.fit(recipe, dataset.x_train, dataset.y_train, lambda epoch: None)


def predict(recipe: Any, arrays: Any, x: Any) -> Any:
    logits = CLASSIFIERS[recipe.model].restore(recipe, arrays)
    return apply(lambda batch, draw: logits(batch), x)


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_every_kind_keeps_its_contract(model: str, digits: Dataset) -> None:
    """Same recipe, same bits; logits of the right shape; it has learned something."""
    recipe, fitted = fit(REQUESTS[model], digits)
    _, again = fit(REQUESTS[model], digits)
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


def test_the_papers_logistic_regression_is_the_default_and_says_when_it_has_not_converged(digits: Dataset) -> None:
    recipe = make_recipe(ClassifierRequest(model="lr"), digits, None)
    assert recipe.options == LogisticOptions(C=255.0**2, intercept=False, max_iter=100)
    hurried = LogisticRequest(max_iter=3)
    _, stopped = fit(ClassifierRequest(model="lr", logistic=hurried), digits)
    assert stopped.converged is False
    assert stopped.iterations == 3


def test_options_of_the_other_model_are_refused(digits: Dataset) -> None:
    with pytest.raises(UsageError, match="do not fit --model lr"):
        make_recipe(ClassifierRequest(model="lr", network=NetworkRequest()), digits, None)
    logistic = LogisticRequest(C=1.0)
    with pytest.raises(UsageError, match="do not fit --model nn"):
        make_recipe(ClassifierRequest(model="nn", logistic=logistic), digits, None)
    with pytest.raises(UsageError, match="unknown classifier"):
        make_recipe(ClassifierRequest(model="svm"), digits, None)


def test_coefficients_that_do_not_fit_are_refused(digits: Dataset) -> None:
    recipe, fitted = fit(ClassifierRequest(model="lr"), digits)
    for damaged in (
        {"coef": fitted.arrays["coef"]},
        fitted.arrays | {"coef": fitted.arrays["coef"][:, :-1]},
        fitted.arrays | {"classes": fitted.arrays["classes"] + 1},
    ):
        with pytest.raises(CorruptError):
            CLASSIFIERS["lr"].restore(recipe, damaged)
