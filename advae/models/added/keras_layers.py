"""Layers of Keras that an added model may have: their settings, the shapes of their weights, and what is affine.

A layer is made by its class's constructor with these settings alone. Nothing is looked up by a name that is not here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from advae.models.added.setting_checks import (
    MAX_WINDOW,
    Allows,
    either,
    is_flag,
    is_number,
    list_of,
    one_of,
    whole_number,
)

Settings = Mapping[str, Any]
LayerShape = tuple[int, ...]

MAX_UNITS = 1 << 24
"""Most units, filters or groups."""


def _ascending(value: Any) -> bool:
    """Return whether up to three axes are in order, all counted from the same end."""
    return list_of(_AXIS, 0, 1, 2, 3)(value) and value == sorted(value) and len({axis < 0 for axis in value}) <= 1


_NONE = one_of(None)
_WINDOW = whole_number(1, MAX_WINDOW)
_MARGIN = whole_number(0, MAX_WINDOW)
_AXIS = whole_number(-32, 32)
_COUNT = whole_number(1, MAX_UNITS)
_FORMAT = one_of("channels_last", "channels_first")
_FORMATTED: dict[str, Allows] = {"data_format": _FORMAT}

ACTIVATIONS_OF_KERAS = (
    *("linear", "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "softplus", "softsign"),
    *("sigmoid", "hard_sigmoid", "hard_silu", "tanh", "hard_tanh", "exponential", "softmax", "log_softmax"),
    *("log_sigmoid", "squareplus", "sparse_plus"),
)
"""Activations by the name that Keras saves."""

ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}


# ---------------------------------------------------------------- shapes of weights


def _channels(config: Settings, shape: LayerShape) -> int:
    return shape[0] if config.get("data_format") == "channels_first" else shape[-1]


def _bias(config: Settings, size: int) -> list[LayerShape]:
    return [(size,)] if config.get("use_bias", True) else []


def _dense(config: Settings, shape: LayerShape) -> list[LayerShape]:
    return [(shape[-1], config["units"]), *_bias(config, config["units"])]


def _conv(config: Settings, shape: LayerShape) -> list[LayerShape]:
    inputs = _channels(config, shape) // config.get("groups", 1)
    return [(*config["kernel_size"], inputs, config["filters"]), *_bias(config, config["filters"])]


def _transposed_conv(config: Settings, shape: LayerShape) -> list[LayerShape]:
    filters = config["filters"]
    return [(*config["kernel_size"], filters, _channels(config, shape)), *_bias(config, filters)]


def _depthwise_conv(config: Settings, shape: LayerShape) -> list[LayerShape]:
    inputs, multiplier = _channels(config, shape), config["depth_multiplier"]
    return [(*config["kernel_size"], inputs, multiplier), *_bias(config, inputs * multiplier)]


def _separable_conv(config: Settings, shape: LayerShape) -> list[LayerShape]:
    first, filters = _depthwise_conv({**config, "use_bias": False}, shape), config["filters"]
    mixed = _channels(config, shape) * config["depth_multiplier"]
    return [*first, (*(1 for _ in config["kernel_size"]), mixed, filters), *_bias(config, filters)]


def sizes_of_axes(axes: int | Sequence[int], shape: LayerShape) -> LayerShape:
    """Return the sizes along some axes, counted with the batch as axis 0. Raises IndexError for another axis."""
    batched = (1, *shape)
    return tuple(batched[axis] for axis in ([axes] if isinstance(axes, int) else axes))


def _normalised(config: Settings, shape: LayerShape) -> list[LayerShape]:
    """Return the shapes of scale and shift."""
    size = sizes_of_axes(config["axis"], shape)
    return [size] * (config.get("scale", True) + config.get("center", True))


def _scaled(config: Settings, shape: LayerShape) -> list[LayerShape]:
    return [sizes_of_axes(config["axis"], shape)]


def _batch_normalised(config: Settings, shape: LayerShape) -> list[LayerShape]:
    return [*_normalised(config, shape), *[sizes_of_axes(config["axis"], shape)] * 2]


def _prelu(config: Settings, shape: LayerShape) -> list[LayerShape]:
    shared = config.get("shared_axes") or []
    return [tuple(1 if axis in shared else size for axis, size in enumerate(shape, 1))]


def _standardised(config: Settings, shape: LayerShape) -> list[LayerShape]:
    """Return the shapes of mean and variance."""
    return [sizes_of_axes(config["axis"] or [], shape)] * 2


# ---------------------------------------------------------------- the tables


@dataclass(frozen=True)
class LayerRow:
    """What is known of one class of ``keras.layers``."""

    settings: Mapping[str, Allows] = field(default_factory=dict)
    """The constructor's arguments that are kept, each with its check."""
    weights: Callable[[Settings, LayerShape], list[LayerShape]] = lambda config, shape: []
    """(settings, input shape without the batch) -> shapes of the weights in Keras' order."""
    affine: bool = False
    """Whether the layer is affine in its inputs, whatever its settings."""
    inputs: int | None = 1
    """How many inputs it has; None for a list of two or more."""


