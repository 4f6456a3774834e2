"""What a .keras file becomes computes what Keras computes, for every allowed layer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from advae.backend import start_tensorflow
from advae.identity import canonical_json
from advae.models.added.foreign import ForeignModel
from advae.models.added.keras_layers import LAYERS, OPERATIONS
from advae.models.added.keras_network import restore_keras
from advae.models.added.keras_reader import read_keras
from advae.tracing import trace
from tests.models.added.keras_models import MODELS, save_model
from tests.models.added.saved import Saved, read_once


@pytest.fixture(scope="module", autouse=True)
def _started() -> None:
    start_tensorflow()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Saved]:
    """Each model is built and read once for all tests."""
    return read_once(lambda name: save_model(name, tmp_path_factory.mktemp("saved")), read_keras)


def draw(shape: tuple[int | None, ...]) -> np.ndarray:
    return np.random.default_rng(3).random((5, *(size or 9 for size in shape)), dtype=np.float32)


def compute(model: ForeignModel, x: np.ndarray) -> np.ndarray:
    return trace(restore_keras(model.graph, model.arrays))(x).numpy()


@pytest.mark.parametrize("name", MODELS)
def test_a_model_computes_what_keras_computes(name: str, saved: Callable[[str], Saved]) -> None:
    import keras

    model = saved(name).whole
    x = draw(model.takes)
    expected = keras.saving.load_model(saved(name).path)(x, training=False).numpy()
    found = compute(model, x)
    assert found.shape[1:] == tuple(size or 9 for size in model.gives) == expected.shape[1:]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_models_have_every_layer_and_function(saved: Callable[[str], Saved]) -> None:
    graphs = [saved(name).whole.graph for name in MODELS]
    used = {name for graph in graphs for name, _ in graph["layers"]}
    assert set(LAYERS) - used == set()
    several = {name for name in used if name.startswith("ops.")}
    assert several >= {f"ops.{name}" for name in ("Add", "Subtract", "Multiply", "TrueDivide", "Gelu", "Softmax")}
    assert several <= {f"ops.{name}" for name in OPERATIONS}


def test_every_function_is_one_of_keras() -> None:
    import keras

    assert [row.function for row in OPERATIONS.values() if not hasattr(keras.ops, row.function)] == []


@pytest.mark.parametrize("name", ["shared", "functions", "standardised", "residual", "frozen", "nothing"])
def test_the_same_file_gives_the_same_json(name: str, saved: Callable[[str], Saved], tmp_path: Path) -> None:
    """Names that Keras gives by counting, and the date in the file, do not matter."""
    first = saved(name).cut
    path = save_model(name, tmp_path)
    second = read_keras(path.read_bytes(), path, cut=True)
    assert canonical_json(first.graph) == canonical_json(second.graph)
    assert json.loads(canonical_json(first.graph)) == first.graph
    assert list(first.arrays) == list(second.arrays)
    assert all(np.array_equal(first.arrays[key], second.arrays[key]) for key in first.arrays)


ENDINGS = {
    "residual": ("softmax", (3,)),
    "functions": ("softmax", (3,)),
    "one score": ("sigmoid", (1,)),
    "several scores": (None, (3,)),
    "convolutions": (None, (8, 8, 4)),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_the_last_softmax_is_cut_off(name: str, saved: Callable[[str], Saved]) -> None:
    whole, cut = saved(name).whole, saved(name).cut
    assert (cut.ending, cut.gives) == ENDINGS[name]
    assert whole.ending is None
    x = draw(cut.takes)
    logits, outputs = compute(cut, x).astype(float), compute(whole, x)
    if cut.ending == "softmax":
        logits = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    if cut.ending == "sigmoid":
        logits = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(logits, outputs, atol=1e-5)


AFFINE = {"Add": False, "convolutions": True, "pooling": False, "standardised": True, "frozen": True, "open size": True}


@pytest.mark.parametrize("name", AFFINE)
def test_what_is_affine_is_found(name: str, saved: Callable[[str], Saved]) -> None:
    """In an affine model the value at the middle of two images is the middle of the values."""
    model = saved(name).cut
    assert model.affine is AFFINE[name]
    x = draw(model.takes)
    a, b, middle = (compute(model, one) for one in (x[:1], x[1:2], (x[:1] + x[1:2]) / 2))
    assert np.allclose((a + b) / 2, middle, atol=1e-4) is AFFINE[name]


def test_gradients_are_those_of_finite_differences(saved: Callable[[str], Saved]) -> None:
    import tensorflow as tf

    model = saved("residual").cut
    run = restore_keras(model.graph, model.arrays)
    x = tf.constant(draw(model.takes)[:1] * 255)
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = run(x)[0, 1]
    gradient = tape.gradient(score, x).numpy()
    direction = np.random.default_rng(0).normal(size=gradient.shape).astype("f4")
    step = 0.05
    difference = (run(x + step * direction)[0, 1] - run(x - step * direction)[0, 1]) / (2 * step)
    assert abs((gradient * direction).sum() - difference) <= 0.02 * abs(difference)
