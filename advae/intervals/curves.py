"""Rules of activations: functions of one number, most of which never decrease."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from advae.batching import Tensor
from advae.intervals.arithmetic import TINY, Arithmetic, Bounds
from advae.intervals.calls import OperationCall, Rule
from advae.intervals.curve_shapes import CURVES, GELU_BY_TANH, ActivationCurve, Followed


def follow_curve(
    arithmetic: Arithmetic, curve: ActivationCurve, function: Callable[[Tensor], Tensor], x: Bounds
) -> Bounds:
    """Return the interval of a function of one number."""
    import tensorflow as tf

    # What is flushed to zero before the activation.
    x = arithmetic.widen(x, TINY)
    low, high = function(x.low), function(x.high)
    if curve.valley is not None:
        lowest = tf.maximum(x.low, tf.minimum(tf.constant(curve.valley, x.low.dtype), x.high))
        low, high = function(lowest), tf.maximum(low, high)
    made = Bounds(low, high)
    if curve.error == "result":
        return arithmetic.round(made, curve.units, 4 * TINY)
    return arithmetic.widen(made, curve.find_error(x, made))


def name_activation(function: Any) -> str | None:
    """Return the name of an activation of Keras that has a rule, None for any other function."""
    import keras

    name = getattr(function, "__name__", None)
    return name if name in CURVES and keras.activations.get(name) is function else None


def activate(arithmetic: Arithmetic, function: Any, x: Bounds) -> Bounds:
    """Return the interval of an activation that ``name_activation`` knows."""
    name = name_activation(function)
    if name == "linear":
        return x
    if name == "relu":
        _show_relu(arithmetic, x)
    return follow_curve(arithmetic, CURVES[str(name)], function, x)


def _show_relu(arithmetic: Arithmetic, x: Bounds) -> None:
    if arithmetic.see_relu:
        arithmetic.see_relu(x)


def knows_activation(call: OperationCall) -> bool:
    """Return whether a layer's activation has a rule."""
    return name_activation(call.operation.activation) is not None


def is_linear_layer(call: OperationCall) -> bool:
    """Return whether a layer has no activation."""
    return name_activation(call.operation.activation) == "linear"


def find_activation(call: OperationCall) -> Followed:
    """Return the activation of a layer, one that ``name_activation`` knows."""
    activation = call.operation.activation
    return Followed(activation, CURVES[str(name_activation(activation))])


ShapeOf = Callable[[Any], ActivationCurve]
"""Operation -> the shape of its curve."""


def _follow(shape: ActivationCurve | ShapeOf, fits: Callable[[Any], bool] = lambda operation: True) -> Rule:
    """Return the rule of an operation that is a curve. fits: whether its settings make it one."""

    def find(call: OperationCall) -> Followed:
        curve = shape if isinstance(shape, ActivationCurve) else shape(call.operation)
        return Followed(call.operation.call, curve)

    def run(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
        (x,) = call.intervals
        # With a largest value it is a clip.
        if type(call.operation).__name__ in ("ReLU", "Relu") and not getattr(call.operation, "max_value", None):
            _show_relu(arithmetic, x)
        found = find(call)
        return follow_curve(arithmetic, found.curve, found.function, x)

    return Rule(run, lambda call: len(call.operands) == 1 and fits(call.operation), curve=find)


def _rises(name: str) -> Callable[[Any], bool]:
    """Return whether a setting that must not be negative is not."""
    return lambda operation: float(getattr(operation, name)) >= 0


def _is_a_ramp(operation: Any) -> bool:
    return bool(min(operation.negative_slope, operation.threshold, operation.max_value or 0) >= 0)


def _shape_ramp(operation: Any) -> ActivationCurve:
    """Return the shape of a ReLU with a slope, a threshold and a largest value; above a threshold it jumps."""
    kinks = (0.0,) if operation.max_value is None else (0.0, float(operation.max_value))
    return ActivationCurve(curvature=None if operation.threshold else 0.0, kinks=kinks)


_NAMED = {"Relu": "relu", "Relu6": "relu6", "HardTanh": "hard_tanh", "Sigmoid": "sigmoid", "Tanh": "tanh"}
_MORE_NAMED = {"Softplus": "softplus", "Softsign": "softsign", "LogSigmoid": "log_sigmoid", "Exp": "exponential"}
_OTHERS_NAMED = {"HardSigmoid": "hard_sigmoid", "Selu": "selu", "Silu": "silu"}
_SIZE = ActivationCurve("none", valley=0.0, curvature=0.0, kinks=(0.0,))

CURVE_OPERATIONS: dict[str, Rule] = {
    **{name: _follow(CURVES[curve]) for name, curve in {**_NAMED, **_MORE_NAMED, **_OTHERS_NAMED}.items()},
    **dict.fromkeys(("Log", "Sqrt"), _follow(ActivationCurve())),
    "Erf": _follow(ActivationCurve(curvature=0.97)),
    "Abs": _follow(_SIZE),
    "Absolute": _follow(_SIZE),
    "Gelu": _follow(lambda operation: GELU_BY_TANH if operation.approximate else CURVES["gelu"]),
    "Sign": _follow(ActivationCurve("none")),
    "Round": _follow(ActivationCurve("none"), lambda operation: operation.decimals == 0),
    "ReLU": _follow(_shape_ramp, _is_a_ramp),
    "LeakyRelu": _follow(CURVES["leaky_relu"], _rises("negative_slope")),
    "Elu": _follow(CURVES["elu"], lambda operation: operation.alpha == 1.0),
}
"""Functions of one number in ``keras.ops``, by class."""

CURVE_LAYERS: dict[str, Rule] = {
    "Activation": Rule(
        lambda arithmetic, call: activate(arithmetic, call.operation.activation, call.args[0]),
        knows_activation,
        is_linear_layer,
        curve=find_activation,
    ),
    "ReLU": _follow(_shape_ramp, _is_a_ramp),
    "LeakyReLU": _follow(CURVES["leaky_relu"]),
    "ELU": _follow(CURVES["elu"], lambda layer: layer.alpha == 1.0),
}
"""Activations that are layers, by class."""
