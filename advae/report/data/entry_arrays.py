"""The arrays of an entry as a report needs them: of the shape, type and range that its recipe promises, or refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae.errors import CorruptError
from advae.metrics import BROKEN_BY, CARRIED, DISTANCE, NOT_BROKEN, SMALLEST_EPS

if TYPE_CHECKING:
    import numpy as np

    from advae.records import Manifest

    Arrays = dict[str, np.ndarray[Any, Any]]

Shapes = Mapping[str, tuple[int, ...]]

LARGEST_PIXEL = 1e30
"""A pixel behind a purifier without bounds; sums of such are finite in float64."""


@dataclass(frozen=True)
class ArrayKind:
    """The allowed content of an array."""

    kinds: str
    """Allowed kinds of dtype, as numpy's ``kind`` letters."""
    dtype: str
    """Dtype that it is read as."""
    low: float
    """Smallest allowed value."""
    high: float
    """Largest allowed value."""
    missing: bool = False
    """Whether a value may be no number, where it could not be measured."""

    def describe(self) -> str:
        """Return what the array should hold, in words."""
        what = {"iu": "whole numbers", "f": "real numbers", "b": "truth values"}[self.kinds]
        return what if self.kinds == "b" else f"{what} from {self.low:.15g} to {self.high:.15g}"


IMAGE_ARRAYS = ArrayKind("f", "float32", -LARGEST_PIXEL, LARGEST_PIXEL)
ARRAY_KINDS: dict[str, ArrayKind] = {
    "sample_ids": ArrayKind("iu", "int64", 0, 2.0**53),
    "ids": ArrayKind("iu", "int64", 0, 2.0**53),
    "success_rate": ArrayKind("f", "float32", 0, 1),
    "clean_success_rate": ArrayKind("f", "float32", 0, 1),
    "wrong_draws": ArrayKind("b", "bool", 0, 1),
    "clean_wrong_draws": ArrayKind("b", "bool", 0, 1),
    "linf": ArrayKind("f", "float32", 0, LARGEST_PIXEL),
    "l2": ArrayKind("f", "float32", 0, LARGEST_PIXEL),
    DISTANCE: ArrayKind("f", "float64", 0, LARGEST_PIXEL),
    "margins": ArrayKind("f", "float32", -LARGEST_PIXEL, LARGEST_PIXEL),
    "zero_gradient": ArrayKind("b", "bool", 0, 1),
    CARRIED: ArrayKind("b", "bool", 0, 1),
    BROKEN_BY: ArrayKind("iu", "int64", NOT_BROKEN, 2.0**53),
    SMALLEST_EPS: ArrayKind("f", "float64", 0, math.inf),
    "x": ArrayKind("f", "float32", 0, 1),
    "certified": ArrayKind("b", "bool", 0, 1),
    "abstained": ArrayKind("b", "bool", 0, 1),
    "counts": ArrayKind("iu", "int64", 0, 2.0**53),
    "radii": ArrayKind("f", "float64", 0, LARGEST_PIXEL),
    "original_ids": ArrayKind("iu", "int64", 0, 2.0**53),
    "target_ids": ArrayKind("iu", "int64", 0, 2.0**53),
    "pairs": ArrayKind("iu", "int64", 0, 2.0**53),
    "shown": ArrayKind("iu", "int64", 0, 2.0**53),
    "complete": ArrayKind("b", "bool", 0, 1),
    "weights": ArrayKind("f", "float64", 0, LARGEST_PIXEL),
    **{
        name: ArrayKind("f", "float64", 0, math.inf, missing=True)
        for name in ("images", "before", "best", "distortion", "reached", "code_distances", "codes_apart")
    },
}
"""Name -> what the array holds; IMAGE_ARRAYS where it is not here."""

CLASSES = ("labels", "target_labels", "clean_predictions", "predictions", "code_labels")
"""Names of the arrays that hold classes."""


def find_array_kind(name: str, classes: int) -> ArrayKind:
    """Return what an array of a name must hold. classes: of the dataset."""
    return ArrayKind("iu", "int64", 0, classes - 1) if name in CLASSES else ARRAY_KINDS.get(name, IMAGE_ARRAYS)


def fit_arrays(arrays: Arrays, shapes: Shapes, classes: int) -> Arrays:
    """Return the arrays that should have these shapes, each as the type that it is read as.

    The registry checks the bytes only; a figure of arrays of another shape would be wrong without an error.
    Raises ValueError for what is missing, of another shape or type, or out of its range.
    """
    fitted = {}
    for name, shape in shapes.items():
        column, array = find_array_kind(name, classes), arrays.get(name)
        if array is None or array.shape != shape:
            raise ValueError(f"{name} should have shape {shape}")
        if array.dtype.kind not in column.kinds:
            raise ValueError(f"{name} should hold {column.describe()}")
        # Not a number is in no range.
        known = array[array == array] if column.missing else array
        if known.size and not (known.min() >= column.low and known.max() <= column.high):
            raise ValueError(f"{name} should hold {column.describe()}")
        fitted[name] = array.astype(column.dtype, copy=False)
    return fitted


def fit_artifact(entry: Manifest, name: str, arrays: Arrays, shapes: Shapes) -> Arrays:
    """Return the arrays of an artifact as ``fit_arrays`` does. Raises CorruptError, naming the entry and the repair."""
    try:
        return fit_arrays(arrays, shapes, len(entry.recipe.dataset.classes))
    except ValueError as error:
        raise CorruptError(f"{name} of {entry.id} does not fit its recipe: {error}; {suggest_repair(entry)}") from None


COMMAND_WORDS = {
    "ae": "train-ae",
    "clf": "train-clf",
    "run": "attack",
    "cert": "certify",
    "surface": "surface",
    "code": "attack-code",
}
"""Kind of an entry -> the command that makes one."""


def suggest_repair(entry: Manifest) -> str:
    """Return which command replaces an entry that is wrong."""
    command = COMMAND_WORDS[entry.kind]
    return f"`advae {command} ... --force` replaces it, `advae registry rm {entry.id}` removes it"


def count_items(arrays: Arrays, key: str) -> int:
    """Return the length of an array, 0 for one that is missing or a single number."""
    return int(arrays[key].shape[0]) if key in arrays and arrays[key].ndim else 0
