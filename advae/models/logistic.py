"""lr: multinomial logistic regression."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from advae.batching import Tensor
from advae.errors import CorruptError, DivergedError, UsageError
from advae.models import layers
from advae.models.classifier_contract import Fitted, Logits
from advae.models.fitting import OnEpoch
from advae.models.layers import Weight, Weights
from advae.settings import FLOAT32

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import ClassifierRecipe, Dataset, FloatArray, IntArray, LogisticOptions
    from advae.requests import ClassifierRequest

PAPER_LOGISTIC = {"C": 255.0**2, "intercept": False, "max_iter": 100}
"""C = 1 on pixels 0..255, as the paper has it, is C = 255 ** 2 on pixels in [0, 1]."""


def fill_in_logistic(request: ClassifierRequest, dataset: Dataset) -> LogisticOptions:
    """Return the request with every default filled in. Raises UsageError for what does not fit."""
    from advae.records import LogisticOptions

    if request.network is not None:
        raise UsageError(
            "--epochs, --batch-size and the network's other options do not fit --model lr; they are for nn and mlp"
        )
    given = request.logistic.model_dump(exclude_none=True) if request.logistic else {}
    return LogisticOptions.model_validate(PAPER_LOGISTIC).model_copy(update=given)


def fit_logistic(recipe: ClassifierRecipe, x: FloatArray, y: IntArray, on_epoch: OnEpoch) -> Fitted:
    """Return scikit-learn's LogisticRegression fitted on x, (n, d) in [0, 1], and y, (n,).

    ``converged`` says what scikit-learn's warning would: with the paper's C, lbfgs is still moving after 100 steps.
    Raises DivergedError where a coefficient is not finite.
    """
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning

    model = _make_regression(recipe)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, y)
    for warning in caught:
        if not issubclass(warning.category, ConvergenceWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    if not np.isfinite(model.coef_).all():
        raise DivergedError("logistic regression diverged: a coefficient is not finite, nothing was stored")
    converged = not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    intercept = np.broadcast_to(model.intercept_, len(model.coef_))
    arrays = {"coef": model.coef_, "intercept": intercept, "classes": model.classes_}
    return Fitted(arrays, converged=converged, iterations=int(model.n_iter_.max()))


def _make_regression(recipe: ClassifierRecipe) -> Any:
    """Return scikit-learn's LogisticRegression with the recipe's options, not fitted."""
    from sklearn.linear_model import LogisticRegression

    from advae.records import LogisticOptions

    options = recipe.options
    if not isinstance(options, LogisticOptions):
        raise CorruptError(f"the recipe of a {recipe.model} classifier has no logistic options")
    return LogisticRegression(C=options.C, fit_intercept=options.intercept, max_iter=options.max_iter)


FLOATS = ("float32", "float64")
"""scikit-learn's coefficients have one or the other, by its version and solver."""


def list_coefficients(recipe: ClassifierRecipe) -> Weights:
    """Return the arrays of ``fit_logistic``, by name, as they follow from the recipe."""
    classes, pixels = len(recipe.dataset.classes), recipe.dataset.side**2
    rows = classes if classes > 2 else 1
    return {
        "coef": Weight((rows, pixels), FLOATS),
        "intercept": Weight((rows,), FLOATS),
        "classes": Weight((classes,), ("int64",)),
    }


def _check_coefficients(recipe: ClassifierRecipe, arrays: Arrays) -> None:
    """Raise CorruptError where the arrays are not those of a logistic regression on the recipe's images."""
    layers.require_weights(list_coefficients(recipe), arrays)
    if list(arrays["classes"]) != list(range(len(recipe.dataset.classes))):
        raise CorruptError("the stored classes are not 0, 1, 2, ...")


def restore_logistic(recipe: ClassifierRecipe, arrays: Arrays, precision: str = FLOAT32) -> Logits:
    """Return W x + b from coef and intercept, for two classes [0, z]. Raises CorruptError where shapes do not fit.

    In float32 whatever the precision: so narrow a product gains nothing.
    """
    from keras import ops

    _check_coefficients(recipe, arrays)
    rows, pixels = arrays["coef"].shape
    layer = layers.dense_stack((pixels, rows), ("linear",), seed=0)
    layer.set_weights([arrays["coef"].T, arrays["intercept"]])

    def logits(x: Tensor) -> Tensor:
        scores = layer(x)
        return scores if rows > 1 else ops.concatenate([ops.zeros_like(scores), scores], axis=-1)

    return logits


def rebuild_regression(recipe: ClassifierRecipe, arrays: Arrays, iterations: int | None) -> Any:
    """Return the fitted scikit-learn LogisticRegression that the arrays of ``fit_logistic`` were taken from.

    iterations: how many lbfgs made, if known. Raises CorruptError as ``restore_logistic`` does.
    """
    import numpy as np

    _check_coefficients(recipe, arrays)
    model = _make_regression(recipe)
    model.coef_, model.intercept_, model.classes_ = (arrays[name].copy() for name in ("coef", "intercept", "classes"))
    model.n_features_in_ = arrays["coef"].shape[1]
    model.n_iter_ = np.array([iterations or 0], np.int32)
    return model
