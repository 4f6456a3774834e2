"""Layouts of a foreign model's input, and the meaning of its output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from advae.errors import UsageError
from advae.models.added.input_layout import list_layouts, make_input, read_outputs
from advae.records import AddedOptions, ImageShape

GREY, COLOUR, OBLONG = ImageShape(28, 28, 1), ImageShape(8, 8, 3), ImageShape(3, 5, 3)


def describe(takes: tuple[int, ...], **changes: Any) -> AddedOptions:
    values: dict[str, Any] = {
        "format": "keras",
        "digest": "0" * 64,
        "takes": takes,
        "channels": "last",
        "input_range": (0.0, 1.0),
        "outputs": "logits",
        "affine": False,
        "differentiable": True,
    }
    return AddedOptions(**(values | changes))


@pytest.mark.parametrize(
    ("takes", "shape", "channels", "expected"),
    [
        ((28, 28, 1), GREY, None, [((28, 28, 1), "last")]),
        ((1, 28, 28), GREY, None, [((1, 28, 28), "first")]),
        ((28, 28), GREY, None, [((28, 28), "last")]),
        ((784,), GREY, None, [((784,), "last")]),
        ((None, None, 1), GREY, None, [((28, 28, 1), "last")]),
        ((3, 8, 8), COLOUR, None, [((3, 8, 8), "first")]),
        ((192,), COLOUR, None, [((192,), "last"), ((192,), "first")]),
        ((192,), COLOUR, "first", [((192,), "first")]),
        ((None, None, None), OBLONG, None, [((3, 5, 3), "last"), ((3, 3, 5), "first")]),
        ((1, 1, 1), ImageShape(1, 1, 1), None, [((1, 1, 1), "last")]),
    ],
)
def test_layouts_follow_from_both_shapes(takes: Any, shape: ImageShape, channels: Any, expected: Any) -> None:
    assert list_layouts(takes, shape, channels) == expected


@pytest.mark.parametrize(
    ("takes", "shape", "channels", "line"),
    [
        ((32, 32, 3), GREY, None, "the model takes 32 x 32 x 3 for an image, the dataset has images of 28 x 28 pixels"),
        ((64,), GREY, None, "the model takes 64 for an image, the dataset has images of 28 x 28 pixels"),
        ((28, 28, 1), GREY, "first", "--channels first does not fit: the model takes 28 x 28 x 1, channels last"),
        ((2, 3, 4, 5), COLOUR, None, "the model takes 2 x 3 x 4 x 5"),
    ],
)
def test_what_does_not_fit_names_both_shapes(takes: Any, shape: ImageShape, channels: Any, line: str) -> None:
    with pytest.raises(UsageError) as caught:
        list_layouts(takes, shape, channels)
    assert line in str(caught.value)


def test_images_become_the_input_that_was_described() -> None:
    """Against NumPy: range, then mean and deviation of each channel, then the order of the channels."""
    import tensorflow as tf

    x = np.random.default_rng(0).random((4, OBLONG.size), dtype=np.float32)
    images = x.reshape(-1, *OBLONG) * 255
    mean, std = (100.0, 50.0, 20.0), (2.0, 4.0, 8.0)
    expected = (images - np.array(mean)) / np.array(std)
    options = describe((3, 3, 5), channels="first", input_range=(0.0, 255.0), mean=mean, std=std)
    found = make_input(options, OBLONG)(tf.constant(x)).numpy()
    np.testing.assert_allclose(found, expected.transpose(0, 3, 1, 2), rtol=1e-4, atol=1e-4)
    flat = make_input(options.model_copy(update={"takes": (45,)}), OBLONG)(tf.constant(x)).numpy()
    np.testing.assert_array_equal(flat, found.reshape(4, -1))


def test_images_that_go_in_raw_are_not_changed_by_a_bit() -> None:
    import tensorflow as tf

    x = np.random.default_rng(0).random((4, GREY.size), dtype=np.float32)
    assert make_input(describe((784,)), GREY)(tf.constant(x)).numpy().tobytes() == x.tobytes()


def test_outputs_become_logits() -> None:
    import tensorflow as tf

    scores = tf.constant([[2.0], [-1.0]])
    np.testing.assert_array_equal(read_outputs(describe((784,)), GREY, scores), [[0, 2], [0, -1]])
    share = tf.constant([[0.25], [1.0]])
    probable = read_outputs(describe((784,), outputs="probabilities"), GREY, share).numpy()
    np.testing.assert_allclose(tf.nn.softmax(probable), [[0.75, 0.25], [0, 1]], atol=1e-6)
    assert np.isfinite(probable).all()
    three = tf.constant([[0.2, 0.3, 0.5]])
    ordered = read_outputs(describe((784,), outputs="probabilities", order=(2, 0, 1)), GREY, three)
    np.testing.assert_allclose(tf.exp(ordered), [[0.5, 0.2, 0.3]], rtol=1e-6)


@pytest.mark.parametrize("channels", ["first", "last"])
def test_purified_images_come_back_as_they_went_in(channels: str) -> None:
    """The identity in the model's own layout and range is the identity of images."""
    import tensorflow as tf

    x = np.random.default_rng(0).random((4, OBLONG.size), dtype=np.float32)
    takes = (3, 3, 5) if channels == "first" else (3, 5, 3)
    options = describe(
        takes, channels=channels, input_range=(-1.0, 1.0), mean=(0.1, 0.2, 0.3), std=(0.5,), outputs="images"
    )
    there = make_input(options, OBLONG)(tf.constant(x))
    np.testing.assert_allclose(read_outputs(options, OBLONG, there), x, atol=1e-6)
