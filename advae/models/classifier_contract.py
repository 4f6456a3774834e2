"""What every row of CLASSIFIERS offers, and what its training gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae.batching import Tensor
from advae.models.fitting import OnEpoch
from advae.models.layers import Weights

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import (
        ClassifierRecipe,
        Dataset,
        FloatArray,
        History,
        IntArray,
        LogisticOptions,
        NetworkOptions,
        PerceptronOptions,
    )
    from advae.requests import ClassifierRequest

Logits = Callable[[Tensor], Tensor]
"""x, float32 (n, d) -> logits, float32 (n, classes), in stock layers and keras.ops; x may be a ``keras.Input``."""


@dataclass(frozen=True)
class Fitted:
    """A trained classifier: its arrays, and what its training had to say."""

    arrays: Arrays
    history: History | None = None
    converged: bool | None = None
    iterations: int | None = None


@dataclass(frozen=True)
class ClassifierKind:
    """A row of CLASSIFIERS.

    options: fills in a request; fit: (recipe, x, y, on_epoch) -> Fitted; weights: recipe -> the arrays of ``fit``, by
    name, as they follow from it, raises CorruptError for a recipe that is not ours; restore: (recipe, arrays, precision
    of its wide matrix products) -> logits function, raises CorruptError for arrays other than ``weights`` before
    anything is built; linear: whether its logits are affine in the image.
    """

    summary: str
    options: Callable[[ClassifierRequest, Dataset], NetworkOptions | LogisticOptions | PerceptronOptions]
    fit: Callable[[ClassifierRecipe, FloatArray, IntArray, OnEpoch], Fitted]
    weights: Callable[[ClassifierRecipe], Weights]
    restore: Callable[[ClassifierRecipe, Arrays, str], Logits]
    linear: bool = False
