"""The stated errors of activations, measured on float32 numbers of all sizes; and their shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from advae.intervals.arithmetic import TINY, UNIT, Arithmetic, Bounds
from advae.intervals.curve_shapes import CURVES
from advae.intervals.curves import CURVE_OPERATIONS, follow_curve

SOUND = Arithmetic(sound=True, dtype="float64")


def draw_floats() -> np.ndarray[Any, Any]:
    """Return float32 numbers of both signs and all sizes up to 80, as many of each size."""
    generator = np.random.default_rng(0)
    sizes = 2.0 ** generator.uniform(-130, np.log2(80), 200_000)
    near = generator.uniform(-20, 20, 200_000)
    return np.concatenate([sizes, -sizes, near]).astype("float32")


@pytest.mark.parametrize("name", sorted(CURVES))
def test_float32_stays_within_the_stated_error(name: str) -> None:
    """Of each number alone: the interval has no width but the error; by TensorFlow's kernels and by XLA's."""
    import keras
    import tensorflow as tf

    function, x = keras.activations.get(name), draw_floats()
    point = tf.constant(x, tf.float64)
    found = follow_curve(SOUND, CURVES[name], function, Bounds(point, point))
    for compiled in (tf.function(function), tf.function(function, jit_compile=True)):
        values = compiled(tf.constant(x)).numpy().astype("float64")
        assert (values >= found.low.numpy()).all()
        assert (values <= found.high.numpy()).all()


@pytest.mark.parametrize("name", ["Log", "Sqrt", "Erf"])
def test_other_functions_stay_within_the_stated_error(name: str) -> None:
    import keras
    import tensorflow as tf

    function, x = getattr(keras.ops, name.lower()), np.abs(draw_floats())
    x = x[x > TINY]
    values, exact = (function(tf.constant(x, kind)).numpy().astype("float64") for kind in ("float32", "float64"))
    assert name in CURVE_OPERATIONS
    assert (np.abs(values - exact) <= 16 * UNIT * np.abs(exact) + 4 * TINY).all()


@pytest.mark.parametrize("name", sorted(CURVES))
def test_no_value_between_the_ends_is_outside(name: str) -> None:
    import keras
    import tensorflow as tf

    function = keras.activations.get(name)
    low = np.linspace(-6, 3, 91)[:, None]
    points = low + np.linspace(0, 2, 201)
    ends = Bounds(tf.constant(points[:, :1]), tf.constant(points[:, -1:]))
    plain = follow_curve(Arithmetic(sound=False, dtype="float64"), CURVES[name], function, ends)
    values = function(tf.constant(points)).numpy()
    # The lowest point of a valley is known to 1e-9 of its place.
    assert (values >= plain.low.numpy() - 1e-15).all()
    assert (values <= plain.high.numpy()).all()
    # Tight: the ends are reached.
    np.testing.assert_allclose(plain.low.numpy()[:, 0], values.min(axis=1), atol=1e-4)
    np.testing.assert_allclose(plain.high.numpy()[:, 0], values.max(axis=1), atol=1e-12)
