"""The walk through a traced network: what has a rule, what is refused, and points that never leave their bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from advae.errors import UsageError
from advae.intervals import Bounds, bound, bound_margins, list_unbounded, make_box, trace_network

SIDE = 8
PIXELS = SIDE * SIDE
POINTS = 20
EPS = 0.05


def draw_images(n: int = 6) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).random((n, PIXELS)).astype("float32")


def build_mixed(keras: Any) -> Any:
    """Return a network with most kinds of layers, weights of a size at which activations are not all saturated."""
    stock = keras.layers
    network = keras.Sequential(
        [
            keras.Input((PIXELS,)),
            stock.Reshape((SIDE, SIDE, 1)),
            stock.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
            stock.BatchNormalization(),
            stock.DepthwiseConv2D(3, padding="same", activation="tanh"),
            stock.ZeroPadding2D(1),
            stock.MaxPooling2D(2),
            stock.Conv2DTranspose(4, 4, strides=2, padding="same", activation="leaky_relu"),
            stock.Dropout(0.5),
            stock.UpSampling2D(2),
            stock.AveragePooling2D(2),
            stock.PReLU(),
            stock.Flatten(),
            stock.Dense(16, activation="silu"),
            stock.Rescaling(2.0, -0.5),
            stock.Dense(16, activation="elu"),
            stock.Dense(5),
        ]
    )
    generator = np.random.default_rng(1)
    network.set_weights([np.abs(one) + generator.normal(0, 0.3, one.shape) for one in network.get_weights()])
    return network


def require_inside(function: Any, x: np.ndarray[Any, Any], *, eps: float = EPS) -> Bounds:
    """Sample points of balls and require that no output leaves its bounds; return the bounds."""
    import tensorflow as tf

    found = bound(function, make_box(tf.constant(x), eps, sound=True), sound=True)
    low, high = found.low.numpy(), found.high.numpy()
    generator = np.random.default_rng(2)
    for draw in range(POINTS):
        step = generator.uniform(-eps, eps, x.shape) if draw % 2 else eps * generator.choice([-1, 1], x.shape)
        output = function(tf.constant(np.clip(x + step, 0, 1).astype("float32"))).numpy()
        assert np.all(output >= low)
        assert np.all(output <= high)
    return found


def test_points_of_a_ball_never_leave_the_bounds() -> None:
    import keras

    function = trace_network(build_mixed(keras), PIXELS)
    found = require_inside(function, draw_images())
    assert np.isfinite(found.high - found.low).all()


def test_sound_bounds_contain_plain_ones_and_are_hardly_wider() -> None:
    import keras
    import tensorflow as tf

    function, x = trace_network(build_mixed(keras), PIXELS), tf.constant(draw_images())
    box = make_box(tf.cast(x, "float64"), EPS, sound=False)
    plain, sound = bound(function, box, sound=False), bound(function, box, sound=True)
    wider = np.stack([plain.low - sound.low, sound.high - plain.high])
    assert wider.min() > 0
    assert wider.max() < 1e-4 * np.median(plain.high - plain.low)


def test_plain_bounds_can_be_differentiated_in_the_weights() -> None:
    import keras
    import tensorflow as tf

    network = build_mixed(keras)
    function, x = trace_network(network, PIXELS), tf.constant(draw_images())

    @tf.function(autograph=False)
    def find_gradients() -> Any:
        with tf.GradientTape() as tape:
            margins = bound_margins(function, make_box(x, EPS, sound=False), tf.zeros(len(x), tf.int64), sound=False)
            total = tf.reduce_sum(margins)
        return tape.gradient(total, network.trainable_variables)

    gradients = find_gradients()
    assert all(one is not None and np.isfinite(one).all() for one in gradients)
    assert all(np.any(one != 0) for one in gradients[-2:])


def test_bounds_follow_the_weights() -> None:
    import keras
    import tensorflow as tf

    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False)])
    function = trace_network(network, 2)
    box = make_box(tf.constant([[0.5, 0.5]]), 0.25, sound=False)
    network.set_weights([np.array([[1.0, 2.0], [0.0, 0.0]], "float32")])
    assert bound(function, box, sound=False).high.numpy().tolist() == [[0.75, 1.5]]
    network.set_weights([np.array([[2.0, 4.0], [0.0, 0.0]], "float32")])
    assert bound(function, box, sound=False).high.numpy().tolist() == [[1.5, 3.0]]


UNKNOWN: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a layer": (lambda keras: keras.layers.LayerNormalization(), "LayerNormalization"),
    "a layer in training": (lambda keras: lambda x: keras.layers.BatchNormalization()(x, training=True), "BatchNorm"),
    "an activation": (lambda keras: keras.layers.Dense(3, activation="softmax"), "Dense, softmax"),
    "a function": (lambda keras: keras.ops.softmax, "keras.ops Softmax"),
    "a product of two": (lambda keras: lambda x: keras.ops.matmul(x, keras.ops.transpose(x)), "keras.ops Matmul"),
    "a slope below 0": (lambda keras: lambda x: keras.ops.leaky_relu(x, negative_slope=-0.5), "keras.ops LeakyRelu"),
}
"""Operations without a rule, each with what the refusal says of it."""


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_operation_without_a_rule_is_named(name: str) -> None:
    import keras
    import tensorflow as tf

    make, said = UNKNOWN[name]
    function = trace_network(make(keras), 2)
    (missing,) = list_unbounded(function)
    assert said in missing
    box = make_box(tf.zeros((1, 2)), 0.1, sound=True)
    for sound in (True, False):
        with pytest.raises(UsageError, match="there is no rule for"):
            bound(function, box, sound=sound)


def test_a_class_of_the_same_name_as_a_layer_has_no_rule() -> None:
    import keras

    class Dense(keras.layers.Dense):  # type: ignore[misc]  # Keras has no usable types
        def call(self, x: Any) -> Any:
            return 2 * super().call(x)

    assert len(list_unbounded(trace_network(Dense(3), 2))) == 1


def test_what_computes_outside_keras_is_refused() -> None:
    import tensorflow as tf

    with pytest.raises(UsageError, match="computes outside Keras"):
        trace_network(tf.sin, 2)
    for ask in (np.sin, lambda x: tf.numpy_function(np.sin, [x], tf.float32)):
        with pytest.raises(UsageError, match=r"computes outside Keras \(\w+: .*KerasTensor"):
            trace_network(ask, 2)


def test_the_own_error_of_a_model_is_shown() -> None:
    def fail(x: Any) -> Any:
        raise ValueError("14 x 14 pixels,\nplease")

    with pytest.raises(UsageError, match=r"operations cannot be listed \(ValueError: 14 x 14 pixels, please\)$"):
        trace_network(fail, 2)


def test_sound_bounds_refuse_a_lower_precision() -> None:
    import keras
    import tensorflow as tf

    function = trace_network(keras.layers.Dense(3, dtype="mixed_bfloat16"), 2)
    with pytest.raises(UsageError, match="computes in bfloat16"):
        bound(function, make_box(tf.zeros((1, 2)), 0.1, sound=True), sound=True)


def test_a_box_is_cut_to_the_range_of_pixels_and_holds_what_the_scorer_accepts() -> None:
    import tensorflow as tf

    x = tf.constant([[0.0, 0.5, 1.0]])
    sound, plain = make_box(x, 0.25, sound=True), make_box(x, 0.25, sound=False)
    assert (plain.low.numpy().tolist(), plain.high.numpy().tolist()) == ([[0.0, 0.25, 0.75]], [[0.25, 0.75, 1.0]])
    np.testing.assert_allclose(sound.low - tf.cast(plain.low, tf.float64), [[0.0, -1e-6, -1e-6]], rtol=1e-9)
    np.testing.assert_allclose(sound.high - tf.cast(plain.high, tf.float64), [[1e-6, 1e-6, 0.0]], rtol=1e-9)
