"""Bounds computed a second time, by plain NumPy in float64 that shares no code, from the weights alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from advae.intervals import bound, bound_margins, make_box, trace_network
from advae.models.autoencoder_networks import rescale_to_intensity
from advae.models.convolutions import ConvolutionalStack
from advae.models.layers import dense_stack
from advae.records import ImageShape

EPS = 0.03
Array = np.ndarray[Any, Any]
Ends = tuple[Array, Array]


def spread_affine(ends: Ends, weights: Array, bias: Array) -> Ends:
    """Return the ends of x W + b: positive weights take the same end, negative ones the other."""
    up, down = np.maximum(weights, 0), np.minimum(weights, 0)
    low, high = ends
    return low @ up + high @ down + bias, high @ up + low @ down + bias


FUNCTIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "exponential": np.exp,
    "softplus": lambda x: np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0),
    "linear": lambda x: x,
}


def follow_dense(ends: Ends, arrays: Sequence[Array], activations: Sequence[str]) -> Ends:
    for number, name in enumerate(activations):
        low, high = spread_affine(ends, arrays[2 * number], arrays[2 * number + 1])
        ends = FUNCTIONS[name](low), FUNCTIONS[name](high)
    return ends


def write_as_matrix(shape: tuple[int, int, int], kernel: Array, stride: int) -> Array:
    """Return a convolution with padding ``same`` as a matrix, pixel by pixel, (h w c, h' w' filters)."""
    height, width, channels = shape
    rows, columns, _, filters = kernel.shape
    down, across = -(-height // stride), -(-width // stride)
    above = max((down - 1) * stride + rows - height, 0) // 2
    left = max((across - 1) * stride + columns - width, 0) // 2
    matrix = np.zeros((height, width, channels, down, across, filters))
    for i, j, a, b in np.ndindex(down, across, rows, columns):
        row, column = i * stride + a - above, j * stride + b - left
        if 0 <= row < height and 0 <= column < width:
            matrix[row, column, :, i, j] += kernel[a, b]
    return matrix.reshape(height * width * channels, -1)


def make_ends(x: Array) -> Ends:
    """Return the ends of the box, as much wider as the scorer of attacks accepts."""
    radius = EPS + 1e-6
    return np.maximum(x.astype("f8") - radius, 0), np.minimum(x.astype("f8") + radius, 1)


def randomise(network: Any, seed: int) -> list[Array]:
    """Set random weights, biases too, and return them in float64."""
    generator = np.random.default_rng(seed)
    network.set_weights([generator.normal(0, 1 / np.sqrt(one.shape[0] + 4), one.shape) for one in network.weights])
    return [one.astype("f8") for one in network.get_weights()]


def fold_last(ends: Ends, weights: Array, bias: Array, y: Array) -> Array:
    """Return the smallest differences of logits, one image and one class after the other."""
    found = np.zeros((len(y), weights.shape[1]))
    for row, label in enumerate(y):
        for other in range(weights.shape[1]):
            apart = weights[:, label] - weights[:, other]
            ends_of_row = ends[0][row], ends[1][row]
            least = np.where(apart > 0, ends_of_row[0] * apart, ends_of_row[1] * apart).sum()
            found[row, other] = least + bias[label] - bias[other]
    return found


def require_equal(function: Any, x: Array, expected: Ends, before_last: Ends, last: tuple[Array, Array]) -> None:
    """Require that the bounds without rounding agree, and that the sound ones hold them and are hardly wider."""
    import tensorflow as tf

    box, y = make_box(tf.constant(x), EPS, sound=True), np.arange(len(x)) % last[1].size
    margins = fold_last(before_last, *last, y)
    plain, sound = (bound(function, box, sound=sound) for sound in (False, True))
    for ours, theirs in zip((plain.low, plain.high), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)
    np.testing.assert_allclose(bound_margins(function, box, tf.constant(y), sound=False), margins, atol=1e-5, rtol=0)
    assert (sound.low.numpy() < expected[0]).all()
    assert (sound.high.numpy() > expected[1]).all()
    sound_margins = bound_margins(function, box, tf.constant(y), sound=True).numpy()
    assert (np.where(np.arange(last[1].size) == y[:, None], -1, sound_margins) < margins).all()
    width = (expected[1] - expected[0]).max()
    wider = (expected[0] - sound.low.numpy()).max(), (sound.high.numpy() - expected[1]).max()
    assert max(*wider, (margins - sound_margins).max()) < 2e-3 * width


def test_the_papers_pipeline_of_dense_layers_and_its_rescaling() -> None:
    activations = ("relu", "relu", "exponential", "softplus")
    purifier = dense_stack((36, 20, 6, 20, 36), activations, seed=0)
    classifier = dense_stack((36, 20, 6, 20, 36, 5), (*activations, "linear"), seed=1)
    first, second = randomise(purifier, 1), randomise(classifier, 2)
    x = np.random.default_rng(0).random((10, 36)).astype("float32")
    ends = make_ends(x)
    raw = follow_dense(ends, first, activations)
    # The quotient of two sums of positive numbers, times a positive number.
    quotient = ends[0].sum(1) / raw[1].sum(1), ends[1].sum(1) / raw[0].sum(1)
    purified = tuple(np.clip(one * ratio[:, None], 0, 1) for one, ratio in zip(raw, quotient, strict=True))
    hidden = follow_dense((purified[0], purified[1]), second, activations)
    last = second[-2], second[-1]
    function = trace_network(lambda x: classifier(rescale_to_intensity(x, purifier(x))), 36)
    require_equal(function, x, spread_affine(hidden, *last), hidden, last)


def test_the_convolutional_classifier() -> None:
    network = ConvolutionalStack(ImageShape(7, 6, 2), (3, 4, 5), 8, 4, "leaky_relu").build(0)
    arrays = randomise(network, 3)
    x = np.random.default_rng(0).random((10, 84)).astype("float32")
    ends, shape = make_ends(x), (7, 6, 2)
    for number, stride in enumerate((1, 2, 2)):
        kernel, bias = arrays[2 * number], arrays[2 * number + 1]
        matrix = write_as_matrix(shape, kernel, stride)
        low, high = spread_affine(ends, matrix, np.tile(bias, matrix.shape[1] // len(bias)))
        ends = FUNCTIONS["leaky_relu"](low), FUNCTIONS["leaky_relu"](high)
        shape = -(-shape[0] // stride), -(-shape[1] // stride), len(bias)
    hidden = follow_dense(ends, arrays[6:8], ("leaky_relu",))
    last = arrays[8], arrays[9]
    require_equal(trace_network(network, 84), x, spread_affine(hidden, *last), hidden, last)
