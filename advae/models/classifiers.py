"""The table CLASSIFIERS, recipes made from requests, and classifiers restored from recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.errors import UsageError, unknown
from advae.models.contracts import Classifier
from advae.models.heads import build_head, describe_head
from advae.models.held_out import needs_each_class
from advae.models.logistic import LogisticKind
from advae.models.model_kinds import ClassifierKind, FittedClassifier
from advae.models.network_classifiers import (
    NetworkClassifierKind,
    describe_convolutions,
    describe_distilled,
    describe_paper_network,
    describe_perceptron,
    fill_in_convolutions,
    fill_in_paper_network,
    fill_in_perceptron,
)
from advae.models.noises import NoisyView
from advae.settings import CODE, FLOAT32, SHOWN

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import ClassifierRecipe, Dataset
    from advae.requests import ClassifierRequest

__all__ = [
    "CLASSIFIERS",
    "CLASSIFIER_RECIPE_REV",
    "Classifier",
    "ClassifierKind",
    "FittedClassifier",
    "NoisyView",
    "build_head",
    "describe_convolutions",
    "describe_distilled",
    "describe_head",
    "describe_perceptron",
    "gives_gradients",
    "is_linear",
    "make_classifier_recipe",
    "put_behind",
    "require_protectable",
    "require_undefended",
    "restore_classifier",
]

CLASSIFIER_RECIPE_REV = 1
"""Raised when the same recipe would give another classifier than before."""

CLASSIFIERS: dict[str, ClassifierKind] = {
    "lr": LogisticKind(),
    "nn": NetworkClassifierKind("the paper's five-layer network", fill_in_paper_network, describe_paper_network),
    "mlp": NetworkClassifierKind(
        "two hidden layers, or --layers; the head that a robust autoencoder of grey images is trained with",
        fill_in_perceptron,
        describe_perceptron,
    ),
    "cnn": NetworkClassifierKind(
        "three convolutions and two dense layers; two convolutions where a certified autoencoder is trained with it",
        fill_in_convolutions,
        describe_convolutions,
        xla=False,
    ),
}


PERCEPTRON = "mlp"
"""The classifier whose layers may be chosen, and which may classify a code."""


def make_classifier_recipe(
    request: ClassifierRequest, dataset: Dataset, autoencoder: str | None, *, code: int | None = None
) -> ClassifierRecipe:
    """Return the request with every default filled in.

    autoencoder: id of its purifier, None for undefended; code: how many numbers that purifier's code has, None where it
    has no code. Raises UsageError for an unknown kind and for an option that does not fit it.
    """
    from advae.records import ClassifierRecipe

    if request.model not in CLASSIFIERS:
        raise UsageError(unknown("classifier", request.model, CLASSIFIERS))
    if request.layers and request.model != PERCEPTRON:
        raise UsageError(f"--layers does not fit --model {request.model}; it is for {PERCEPTRON}")
    on_code = _is_on_code(request, autoencoder, code)
    kind = CLASSIFIERS[request.model]
    return ClassifierRecipe(
        model=request.model,
        dataset=dataset.ref,
        autoencoder=autoencoder,
        options=kind.choose(request, dataset),
        seed=request.seed,
        recipe_rev=CLASSIFIER_RECIPE_REV,
        each_class=needs_each_class(dataset.y_train, request.seed) if kind.holds_out else None,
        noise_level=request.noise_level,
        code=code if on_code else None,
    )


def _is_on_code(request: ClassifierRequest, autoencoder: str | None, code: int | None) -> bool:
    """Return whether a classifier of a code is asked for. Raises UsageError where there is no code, or none fits."""
    if request.on not in SHOWN:
        raise UsageError(unknown("on", request.on, SHOWN))
    if request.on != CODE:
        return False
    if request.model != PERCEPTRON:
        raise UsageError(f"--on code does not fit --model {request.model}, which takes images; it is for {PERCEPTRON}")
    if request.retraining:
        raise UsageError("--retrain does not fit --on code: it retrains classifiers of images")
    if autoencoder is None:
        raise UsageError("--on code needs --ae REF, the autoencoder whose code is classified")
    if code is None:
        raise UsageError(f"--on code does not fit {autoencoder}, which has no code; take an autoencoder, or pca")
    return True


def is_linear(recipe: ClassifierRecipe) -> bool:
    """Return whether a classifier's logits are affine in the image; False for a kind that is unknown."""
    if recipe.added:
        return recipe.added.affine
    return recipe.model in CLASSIFIERS and CLASSIFIERS[recipe.model].linear


def gives_gradients(recipe: ClassifierRecipe) -> bool:
    """Return whether a classifier can be differentiated; False for an added model that gives scores only."""
    return recipe.added is None or recipe.added.differentiable


def restore_classifier(recipe: ClassifierRecipe, arrays: Arrays, precision: str = FLOAT32) -> Classifier:
    """Return the classifier that a recipe and its arrays describe, without its purifier.

    precision: of its wide matrix products. Raises CorruptError where the arrays do not fit the recipe.
    """
    classes, linear = len(recipe.dataset.classes), is_linear(recipe)
    if recipe.added:
        # Not imported when a command starts.
        from advae.models.added.stored import restore_model

        logits = restore_model(recipe.added, recipe.dataset.shape, arrays)
        return Classifier(logits, classes, gives_gradients(recipe), linear, trainable=False)
    return Classifier(CLASSIFIERS[recipe.model].restore(recipe, arrays, precision), classes, linear=linear)


def require_undefended(classifier: ClassifierRecipe) -> None:
    """Raise UsageError for a classifier behind an autoencoder: it was trained on that autoencoder's output."""
    from advae.records import entry_id

    if classifier.autoencoder:
        place = "behind" if classifier.code is None else "on the code of"
        raise UsageError(f"{entry_id(classifier)} is {place} {classifier.autoencoder}; take an undefended classifier")


def require_protectable(classifier: ClassifierRecipe) -> None:
    """Raise UsageError for a classifier that no autoencoder can be trained in front of."""
    from advae.records import entry_id

    require_undefended(classifier)
    if not gives_gradients(classifier):
        raise UsageError(
            f"{entry_id(classifier)} gives scores only, and training in front of it needs gradients; take another "
            "--type, or protect a classifier that has gradients"
        )


def put_behind(classifier: ClassifierRecipe, autoencoder: str) -> ClassifierRecipe:
    """Return the recipe of an undefended classifier put behind an autoencoder, not retrained. Raises UsageError."""
    from advae.records import entry_id

    require_undefended(classifier)
    return classifier.model_copy(update={"autoencoder": autoencoder, "origin": entry_id(classifier)})
