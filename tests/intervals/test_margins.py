"""A network of two inputs, enumerated, and networks whose float32 bounds are wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from advae.intervals import Bounds, bound, bound_margins, make_box, trace_network

GRID = 101


def build_small(seed: int) -> Any:
    """Return a network of two inputs, a hidden layer and three classes, with random weights."""
    import keras

    stack = [keras.Input((2,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(3)]
    network = keras.Sequential(stack)
    generator = np.random.default_rng(seed)
    network.set_weights([generator.normal(0, 1, one.shape) for one in network.get_weights()])
    return network


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("eps", [0.01, 0.05, 0.2])
def test_all_points_of_a_grid_are_inside(seed: int, eps: float) -> None:
    """A grid over the box of each image: logits, their differences, and classes."""
    import tensorflow as tf

    network = build_small(seed)
    function, x = trace_network(network, 2), np.random.default_rng(seed).random((20, 2)).astype("float32")
    y = np.asarray(network(x)).argmax(axis=1)
    box = make_box(tf.constant(x), eps, sound=True)
    found = bound(function, box, sound=True)
    margins = bound_margins(function, box, tf.constant(y), sound=True).numpy()
    steps = np.linspace(-eps, eps, GRID)
    certified = 0
    for row, centre in enumerate(x):
        points = np.stack(np.meshgrid(*(np.clip(one + steps, 0, 1) for one in centre)), axis=-1).reshape(-1, 2)
        logits = np.asarray(network(points.astype("float32")))
        assert (logits >= found.low.numpy()[row]).all()
        assert (logits <= found.high.numpy()[row]).all()
        apart = logits[:, y[row], None].astype("float64") - logits
        assert (apart >= margins[row]).all()
        if (np.delete(margins[row], y[row]) > 0).all():
            certified += 1
            assert (logits.argmax(axis=1) == y[row]).all()
    assert eps > 0.01 or certified > 10


def test_margins_are_tighter_than_the_difference_of_the_bounds() -> None:
    import tensorflow as tf

    network = build_small(0)
    function, x = trace_network(network, 2), tf.constant([[0.3, 0.6]])
    box, y = make_box(x, 0.1, sound=True), tf.constant([1])
    found, margins = bound(function, box, sound=True), bound_margins(function, box, y, sound=True).numpy()[0]
    apart = found.low.numpy()[0, 1] - found.high.numpy()[0]
    assert margins[1] == 0
    assert (margins[[0, 2]] > apart[[0, 2]] + 0.01).all()


def build_cancelling(terms: int) -> Any:
    """Return a layer whose large terms cancel: exactly, its first logit is 0 and its second 1e-3.

    In float32 their sum depends on the order; the second logit is the larger one in exact arithmetic only.
    """
    import keras

    network = keras.Sequential([keras.Input((terms,)), keras.layers.Dense(2, use_bias=False)])
    generator = np.random.default_rng(0)
    half = generator.uniform(1e5, 1e6, terms // 2)
    weights = np.stack([np.concatenate([half, -half]), np.concatenate([half, -half])], axis=1)
    weights = weights[generator.permutation(terms)].astype("float32")
    weights[0, 1] = np.nextafter(weights[0, 1], np.float32(np.inf))
    network.set_weights([weights])
    return network


def test_float32_leaves_plain_bounds_and_never_sound_ones() -> None:
    """The box is a single image, so that plain bounds in float32 have no width but their own rounding."""
    import tensorflow as tf

    network = build_cancelling(400)
    function = trace_network(network, 400)
    x = tf.constant(np.full((1, 400), 1 / 3, "float32"))
    exact = x.numpy().astype("float64") @ network.get_weights()[0].astype("float64")
    point = Bounds(x, x)
    plain, sound = bound(function, point, sound=False), bound(function, point, sound=True)
    seen = []
    weights, generator = network.get_weights()[0], np.random.default_rng(1)
    for _ in range(50):
        order = generator.permutation(400)
        # One term after the other, in float32.
        total = np.zeros(2, np.float32)
        for term in (x.numpy()[0, order, None] * weights[order]).astype("float32"):
            total = (total + term).astype("float32")
        seen.append(total)
    values = np.array([*seen, np.asarray(network(x))[0]])
    left = (values < plain.low.numpy()) | (values > plain.high.numpy())
    assert left.any(), "float32 gives the same sum in every order"
    assert (values >= sound.low.numpy()).all()
    assert (values <= sound.high.numpy()).all()
    assert (exact >= sound.low.numpy()).all()
    assert (exact <= sound.high.numpy()).all()


def test_a_label_that_rounding_can_change_is_not_certified() -> None:
    """In exact arithmetic, and by plain bounds in float64, the second class wins; float32 does not always see it."""
    import tensorflow as tf

    function = trace_network(build_cancelling(400), 400)
    x, y = tf.constant(np.full((1, 400), 1 / 3, "float32")), tf.constant([1])
    exact = tf.cast(x, "float64")
    naive = bound_margins(function, Bounds(exact, exact), y, sound=False).numpy()
    assert naive[0, 0] > 0
    assert bound_margins(function, Bounds(x, x), y, sound=True).numpy()[0, 0] < 0


def test_an_image_whose_values_can_overflow_has_no_bounds() -> None:
    import keras
    import tensorflow as tf

    stack = [keras.Input((1,)), keras.layers.Dense(1, activation="exponential"), keras.layers.Dense(2, "sigmoid")]
    network = keras.Sequential(stack)
    network.set_weights([np.full(one.shape, 80.0) for one in network.get_weights()])
    function, x = trace_network(network, 1), tf.constant([[0.0], [1.0]])
    network.layers[0].set_weights([np.full((1, 1), 80.0), np.zeros(1)])
    found = bound(function, make_box(x, 0.01, sound=True), sound=True)
    assert np.isfinite(found.high.numpy()[0]).all()
    assert np.isinf(found.high.numpy()[1]).all()
    assert (bound_margins(function, make_box(x, 0.01, sound=True), tf.constant([0, 0]), sound=True).numpy() <= 0).all()


def test_no_label_of_an_image_without_bounds_is_certified() -> None:
    import keras
    import tensorflow as tf

    stack = [keras.Input((1,)), keras.layers.Dense(1, activation="exponential"), keras.layers.Dense(2)]
    network = keras.Sequential(stack)
    network.set_weights([np.full((1, 1), 85.0), np.zeros(1), np.array([[1.0, -1.0]]), np.zeros(2)])
    box = make_box(tf.constant([[0.1], [0.99]]), 0.001, sound=True)
    margins = bound_margins(trace_network(network, 1), box, tf.constant([0, 0]), sound=True).numpy()
    assert margins[0, 1] > 0
    assert margins[1, 1] == -np.inf
