"""The shapes of activations, functions of one number: where they fall and bend, and the error of their evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from advae.batching import Tensor
from advae.intervals.arithmetic import ACTIVATION_UNITS, TINY, UNIT, Bounds

Curvature = Callable[[Tensor, Tensor], Tensor]
"""(lower ends, upper ends) -> the largest size of the second derivative between them."""


@dataclass(frozen=True)
class ActivationCurve:
    """The shape of an activation and the error of its float32 evaluation."""

    error: Literal["none", "result", "one", "input"] = "result"
    """What the error is proportional to: nothing, as it is exact; the result; the result and 1; or the input."""
    valley: float | None = None
    """Where the smallest value is, of a function that falls before it and rises after it; None: it never falls."""
    units: float = ACTIVATION_UNITS
    """The largest error in units of 2^-24."""
    curvature: float | Curvature | None = None
    """The largest size of the second derivative where there is one; None where no line is drawn beside the curve."""
    kinks: tuple[float, ...] = ()
    """Where the slope jumps. The curve itself never jumps where it has a ``curvature``."""

    def find_error(self, x: Bounds, made: Bounds) -> Tensor | float:
        """Return how far float32 results can be from exact ones. x: of the input; made: the exact interval."""
        if self.error == "none":
            return TINY
        size = {"result": made.magnitude, "one": 1 + made.magnitude, "input": x.magnitude}[self.error]
        return self.units * UNIT * (1 + 2.0**-20) * size + 4 * TINY


@dataclass(frozen=True)
class Followed:
    """A curve that an operation follows."""

    function: Callable[[Tensor], Tensor]
    """The function, for tensors of any float dtype."""
    curve: ActivationCurve
    """Its shape."""


def _exponential_curvature(low: Tensor, high: Tensor) -> Tensor:
    import tensorflow as tf

    return tf.exp(high)


CURVES: dict[str, ActivationCurve] = {
    "linear": ActivationCurve("none"),
    "relu": ActivationCurve("none", curvature=0.0, kinks=(0.0,)),
    "relu6": ActivationCurve("none", curvature=0.0, kinks=(0.0, 6.0)),
    "hard_tanh": ActivationCurve("none", curvature=0.0, kinks=(-1.0, 1.0)),
    "leaky_relu": ActivationCurve(curvature=0.0, kinks=(0.0,)),
    "sigmoid": ActivationCurve(curvature=0.097),
    "tanh": ActivationCurve(curvature=0.77),
    "softplus": ActivationCurve(curvature=0.2501),
    "exponential": ActivationCurve(curvature=_exponential_curvature),
    "softsign": ActivationCurve(curvature=2.0),
    "log_sigmoid": ActivationCurve(curvature=0.2501),
    "elu": ActivationCurve("one", curvature=1.0),
    "hard_sigmoid": ActivationCurve("one", curvature=0.0, kinks=(-3.0, 3.0)),
    "selu": ActivationCurve("one", units=2 * ACTIVATION_UNITS, curvature=1.759, kinks=(0.0,)),
    "silu": ActivationCurve("input", valley=-1.2784645427610738, curvature=0.501),
    "gelu": ActivationCurve("input", valley=-0.751791524693565, curvature=0.799),
    "mish": ActivationCurve("input", valley=-1.1924312145154235, curvature=0.65),
    "hard_silu": ActivationCurve("input", valley=-1.5, curvature=0.334, kinks=(-3.0, 3.0)),
}
"""Activations by the name that Keras saves."""

GELU_BY_TANH = ActivationCurve("input", valley=-0.7524614105, curvature=0.799)
"""GELU by its approximation with a tanh, whose smallest value is elsewhere."""
