"""The row lr: multinomial logistic regression, fitted by scikit-learn, applied as one dense layer."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae.batching import Tensor, compile_batched
from advae.errors import CorruptError, DivergedError, UsageError
from advae.models import layers
from advae.models.fitting import OnEpoch
from advae.models.layers import Weight, Weights
from advae.models.model_kinds import FittedClassifier
from advae.models.noises import NoisyView

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import ClassifierRecipe, Dataset, FloatArray, IntArray, LogisticOptions
    from advae.requests import ClassifierRequest

PAPER_LOGISTIC = {"C": 255.0**2, "intercept": False, "max_iter": 100}
"""The paper's C = 1 on pixels 0..255 is C = 255 ** 2 on pixels in [0, 1]."""

NOISY_COPIES = 4
"""Copies of each image that a regression with noise is fitted on; its solver needs all of them at once."""

FLOATS = ("float32", "float64")
"""The possible dtypes of scikit-learn's coefficients; its version and solver decide."""


@dataclass(frozen=True)
class LogisticKind:
    """The row of CLASSIFIERS for logistic regression."""

    summary: str = "multinomial logistic regression (scikit-learn)"
    """One line for ``--help``."""
    linear = True
    holds_out = False

    def choose(self, request: ClassifierRequest, dataset: Dataset) -> LogisticOptions:
        """Return the options with every default filled in. Raises UsageError for an option of a network."""
        from advae.records import LogisticOptions

        if request.network is not None:
            raise UsageError(
                "--epochs, --batch-size and the network's other options do not fit --model lr; they are for nn and mlp"
            )
        given = request.logistic.model_dump(exclude_none=True) if request.logistic else {}
        return LogisticOptions.model_validate(PAPER_LOGISTIC).model_copy(update=given)

    def fit(
        self,
        recipe: ClassifierRecipe,
        x: FloatArray,
        y: IntArray,
        on_epoch: OnEpoch,
        noisy: NoisyView | None = None,
    ) -> FittedClassifier:
        """Return scikit-learn's LogisticRegression fitted on x, (n, d) in [0, 1], and y, (n,).

        noisy: it is fitted on NOISY_COPIES noisy copies of each image. ``converged`` is False where scikit-learn warns:
        with the paper's C, lbfgs has not converged after 100 iterations. Raises DivergedError where a coefficient is
        not finite.
        """
        import numpy as np
        from sklearn.exceptions import ConvergenceWarning

        model = _make_regression(recipe)
        if noisy:
            x, y = _draw_copies(noisy, x, recipe.seed), np.tile(y, NOISY_COPIES)
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
        return FittedClassifier(arrays, converged=converged, iterations=int(model.n_iter_.max()))

    def weights(self, recipe: ClassifierRecipe) -> Weights:
        """Return the arrays of ``fit``, by name, as they follow from the recipe."""
        classes, pixels = len(recipe.dataset.classes), recipe.dataset.shape.size
        rows = classes if classes > 2 else 1
        return {
            "coef": Weight((rows, pixels), FLOATS),
            "intercept": Weight((rows,), FLOATS),
            "classes": Weight((classes,), ("int64",)),
        }

    def restore(self, recipe: ClassifierRecipe, arrays: Arrays, precision: str) -> Callable[[Tensor], Tensor]:
        """Return x -> W x + b, for two classes [0, z]. Raises CorruptError where the arrays do not fit.

        Always in float32: so narrow a product is not faster in a lower precision.
        """
        from keras import ops

        self._require_arrays(recipe, arrays)
        rows, pixels = arrays["coef"].shape
        layer = layers.dense_stack((pixels, rows), ("linear",), seed=0)
        layer.set_weights([arrays["coef"].T, arrays["intercept"]])

        def logits(x: Tensor) -> Tensor:
            scores = layer(x)
            return scores if rows > 1 else ops.concatenate([ops.zeros_like(scores), scores], axis=-1)

        return logits

    def rebuild(self, recipe: ClassifierRecipe, arrays: Arrays, iterations: int | None) -> Any:
        """Return the fitted scikit-learn LogisticRegression that the arrays of ``fit`` were taken from.

        iterations: of lbfgs, None where unknown. Raises CorruptError as ``restore`` does.
        """
        import numpy as np

        self._require_arrays(recipe, arrays)
        model = _make_regression(recipe)
        model.coef_, model.intercept_, model.classes_ = (
            arrays[name].copy() for name in ("coef", "intercept", "classes")
        )
        model.n_features_in_ = arrays["coef"].shape[1]
        model.n_iter_ = np.array([iterations or 0], np.int32)
        return model

    def _require_arrays(self, recipe: ClassifierRecipe, arrays: Arrays) -> None:
        """Raise CorruptError where the arrays are not those of a logistic regression on the recipe's images."""
        layers.require_weights(self.weights(recipe), arrays)
        if list(arrays["classes"]) != list(range(len(recipe.dataset.classes))):
            raise CorruptError("the stored classes are not 0, 1, 2, ...")


def _draw_copies(noisy: NoisyView, x: FloatArray, seed: int) -> FloatArray:
    """Return purified noisy copies of all images, float32 (NOISY_COPIES * n, d), one whole set after another."""
    import numpy as np
    import tensorflow as tf

    copies = (
        compile_batched(lambda batch, draw: noisy.show(batch, tf.stack([seed, draw])))(x, copy * len(x))
        for copy in range(NOISY_COPIES)
    )
    return np.concatenate(list(copies))


def _make_regression(recipe: ClassifierRecipe) -> Any:
    """Return scikit-learn's LogisticRegression with the recipe's options, not fitted."""
    from sklearn.linear_model import LogisticRegression

    from advae.records import LogisticOptions

    options = recipe.options
    if not isinstance(options, LogisticOptions):
        raise CorruptError(f"the recipe of a {recipe.model} classifier has no logistic options")
    return LogisticRegression(C=options.C, fit_intercept=options.intercept, max_iter=options.max_iter)
