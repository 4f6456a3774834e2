"""scikit-learn's estimators turned into steps, from the plain data of a .skops file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from advae.models.added.skops_nodes import SkopsObject, SparseValues

if TYPE_CHECKING:
    from numpy.typing import NDArray

Fields = dict[str, Any]


class Operation(NamedTuple):
    """One step and its array, or None."""

    step: dict[str, Any]
    """``op`` and its settings."""
    array: NDArray[Any] | None = None
    """Its array."""


@dataclass(frozen=True)
class Conversion:
    """The steps of an estimator."""

    steps: list[Operation]
    """From its input to its output."""
    inverse: list[Operation] | None = None
    """Of a transformer, from its output back to its input; None where it has no inverse."""
    predicts: bool = False
    """Whether it is a classifier or a regressor, not a transformer."""
    classes: list[Any] = field(default_factory=list)
    """The labels of a classifier, in its order; empty for others."""


class NotConvertibleError(Exception):
    """An estimator that is no chain of steps; it gives scores only."""


def convert_estimator(estimator: SkopsObject | str | None) -> Conversion:
    """Return the steps of an estimator. Raises NotConvertibleError; ValueError, KeyError where it is damaged."""
    if estimator is None or estimator == "passthrough":
        return Conversion([], [])
    if not isinstance(estimator, SkopsObject) or estimator.type not in CONVERTERS:
        raise NotConvertibleError(str(getattr(estimator, "type", estimator)))
    return CONVERTERS[estimator.type](estimator.fields)


def _pipeline(own: Fields) -> Conversion:
    parts = [convert_estimator(step[1]) for step in own["steps"]]
    if any(part.predicts for part in parts[:-1]):
        raise NotConvertibleError("a pipeline with a classifier before its end")
    inverses = [part.inverse for part in reversed(parts)]
    back = None if None in inverses else [step for part in inverses for step in part or ()]
    return Conversion([step for part in parts for step in part.steps], back, parts[-1].predicts, parts[-1].classes)


# ---------------------------------------------------------------- transformers


def _standard_scaler(own: Fields) -> Conversion:
    return _shift_and_divide(own["mean_"] if own["with_mean"] else None, own["scale_"] if own["with_std"] else None)


def _robust_scaler(own: Fields) -> Conversion:
    centre = own["center_"] if own["with_centering"] else None
    return _shift_and_divide(centre, own["scale_"] if own["with_scaling"] else None)


def _shift_and_divide(shift: Any, divisor: Any) -> Conversion:
    steps, inverse = list[Operation](), list[Operation]()
    if shift is not None:
        steps.append(Operation({"op": "subtract"}, _numbers(shift)))
        inverse.append(Operation({"op": "add"}, _numbers(shift)))
    if divisor is not None:
        steps.append(Operation({"op": "divide"}, _numbers(divisor)))
        inverse.append(Operation({"op": "multiply"}, _numbers(divisor)))
    return Conversion(steps, inverse[::-1])


def _min_max_scaler(own: Fields) -> Conversion:
    scale, least = _numbers(own["scale_"]), _numbers(own["min_"])
    steps = [Operation({"op": "multiply"}, scale), Operation({"op": "add"}, least)]
    if own.get("clip"):
        low, high = (float(end) for end in own["feature_range"])
        steps.append(Operation({"op": "clip", "low": low, "high": high}))
    return Conversion(steps, [Operation({"op": "subtract"}, least), Operation({"op": "divide"}, scale)])


def _max_abs_scaler(own: Fields) -> Conversion:
    found = _shift_and_divide(None, own["scale_"])
    clip = [Operation({"op": "clip", "low": -1.0, "high": 1.0})] if own.get("clip") else []
    return Conversion([*found.steps, *clip], found.inverse)


def _normalizer(own: Fields) -> Conversion:
    return Conversion([Operation({"op": "normalize", "norm": own["norm"]})])


def _function_transformer(own: Fields) -> Conversion:
    if own["func"] is not None or own.get("inverse_func") is not None:
        raise NotConvertibleError("a FunctionTransformer with a function")
    return Conversion([], [])


def _pca(own: Fields) -> Conversion:
    import numpy as np

    mean, components = _numbers(own["mean_"]), _numbers(own["components_"], axes=2)
    steps = [Operation({"op": "subtract"}, mean), Operation({"op": "matrix"}, np.ascontiguousarray(components.T))]
    back = [Operation({"op": "matrix"}, components), Operation({"op": "add"}, mean)]
    if own["whiten"]:
        deviation = np.sqrt(_numbers(own["explained_variance_"]))
        deviation = np.maximum(deviation, np.finfo(deviation.dtype).eps)
        steps.append(Operation({"op": "divide"}, deviation))
        back.insert(0, Operation({"op": "multiply"}, deviation))
    return Conversion(steps, back)


# ---------------------------------------------------------------- classifiers and regressors


def _linear_classifier(own: Fields) -> Conversion:
    """Return the decision function of a linear classifier, whose sign, or largest score, is the prediction."""
    classes = _labels(own["classes_"] if "classes_" in own else _binarized_classes(own))
    return Conversion(_linear_steps(own, _count_scores(classes)), predicts=True, classes=classes)


def _linear_regressor(own: Fields) -> Conversion:
    outputs = 1 if _dense(own["coef_"]).ndim == 1 else len(_dense(own["coef_"]))
    return Conversion(_linear_steps(own, outputs), predicts=True)


def _linear_steps(own: Fields, outputs: int) -> list[Operation]:
    import numpy as np

    weights = np.atleast_2d(_dense(own["coef_"]))
    if weights.shape != (outputs, own["n_features_in_"]):
        raise ValueError(f"coef_ has the shape {weights.shape}, expected {(outputs, own['n_features_in_'])}")
    # Without fit_intercept some have a plain 0.
    intercept = np.broadcast_to(np.asarray(own["intercept_"], weights.dtype), (outputs,))
    return [
        Operation({"op": "matrix"}, np.ascontiguousarray(_numbers(weights, axes=2).T)),
        Operation({"op": "add"}, _numbers(intercept)),
    ]


def _mlp_classifier(own: Fields) -> Conversion:
    classes = _labels(_binarized_classes(own))
    steps = _layers(own)
    scores = _count_scores(classes)
    if own["out_activation_"] != ("logistic" if scores == 1 else "softmax") or own["n_outputs_"] != scores:
        raise NotConvertibleError("a perceptron with several labels for one image")
    return Conversion(steps, predicts=True, classes=classes)


def _mlp_regressor(own: Fields) -> Conversion:
    last = own["out_activation_"]
    end = [] if last == "identity" else [Operation({"op": "activate", "function": last})]
    return Conversion(_layers(own) + end, predicts=True)


def _layers(own: Fields) -> list[Operation]:
    """Return the layers of a perceptron, but for the activation of the last one."""
    weights, biases, activation = own["coefs_"], own["intercepts_"], own["activation"]
    if len(weights) != len(biases) or not weights:
        raise ValueError(f"{len(weights)} layers have {len(biases)} intercepts")
    steps = list[Operation]()
    for position, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        if position and activation != "identity":
            steps.append(Operation({"op": "activate", "function": activation}))
        steps += [Operation({"op": "matrix"}, _numbers(weight, axes=2)), Operation({"op": "add"}, _numbers(bias))]
    return steps


def _search(own: Fields) -> Conversion:
    return convert_estimator(own["best_estimator_"])


CONVERTERS: dict[str, Callable[[Fields], Conversion]] = {
    "sklearn.pipeline.Pipeline": _pipeline,
    "sklearn.model_selection._search.GridSearchCV": _search,
    "sklearn.preprocessing._data.StandardScaler": _standard_scaler,
    "sklearn.preprocessing._data.RobustScaler": _robust_scaler,
    "sklearn.preprocessing._data.MinMaxScaler": _min_max_scaler,
    "sklearn.preprocessing._data.MaxAbsScaler": _max_abs_scaler,
    "sklearn.preprocessing._data.Normalizer": _normalizer,
    "sklearn.preprocessing._function_transformer.FunctionTransformer": _function_transformer,
    "sklearn.decomposition._pca.PCA": _pca,
    "sklearn.neural_network._multilayer_perceptron.MLPClassifier": _mlp_classifier,
    "sklearn.neural_network._multilayer_perceptron.MLPRegressor": _mlp_regressor,
    **dict.fromkeys(
        (
            "sklearn.linear_model._logistic.LogisticRegression",
            "sklearn.linear_model._logistic.LogisticRegressionCV",
            "sklearn.linear_model._ridge.RidgeClassifier",
            "sklearn.linear_model._ridge.RidgeClassifierCV",
            "sklearn.linear_model._stochastic_gradient.SGDClassifier",
            "sklearn.linear_model._perceptron.Perceptron",
            "sklearn.linear_model._passive_aggressive.PassiveAggressiveClassifier",
            "sklearn.svm._classes.LinearSVC",
            "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
        ),
        _linear_classifier,
    ),
    **dict.fromkeys(
        (
            "sklearn.linear_model._base.LinearRegression",
            "sklearn.linear_model._ridge.Ridge",
            "sklearn.linear_model._ridge.RidgeCV",
            "sklearn.linear_model._coordinate_descent.Lasso",
            "sklearn.linear_model._coordinate_descent.ElasticNet",
            "sklearn.linear_model._coordinate_descent.MultiTaskLasso",
            "sklearn.linear_model._coordinate_descent.MultiTaskElasticNet",
        ),
        _linear_regressor,
    ),
}
"""Full name of a type -> its steps, from its attributes."""

# ---------------------------------------------------------------- values


def _numbers(value: Any, *, axes: int = 1) -> NDArray[Any]:
    """Return an array as contiguous float32 or float64. Raises ValueError where it is none, or not finite."""
    import numpy as np

    if not isinstance(value, np.ndarray) or value.ndim != axes or value.dtype.kind not in "buif":
        raise ValueError(f"an array of {axes} axes is missing")
    array = np.ascontiguousarray(value, value.dtype if value.dtype == np.float32 else np.float64)
    if not np.isfinite(array).all():
        raise ValueError("an array has values that are not finite numbers")
    return array


def _dense(value: Any) -> Any:
    """Return the array of a sparse matrix of coefficients, or another value as it is."""
    import numpy as np

    if not isinstance(value, SparseValues):
        return value
    rows, columns = value.shape
    # A matrix without values takes no memory in the file, whatever its shape.
    if rows * columns > max(100 * len(value.data), 1 << 20):
        raise ValueError(f"a sparse matrix of {rows} x {columns} has {len(value.data)} values only")
    lines = np.repeat(np.arange(len(value.indptr) - 1), np.diff(value.indptr))
    dense = np.zeros(value.shape, value.data.dtype)
    np.add.at(dense, (lines, value.indices) if value.by_row else (value.indices, lines), value.data)
    return dense


def _binarized_classes(own: Fields) -> Any:
    """Return the classes of a classifier that keeps them in a LabelBinarizer."""
    binarizer = own["_label_binarizer"].fields
    if binarizer["y_type_"] not in ("binary", "multiclass"):
        raise NotConvertibleError("several labels for one image")
    return binarizer["classes_"]


def _labels(classes: Any) -> list[Any]:
    """Return the labels of a classifier as JSON has them. Raises ValueError for fewer than two."""
    labels = classes if isinstance(classes, list) else classes.tolist()
    if len(labels) < 2 or not all(isinstance(label, str | int | float | bool) for label in labels):
        raise ValueError("it has fewer than two classes, or classes that are neither numbers nor texts")
    return list(labels)


def _count_scores(classes: list[Any]) -> int:
    return 1 if len(classes) == 2 else len(classes)
