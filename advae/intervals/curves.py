"""Rules of activations: functions of one number, most of which never decrease."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from advae.batching import Tensor
from advae.intervals.arithmetic import ACTIVATION_UNITS, TINY, UNIT, Arithmetic, Bounds
from advae.intervals.calls import OperationCall, Rule


@dataclass(frozen=True)
class ActivationCurve:
    """The shape of an activation and the error of its float32 evaluation."""

    error: Literal["none", "result", "one", "input"] = "result"
    """What the error is proportional to: nothing, as it is exact; the result; the result and 1; or the input."""
    valley: float | None = None
    """Where the smallest value is, of a function that falls before it and rises after it; None: it never falls."""
    units: float = ACTIVATION_UNITS
    """The largest error in units of 2^-24."""


CURVES: dict[str, ActivationCurve] = {
    **dict.fromkeys(("linear", "relu", "relu6", "hard_tanh"), ActivationCurve("none")),
    **dict.fromkeys(
        ("leaky_relu", "sigmoid", "tanh", "softplus", "exponential", "softsign", "log_sigmoid"), ActivationCurve()
    ),
    **dict.fromkeys(("elu", "hard_sigmoid"), ActivationCurve("one")),
    "selu": ActivationCurve("one", units=2 * ACTIVATION_UNITS),
    "silu": ActivationCurve("input", valley=-1.2784645427610738),
    "gelu": ActivationCurve("input", valley=-0.751791524693565),
    "mish": ActivationCurve("input", valley=-1.1924312145154235),
    "hard_silu": ActivationCurve("input", valley=-1.5),
}
"""Activations by the name that Keras saves."""


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
    if curve.error == "none":
        return arithmetic.widen(made, TINY)
    if curve.error == "result":
        return arithmetic.round(made, curve.units, 4 * TINY)
    size = x.magnitude if curve.error == "input" else 1 + made.magnitude
    return arithmetic.widen(made, curve.units * UNIT * size + 4 * TINY)


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


def _follow(curve: ActivationCurve, fits: Callable[[Any], bool] = lambda operation: True) -> Rule:
    """Return the rule of an operation that is a curve. fits: whether its settings make it one."""

    def run(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
        (x,) = (one for one in call.operands if isinstance(one, Bounds))
        # With a largest value it is a clip.
        if type(call.operation).__name__ in ("ReLU", "Relu") and not getattr(call.operation, "max_value", None):
            _show_relu(arithmetic, x)
        return follow_curve(arithmetic, curve, call.operation.call, x)

    return Rule(run, lambda call: len(call.operands) == 1 and fits(call.operation))


def _rises(name: str) -> Callable[[Any], bool]:
    """Return whether a setting that must not be negative is not."""
    return lambda operation: float(getattr(operation, name)) >= 0


def _is_a_ramp(operation: Any) -> bool:
    return bool(min(operation.negative_slope, operation.threshold, operation.max_value or 0) >= 0)


_NAMED = {"Relu": "relu", "Relu6": "relu6", "HardTanh": "hard_tanh", "Sigmoid": "sigmoid", "Tanh": "tanh"}
_MORE_NAMED = {"Softplus": "softplus", "Softsign": "softsign", "LogSigmoid": "log_sigmoid", "Exp": "exponential"}
_OTHERS_NAMED = {"HardSigmoid": "hard_sigmoid", "Selu": "selu", "Silu": "silu"}

GELU_BY_TANH = ActivationCurve("input", valley=-0.7524614105)
"""GELU by its approximation with a tanh, whose smallest value is elsewhere."""


def _follow_gelu(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    curve = GELU_BY_TANH if call.operation.approximate else CURVES["gelu"]
    return follow_curve(arithmetic, curve, call.operation.call, call.args[0])


CURVE_OPERATIONS: dict[str, Rule] = {
    **{name: _follow(CURVES[curve]) for name, curve in {**_NAMED, **_MORE_NAMED, **_OTHERS_NAMED}.items()},
    **dict.fromkeys(("Erf", "Log", "Sqrt"), _follow(ActivationCurve())),
    "Abs": _follow(ActivationCurve("none", valley=0.0)),
    "Absolute": _follow(ActivationCurve("none", valley=0.0)),
    "Gelu": Rule(_follow_gelu),
    "Sign": _follow(ActivationCurve("none")),
    "ReLU": _follow(ActivationCurve(), _is_a_ramp),
    "LeakyRelu": _follow(ActivationCurve(), _rises("negative_slope")),
    "Elu": _follow(ActivationCurve("one"), lambda operation: operation.alpha == 1.0),
}
"""Functions of one number in ``keras.ops``, by class."""

CURVE_LAYERS: dict[str, Rule] = {
    "Activation": Rule(
        lambda arithmetic, call: activate(arithmetic, call.operation.activation, call.args[0]),
        knows_activation,
        is_linear_layer,
    ),
    "ReLU": _follow(ActivationCurve(), _is_a_ramp),
    "LeakyReLU": _follow(ActivationCurve()),
    "ELU": _follow(ActivationCurve("one"), lambda layer: layer.alpha == 1.0),
}
"""Activations that are layers, by class."""
