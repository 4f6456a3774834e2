"""Operations that an ``.onnx`` file becomes, in ``keras.ops``: differentiable, images first, and their settings.

Images keep their layout, mostly (n, c, h, w); a convolution moves the channels to the end and back, because TensorFlow
computes others on no processor. Axes are counted with the batch, which is axis 0 and stays it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from advae.batching import Tensor
from advae.models.added.setting_checks import Allows, either, is_flag, is_number, list_of, one_of, whole_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

Attributes = Mapping[str, Any]

LOWEST = -3.4028234663852886e38
"""Padding of maxima: the lowest float32, whose gradient is zero, where infinity would make NaN."""


# ---------------------------------------------------------------- windows over images


def _to_last(x: Tensor) -> Tensor:
    from keras import ops

    return ops.transpose(x, (0, *range(2, len(x.shape)), 1))


def _to_first(x: Tensor) -> Tensor:
    from keras import ops

    return ops.transpose(x, (0, len(x.shape) - 1, *range(1, len(x.shape) - 1)))


def _pad_sides(x: Tensor, pads: list[int], value: float = 0.0) -> Tensor:
    """Return images, channels last, with padding. pads: before each axis, then after each, as ONNX has them."""
    from keras import ops

    if not any(pads):
        return x
    half = len(pads) // 2
    sides = [[pads[axis], pads[axis + half]] for axis in range(half)]
    return ops.pad(x, [[0, 0], *sides, [0, 0]], constant_values=value)


def _dilate(kernel: NDArray[Any], dilations: list[int]) -> NDArray[Any]:
    """Return a kernel (m, c, ...) with zeros between its values: TensorFlow has no gradient of dilated strides."""
    import numpy as np

    if all(one == 1 for one in dilations):
        return kernel
    sides = [(size - 1) * one + 1 for size, one in zip(kernel.shape[2:], dilations, strict=True)]
    wide = np.zeros((*kernel.shape[:2], *sides), kernel.dtype)
    wide[(slice(None), slice(None), *(slice(None, None, one) for one in dilations))] = kernel
    return wide


def _convolve(attributes: Attributes, x: Tensor, kernel: Any, bias: Any = None) -> Tensor:
    """Return a convolution. kernel: (m, c / group, ...)."""
    import numpy as np
    from keras import ops

    group, strides, kernel = attributes["group"], tuple(attributes["strides"]), _dilate(kernel, attributes["dilations"])
    y, axes = _pad_sides(_to_last(x), attributes["pads"]), tuple(range(2, kernel.ndim))
    if group > 1 and kernel.shape[1] == 1 and len({*strides}) == 1 and x.shape[1] == group:
        split = kernel.reshape(group, kernel.shape[0] // group, *kernel.shape[2:])
        y = ops.depthwise_conv(y, split.transpose(*axes, 0, 1), strides, "valid", "channels_last")
    else:
        y = ops.conv(y, kernel.transpose(*axes, 1, 0), strides, "valid", "channels_last")
    return _to_first(y if bias is None else y + np.asarray(bias))


def _max_pool(attributes: Attributes, x: Tensor) -> Tensor:
    from keras import ops

    y = _pad_sides(_to_last(x), attributes["pads"], LOWEST)
    return _to_first(ops.max_pool(y, tuple(attributes["kernel_shape"]), tuple(attributes["strides"]), "valid"))


def _average_pool(attributes: Attributes, x: Tensor) -> Tensor:
    """Return averages over windows; beyond ``pads``, ``extra`` zeros at the end are never counted."""
    import numpy as np
    from keras import ops

    kernel, strides, pads, extra = (attributes[name] for name in ("kernel_shape", "strides", "pads", "extra"))
    half, shape = len(kernel), x.shape[2:]
    ends = [after + more for after, more in zip(pads[half:], extra, strict=True)]
    y = _pad_sides(_to_last(x), [*pads[:half], *ends])
    y = ops.average_pool(y, tuple(kernel), tuple(strides), "valid")
    share = np.ones((), np.float32)
    for axis in range(half):
        starts = np.arange(y.shape[axis + 1]) * strides[axis] - pads[axis]
        low, high = (-pads[axis], shape[axis] + pads[axis + half]) if attributes["include"] else (0, shape[axis])
        count = np.minimum(starts + kernel[axis], high) - np.maximum(starts, low)
        share = share[..., None] * (kernel[axis] / np.maximum(count, 1)).astype(np.float32)
    return _to_first(y * share[..., None])


# ---------------------------------------------------------------- other operations


def _normalise(attributes: Attributes, x: Tensor, scale: Any, shift: Any, mean: Any, variance: Any) -> Tensor:
    """Return batch normalisation by stored means and variances."""
    import numpy as np

    factor = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + attributes["epsilon"])
    after = shift - mean * factor
    sides = (-1, *(1 for _ in x.shape[2:]))
    return x * factor.astype(np.float32).reshape(sides) + after.astype(np.float32).reshape(sides)


def _gemm(attributes: Attributes, a: Tensor, b: Any, c: Any = None) -> Tensor:
    from keras import ops

    y = ops.matmul(a, b.T if attributes["transB"] else b)
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
    constants: tuple[int, ...] = ()
    """Which of them are arrays; any other may be one too."""
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
_POOL: dict[str, Allows] = {"kernel_shape": _WINDOW, "strides": _WINDOW, "pads": _SIDES}
_EDGE = either(is_number, one_of(None))
_PAD: dict[str, Allows] = {
    "sides": list_of(list_of(whole_number(0, 4096), 2), *range(1, 8)),
    **{"mode": one_of("constant", "reflect"), "value": is_number},
}

ONNX_OPERATIONS: dict[str, OperationOfOnnx] = {
    **{name: OperationOfOnnx(_named(name.lower())) for name in ("Abs", "Exp", "Log", "Relu", "Sigmoid", "Softplus")},
    **{name: OperationOfOnnx(_named(name.lower())) for name in ("Erf", "Softsign", "Sqrt", "Tanh")},
    "Add": OperationOfOnnx(_named("add"), inputs=(2,), affine=_always),
    "AveragePool": OperationOfOnnx(
        _average_pool, {**_POOL, "extra": list_of(whole_number(0, 4096), 1, 2), "include": is_flag}, affine=_always
    ),
    "BatchNormalization": OperationOfOnnx(_normalise, {"epsilon": is_number}, (5,), (1, 2, 3, 4), _always),
    "Clip": OperationOfOnnx(_clip, {"min": _EDGE, "max": _EDGE}),
    "Concat": OperationOfOnnx(_concatenate, {"axis": _AXIS}, (), affine=_always),
    "Conv": OperationOfOnnx(
        _convolve,
        {"strides": _WINDOW, "dilations": _WINDOW, "pads": _SIDES, "group": whole_number(1, 1 << 16)},
        *((2, 3), (1, 2), _always),
    ),
    "Div": OperationOfOnnx(_named("divide"), inputs=(2,), affine=_in_first),
    "Elu": OperationOfOnnx(_named("elu"), {"alpha": is_number}),
    "Gather": OperationOfOnnx(_gather, {"axis": _AXIS, "indices": _INDICES}, affine=_always),
    "Gelu": OperationOfOnnx(_named("gelu"), {"approximate": is_flag}),
    "Gemm": OperationOfOnnx(_gemm, {"alpha": is_number, "beta": is_number, "transB": is_flag}, (2, 3), (1, 2), _always),
    "HardSigmoid": OperationOfOnnx(_hard_sigmoid, {"alpha": is_number, "beta": is_number}),
    "HardSwish": OperationOfOnnx(_named("hard_silu")),
    "LeakyRelu": OperationOfOnnx(_named("leaky_relu", alpha="negative_slope"), {"alpha": is_number}),
    "LogSoftmax": OperationOfOnnx(_named("log_softmax"), {"axis": _AXIS}),
    "MatMul": OperationOfOnnx(_named("matmul"), inputs=(2,), affine=_in_one),
    "Max": OperationOfOnnx(_named("maximum"), inputs=(2,)),
    "MaxPool": OperationOfOnnx(_max_pool, _POOL),
    "Mish": OperationOfOnnx(_mish),
    "Min": OperationOfOnnx(_named("minimum"), inputs=(2,)),
    "Mul": OperationOfOnnx(_named("multiply"), inputs=(2,), affine=_in_one),
    "Neg": OperationOfOnnx(_named("negative"), affine=_always),
    "Pow": OperationOfOnnx(_named("power"), inputs=(2,)),
    "PRelu": OperationOfOnnx(_prelu, {}, (2,), (1,)),
    "Pad": OperationOfOnnx(_pad, _PAD, affine=_always),
    "ReduceMax": OperationOfOnnx(_max, _AXES),
    "ReduceMean": OperationOfOnnx(_mean, _AXES, affine=_always),
    "Reshape": OperationOfOnnx(_reshape, {"shape": list_of(whole_number(1, 1 << 26), *range(8))}, affine=_always),
    "Selu": OperationOfOnnx(_selu, {"alpha": is_number, "gamma": is_number}),
    "Slice": OperationOfOnnx(_slice, {"axis": _AXIS, "start": _SIZE, "stop": _SIZE}, affine=_always),
    "Softmax": OperationOfOnnx(_named("softmax"), {"axis": _AXIS}),
    "Sub": OperationOfOnnx(_named("subtract"), inputs=(2,), affine=_always),
    "Transpose": OperationOfOnnx(
        _named("transpose", order="axes"), {"order": list_of(whole_number(0, 8), *range(2, 9))}, affine=_always
    ),
}
"""By name, which is the standard operator's whose meaning it has."""
