"""What stands between our images and an added model: layout and range of its input, and the meaning of its output."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from advae.batching import Tensor
from advae.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import AddedOptions, ImageShape

SMALLEST_PROBABILITY = 1e-30
"""Probabilities below it count as it, since the logarithm of 0 is infinite."""

Layout = tuple[tuple[int, ...], str]
"""Shape of one input, and where its channels are."""


def list_layouts(takes: tuple[int | None, ...], shape: ImageShape, channels: str | None) -> list[Layout]:
    """Return the ways in which images of a shape can become the input of a model.

    takes: the shape that the model's file gives, None for a size that it leaves open. channels: first or last, where
    the user says so. Raises UsageError, which names both shapes, where there is no way.
    """
    height, width, depth = shape
    forms: list[Layout] = [((height, width, depth), "last"), ((depth, height, width), "first")]
    if shape.is_grey:
        forms.append(((height, width), "last"))
    forms += [((shape.size,), order) for order in (("last",) if shape.is_grey else ("last", "first"))]
    fitting = [form for form in forms if len(form[0]) == len(takes) and all(map(_fits, takes, form[0]))]
    chosen = [form for form in fitting if channels in (None, form[1])]
    # One pixel high or wide, both orders are one shape.
    if shape.is_grey and len(chosen) > 1:
        chosen = chosen[:1]
    if chosen:
        return chosen
    if fitting:
        raise UsageError(f"--channels {channels} does not fit: the model takes {show(takes)}, channels {fitting[0][1]}")
    hint = "; give the images that it was trained on, or resize them with --resize" if len(takes) > 1 else ""
    raise UsageError(f"the model takes {show(takes)} for an image, the dataset has images of {shape} pixels{hint}")


def _fits(size: int | None, wanted: int) -> bool:
    return size is None or size == wanted


def show(takes: tuple[int | None, ...]) -> str:
    """Return ``28 x 28 x 1``; ``any`` for a size that is open."""
    return " x ".join("any" if size is None else str(size) for size in takes)


def make_input(options: AddedOptions, shape: ImageShape) -> Callable[[Tensor], Tensor]:
    """Return the function from images, float32 (n, d) in [0, 1], to the input of a model, float32 (n, *takes).

    In ``keras.ops``, so that a ``keras.Input`` can take the place of the images.
    """
    import numpy as np
    from keras import ops

    low, high = options.input_range
    mean, std = _list_statistics(options, shape)
    scale, shift = ((high - low) / std).astype(np.float32), ((low - mean) / std).astype(np.float32)
    raw = (low, high) == (0.0, 1.0) and options.mean is None and options.std is None

    def prepare(x: Tensor) -> Tensor:
        images = ops.reshape(x, (-1, *shape))
        # Multiplied by 1 and moved by 0, a float32 is the same, but the operations cost time.
        moved = images if raw else images * scale + shift
        ordered = ops.transpose(moved, (0, 3, 1, 2)) if options.channels == "first" else moved
        return ops.reshape(ordered, (-1, *options.takes))

    return prepare


def _list_statistics(options: AddedOptions, shape: ImageShape) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and deviation of each channel, float64 (channels,): 0 and 1 where there is none."""
    import numpy as np

    mean, std = options.mean or (0.0,), options.std or (1.0,)
    return np.broadcast_to(mean, (shape.channels,)).astype(float), np.broadcast_to(std, (shape.channels,)).astype(float)


def read_outputs(options: AddedOptions, shape: ImageShape, outputs: Tensor) -> Tensor:
    """Return logits, float32 (n, classes), or images, float32 (n, d) in [0, 1], of a model's output.

    A single score z of two classes becomes [0, z], a probability p of two classes [log(1 - p), log p].
    """
    from keras import ops

    if options.outputs == "images":
        return _read_images(options, shape, outputs)
    if len(outputs.shape) != 2:
        outputs = ops.reshape(outputs, (-1, math.prod(outputs.shape[1:])))
    if options.outputs == "probabilities":
        both = ops.concatenate([1.0 - outputs, outputs], axis=-1) if outputs.shape[-1] == 1 else outputs
        logits = ops.log(ops.maximum(both, SMALLEST_PROBABILITY))
    else:
        single = outputs.shape[-1] == 1
        logits = ops.concatenate([ops.zeros_like(outputs), outputs], axis=-1) if single else outputs
    return logits if options.order is None else ops.take(logits, list(options.order), axis=-1)


def _read_images(options: AddedOptions, shape: ImageShape, outputs: Tensor) -> Tensor:
    """Return the images of a purifier whose output has the layout and the range of its input."""
    import numpy as np
    from keras import ops

    height, width, depth = shape
    if options.channels == "first":
        outputs = ops.transpose(ops.reshape(outputs, (-1, depth, height, width)), (0, 2, 3, 1))
    (low, high), images = options.input_range, ops.reshape(outputs, (-1, *shape))
    if options.mean or options.std:
        mean, std = _list_statistics(options, shape)
        images = images * std.astype(np.float32) + mean.astype(np.float32)
    if (low, high) != (0.0, 1.0):
        images = (images - low) / (high - low)
    return ops.reshape(images, (-1, shape.size))
