"""Operations that an ``.onnx`` file becomes, in ``keras.ops``: differentiable, images first, and their settings.

Images keep their layout, mostly (n, c, h, w). Axes are counted with the batch, which is axis 0 and stays it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from advae.batching import Tensor
from advae.models.added.onnx_convolutions import (
    Attributes,
    average_pool,
    convolve,
    convolve_depthwise,
    convolve_transposed,
    max_pool,
    turn_depthwise,
    turn_kernel,
    turn_transposed,
)
from advae.models.added.setting_checks import Allows, either, is_flag, is_number, list_of, one_of, whole_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

# ---------------------------------------------------------------- other operations


def _join_moments(
    attributes: Attributes, scale: NDArray[Any], shift: NDArray[Any], mean: NDArray[Any], variance: NDArray[Any]
) -> tuple[NDArray[Any], ...]:
    """Return factor and summand of batch normalisation by stored means and variances."""
    import numpy as np

    factor = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + attributes["epsilon"])
    return factor.astype(np.float32), (shift - mean * factor).astype(np.float32)


def _normalise(attributes: Attributes, x: Tensor, factor: Any, summand: Any) -> Tensor:
    from keras import ops

    sides = (-1, *(1 for _ in x.shape[2:]))
    return x * ops.reshape(factor, sides) + ops.reshape(summand, sides)


def _normalise_layer(attributes: Attributes, x: Tensor, scale: Any, shift: Any = None) -> Tensor:
    from keras import ops

    axes = tuple(range(attributes["axis"], len(x.shape)))
    centred = x - ops.mean(x, axes, keepdims=True)
    deviation = ops.sqrt(ops.mean(centred * centred, axes, keepdims=True) + attributes["epsilon"])
    y = centred / deviation * scale
    return y if shift is None else y + shift


def _repeat(attributes: Attributes, x: Tensor) -> Tensor:
    """Return images enlarged by whole numbers, each pixel repeated."""
    from keras import ops

    for axis, times in enumerate(attributes["times"], 1):
        x = x if times == 1 else ops.repeat(x, times, axis)
    return x


def _turn_matrix(attributes: Attributes, b: NDArray[Any], *c: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    return b.T if attributes["transB"] else b, *c


def _gemm(attributes: Attributes, a: Tensor, b: Any, c: Any = None) -> Tensor:
    from keras import ops

    y = ops.matmul(a, b)
    y = y if attributes["alpha"] == 1 else y * attributes["alpha"]
    return y if c is None else y + (c if attributes["beta"] == 1 else c * attributes["beta"])


def _clip(attributes: Attributes, x: Tensor) -> Tensor:
    from keras import ops

    x = x if attributes["min"] is None else ops.maximum(x, attributes["min"])
    return x if attributes["max"] is None else ops.minimum(x, attributes["max"])


def _selu(attributes: Attributes, x: Tensor) -> Tensor:
    from keras import ops

    return ops.elu(x, attributes["alpha"]) * attributes["gamma"]


def _hard_sigmoid(attributes: Attributes, x: Tensor) -> Tensor:
    from keras import ops

    return ops.clip(x * attributes["alpha"] + attributes["beta"], 0.0, 1.0)


def _mish(attributes: Attributes, x: Tensor) -> Tensor:
    from keras import ops

    return x * ops.tanh(ops.softplus(x))


def _prelu(attributes: Attributes, x: Tensor, slope: Any) -> Tensor:
    from keras import ops

    return ops.maximum(x, 0.0) + slope * ops.minimum(x, 0.0)


def _reshape(attributes: Attributes, x: Tensor) -> Tensor:
    from keras import ops

    return ops.reshape(x, (-1, *attributes["shape"]))


def _slice(attributes: Attributes, x: Tensor) -> Tensor:
    axis, start, stop = (attributes[name] for name in ("axis", "start", "stop"))
    return x[(*(slice(None) for _ in range(axis)), slice(start, stop))]


def _gather(attributes: Attributes, x: Tensor) -> Tensor:
    import numpy as np
    from keras import ops

    return ops.take(x, np.array(attributes["indices"], np.int64), attributes["axis"])


def _pad(attributes: Attributes, x: Tensor) -> Tensor:
    from keras import ops

    sides = [[0, 0], *attributes["sides"]]
    if attributes["mode"] == "reflect":
        return ops.pad(x, sides, "reflect")
    return ops.pad(x, sides, constant_values=attributes["value"])


def _mean(attributes: Attributes, x: Tensor) -> Tensor:
    from keras import ops

    return ops.mean(x, tuple(attributes["axes"]), keepdims=attributes["keepdims"])


def _max(attributes: Attributes, x: Tensor) -> Tensor:
    from keras import ops

    return ops.max(x, tuple(attributes["axes"]), keepdims=attributes["keepdims"])


def _concatenate(attributes: Attributes, *values: Tensor) -> Tensor:
    from keras import ops

    return ops.concatenate(values, attributes["axis"])


def _named(name: str, **renamed: str) -> Callable[..., Tensor]:
    """Return a function of ``keras.ops`` as an operation. renamed: its argument for an attribute of another name."""

    def run(attributes: Attributes, *values: Tensor) -> Tensor:
        import keras

        return getattr(keras.ops, name)(*values, **{renamed.get(key, key): one for key, one in attributes.items()})

    return run


# ---------------------------------------------------------------- the table


@dataclass(frozen=True)
class OperationOfOnnx:
    """What is known of one operation of a stored graph."""

    run: Callable[..., Tensor]
    """(attributes, *inputs) -> output."""
    attributes: Mapping[str, Allows] = field(default_factory=dict)
    """Its attributes, all of them, each with its check."""
    inputs: tuple[int, ...] = (1,)
    """How many inputs it may have; none for one or more."""
    prepare: Callable[..., tuple[NDArray[Any], ...]] | None = None
    """(attributes, *arrays) -> the arrays that ``run`` takes: all inputs but the first, which then must be arrays."""
    affine: Callable[[list[bool]], bool] = lambda live: False
    """Which inputs are values, not arrays -> whether the operation is affine in them."""


def _always(live: list[bool]) -> bool:
    return True


def _in_one(live: list[bool]) -> bool:
    return sum(live) == 1


def _in_first(live: list[bool]) -> bool:
    return live == [True, False]


_WINDOW = list_of(whole_number(1, 4096), 1, 2)
_SIDES = list_of(whole_number(0, 4096), 2, 4)
_AXIS = whole_number(1, 8)
_AXES: dict[str, Allows] = {"axes": list_of(_AXIS, *range(1, 8)), "keepdims": is_flag}
_SIZE = whole_number(0, 1 << 26)
_INDICES = either(_SIZE, list_of(_SIZE), list_of(list_of(_SIZE)))
_EXTRA = list_of(whole_number(0, 4096), 1, 2)
_POOL: dict[str, Allows] = {"kernel_shape": _WINDOW, "strides": _WINDOW, "pads": _SIDES}
_CONV: dict[str, Allows] = {
    **{"strides": _WINDOW, "dilations": _WINDOW, "pads": _SIDES, "group": whole_number(1, 1 << 16)},
}
_EDGE = either(is_number, one_of(None))
_PAD: dict[str, Allows] = {
    "sides": list_of(list_of(whole_number(0, 4096), 2), *range(1, 8)),
    **{"mode": one_of("constant", "reflect"), "value": is_number},
}

ONNX_OPERATIONS: dict[str, OperationOfOnnx] = {
    **{name: OperationOfOnnx(_named(name.lower())) for name in ("Abs", "Exp", "Log", "Relu", "Sigmoid", "Softplus")},
    **{name: OperationOfOnnx(_named(name.lower())) for name in ("Erf", "Softsign", "Sqrt", "Tanh")},
    "Add": OperationOfOnnx(_named("add"), inputs=(2,), affine=_always),
    "AveragePool": OperationOfOnnx(average_pool, {**_POOL, "extra": _EXTRA, "include": is_flag}, affine=_always),
    "BatchNormalization": OperationOfOnnx(_normalise, {"epsilon": is_number}, (5,), _join_moments, _always),
    "Clip": OperationOfOnnx(_clip, {"min": _EDGE, "max": _EDGE}),
    "Concat": OperationOfOnnx(_concatenate, {"axis": _AXIS}, (), affine=_always),
    "Conv": OperationOfOnnx(convolve, _CONV, (2, 3), turn_kernel, _always),
    "ConvTranspose": OperationOfOnnx(convolve_transposed, {**_CONV, "extra": _EXTRA}, (2, 3), turn_transposed, _always),
    "DepthwiseConv": OperationOfOnnx(convolve_depthwise, _CONV, (2, 3), turn_depthwise, _always),
    "Div": OperationOfOnnx(_named("divide"), inputs=(2,), affine=_in_first),
    "Elu": OperationOfOnnx(_named("elu"), {"alpha": is_number}),
    "Gather": OperationOfOnnx(_gather, {"axis": _AXIS, "indices": _INDICES}, affine=_always),
    "Gelu": OperationOfOnnx(_named("gelu"), {"approximate": is_flag}),
    "Gemm": OperationOfOnnx(
        _gemm, {"alpha": is_number, "beta": is_number, "transB": is_flag}, (2, 3), _turn_matrix, _always
    ),
    "HardSigmoid": OperationOfOnnx(_hard_sigmoid, {"alpha": is_number, "beta": is_number}),
    "HardSwish": OperationOfOnnx(_named("hard_silu")),
    "LayerNormalization": OperationOfOnnx(_normalise_layer, {"axis": _AXIS, "epsilon": is_number}, (2, 3)),
    "LeakyRelu": OperationOfOnnx(_named("leaky_relu", alpha="negative_slope"), {"alpha": is_number}),
    "LogSoftmax": OperationOfOnnx(_named("log_softmax"), {"axis": _AXIS}),
    "MatMul": OperationOfOnnx(_named("matmul"), inputs=(2,), affine=_in_one),
    "Max": OperationOfOnnx(_named("maximum"), inputs=(2,)),
    "MaxPool": OperationOfOnnx(max_pool, _POOL),
    "Mish": OperationOfOnnx(_mish),
    "Min": OperationOfOnnx(_named("minimum"), inputs=(2,)),
    "Mul": OperationOfOnnx(_named("multiply"), inputs=(2,), affine=_in_one),
    "Neg": OperationOfOnnx(_named("negative"), affine=_always),
    "Pow": OperationOfOnnx(_named("power"), inputs=(2,)),
    "PRelu": OperationOfOnnx(_prelu, {}, (2,)),
    "Pad": OperationOfOnnx(_pad, _PAD, affine=_always),
    "ReduceMax": OperationOfOnnx(_max, _AXES),
    "ReduceMean": OperationOfOnnx(_mean, _AXES, affine=_always),
    "Repeat": OperationOfOnnx(_repeat, {"times": list_of(whole_number(1, 4096), *range(1, 8))}, affine=_always),
    "Reshape": OperationOfOnnx(_reshape, {"shape": list_of(whole_number(1, 1 << 26), *range(8))}, affine=_always),
    "Selu": OperationOfOnnx(_selu, {"alpha": is_number, "gamma": is_number}),
    "Slice": OperationOfOnnx(_slice, {"axis": _AXIS, "start": _SIZE, "stop": _SIZE}, affine=_always),
    "Softmax": OperationOfOnnx(_named("softmax"), {"axis": _AXIS}),
    "Sub": OperationOfOnnx(_named("subtract"), inputs=(2,), affine=_always),
    "Transpose": OperationOfOnnx(
        _named("transpose", order="axes"), {"order": list_of(whole_number(0, 8), *range(2, 9))}, affine=_always
    ),
}
"""By name: mostly the standard operator's whose meaning it has."""
