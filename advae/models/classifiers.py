"""The classifiers that are defended, and the table CLASSIFIERS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.errors import UsageError, unknown
from advae.models import logistic, paper_network, perceptron
from advae.models.classifier_contract import ClassifierKind, Fitted, Logits
from advae.models.fitting import needs_each_class
from advae.models.logistic import rebuild_regression
from advae.models.perceptron import build_head, describe_head

if TYPE_CHECKING:
    from advae.records import ClassifierRecipe, Dataset
    from advae.requests import ClassifierRequest

__all__ = [
    "CLASSIFIERS",
    "RECIPE_REV",
    "ClassifierKind",
    "Fitted",
    "Logits",
    "build_head",
    "describe_head",
    "make_recipe",
    "put_behind",
    "rebuild_regression",
    "require_undefended",
]

RECIPE_REV = 1
"""Raised when the same recipe would give another classifier than before."""

CLASSIFIERS: dict[str, ClassifierKind] = {
    "lr": ClassifierKind(
        "multinomial logistic regression (scikit-learn)",
        logistic.fill_in_logistic,
        logistic.fit_logistic,
        logistic.list_coefficients,
        logistic.restore_logistic,
        linear=True,
    ),
    "nn": ClassifierKind(
        "the paper's five-layer network",
        paper_network.fill_in_network,
        paper_network.fit_network,
        paper_network.list_weights,
        paper_network.restore_network,
    ),
    "mlp": ClassifierKind(
        "two hidden layers, the head that a robust autoencoder is trained with",
        perceptron.fill_in_perceptron,
        perceptron.fit_perceptron,
        perceptron.list_weights,
        perceptron.restore_perceptron,
    ),
}


def make_recipe(request: ClassifierRequest, dataset: Dataset, autoencoder: str | None) -> ClassifierRecipe:
    """Return the request with every default filled in. Raises UsageError for what does not exist or does not fit."""
    from advae.records import ClassifierRecipe, LogisticOptions

    if request.model not in CLASSIFIERS:
        raise UsageError(unknown("classifier", request.model, CLASSIFIERS))
    options = CLASSIFIERS[request.model].options(request, dataset)
    return ClassifierRecipe(
        model=request.model,
        dataset=dataset.ref,
        autoencoder=autoencoder,
        options=options,
        seed=request.seed,
        recipe_rev=RECIPE_REV,
        # scikit-learn holds nothing out.
        each_class=None if isinstance(options, LogisticOptions) else needs_each_class(dataset.y_train, request.seed),
    )


def require_undefended(classifier: ClassifierRecipe) -> None:
    """Raise UsageError for a classifier that stands behind an autoencoder: it knows no images but that one's."""
    from advae.records import entry_id

    if classifier.autoencoder:
        raise UsageError(
            f"{entry_id(classifier)} stands behind {classifier.autoencoder}; take a classifier without an autoencoder"
        )


def put_behind(classifier: ClassifierRecipe, autoencoder: str) -> ClassifierRecipe:
    """Return the recipe of a classifier put behind an autoencoder as it is. Raises UsageError as above."""
    from advae.records import entry_id

    require_undefended(classifier)
    return classifier.model_copy(update={"autoencoder": autoencoder, "origin": entry_id(classifier)})