def _window(axes: int, name: str, *paddings: str) -> dict[str, Allows]:
    pair = list_of(_WINDOW, axes)
    return {name: pair, "strides": pair, "padding": one_of(*(paddings or ("valid", "same"))), "data_format": _FORMAT}


def _convolution(axes: int, *paddings: str, **more: Allows) -> dict[str, Allows]:
    settings = {**_window(axes, "kernel_size", *paddings), "dilation_rate": list_of(_WINDOW, axes), "use_bias": is_flag}
    return settings | more


_SCALED: dict[str, Allows] = {"epsilon": is_number, "center": is_flag, "scale": is_flag}
_AXES = either(_AXIS, list_of(_AXIS, 1, 2, 3))
_TRANSPOSED: Allows = either(_NONE, _MARGIN, list_of(_MARGIN, 1, 2))
_VALUES = either(is_number, list_of(is_number))
_MERGED = LayerRow(affine=True, inputs=None)
_POOLED = {"data_format": _FORMAT, "keepdims": is_flag}
_SIDES = list_of(list_of(_MARGIN, 2), 2)
_RESIZED = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")

LAYERS: dict[str, LayerRow] = {
    "Activation": LayerRow({"activation": one_of(*ACTIVATIONS_OF_KERAS)}),
    "Add": _MERGED,
    "Average": _MERGED,
    "AveragePooling1D": LayerRow(_window(1, "pool_size"), affine=True),
    "AveragePooling2D": LayerRow(_window(2, "pool_size"), affine=True),
    "BatchNormalization": LayerRow({"axis": _AXIS, **_SCALED}, _batch_normalised, affine=True),
    "CenterCrop": LayerRow({"height": _WINDOW, "width": _WINDOW, **_FORMATTED}, affine=True),
    "Concatenate": LayerRow({"axis": _AXIS}, affine=True, inputs=None),
    "Conv1D": LayerRow(_convolution(1, "valid", "same", "causal", filters=_COUNT, groups=_COUNT), _conv, affine=True),
    "Conv1DTranspose": LayerRow(
        _convolution(1, filters=_COUNT, output_padding=_TRANSPOSED), _transposed_conv, affine=True
    ),
    "Conv2D": LayerRow(_convolution(2, filters=_COUNT, groups=_COUNT), _conv, affine=True),
    "Conv2DTranspose": LayerRow(
        _convolution(2, filters=_COUNT, output_padding=_TRANSPOSED), _transposed_conv, affine=True
    ),
    "Cropping1D": LayerRow({"cropping": list_of(_MARGIN, 2)}, affine=True),
    "Cropping2D": LayerRow({"cropping": _SIDES, **_FORMATTED}, affine=True),
    "Dense": LayerRow({"units": _COUNT, "use_bias": is_flag}, _dense, affine=True),
    "DepthwiseConv2D": LayerRow(_convolution(2, depth_multiplier=_COUNT), _depthwise_conv, affine=True),
    "Dot": LayerRow({"axes": either(_AXIS, list_of(_AXIS, 2)), "normalize": is_flag}, inputs=None),
    "ELU": LayerRow({"alpha": is_number}),
    "Flatten": LayerRow(_FORMATTED, affine=True),
    "GlobalAveragePooling1D": LayerRow(_POOLED, affine=True),
    "GlobalAveragePooling2D": LayerRow(_POOLED, affine=True),
    "GlobalMaxPooling1D": LayerRow(_POOLED),
    "GlobalMaxPooling2D": LayerRow(_POOLED),
    "GroupNormalization": LayerRow({"groups": whole_number(-1, MAX_UNITS), "axis": _AXIS, **_SCALED}, _normalised),
    "LayerNormalization": LayerRow({"axis": _AXES, **_SCALED}, _normalised),
    "LeakyReLU": LayerRow({"negative_slope": is_number}),
    "MaxPooling1D": LayerRow(_window(1, "pool_size")),
    "MaxPooling2D": LayerRow(_window(2, "pool_size")),
    "Maximum": LayerRow(inputs=None),
    "Minimum": LayerRow(inputs=None),
    "Multiply": LayerRow(inputs=None),
    "Normalization": LayerRow({"axis": either(_NONE, _ascending), "invert": is_flag}, _standardised, affine=True),
    "PReLU": LayerRow({"shared_axes": either(_NONE, list_of(_AXIS, 1, 2, 3))}, _prelu),
    "Permute": LayerRow({"dims": list_of(whole_number(1, 8), 1, 2, 3)}, affine=True),
    "RMSNormalization": LayerRow({"axis": _AXES, "epsilon": is_number}, _scaled),
    "ReLU": LayerRow({"max_value": either(_NONE, is_number), "negative_slope": is_number, "threshold": is_number}),
    "RepeatVector": LayerRow({"n": _WINDOW}, affine=True),
    "Rescaling": LayerRow({"scale": _VALUES, "offset": _VALUES}, affine=True),
    "Reshape": LayerRow({"target_shape": list_of(whole_number(-1, 1 << 31), 1, 2, 3, 4)}, affine=True),
    "Resizing": LayerRow(
        {
            **{"height": _WINDOW, "width": _WINDOW, "interpolation": one_of(*_RESIZED), **_FORMATTED},
            **{"crop_to_aspect_ratio": is_flag, "pad_to_aspect_ratio": is_flag, "antialias": is_flag},
            **{"fill_mode": one_of("constant"), "fill_value": is_number},
        }
    ),
    "SeparableConv2D": LayerRow(_convolution(2, filters=_COUNT, depth_multiplier=_COUNT), _separable_conv, affine=True),
    "Softmax": LayerRow({"axis": _AXES}),
    "Subtract": _MERGED,
    "UnitNormalization": LayerRow({"axis": _AXES}),
    "UpSampling1D": LayerRow({"size": _WINDOW}, affine=True),
    "UpSampling2D": LayerRow(
        {"size": list_of(_WINDOW, 2), "interpolation": one_of(*_RESIZED), **_FORMATTED}, affine=True
    ),
    "ZeroPadding1D": LayerRow({"padding": list_of(_MARGIN, 2), **_FORMATTED}, affine=True),
    "ZeroPadding2D": LayerRow({"padding": _SIDES, **_FORMATTED}, affine=True),
}
"""Classes of ``keras.layers``. An activation inside a layer becomes a layer of its own."""

