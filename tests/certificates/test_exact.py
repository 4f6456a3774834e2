"""Exact certificates against linear programming, the worst corner of a box, and the nearest boundary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from advae.certificates.certified_images import Images
from advae.certificates.exact import certify_exact, find_box_margins, find_radii
from advae.errors import UsageError
from advae.intervals import trace_network
from advae.intervals.affine_maps import find_affine_map
from advae.models.baselines import BASELINES
from advae.records import Dataset
from advae.requests import AutoencoderRequest
from advae.threats import Pipeline
from tests.models.test_autoencoders import fit

PIXELS, CLASSES = 12, 4


def make_dense(pixels: int = PIXELS, classes: int = CLASSES, *, scale: float = 1.0, seed: int = 0) -> Any:
    """Return a dense layer with random weights as a network."""
    import keras

    network = keras.Sequential([keras.Input((pixels,)), keras.layers.Dense(classes)])
    generator = np.random.default_rng(seed)
    network.set_weights([generator.normal(0, scale, one.shape) for one in network.get_weights()])
    return network


def draw_images(network: Any, n: int = 40, pixels: int = PIXELS) -> Images:
    """Return random images, labelled as the network classifies them, but for every fifth one."""
    x = np.random.default_rng(1).random((n, pixels)).astype("float32")
    y = np.asarray(network(x)).argmax(axis=1)
    y[::5] = (y[::5] + 1) % network.output_shape[-1]
    return Images(x, y, np.arange(n))


def test_box_margins_are_those_of_linear_programming() -> None:
    from scipy.optimize import linprog

    network = make_dense()
    images, eps = draw_images(network, 5), 0.3
    weights, bias = (one.astype("float64") for one in network.get_weights())
    found = find_box_margins(find_affine_map(trace_network(network, PIXELS)), images.x, images.y, eps)
    for row, (x, y) in enumerate(zip(images.x.astype("float64"), images.y, strict=True)):
        ends = list(zip(np.maximum(x - eps, 0), np.minimum(x + eps, 1), strict=True))
        for other in set(range(CLASSES)) - {y}:
            least = linprog(weights[:, y] - weights[:, other], bounds=ends).fun + bias[y] - bias[other]
            # Below it by the rounding that is allowed for, and by the tolerance of the scorer.
            assert least - 5e-5 < found[row, other] < least


def test_the_worst_corner_breaks_what_is_not_certified_and_nothing_breaks_what_is() -> None:
    """FGSM of an affine margin finds the worst corner, so what is not certified is broken, up to rounding."""
    network = make_dense()
    images, radii = draw_images(network), tuple(np.linspace(0.0, 0.4, 41))
    certified = certify_exact(Pipeline(classify=network, linear=True), images, radii, "linf").certified
    weights = network.get_weights()[0]
    for row, eps in zip(certified, radii, strict=True):
        broken = np.zeros(len(images.x), bool)
        for other in range(CLASSES):
            step = np.sign(weights[:, [other]] - weights[:, images.y]).T
            x_adv = np.clip(images.x + (eps + 1e-5) * step, 0, 1).astype("float32")
            broken |= np.asarray(network(x_adv)).argmax(axis=1) != images.y
        np.testing.assert_array_equal(row, ~broken)
    assert not certified[:, ::5].any()
    assert 0 < certified[10].sum() < certified[0].sum()


def test_the_l2_radius_is_the_distance_to_the_nearest_boundary() -> None:
    network = make_dense()
    images = draw_images(network)
    found = certify_exact(Pipeline(classify=network, linear=True), images, (0.05, 0.2), "l2")
    radii, weights = found.more["radii"], network.get_weights()[0].astype("float64")
    assert (radii[::5] == 0).all()
    np.testing.assert_array_equal(found.certified, radii > np.array([[0.05], [0.2]]) + 1e-6)
    inside, outside = (np.zeros(len(radii), bool) for _ in range(2))
    for other in range(CLASSES):
        apart = (weights[:, [other]] - weights[:, images.y]).T
        # The label's own direction is zero.
        unit = apart / np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-300)
        for share, changed in ((0.999, inside), (1.001, outside)):
            moved = images.x + (share * radii[:, None] + (1e-5 if share > 1 else 0.0)) * unit
            changed |= np.asarray(network(moved.astype("float32"))).argmax(axis=1) != images.y
    right = radii > 1e-4
    assert right.sum() > 20
    assert not inside[right].any()
    assert outside[right].all()


def test_two_classes_of_one_score() -> None:
    from keras import ops

    network = make_dense(classes=1)

    def logits(x: Any) -> Any:
        scores = network(x)
        return ops.concatenate([ops.zeros_like(scores), scores], axis=-1)

    x = draw_images(make_dense()).x
    scores, weights = np.asarray(network(x))[:, 0].astype("float64"), network.get_weights()[0].astype("float64")
    radii = find_radii(find_affine_map(trace_network(logits, PIXELS)), x, (scores > 0).astype("int64"))
    np.testing.assert_allclose(radii, np.abs(scores) / np.linalg.norm(weights), atol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_float32_stays_within_the_error_of_the_map(scale: float) -> None:
    network = make_dense(scale=scale)
    weights, bias = network.get_weights()
    # Large weights that cancel make the rounding as large as the logits.
    weights[1::2] = -weights[::2] + np.random.default_rng(2).normal(0, 1e-3, weights[::2].shape)
    network.set_weights([weights, bias])
    found = find_affine_map(trace_network(network, PIXELS))
    x = np.repeat(np.random.default_rng(3).random((2000, PIXELS // 2)), 2, axis=1).astype("float32")
    off = np.abs(np.asarray(network(x), "float64") - (x.astype("float64") @ found.weights.T + found.bias))
    assert (off <= found.error).all()
    # Not by far too much: a sum of 13 terms rarely has more than a tenth of its bound.
    assert off.max() > 0.01 * found.error.max()


def purify_digits(digits: Dataset, kind: str) -> Any:
    recipe, arrays, _ = fit(digits, AutoencoderRequest(type=kind))
    return BASELINES[kind].restore(recipe, arrays, "float32")


def test_a_blur_in_front_stays_affine(digits: Dataset) -> None:
    purifier, network = purify_digits(digits, "blur"), make_dense(64, 10, scale=0.5)
    pipeline = Pipeline(classify=network, purify=purifier, linear=True)
    images = Images(digits.x_test, digits.y_test, np.arange(len(digits.x_test)))
    found = find_affine_map(trace_network(lambda x: pipeline.defend(x, 0), 64))
    logits = np.asarray(pipeline.defend(images.x, 0), "float64")
    off = np.abs(logits - (images.x.astype("float64") @ found.weights.T + found.bias))
    assert (off <= found.error).all()
    assert found.error.max() < 1e-3
    proved = certify_exact(pipeline, images, (0.02,), "linf")
    np.testing.assert_array_equal(proved.predictions, logits.argmax(axis=1))
    assert not proved.certified[0, proved.predictions != images.y].any()


@pytest.mark.parametrize(("kind", "said"), [("pca", "keras.ops Clip"), ("binary", "keras.ops Sign")])
def test_what_is_not_affine_is_named(digits: Dataset, kind: str, said: str) -> None:
    pipeline = Pipeline(classify=make_dense(64, 10), purify=purify_digits(digits, kind), linear=True)
    images = Images(digits.x_test, digits.y_test, np.arange(len(digits.x_test)))
    with pytest.raises(UsageError, match=f"not affine: {said}"):
        certify_exact(pipeline, images, (0.1,), "linf")
