"""Backward linear bounds: enumerated networks, a second implementation, random networks, and float32's rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advae.errors import UsageError
from advae.intervals import Bounds, bound_margins, bound_margins_backward, make_box, trace_network
from advae.models.autoencoder_networks import rescale_to_intensity
from tests.intervals.random_networks import (
    PIXELS,
    build_network,
    compile_backward,
    draw_weights,
    sample_backward,
)
from tests.intervals.test_margins import GRID, build_cancelling, build_small

Array = np.ndarray[Any, Any]
EPS = 0.03


def build_dense(sizes: tuple[int, ...], activation: str = "relu", seed: int = 0) -> Any:
    """Return a dense network with random weights, biases too."""
    import keras

    hidden = [keras.layers.Dense(size, activation=activation) for size in sizes[1:-1]]
    network = keras.Sequential([keras.Input((sizes[0],)), *hidden, keras.layers.Dense(sizes[-1])])
    generator = np.random.default_rng(seed)
    network.set_weights([generator.normal(0, 1 / np.sqrt(one.shape[0]), one.shape) for one in network.get_weights()])
    return network


def find_margins(network: Any, x: Array, y: Array, eps: float, refined: int = 1000) -> Array:
    import tensorflow as tf

    function = trace_network(network, x.shape[1])

    @tf.function(autograph=False)
    def run(x: Any, y: Any) -> Any:
        return bound_margins_backward(function, make_box(x, eps, sound=True), y, refined=refined)

    found: Array = run(tf.constant(x), tf.constant(y)).numpy()
    return found


# ---------------------------------------------------------------- enumerated


@pytest.mark.parametrize("eps", [0.01, 0.2])
def test_all_points_of_a_grid_keep_their_margins(eps: float) -> None:
    network = build_small(1)
    x = np.random.default_rng(1).random((20, 2)).astype("float32")
    y = np.asarray(network(x)).argmax(axis=1)
    margins = find_margins(network, x, y, eps)
    steps = np.linspace(-eps, eps, GRID)
    for row, centre in enumerate(x):
        points = np.stack(np.meshgrid(*(np.clip(one + steps, 0, 1) for one in centre)), axis=-1).reshape(-1, 2)
        logits = np.asarray(network(points.astype("float32"))).astype("float64")
        apart = logits[:, y[row], None] - logits
        assert (apart >= margins[row]).all()
        # Tight: two hidden layers would be needed to lose more.
        assert eps > 0.01 or (apart.min(axis=0) - margins[row]).max() < 2e-3


# ---------------------------------------------------------------- a second implementation


def pull_back(arrays: list[Array], ends: list[tuple[Array, Array]], last: Array, box: tuple[Array, Array]) -> float:
    """Return the lower bound of ``last`` times the values before ReLU number len(ends), of one image, in plain NumPy.

    arrays: weights and biases; ends: of the input of each ReLU; last: coefficients of the output of layer len(ends).
    """
    given, total = last, 0.0
    for number in reversed(range(len(ends) + 1)):
        weights, bias = arrays[2 * number], arrays[2 * number + 1]
        total += float(given @ bias)
        given = weights @ given
        if not number:
            break
        low, high = ends[number - 1]
        before = np.empty_like(given)
        for unit, coefficient in enumerate(given):
            least, most = float(low[unit]), float(high[unit])
            if least >= 0 or most <= 0:
                before[unit] = coefficient * (least >= 0)
            elif coefficient < 0:
                before[unit] = coefficient * most / (most - least)
                total -= coefficient * most / (most - least) * least
            else:
                before[unit] = coefficient * (most > -least)
        given = before
    return total + float(np.where(given > 0, given * box[0], given * box[1]).sum())


def bound_by_numpy(arrays: list[Array], x: Array, label: int, eps: float) -> Array:
    """Return the margins of one image by DeepPoly: each layer bounded backward and by intervals."""
    box = np.maximum(x.astype("f8") - eps - 1e-6, 0), np.minimum(x.astype("f8") + eps + 1e-6, 1)
    layers, ends = len(arrays) // 2, list[tuple[Array, Array]]()
    interval = box
    for number in range(layers - 1):
        weights, bias = arrays[2 * number], arrays[2 * number + 1]
        up, down = np.maximum(weights, 0), np.minimum(weights, 0)
        low, high = interval[0] @ up + interval[1] @ down + bias, interval[1] @ up + interval[0] @ down + bias
        units = np.eye(len(bias))
        low = np.maximum(low, [pull_back(arrays, ends, one, box) for one in units])
        high = np.minimum(high, [-pull_back(arrays, ends, -one, box) for one in units])
        ends.append((low, high))
        interval = np.maximum(low, 0), np.maximum(high, 0)
    classes = np.eye(arrays[-1].size)
    return np.array([pull_back(arrays, ends, classes[label] - other, box) for other in classes])


def test_a_second_implementation_of_a_dense_network_agrees() -> None:
    network = build_dense((8, 10, 8, 4))
    arrays = [one.astype("f8") for one in network.get_weights()]
    x = np.random.default_rng(0).random((6, 8)).astype("float32")
    y = np.asarray(network(x)).argmax(axis=1)
    found = find_margins(network, x, y, EPS)
    expected = np.array([bound_by_numpy(arrays, *one, EPS) for one in zip(x, y, strict=True)])
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    others = np.arange(4) != y[:, None]
    # Below by the rounding of float32, which is allowed for.
    assert (found < expected)[others].all()


# ---------------------------------------------------------------- tighter


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "sigmoid"])
def test_margins_are_tighter_than_by_intervals_and_never_looser(activation: str) -> None:
    import tensorflow as tf

    network = build_dense((20, 30, 25, 4), activation)
    x = np.random.default_rng(0).random((10, 20)).astype("float32")
    y = np.asarray(network(x)).argmax(axis=1)
    box = make_box(tf.constant(x), EPS, sound=True)
    function = trace_network(network, 20)
    intervals = bound_margins(function, box, tf.constant(y), sound=True).numpy()
    once, twice = find_margins(network, x, y, EPS, refined=0), find_margins(network, x, y, EPS)
    assert (once >= intervals).all()
    assert (twice >= intervals).all()
    others = np.arange(4) != y[:, None]
    assert (once > intervals)[others].mean() > 0.9
    # Of a single margin other slopes may be worse.
    assert (twice - once)[others].mean() > 1e-6


def test_the_rescaling_to_the_images_intensity_has_linear_bounds() -> None:
    """The quotient of two sums, times each value, and a clip."""
    import tensorflow as tf
    from keras import ops

    purifier, classifier = build_dense((20, 8, 20), "softplus", 1), build_dense((20, 15, 4), "relu", 2)

    def apply(x: Any) -> Any:
        return classifier(rescale_to_intensity(x, ops.softplus(purifier(x))))

    function = trace_network(apply, 20)
    x = np.random.default_rng(0).random((6, 20)).astype("float32")
    y = np.asarray(function(x)).argmax(axis=1)
    box = make_box(tf.constant(x), EPS, sound=True)
    intervals = bound_margins(function, box, tf.constant(y), sound=True).numpy()
    found = find_margins(function, x, y, EPS)
    points = np.clip(x + EPS * np.random.default_rng(1).choice([-1, 1], (500, *x.shape)), 0, 1).astype("float32")
    logits = np.asarray(function(points.reshape(-1, 20))).reshape(500, 6, 4).astype("float64")
    least = (np.take_along_axis(logits, y[None, :, None], axis=2) - logits).min(axis=0)
    assert (least >= found).all()
    others = np.arange(4) != y[:, None]
    assert (least - found)[others].mean() < 0.5 * (least - intervals)[others].mean()


# ---------------------------------------------------------------- random networks and float32


@settings(max_examples=4)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_points_never_leave_the_margins_of_random_networks(seed: int) -> None:
    generator = np.random.default_rng(seed)
    network = build_network(generator)
    find, evaluate = compile_backward(network)
    for _ in range(8):
        draw_weights(network, generator)
        found = sample_backward(find, evaluate, generator)
        assert (found.outside, found.broken, found.lost) == (0, 0, 0)


def test_sampling_finds_bounds_that_are_too_tight() -> None:
    """Planted: margins that are a little too high, as an unsound rule would make them."""

    network = build_dense((PIXELS, 8, 4))
    function = trace_network(network, PIXELS)

    def find_wrong(x: Any, y: Any, eps: Any) -> tuple[Any, Any]:
        box = make_box(x, eps, sound=True)
        right = bound_margins_backward(function, box, y, refined=100)
        return bound_margins(function, box, y, sound=True), right + 0.5

    found = sample_backward(find_wrong, function, np.random.default_rng(0))
    assert found.outside > 0


def test_a_label_that_rounding_can_change_is_not_certified() -> None:
    """In exact arithmetic the second class wins; float32 does not always see it."""
    import tensorflow as tf

    function = trace_network(build_cancelling(400), 400)
    x, y = tf.constant(np.full((1, 400), 1 / 3, "float32")), tf.constant([1])
    exact = tf.cast(x, "float64")
    naive = bound_margins(function, Bounds(exact, exact), y, sound=False).numpy()
    assert naive[0, 0] > 0
    assert bound_margins_backward(function, Bounds(x, x), y, refined=10).numpy()[0, 0] < 0


def test_rounding_behind_a_hidden_layer_is_allowed_for() -> None:
    """Large weights that cancel, behind a ReLU: float32 leaves the exact value, and never the bound."""
    import keras
    import tensorflow as tf

    terms = 400
    last = build_cancelling(terms)
    stack = [keras.Input((terms,)), keras.layers.Dense(terms, activation="relu"), keras.layers.Dense(2, use_bias=False)]
    network = keras.Sequential(stack)
    network.set_weights([np.eye(terms, dtype="float32"), np.zeros(terms, "float32"), *last.get_weights()])
    x = np.full((1, terms), 1 / 3, "float32")
    margins = [
        bound_margins_backward(trace_network(network, terms), Bounds(tf.constant(x), tf.constant(x)), y, refined=10)
        for y in (tf.constant([0]), tf.constant([1]))
    ]
    highest, lowest = -float(margins[0][0, 1]), float(margins[1][0, 0])
    weights, generator = last.get_weights()[0], np.random.default_rng(1)
    # The two sums, each in an order of its own.
    sums: list[list[float]] = [[], []]
    for _ in range(50):
        for logit, found in enumerate(sums):
            total = np.float32(0)
            for term in (x[0] * weights[:, logit])[generator.permutation(terms)]:
                total = np.float32(total + term)
            found.append(float(total))
    exact = float((x.astype("f8") @ weights.astype("f8"))[0] @ [-1, 1])
    least, most = min(sums[1]) - max(sums[0]), max(sums[1]) - min(sums[0])
    assert least < exact < most, "float32 gives the same sum in every order"
    assert lowest <= least
    assert most <= highest


def test_no_label_of_an_image_without_bounds_is_certified() -> None:
    import keras

    stack = [keras.Input((1,)), keras.layers.Dense(1, activation="exponential"), keras.layers.Dense(2)]
    network = keras.Sequential(stack)
    network.set_weights([np.full((1, 1), 85.0), np.zeros(1), np.array([[1.0, -1.0]]), np.zeros(2)])
    margins = find_margins(network, np.array([[0.1], [0.99]], "float32"), np.array([0, 0]), 0.001)
    assert margins[0, 1] > 0
    assert margins[1, 1] == -np.inf


def test_an_operation_without_a_rule_is_named() -> None:
    import keras
    import tensorflow as tf

    function = trace_network(keras.ops.softmax, 2)
    with pytest.raises(UsageError, match=r"there is no rule for keras\.ops Softmax"):
        bound_margins_backward(function, make_box(tf.zeros((1, 2)), 0.1, sound=True), tf.constant([0]), refined=1)
