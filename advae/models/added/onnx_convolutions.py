"""Convolutions and pools of an ``.onnx`` file in ``keras.ops``.

Images are (n, c, ...). The channels are moved to the end and back, because TensorFlow computes no other convolutions on
a processor. ``pads`` are numbers before each axis, then after each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from advae.batching import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

Attributes = Mapping[str, Any]
"""Attributes of an operation of a stored graph."""

LOWEST = -3.4028234663852886e38
"""Padding of maxima: the lowest float32, whose gradient is zero, where infinity would make NaN."""


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


def turn_kernel(attributes: Attributes, kernel: NDArray[Any], *bias: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Return a kernel (m, c / group, ...) dilated, and as TensorFlow takes it: (..., c / group, m)."""
    wide = _dilate(kernel, attributes["dilations"])
    return wide.transpose(*range(2, wide.ndim), 1, 0), *bias


def convolve(attributes: Attributes, x: Tensor, kernel: Any, bias: Any = None) -> Tensor:
    """Return a convolution; kernel: (..., c / group, m)."""
    from keras import ops

    y = _pad_sides(_to_last(x), attributes["pads"])
    y = ops.conv(y, kernel, tuple(attributes["strides"]), "valid", "channels_last")
    return _to_first(y if bias is None else y + bias)


def turn_depthwise(attributes: Attributes, kernel: NDArray[Any], *bias: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Return the kernel (m, 1, ...) of as many groups as channels as TensorFlow takes it: (..., c, m / c)."""
    wide, group = _dilate(kernel, attributes["dilations"]), attributes["group"]
    split = wide.reshape(group, -1, *wide.shape[2:])
    return split.transpose(*range(2, split.ndim), 0, 1), *bias


def convolve_depthwise(attributes: Attributes, x: Tensor, kernel: Any, bias: Any = None) -> Tensor:
    """Return a convolution with as many groups as channels; kernel: (..., c, m / c)."""
    from keras import ops

    y = _pad_sides(_to_last(x), attributes["pads"])
    y = ops.depthwise_conv(y, kernel, tuple(attributes["strides"]), "valid", "channels_last")
    return _to_first(y if bias is None else y + bias)


def turn_transposed(attributes: Attributes, kernel: NDArray[Any], *bias: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Return the kernel (c, m, ...) of a transposed convolution dilated, and as TensorFlow takes it: (..., m, c)."""
    wide = _dilate(kernel, attributes["dilations"])
    return wide.transpose(*range(2, wide.ndim), 1, 0), *bias


def convolve_transposed(attributes: Attributes, x: Tensor, kernel: Any, bias: Any = None) -> Tensor:
    """Return a transposed convolution; kernel: (..., m, c). ``pads`` are cut off, ``extra`` zeros added at the end."""
    from keras import ops

    y = ops.conv_transpose(_to_last(x), kernel, tuple(attributes["strides"]), "valid", None, "channels_last")
    pads, extra = attributes["pads"], attributes["extra"]
    half = len(extra)
    y = _pad_sides(y, [0] * half + extra)
    ends = [size - pads[n + half] for n, size in enumerate(y.shape[1:-1])]
    y = y[(slice(None), *(slice(pads[n], end) for n, end in enumerate(ends)))]
    return _to_first(y if bias is None else y + bias)


def max_pool(attributes: Attributes, x: Tensor) -> Tensor:
    """Return the largest values of windows."""
    from keras import ops

    y = _pad_sides(_to_last(x), attributes["pads"], LOWEST)
    return _to_first(ops.max_pool(y, tuple(attributes["kernel_shape"]), tuple(attributes["strides"]), "valid"))


def average_pool(attributes: Attributes, x: Tensor) -> Tensor:
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
