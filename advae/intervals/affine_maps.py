"""The affine map that a traced network is on [0, 1], and how far its float32 evaluation can be from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae.errors import UsageError
from advae.intervals.arithmetic import Arithmetic, Bounds
from advae.intervals.bounding import bound, describe_operation, find_rule, require_float32, require_rules, walk
from advae.intervals.calls import OperationCall

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BASIS_ROWS = 512
"""Basis images that are evaluated at once."""

SLACK = 2.0**-20
"""Share of the rounding error that is added for each pixel, more than the rounding of the map itself in float64."""


@dataclass(frozen=True)
class AffineMap:
    """x -> weights x + bias, for x in [0, 1]."""

    weights: NDArray[np.float64]
    """Weights, (classes, d)."""
    bias: NDArray[np.float64]
    """Bias, (classes,)."""
    error: NDArray[np.float64]
    """How far a float32 evaluation of the network can be from the map, for any x in [0, 1]; (classes,)."""


def find_affine_map(function: Any) -> AffineMap:
    """Return the affine map of a traced network, from its values at 0 and at each basis vector, in float64.

    Raises UsageError where an operation has no rule, or is not affine on [0, 1]; a clip is affine where no image of
    [0, 1] reaches its ends.
    """
    import numpy as np

    require_rules(function)
    require_float32(function)
    pixels = function.inputs[0].shape[1]
    error = _bound_error(function, pixels)
    corners = np.vstack([np.zeros((1, pixels)), np.eye(pixels)])
    parts = (corners[first : first + BASIS_ROWS] for first in range(0, len(corners), BASIS_ROWS))
    found = np.vstack([_evaluate(function, part) for part in parts])
    return AffineMap((found[1:] - found[0]).T, found[0], error * (1 + (pixels + 64) * SLACK))


def _evaluate(function: Any, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the output of a traced network in float64, (n, classes)."""
    import tensorflow as tf

    point = tf.constant(x)
    values: NDArray[np.float64] = bound(function, Bounds(point, point), sound=False).low.numpy()
    return values


def _bound_error(function: Any, pixels: int) -> NDArray[np.float64]:
    """Return the largest rounding error of an affine network on [0, 1], (classes,). Raises UsageError where it is none.

    Centre and radius of sound and of plain bounds follow the same recursion. The radii differ by the rounding errors,
    carried through the weights that follow: that is the error of any single image, as none of its terms depends on one.
    """
    import tensorflow as tf

    box = Bounds(tf.zeros((1, pixels), tf.float64), tf.ones((1, pixels), tf.float64))

    def watch(call: OperationCall, made: Bounds) -> None:
        rule = find_rule(call.operation)
        if rule is None or not rule.affine(call):
            raise UsageError(f"it is not affine: {describe_operation(call.operation)} is not, for images in [0, 1]")

    plain = walk(function, box, Arithmetic(sound=False, dtype="float64"), watch)
    sound = walk(function, box, Arithmetic(sound=True, dtype="float64", uniform=True))
    error: NDArray[np.float64] = ((sound.high - sound.low) - (plain.high - plain.low)).numpy()[0] / 2
    return error
