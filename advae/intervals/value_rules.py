"""Rules of operations on values one by one and of those that only move values: sums, quotients, clips, reshapes."""

from __future__ import annotations

from collections.abc import Callable

from advae.batching import Tensor
from advae.intervals.arithmetic import TINY, Arithmetic, Bounds, Fold, rounding_factor
from advae.intervals.calls import OperationCall, Rule, always_affine, in_one, is_live, keeps_images_apart, map_ends
from advae.intervals.curve_shapes import ActivationCurve, Followed


def _take_both(arithmetic: Arithmetic, call: OperationCall) -> list[Bounds]:
    """Return two operands as intervals; a constant has both ends equal. Flushed to zero, each moves by TINY."""
    found = []
    for one in call.operands:
        constant = None if is_live(one) else arithmetic.constant(one)
        found.append(arithmetic.widen(one if constant is None else Bounds(constant, constant), TINY))
    return found


def _add(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    first, second = _take_both(arithmetic, call)
    made = arithmetic.round(Bounds(first.low + second.low, first.high + second.high))
    return Bounds(made.low, made.high, _move_fold(arithmetic, call))


def _move_fold(arithmetic: Arithmetic, call: OperationCall) -> Fold | None:
    """Return the affine layer of the first operand with the constant second one in its bias, None where that fails."""
    x, summand = call.operands
    if not isinstance(x, Bounds) or x.fold is None or is_live(summand):
        return None
    constant = arithmetic.constant(summand)
    if len(constant.shape) > 1:
        return None
    return Fold(x.fold.source, x.fold.kernel, x.fold.bias + constant, x.fold.terms + 1)


def _subtract(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    first, second = _take_both(arithmetic, call)
    return arithmetic.round(Bounds(first.low - second.high, first.high - second.low))


def _negate(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    return Bounds(-call.args[0].high, -call.args[0].low)


def _multiply(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    first, second = _take_both(arithmetic, call)
    return _combine(arithmetic, first, second, lambda a, b: a * b)


def _divide(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    """Return the interval of a quotient; without bounds where the divisor can be 0."""
    import tensorflow as tf

    dividend, divisor = _take_both(arithmetic, call)
    made = _combine(arithmetic, dividend, divisor, lambda a, b: a / b)
    apart = (divisor.low > 0) | (divisor.high < 0)
    unknown = tf.constant(float("inf"), made.low.dtype)
    return Bounds(tf.where(apart, made.low, -unknown), tf.where(apart, made.high, unknown))


def _combine(
    arithmetic: Arithmetic, first: Bounds, second: Bounds, function: Callable[[Tensor, Tensor], Tensor]
) -> Bounds:
    """Return the interval of a function of two numbers that is monotone in each, rounded once."""
    import tensorflow as tf

    corners = [function(one, other) for one in (first.low, first.high) for other in (second.low, second.high)]
    (a, b, c, d) = corners
    low = tf.minimum(tf.minimum(a, b), tf.minimum(c, d))
    return arithmetic.round(Bounds(low, tf.maximum(tf.maximum(a, b), tf.maximum(c, d))))


def _divides_by_a_constant(call: OperationCall) -> bool:
    return call.live == [True, False]


# ---------------------------------------------------------------- layers of several inputs


def _sum_all(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    """Return the interval of a sum, or an average, of several values."""
    terms = len(call.operands) + 1
    made: Bounds = map_ends(arithmetic, call)
    size = call.compute(arithmetic, lambda interval: interval.magnitude + TINY)
    return arithmetic.widen(made, rounding_factor(terms) * size + 4 * terms * TINY)


def _multiply_all(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    found, *rest = (arithmetic.widen(one, TINY) for one in call.operands)
    for one in rest:
        found = _combine(arithmetic, found, one, lambda a, b: a * b)
    return found


# ---------------------------------------------------------------- others


def _clip(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    import tensorflow as tf

    x: Bounds = call.args[0]
    if arithmetic.uniform:
        # Exact values lie inside the ends, and a clip moves none further from them.
        return x
    ends = [arithmetic.constant(end) for end in (call.operation.x_min, call.operation.x_max)]
    return Bounds(*(tf.clip_by_value(one, *ends) for one in (x.low, x.high)))


def _changes_nothing(call: OperationCall) -> bool:
    """Return whether a clip leaves all images of a box as they are. The operand must be an interval."""
    import tensorflow as tf

    x = call.args[0]
    inside = (x.low >= call.operation.x_min) & (x.high <= call.operation.x_max)
    return bool(tf.reduce_all(inside))


def _bend(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    """Return the interval of PReLU: max(x, 0) + alpha min(x, 0)."""
    import tensorflow as tf

    x, alpha = call.args[0], arithmetic.constant(call.operation.alpha)
    parts = [alpha * tf.minimum(end, 0.0) for end in (x.low, x.high)]
    low = tf.maximum(x.low, 0.0) + tf.minimum(*parts)
    return arithmetic.round(Bounds(low, tf.maximum(x.high, 0.0) + tf.maximum(*parts)), 4, 4 * TINY)


def _keep(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    kept: Bounds = call.args[0]
    return kept


def _blank(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    import tensorflow as tf

    zeros = tf.zeros_like(call.args[0].low)
    return Bounds(zeros, zeros)


def _take(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    """Return the interval of values in another order; of a fold's outputs, the fold in that order, too."""
    import tensorflow as tf

    x, indices = call.args[0], call.args[1]
    made: Bounds = map_ends(arithmetic, call)
    if x.fold is None or len(tf.shape(indices)) != 1 or call.operation.axis not in (-1, len(x.low.shape) - 1):
        return made
    kernel, bias = tf.gather(x.fold.kernel, indices, axis=-1), tf.gather(x.fold.bias, indices)
    return Bounds(made.low, made.high, Fold(x.fold.source, kernel, bias, x.fold.terms))


def _repeats_pixels(call: OperationCall) -> bool:
    return bool(getattr(call.operation, "interpolation", "nearest") == "nearest")


def _pads_with_numbers(call: OperationCall) -> bool:
    return call.operation.mode in ("constant", "reflect", "symmetric")


def _find_clip(call: OperationCall) -> Followed | None:
    """Return the curve of a clip between two numbers, None where its ends differ from value to value."""
    import numpy as np
    import tensorflow as tf

    ends = [np.asarray(end, np.float32) for end in (call.operation.x_min, call.operation.x_max)]
    if any(end.ndim for end in ends):
        return None
    low, high = map(float, ends)

    def clip(x: Tensor) -> Tensor:
        return tf.clip_by_value(x, tf.constant(low, x.dtype), tf.constant(high, x.dtype))

    return Followed(clip, ActivationCurve("none", curvature=0.0, kinks=(low, high)))


def _find_bend(call: OperationCall) -> Followed:
    """Return the curve of PReLU; its slopes below 0 may have any sign."""
    import tensorflow as tf

    alpha = call.operation.alpha

    def bend(x: Tensor) -> Tensor:
        return tf.maximum(x, 0.0) + tf.cast(alpha, x.dtype) * tf.minimum(x, 0.0)

    return Followed(bend, ActivationCurve(curvature=0.0, kinks=(0.0,)))


_MOVES = Rule(map_ends, affine=always_affine)
_GROWS = Rule(map_ends)
_KEEPS = Rule(_keep, lambda call: not call.kwargs.get("training"), always_affine)
_SUMS = Rule(_sum_all, affine=always_affine)

_MOVING_LAYERS = (
    *("Reshape", "Flatten", "Permute", "RepeatVector", "Concatenate", "ZeroPadding1D", "ZeroPadding2D"),
    *("Cropping1D", "Cropping2D", "UpSampling1D"),
)
_KEEPING_LAYERS = (
    *("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "Identity"),
    *("SpatialDropout1D", "SpatialDropout2D"),
)
_GROWING_LAYERS = (*("MaxPooling1D", "MaxPooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "Maximum", "Minimum"),)
_MOVING_OPERATIONS = (
    *("Reshape", "Transpose", "Moveaxis", "Swapaxes", "Squeeze", "ExpandDims", "Concatenate", "Stack", "Split"),
    *("GetItem", "Repeat", "Flip"),
)

VALUE_LAYERS: dict[str, Rule] = {
    **dict.fromkeys(_MOVING_LAYERS, _MOVES),
    **dict.fromkeys(_KEEPING_LAYERS, _KEEPS),
    **dict.fromkeys(_GROWING_LAYERS, _GROWS),
    **dict.fromkeys(("Add", "Average"), _SUMS),
    "UpSampling2D": Rule(map_ends, _repeats_pixels, always_affine),
    "Subtract": Rule(_subtract, affine=always_affine),
    "Multiply": Rule(_multiply_all),
    "PReLU": Rule(_bend, curve=_find_bend),
}
"""Layers, by class."""

VALUE_OPERATIONS: dict[str, Rule] = {
    **dict.fromkeys(_MOVING_OPERATIONS, _MOVES),
    **dict.fromkeys(("MaxPool", "Maximum", "Minimum"), _GROWS),
    "Max": Rule(map_ends, keeps_images_apart),
    "Pad": Rule(map_ends, _pads_with_numbers, always_affine),
    "Take": Rule(_take, in_one, always_affine),
    "Add": Rule(_add, affine=always_affine),
    "Subtract": Rule(_subtract, affine=always_affine),
    "Negative": Rule(_negate, affine=always_affine),
    "Multiply": Rule(_multiply, affine=in_one),
    **dict.fromkeys(("Divide", "TrueDivide", "DivideNoNan"), Rule(_divide, affine=_divides_by_a_constant)),
    "Clip": Rule(_clip, affine=_changes_nothing, curve=_find_clip),
    "ZerosLike": Rule(_blank, affine=always_affine),
    "Identity": _KEEPS,
}
"""Functions of ``keras.ops``, by class."""