IDENTITIES = frozenset(
    (
        *("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "Identity"),
        *("SpatialDropout1D", "SpatialDropout2D", "RandomBrightness", "RandomContrast", "RandomFlip"),
        *("RandomRotation", "RandomTranslation", "RandomZoom"),
    )
)
"""Layers that return their input when the model is not trained: they are left out."""


@dataclass(frozen=True)
class OperationRow:
    """What is known of one function of ``keras.ops`` that a model calls without a layer."""

    function: str
    """Its name in ``keras.ops``."""
    operands: int = 1
    """How many tensors or constants it takes."""
    settings: Mapping[str, Allows] = field(default_factory=dict)
    """The other arguments that are kept, each with its check."""


OPERATIONS: dict[str, OperationRow] = {
    **{name: OperationRow(name.lower(), 2) for name in ("Add", "Subtract", "Multiply", "Divide", "Maximum", "Minimum")},
    **{name: OperationRow(name.lower()) for name in ("Relu", "Relu6", "Sigmoid", "Silu", "Softplus", "Tanh", "Selu")},
    "Elu": OperationRow("elu", settings={"alpha": is_number}),
    "Gelu": OperationRow("gelu", settings={"approximate": is_flag}),
    "LeakyRelu": OperationRow("leaky_relu", settings={"negative_slope": is_number}),
    "LogSoftmax": OperationRow("log_softmax", settings={"axis": _AXIS}),
    "Softmax": OperationRow("softmax", settings={"axis": _AXIS}),
    "TrueDivide": OperationRow("true_divide", 2),
}
"""Classes of ``keras.ops``, as ``x + y`` and ``x / 255.0`` are saved."""
