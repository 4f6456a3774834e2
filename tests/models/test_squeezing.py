"""Bit depth and median against NumPy and SciPy; their derivatives, and what interval bounds make of the median."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from advae.batching import apply
from advae.errors import UsageError
from advae.intervals import bound, make_box, trace_network
from advae.models.purifiers import make_autoencoder_recipe, restore_purifier
from advae.records import Dataset, ImageShape
from advae.requests import AutoencoderRequest
from tests.models.test_baselines import purify
from tests.models.test_shapes import make_images


def restore(dataset: Dataset, type_: str, **options: Any) -> Any:
    return restore_purifier(make_autoencoder_recipe(AutoencoderRequest(type=type_, options=options), dataset), {})


# ---------------------------------------------------------------- bit depth


@pytest.mark.parametrize("bits", range(1, 9))
def test_each_value_goes_to_the_nearest_of_2_to_the_bits_greys(bits: int, digits: Dataset) -> None:
    greys = np.linspace(0, 1, 2**bits)
    x = np.random.default_rng(bits).random((50, 64), "f4")
    purified = purify(digits, x, "bit-depth", bits=bits)
    nearest = greys[np.abs(x[..., None] - greys).argmin(-1)]
    np.testing.assert_allclose(purified, nearest, atol=1e-6)
    assert len(np.unique(purified)) == min(2**bits, len(np.unique(nearest)))


def test_one_bit_is_a_threshold_at_one_half(digits: Dataset) -> None:
    x = np.append(digits.x_test, np.full((1, 64), 0.5, "f4"), axis=0)
    np.testing.assert_array_equal(purify(digits, x, "bit-depth", bits=1), purify(digits, x, "binary", threshold=0.5))


def test_eight_bits_leave_an_ordinary_image_as_it_is(digits: Dataset) -> None:
    x = np.random.default_rng(0).integers(0, 256, (20, 64)).astype("f4") / np.float32(255)
    np.testing.assert_allclose(purify(digits, x, "bit-depth", bits=8), x, atol=1e-6)


def test_the_default_is_the_papers_for_grey_and_for_colour_images() -> None:
    for shape, bits in ((ImageShape(4, 4, 1), 1), (ImageShape(4, 4, 3), 5)):
        recipe = make_autoencoder_recipe(AutoencoderRequest(type="bit-depth"), make_images(shape))
        assert recipe.options == {"bits": bits}


# ---------------------------------------------------------------- median


@pytest.mark.parametrize("window", [2, 3, 4, 5])
@pytest.mark.parametrize("shape", [ImageShape(8, 8, 1), ImageShape(2, 9, 1), ImageShape(5, 4, 3)], ids=str)
def test_the_median_is_scipys(window: int, shape: ImageShape) -> None:
    from scipy.ndimage import median_filter

    dataset = make_images(shape)
    x = np.random.default_rng(window).random((30, shape.size), "f4")
    x[10:20] = np.round(x[10:20] * 3) / 3
    expected = median_filter(x.reshape(-1, *shape), size=(1, window, window, 1), mode="reflect")
    purified = apply(restore(dataset, "median", window=window), x)
    np.testing.assert_array_equal(purified.reshape(expected.shape), expected)


def test_of_two_middle_values_the_larger_is_taken_with_the_pixel_at_the_lower_right(digits: Dataset) -> None:
    images = np.zeros((1, 8, 8), "f4")
    images[0, 3, 3], images[0, 3, 4] = 0.25, 0.75
    purified = purify(digits, images.reshape(1, 64), "median", window=2).reshape(8, 8)
    # Both are in the windows of (3, 4) and of the pixel below it; in any other window is one of them.
    expected = np.zeros((8, 8), "f4")
    expected[3:5, 4] = 0.25
    np.testing.assert_array_equal(purified, expected)


def test_the_gradient_is_that_of_the_pixel_that_is_taken(digits: Dataset) -> None:
    """By central differences, where all values of an image differ."""
    import tensorflow as tf

    median = restore(digits, "median", window=3)
    rng = np.random.default_rng(0)
    x = rng.permuted(np.tile(np.linspace(0.1, 0.9, 64, dtype="f4"), (4, 1)), axis=1)
    weights, at = rng.normal(size=64).astype("f4"), tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(at)
        loss = tf.reduce_sum(median(at, 0) * weights)
    gradient = tape.gradient(loss, at).numpy()
    step = np.float32(1e-3)
    for pixel in range(0, 64, 7):
        moved = [x + sign * step * np.eye(64, dtype="f4")[pixel] for sign in (1, -1)]
        up, down = ((np.asarray(median(tf.constant(one), 0), "f8") * weights).sum(1) for one in moved)
        np.testing.assert_allclose(gradient[:, pixel], (up - down) / (2 * step), atol=5e-3)


def test_the_bounds_of_a_median_are_the_medians_of_the_ends(digits: Dataset) -> None:
    """It never decreases in any pixel, so that no bounds are tighter."""
    median, x = restore(digits, "median"), digits.x_test[:20]
    box = bound(trace_network(lambda images: median(images, 0), 64), make_box(x, 0.1, sound=True), sound=True)
    for end, images in ((box.low, np.maximum(x - 0.1, 0)), (box.high, np.minimum(x + 0.1, 1))):
        np.testing.assert_allclose(end, apply(median, images.astype("f4")), atol=2e-6)


def test_a_window_that_reaches_beyond_the_reflected_image_is_refused() -> None:
    thin = make_images(ImageShape(1, 9, 1))
    assert make_autoencoder_recipe(AutoencoderRequest(type="median", options={"window": 3}), thin).options
    with pytest.raises(UsageError, match="bad --window 4: a whole number from 2 to 3, in pixels"):
        make_autoencoder_recipe(AutoencoderRequest(type="median", options={"window": 4}), thin)
