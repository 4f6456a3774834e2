"""Certificates by backward bounds: never less than by intervals, several eps, and interruptions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from advae.certificates.backward_bounds import certify_backward
from advae.certificates.certified_images import CertifiedImages, Images, ProofProgress
from advae.certificates.exact import certify_exact
from advae.certificates.interval_bounds import certify_by_intervals
from advae.errors import UsageError
from advae.threats import Pipeline
from tests.certificates.test_exact import CLASSES, PIXELS, draw_images, make_dense
from tests.certificates.test_interval_bounds import interrupt_and_continue

RADII = (0.1, 0.0, 0.25, 0.05)


def make_network() -> Any:
    """Return a network with two hidden layers, as intervals are tight behind one."""
    import keras

    hidden = [keras.layers.Dense(16, activation="relu") for _ in range(2)]
    network = keras.Sequential([keras.Input((PIXELS,)), *hidden, keras.layers.Dense(CLASSES)])
    generator = np.random.default_rng(3)
    network.set_weights([generator.normal(0, 0.4, one.shape) for one in network.get_weights()])
    return network


def prove(network: Any, images: Images, progress: ProofProgress | None = None) -> CertifiedImages:
    return certify_backward(Pipeline(classify=network), images, RADII, progress or ProofProgress())


def test_all_that_intervals_prove_is_certified_and_more() -> None:
    network = make_network()
    images = draw_images(network, 200)
    found = prove(network, images).certified
    less = certify_by_intervals(Pipeline(classify=network), images, RADII, ProofProgress()).certified
    assert (found >= less).all()
    assert not found[:, ::5].any(), "a misclassified image is certified"
    assert found[0].sum() > 1.3 * less[0].sum()
    # A larger eps never certifies more, whatever their order.
    ordered = found[np.argsort(RADII)]
    assert (ordered[:-1] >= ordered[1:]).all()
    assert 0 < found[2].sum() < found[1].sum()


def test_an_affine_network_is_bounded_exactly() -> None:
    network = make_dense()
    images, radii = draw_images(network), tuple(np.linspace(0, 0.4, 5))
    pipeline = Pipeline(classify=network, linear=True)
    exact = certify_exact(pipeline, images, radii, "linf").certified
    np.testing.assert_array_equal(certify_backward(pipeline, images, radii, ProofProgress()).certified, exact)
    assert 0 < exact.sum() < exact.size


def test_an_interrupted_proof_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("advae.certificates.backward_bounds.MOST_IMAGES", 16)
    interrupt_and_continue(make_network(), prove)


def test_a_random_purifier_is_refused() -> None:
    network = make_network()
    pipeline = Pipeline(classify=network, purify=lambda x, draw: x, samples=True)
    with pytest.raises(UsageError, match="random"):
        certify_backward(pipeline, draw_images(network), RADII, ProofProgress())
