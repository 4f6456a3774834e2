"""Rules of layers and operations that multiply by weights and add: dense, convolutions, normalisation, averages."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from advae.batching import Tensor
from advae.intervals.arithmetic import TINY, Arithmetic, Bounds, Fold, rounding_factor
from advae.intervals.calls import OperationCall, Rule, always_affine, in_one, is_live, keeps_images_apart, map_ends
from advae.intervals.curves import activate, find_activation, is_linear_layer, knows_activation

NORMALISING_ROUNDINGS = 16
"""More than the roundings of a normalisation: of a sum, a root, a reciprocal, two products, a product and a sum."""


def _weigh(
    layer: Any, terms: Callable[[tuple[int, ...]], int], apply: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[Arithmetic, Bounds], Bounds]:
    """Return (arithmetic, x) -> the interval of a layer with kernel and bias before its activation."""

    def run(arithmetic: Arithmetic, x: Bounds) -> Bounds:
        bias = arithmetic.constant(layer.bias) if layer.use_bias else None
        kernel = arithmetic.constant(layer.kernel)
        return arithmetic.affine(x, apply, kernel, bias, terms(tuple(layer.kernel.shape)) + 1)

    return run


def _dense(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    import tensorflow as tf
    from keras import ops

    layer, x = call.operation, call.args[0]
    made = _weigh(layer, lambda shape: shape[0], ops.matmul)(arithmetic, x)
    kernel = arithmetic.constant(layer.kernel)
    bias = arithmetic.constant(layer.bias) if layer.use_bias else tf.zeros(kernel.shape[1], kernel.dtype)
    return Bounds(made.low, made.high, Fold(x, kernel, bias, kernel.shape[0] + 1))


def _conv_layer(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    layer = call.operation
    made = _weigh(layer, lambda shape: math.prod(shape[:-1]), layer.convolution_op)
    return made(arithmetic, call.args[0])


def _list_settings(layer: Any) -> dict[str, Any]:
    names = ("strides", "padding", "data_format", "dilation_rate")
    return {name: getattr(layer, name) for name in names}


def _transposed_layer(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    from keras import ops

    layer = call.operation
    settings = _list_settings(layer) | {"output_padding": layer.output_padding}
    # The kernel has its outputs before its inputs.
    made = _weigh(layer, _count_transposed, lambda x, kernel: ops.conv_transpose(x, kernel, **settings))
    return made(arithmetic, call.args[0])


def _count_transposed(shape: tuple[int, ...]) -> int:
    return math.prod(shape[:-2]) * shape[-1]


def _depthwise_layer(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    from keras import ops

    layer = call.operation
    settings = _list_settings(layer)
    made = _weigh(
        layer, lambda shape: math.prod(shape[:-2]), lambda x, kernel: ops.depthwise_conv(x, kernel, **settings)
    )
    return made(arithmetic, call.args[0])


def _then_activate(weigh: Callable[[Arithmetic, OperationCall], Bounds]) -> Rule:
    """Return the rule of a layer that multiplies by weights and then follows its activation."""

    def run(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
        return activate(arithmetic, call.operation.activation, weigh(arithmetic, call))

    return Rule(run, knows_activation, is_linear_layer, weigh, find_activation)


def _convolve(operation: str, count: Callable[[tuple[int, ...]], int], *more: str) -> Rule:
    """Return the rule of a convolution of ``keras.ops`` by a constant kernel. more: its other settings."""

    def run(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
        import keras

        x, kernel = call.args
        settings = _list_settings(call.operation) | {name: getattr(call.operation, name) for name in more}
        function = getattr(keras.ops, operation)
        taken = arithmetic.constant(kernel)
        return arithmetic.affine(
            x, lambda one, weights: function(one, weights, **settings), taken, None, count(tuple(taken.shape))
        )

    return Rule(run, _takes_a_constant, always_affine)


def _takes_a_constant(call: OperationCall) -> bool:
    """Return whether the first operand only depends on the image."""
    return call.live == [True, False]


# ---------------------------------------------------------------- products with a matrix


def _multiply_matrix(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    import tensorflow as tf
    from keras import ops

    first, second = call.args
    if is_live(second):
        kernel = arithmetic.constant(first)
        return arithmetic.affine(second, lambda x, weights: ops.matmul(weights, x), kernel, None, kernel.shape[-1])
    kernel = arithmetic.constant(second)
    terms = kernel.shape[-2] if len(kernel.shape) > 1 else kernel.shape[0]
    made = arithmetic.affine(first, ops.matmul, kernel, None, terms)
    if len(kernel.shape) != 2:
        return made
    return Bounds(made.low, made.high, Fold(first, kernel, tf.zeros(kernel.shape[1], kernel.dtype), terms))


# ---------------------------------------------------------------- a factor and a summand for each value


def _scale_and_shift(
    arithmetic: Arithmetic, x: Bounds, factor: Tensor, summand: Tensor, size: Tensor, roundings: int
) -> Bounds:
    """Return the interval of x * factor + summand.

    size: what the rounding errors of the summand are proportional to, 0 or more. roundings: of one result.
    """
    import tensorflow as tf

    centre, radius = x.low + x.high, x.high - x.low
    middle, spread = centre / 2 * factor + summand, radius / 2 * tf.abs(factor)
    made = Bounds(middle - spread, middle + spread)
    share = rounding_factor(roundings)
    return arithmetic.widen(made, share * ((x.magnitude + TINY) * tf.abs(factor) + size) + TINY * (tf.abs(factor) + 4))


def _normalise_batch(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    import tensorflow as tf

    layer, x = call.operation, call.args[0]
    shape = [1] * len(x.low.shape)
    shape[layer.axis] = x.low.shape[layer.axis]

    def take(value: Tensor) -> Tensor:
        return tf.reshape(arithmetic.constant(value), shape)

    mean, variance = take(layer.moving_mean), take(layer.moving_variance)
    factor = tf.math.rsqrt(variance + layer.epsilon) * (take(layer.gamma) if layer.scale else 1.0)
    shift = take(layer.beta) if layer.center else tf.zeros_like(mean)
    size = tf.abs(mean * factor) + tf.abs(shift)
    return _scale_and_shift(arithmetic, x, factor, shift - mean * factor, size, NORMALISING_ROUNDINGS)


def _is_inference(call: OperationCall) -> bool:
    return not call.kwargs.get("training")


def _standardise(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    import tensorflow as tf

    layer, x = call.operation, call.args[0]
    mean, deviation = arithmetic.constant(layer.mean), tf.sqrt(arithmetic.constant(layer.variance))
    deviation = tf.maximum(deviation, 1e-7)
    factor, summand = (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)
    return _scale_and_shift(arithmetic, x, factor, summand, tf.abs(summand), NORMALISING_ROUNDINGS)


def _rescale(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
    import tensorflow as tf

    factor, summand = arithmetic.constant(call.operation.scale), arithmetic.constant(call.operation.offset)
    return _scale_and_shift(arithmetic, call.args[0], factor, summand, tf.abs(summand), 4)


# ---------------------------------------------------------------- sums and averages of values


def _average(count: Callable[[OperationCall], int]) -> Rule:
    """Return the rule of an operation that sums or averages values of its operand. count: most terms of one."""

    def run(arithmetic: Arithmetic, call: OperationCall) -> Bounds:
        made: Bounds = map_ends(arithmetic, call)
        if not arithmetic.sound:
            return made
        terms = count(call) + 2
        size = call.compute(arithmetic, lambda interval: interval.magnitude + TINY)
        return arithmetic.widen(made, rounding_factor(terms) * size + 4 * terms * TINY)

    return Rule(run, in_one, always_affine)


def _count_window(call: OperationCall) -> int:
    size = call.operation.pool_size
    return math.prod(size) if isinstance(size, list | tuple) else int(size) ** (len(_shape(call)) - 2)


def _count_axes(call: OperationCall) -> int:
    shape = _shape(call)
    axes = call.operation.axis
    return math.prod(shape[1:] if axes is None else [shape[axis] for axis in axes])


def _count_places(call: OperationCall) -> int:
    """Return the number of values of one image, which is more than global pooling averages."""
    return math.prod(_shape(call)[1:])


def _shape(call: OperationCall) -> tuple[int, ...]:
    return tuple(call.args[0].low.shape)


# ---------------------------------------------------------------- the tables

_WITHIN_IMAGES = Rule(_average(_count_axes).run, keeps_images_apart, always_affine)
_POOLS = ("AveragePooling1D", "AveragePooling2D")
_GLOBAL_POOLS = ("GlobalAveragePooling1D", "GlobalAveragePooling2D")

AFFINE_LAYERS: dict[str, Rule] = {
    "Dense": _then_activate(_dense),
    **dict.fromkeys(("Conv1D", "Conv2D"), _then_activate(_conv_layer)),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose"), _then_activate(_transposed_layer)),
    "DepthwiseConv2D": _then_activate(_depthwise_layer),
    "BatchNormalization": Rule(_normalise_batch, _is_inference, always_affine),
    "Normalization": Rule(_standardise, affine=always_affine),
    "Rescaling": Rule(_rescale, affine=always_affine),
    **dict.fromkeys(_POOLS, _average(_count_window)),
    **dict.fromkeys(_GLOBAL_POOLS, _average(_count_places)),
}
"""Layers, by class."""

AFFINE_OPERATIONS: dict[str, Rule] = {
    "Matmul": Rule(_multiply_matrix, in_one, always_affine),
    "Conv": _convolve("conv", lambda shape: math.prod(shape[:-1])),
    "ConvTranspose": _convolve("conv_transpose", _count_transposed, "output_padding"),
    "DepthwiseConv": _convolve("depthwise_conv", lambda shape: math.prod(shape[:-2])),
    "AveragePool": _average(_count_window),
    **dict.fromkeys(("Sum", "Mean"), _WITHIN_IMAGES),
}
"""Functions of ``keras.ops``, by class."""
