"""Random networks of many kinds of layers and weights, and a count of points that leave their sound bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from advae.intervals import bound_margins, bound_margins_backward, make_box, trace_network
from advae.intervals.arithmetic import Bounds
from advae.intervals.bounding import bound

SIDE = 4
PIXELS = SIDE * SIDE
CLASSES = 4
IMAGES = 8
POINTS = 16
LARGEST_EPS = 0.5

Generator = np.random.Generator

ACTIVATIONS = (
    *("relu", "relu6", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "softplus", "softsign", "exponential"),
    *("hard_sigmoid", "hard_tanh", "log_sigmoid", "silu", "gelu", "linear"),
)


@dataclass(frozen=True)
class Sampled:
    """What was found of one network."""

    points: int
    """Points that were evaluated."""
    outside: int
    """Points with a logit outside its bounds."""
    broken: int
    """Points with another class than a certified image."""
    certified: int
    """Certified images."""
    bounded: int
    """Images with finite bounds."""


def build_network(generator: Generator) -> Any:
    """Return a random network on images of 4 x 4 as a ``keras.Model``: (n, 16) -> (n, 4)."""
    import keras

    given = keras.Input((PIXELS,))
    x = _start_with_purifier(given, generator)
    x = keras.layers.Reshape((SIDE, SIDE, 1))(x)
    for _ in range(generator.integers(0, 3)):
        x = _pick(generator, _list_image_layers(generator))(x)
    x = keras.layers.Flatten()(x)
    for _ in range(generator.integers(0, 3)):
        x = _pick(generator, _list_flat_layers(generator))(x)
    return keras.Model(given, keras.layers.Dense(CLASSES)(x))


def _pick(generator: Generator, choices: list[Any]) -> Any:
    return choices[generator.integers(len(choices))]


def _start_with_purifier(x: Any, generator: Generator) -> Any:
    """Return the images, or images by one of the ways in which purifiers end."""
    import keras
    from keras import ops

    def decode(activation: str) -> Any:
        hidden = keras.layers.Dense(6, activation=str(generator.choice(ACTIVATIONS)))(x)
        return keras.layers.Dense(PIXELS, activation=activation)(hidden)

    def rescale(raw: Any) -> Any:
        totals = [ops.sum(one, axis=-1, keepdims=True) for one in (x, raw)]
        return ops.clip(raw * ops.divide_no_nan(*totals), 0.0, 1.0)

    choices: list[Callable[[], Any]] = [
        lambda: x,
        lambda: decode("sigmoid"),
        lambda: rescale(decode("softplus")),
        lambda: ops.clip(5 * x - 2, 0.0, 1.0),
        lambda: ops.relu(ops.sign(x - 0.5)),
        lambda: ops.clip(decode("linear") + x, 0.0, 1.0),
    ]
    return _pick(generator, choices)()


def _list_image_layers(generator: Generator) -> list[Any]:
    from keras import layers, ops

    activation = str(generator.choice(ACTIVATIONS))
    return [
        layers.Conv2D(3, 3, padding="same", activation=activation),
        layers.Conv2D(3, 2, strides=2, padding="same", activation=activation),
        layers.Conv2DTranspose(2, 3, strides=2, padding="same", activation=activation),
        layers.DepthwiseConv2D(2, padding="same", depth_multiplier=2, activation=activation),
        layers.BatchNormalization(),
        layers.AveragePooling2D(2, padding="same"),
        layers.MaxPooling2D(2, padding="same"),
        layers.UpSampling2D(2),
        layers.ZeroPadding2D(1),
        layers.PReLU(),
        lambda x: ops.concatenate([x, ops.maximum(x, 0.1) * 0.7], axis=-1),
        lambda x: layers.Add()([x, layers.Activation(activation)(x)]),
    ]


def _list_flat_layers(generator: Generator) -> list[Any]:
    from keras import layers, ops

    activation = str(generator.choice(ACTIVATIONS))
    return [
        layers.Dense(7, activation=activation),
        layers.Dense(5, use_bias=False),
        layers.BatchNormalization(),
        layers.Rescaling(3.0, -0.3),
        lambda x: (x - 0.3) / 0.7,
        lambda x: x * ops.sigmoid(x),
        lambda x: x - ops.mean(x, axis=-1, keepdims=True),
    ]


def draw_weights(network: Any, generator: Generator) -> None:
    """Set weights of a random size, a fifth of them with pairs of large ones that cancel."""
    for variable in network.weights:
        value = generator.normal(0, 10 ** generator.uniform(-1.5, 0.8), variable.shape)
        if "variance" in variable.path:
            value = np.abs(value) + 1e-3
        elif generator.random() < 0.2 and value.ndim > 1 and value.shape[-2] > 1:
            value[..., 0, :] = 1e4
            value[..., 1, :] = -1e4
        variable.assign(value.astype("float32"))


def compile_bounds(network: Any) -> Any:
    """Return (x, y, eps) -> low, high, margins and (x) -> logits of a network, for any weights that it gets."""
    import tensorflow as tf

    function = trace_network(network, PIXELS)

    @tf.function(autograph=False)
    def find_bounds(x: Any, y: Any, eps: Any) -> tuple[Any, Any, Any]:
        box: Bounds = make_box(x, eps, sound=True)
        found = bound(function, box, sound=True)
        return found.low, found.high, bound_margins(function, box, y, sound=True)

    return find_bounds, tf.function(function, autograph=False)


def sample_network(find_bounds: Any, evaluate: Any, generator: Generator) -> Sampled:
    """Return what random points of random balls show: corners of the boxes, and points inside."""
    import tensorflow as tf

    x = (
        generator.choice([0.0, 1.0, 0.5], (IMAGES, PIXELS))
        if generator.random() < 0.3
        else generator.random((IMAGES, PIXELS))
    )
    x = x.astype("float32")
    eps = LARGEST_EPS * 10 ** generator.uniform(-6, 0)
    y = evaluate(tf.constant(x)).numpy().argmax(axis=1)
    low, high, margins = (
        one.numpy() for one in find_bounds(tf.constant(x), tf.constant(y), tf.constant(eps, tf.float64))
    )
    margins[np.arange(IMAGES), y] = np.inf
    certified = margins.min(axis=1) > 0
    corners = generator.choice([-1.0, 1.0], (POINTS // 2, IMAGES, PIXELS))
    inside = generator.uniform(-1, 1, (POINTS - POINTS // 2, IMAGES, PIXELS))
    points = np.clip(x + eps * np.concatenate([corners, inside]), 0, 1).astype("float32")
    logits = evaluate(tf.constant(points.reshape(-1, PIXELS))).numpy().reshape(POINTS, IMAGES, CLASSES)
    bounded = np.isfinite(high - low).all(axis=1)
    # What is not a number is inside of no bounds, and must have none.
    left = ~((logits >= low) & (logits <= high)).all(axis=2) & bounded
    other = (logits.argmax(axis=2) != y) & certified
    return Sampled(POINTS * IMAGES, int(left.sum()), int(other.sum()), int(certified.sum()), int(bounded.sum()))


# ---------------------------------------------------------------- backward bounds


@dataclass(frozen=True)
class SampledMargins:
    """What was found of the backward bounds of one network."""

    points: int
    """Points that were evaluated."""
    outside: int
    """Points with a difference of logits below its bound."""
    broken: int
    """Points with another class than a certified image."""
    lost: int
    """Images that intervals certify and backward bounds do not."""
    certified: int
    """Certified images."""
    tighter: int
    """Images with a higher smallest margin than by intervals."""


def compile_backward(network: Any) -> Any:
    """Return (x, y, eps) -> margins by intervals and backward, and (x) -> logits of a network, for any weights."""
    import tensorflow as tf

    function = trace_network(network, PIXELS)

    @tf.function(autograph=False)
    def find(x: Any, y: Any, eps: Any) -> tuple[Any, Any]:
        box = make_box(x, eps, sound=True)
        return bound_margins(function, box, y, sound=True), bound_margins_backward(function, box, y, refined=PIXELS)

    return find, tf.function(function, autograph=False)


def sample_backward(find: Any, evaluate: Any, generator: Generator) -> SampledMargins:
    """Return what random points of random balls show of margins: corners of the boxes, and points inside."""
    import tensorflow as tf

    x = generator.random((IMAGES, PIXELS)).astype("float32")
    eps = LARGEST_EPS * 10 ** generator.uniform(-6, 0)
    y = evaluate(tf.constant(x)).numpy().argmax(axis=1)
    given = tf.constant(x), tf.constant(y), tf.constant(eps, tf.float64)
    intervals, margins = (one.numpy() for one in find(*given))
    corners = generator.choice([-1.0, 1.0], (POINTS // 2, IMAGES, PIXELS))
    inside = generator.uniform(-1, 1, (POINTS - POINTS // 2, IMAGES, PIXELS))
    points = np.clip(x + eps * np.concatenate([corners, inside]), 0, 1).astype("float32")
    logits = evaluate(tf.constant(points.reshape(-1, PIXELS))).numpy().reshape(POINTS, IMAGES, CLASSES)
    # Infinities have no difference.
    wide = np.nan_to_num(logits.astype("float64"), posinf=np.nan, neginf=np.nan)
    apart = np.take_along_axis(wide, y[None, :, None], axis=2) - wide
    bounded = np.isfinite(margins).all(axis=1)
    left = ~(apart >= margins).all(axis=2) & bounded
    for one in (intervals, margins):
        one[np.arange(IMAGES), y] = np.inf
    proved, certified = intervals.min(axis=1) > 0, margins.min(axis=1) > 0
    return SampledMargins(
        points=POINTS * IMAGES,
        outside=int(left.sum()),
        broken=int(((logits.argmax(axis=2) != y) & certified).sum()),
        lost=int((proved & ~certified).sum()),
        certified=int(certified.sum()),
        tighter=int((margins.min(axis=1) > intervals.min(axis=1)).sum()),
    )
