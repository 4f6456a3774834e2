"""What stands between our images and an added model: layout and range of its input, and the meaning of its output."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from advae.batching import Tensor
from advae.errors import UsageError

if TYPE_CHECKING:
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
    """Return the function from images, float32 (n, d) in [0, 1], to the input of a model, float32 (n, *takes)."""
    import tensorflow as tf

    low, high = options.input_range
    mean, std = options.mean or (0.0,), options.std or (1.0,)
    scale = tf.constant([(high - low) / one for one in _spread(std, shape)], tf.float32)
    shift = tf.constant([(low - m) / s for m, s in zip(*(_spread(v, shape) for v in (mean, std)), strict=True)])
    plain = (low, high) == (0.0, 1.0) and options.mean is None and options.std is None

    def prepare(x: Tensor) -> Tensor:
        images = tf.reshape(x, (-1, *shape))
        # Multiplied by 1 and moved by 0, a float32 is the same, but the operations cost time.
        moved = images if plain else images * scale + tf.cast(shift, tf.float32)
        ordered = tf.transpose(moved, (0, 3, 1, 2)) if options.channels == "first" else moved
        return tf.reshape(ordered, (-1, *options.takes))

    return prepare


def _spread(values: tuple[float, ...], shape: ImageShape) -> tuple[float, ...]:
    return values if len(values) == shape.channels else values[:1] * shape.channels


def read_outputs(options: AddedOptions, shape: ImageShape, outputs: Tensor) -> Tensor:
    """Return logits, float32 (n, classes), or images, float32 (n, d) in [0, 1], of a model's output.

    A single score z of two classes becomes [0, z], a probability p of two classes [log(1 - p), log p].
    """
    import tensorflow as tf

    if options.outputs == "images":
        return _read_images(options, shape, outputs)
    if outputs.shape.rank != 2:
        outputs = tf.reshape(outputs, (tf.shape(outputs)[0], math.prod(outputs.shape[1:]) if outputs.shape.rank else 1))
    if options.outputs == "probabilities":
        both = tf.concat([1.0 - outputs, outputs], axis=-1) if outputs.shape[-1] == 1 else outputs
        logits = tf.math.log(tf.maximum(both, SMALLEST_PROBABILITY))
    else:
        logits = tf.concat([tf.zeros_like(outputs), outputs], axis=-1) if outputs.shape[-1] == 1 else outputs
    return logits if options.order is None else tf.gather(logits, options.order, axis=-1)


def _read_images(options: AddedOptions, shape: ImageShape, outputs: Tensor) -> Tensor:
    """Return the images of a purifier whose output has the layout and the range of its input."""
    import tensorflow as tf

    height, width, depth = shape
    if options.channels == "first":
        outputs = tf.transpose(tf.reshape(outputs, (-1, depth, height, width)), (0, 2, 3, 1))
    low, high = options.input_range
    images = tf.reshape(outputs, (-1, *shape))
    if options.mean or options.std:
        images = images * _spread(options.std or (1.0,), shape) + _spread(options.mean or (0.0,), shape)
    if (low, high) != (0.0, 1.0):
        images = (images - low) / (high - low)
    return tf.reshape(images, (-1, shape.size))
