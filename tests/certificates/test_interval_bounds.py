"""Certificates by interval bounds: what is certified withstands attacks, several eps at once, and interruptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from advae.certificates.certified_images import CertifiedImages, Images, ProofProgress
from advae.certificates.exact import certify_exact
from advae.certificates.interval_bounds import certify_by_intervals, count_rows
from advae.errors import CorruptError, UsageError
from advae.intervals import trace_network
from advae.threats import Pipeline
from tests.certificates.test_exact import CLASSES, PIXELS, draw_images, make_dense

RADII = (0.02, 0.0, 0.1, 0.005)


def make_network() -> Any:
    """Return a network with one hidden layer."""
    import keras

    stack = [keras.Input((PIXELS,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(CLASSES)]
    network = keras.Sequential(stack)
    generator = np.random.default_rng(3)
    network.set_weights([generator.normal(0, 0.5, one.shape) for one in network.get_weights()])
    return network


def prove(network: Any, images: Images, progress: ProofProgress | None = None) -> CertifiedImages:
    return certify_by_intervals(Pipeline(classify=network), images, RADII, progress or ProofProgress())


class Memory:
    """A checkpoint in memory."""

    def __init__(self) -> None:
        self.saved: list[Mapping[str, Any]] = []

    def load(self) -> Any:
        return self.saved[-1] if self.saved else None

    def save(self, arrays: Mapping[str, Any]) -> None:
        self.saved.append({name: array.copy() for name, array in arrays.items()})


def test_what_is_certified_withstands_points_and_gradients() -> None:
    import tensorflow as tf

    network = make_network()
    images = draw_images(network, 200)
    found = prove(network, images)
    np.testing.assert_array_equal(found.predictions, np.asarray(network(images.x)).argmax(axis=1))
    assert not found.certified[:, ::5].any()
    generator = np.random.default_rng(0)
    for row, eps in zip(found.certified, RADII, strict=True):
        step = eps * generator.choice([-1.0, 1.0], (50, *images.x.shape))
        x = tf.Variable(images.x)
        for _ in range(10):
            with tf.GradientTape() as tape:
                loss = tf.nn.sparse_softmax_cross_entropy_with_logits(images.y, network(x))
            moved = x + eps / 4 * tf.sign(tape.gradient(loss, x))
            x.assign(tf.clip_by_value(moved, np.maximum(images.x - eps, 0), np.minimum(images.x + eps, 1)))
        points = np.concatenate([np.clip(images.x + step, 0, 1), x.numpy()[None]]).astype("float32")
        classes = np.asarray(network(points.reshape(-1, PIXELS))).argmax(axis=1).reshape(len(points), -1)
        assert (classes == images.y)[:, row].all()
    assert 0 < found.certified[2].sum() < found.certified[0].sum() < found.certified[1].sum()


def test_a_larger_eps_never_certifies_more_whatever_their_order() -> None:
    network = make_network()
    certified = prove(network, draw_images(network)).certified[np.argsort(RADII)]
    assert (certified[:-1] >= certified[1:]).all()


def test_an_affine_network_is_bounded_exactly() -> None:
    network = make_dense()
    images, radii = draw_images(network), tuple(np.linspace(0, 0.4, 9))
    pipeline = Pipeline(classify=network, linear=True)
    exact = certify_exact(pipeline, images, radii, "linf").certified
    np.testing.assert_array_equal(certify_by_intervals(pipeline, images, radii, ProofProgress()).certified, exact)
    assert 0 < exact.sum() < exact.size


def interrupt_and_continue(network: Any, prove: Callable[[Any, Images, ProofProgress], CertifiedImages]) -> None:
    """Interrupt a proof of 40 images after the first batch of 16, and continue it: the same images are certified."""
    images, memory, told = draw_images(network), Memory(), list[tuple[int, int]]()
    expected = prove(network, images, ProofProgress()).certified

    def stop(done: int, total: int) -> None:
        told.append((done, total))
        if done == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prove(network, images, ProofProgress(stop, memory))
    found = prove(network, images, ProofProgress(stop, memory))
    assert told == [(16, 40), (32, 40), (40, 40)]
    np.testing.assert_array_equal(found.certified, expected)
    with pytest.raises(CorruptError, match="another proof"):
        prove(network, draw_images(network, 7), ProofProgress(checkpoint=memory))


def test_an_interrupted_proof_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("advae.certificates.interval_bounds.MOST_ROWS", 16)
    interrupt_and_continue(make_network(), prove)


def test_batches_are_small_where_layers_are_wide() -> None:
    import keras

    def widen(width: int) -> Any:
        return trace_network(keras.Sequential([keras.Input((2,)), keras.layers.Dense(width), keras.layers.Dense(2)]), 2)

    assert count_rows(widen(8)) == 500
    assert count_rows(widen(100_000)) == 2**28 // (8 * 12 * 100_000)


def test_a_random_purifier_is_refused() -> None:
    network = make_network()
    pipeline = Pipeline(classify=network, purify=lambda x, draw: x, samples=True)
    with pytest.raises(UsageError, match="random"):
        certify_by_intervals(pipeline, draw_images(network), RADII, ProofProgress())
