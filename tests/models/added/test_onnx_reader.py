"""What an .onnx file becomes computes what onnxruntime computes, for every operator that is converted."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from advae.backend import start_tensorflow
from advae.errors import CorruptError, UsageError
from advae.identity import canonical_json
from advae.models.added.foreign import ForeignModel
from advae.models.added.onnx_file import parse_onnx
from advae.models.added.onnx_network import restore_onnx
from advae.models.added.onnx_operations import ONNX_OPERATIONS
from advae.models.added.onnx_operators import CONVERSIONS
from advae.models.added.onnx_reader import read_onnx
from advae.models.added.onnx_scores import open_session, run_session
from advae.models.added.score_process import ScoreProcess
from advae.tracing import trace
from tests.models.added.onnx_models import MODELS, SCORES, write_model
from tests.models.added.saved import Saved, read_once


@pytest.fixture(scope="module", autouse=True)
def _started() -> None:
    start_tensorflow()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Saved]:
    """Each model is built and read once for all tests."""

    return read_once(lambda name: write_model(MODELS[name], tmp_path_factory.mktemp("saved") / "model.onnx"), read_onnx)


def draw(shape: tuple[int | None, ...]) -> np.ndarray:
    return np.random.default_rng(3).normal(0.3, 1, (5, *shape)).astype("f4")


def compute(model: ForeignModel, x: np.ndarray) -> np.ndarray:
    return trace(restore_onnx(model.graph, model.arrays))(x).numpy()


def expect(path: Path, x: np.ndarray) -> np.ndarray:
    content = path.read_bytes()
    return run_session(open_session(content), parse_onnx(content), x)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_computes_what_onnxruntime_computes(name: str, saved: Callable[[str], Saved]) -> None:
    path, model = saved(name).path, saved(name).whole
    assert (model.format, model.notes) == ("onnx", ())
    x = draw(model.takes)
    found, expected = compute(model, x), expect(path, x)
    assert found.shape == (5, *model.gives)
    np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=2e-4, atol=1e-5)


def test_the_models_have_every_operator(saved: Callable[[str], Saved]) -> None:
    graphs = [saved(name).whole.graph for name in MODELS]
    assert set(CONVERSIONS) - {node.op_type for model in MODELS.values() for node in model.nodes} == set()
    assert set(ONNX_OPERATIONS) - {op for graph in graphs for op, *_ in graph["nodes"]} == set()


@pytest.mark.parametrize("name", ["residual", "view", "parts"])
def test_the_same_file_gives_the_same_json(name: str, tmp_path: Path) -> None:
    path = write_model(MODELS[name], tmp_path / "model.onnx")
    first, second = (read_onnx(path.read_bytes(), path, cut=True) for _ in range(2))
    assert canonical_json(first.graph) == canonical_json(second.graph)
    assert json.loads(canonical_json(first.graph)) == first.graph
    assert all(np.array_equal(first.arrays[key], second.arrays[key]) for key in (*first.arrays, *second.arrays))


def test_names_and_order_of_weights_do_not_matter(tmp_path: Path) -> None:
    message = MODELS["residual"].build()
    path = write_model(MODELS["residual"], tmp_path / "model.onnx")
    for place, one in enumerate([*message.graph.initializer]):
        for node in message.graph.node:
            node.input[:] = [f"weight{place}" if name == one.name else name for name in node.input]
        one.name = f"weight{place}"
    message.graph.initializer.sort(key=lambda one: one.name, reverse=True)
    (other := tmp_path / "other.onnx").write_bytes(message.SerializeToString())
    first, second = (read_onnx(one.read_bytes(), one, cut=True) for one in (path, other))
    assert first.graph == second.graph
    assert all(np.array_equal(first.arrays[key], second.arrays[key]) for key in first.arrays)


ENDINGS = {"residual": ("softmax", (3,)), "score": ("sigmoid", (1,)), "smooth": (None, (4, 6, 8)), "view": (None, (3,))}


@pytest.mark.parametrize("name", ENDINGS)
def test_the_last_softmax_is_cut_off(name: str, saved: Callable[[str], Saved]) -> None:
    whole, cut = saved(name).whole, saved(name).cut
    assert (cut.ending, cut.gives) == ENDINGS[name]
    x = draw(cut.takes)
    logits, outputs = compute(cut, x).astype(float), compute(whole, x)
    if cut.ending == "softmax":
        logits = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    if cut.ending == "sigmoid":
        logits = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(logits, outputs, atol=1e-5)


AFFINE = (
    "conv",
    "average pool",
    "pad",
    "last channels",
    "view",
    "sizes",
    "gemm",
    "fixed sizes",
    "old reduction",
    "parts",
)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_affine_is_found(name: str, saved: Callable[[str], Saved]) -> None:
    """In an affine model the value at the middle of two images is the middle of the values."""
    model = saved(name).cut
    x = draw(model.takes)
    a, b, middle = (compute(model, one) for one in (x[:1], x[1:2], (x[:1] + x[1:2]) / 2))
    if name in AFFINE:
        assert model.affine
    if model.affine:
        np.testing.assert_allclose((a + b) / 2, middle, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["residual", "conv", "average pool", "gelu"])
def test_gradients_are_those_of_finite_differences(name: str, saved: Callable[[str], Saved]) -> None:
    import tensorflow as tf

    model = saved(name).cut
    run = restore_onnx(model.graph, model.arrays)
    x = tf.constant(draw(model.takes)[:1])
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = tf.reduce_sum(tf.sin(run(x)))
    gradient = tape.gradient(score, x).numpy()
    direction = np.random.default_rng(0).normal(size=gradient.shape).astype("f4")
    step = 2e-3
    above, below = (tf.reduce_sum(tf.sin(run(x + sign * step * direction))) for sign in (1, -1))
    difference = float((above - below) / (2 * step))
    assert abs(float((gradient * direction).sum()) - difference) <= 0.02 * abs(difference) + 0.01


@pytest.mark.parametrize("name", SCORES)
def test_an_unknown_operator_falls_back_to_scores(name: str, tmp_path: Path) -> None:
    path = write_model(SCORES[name], tmp_path / "model.onnx")
    model = read_onnx(path.read_bytes(), path, cut=True)
    assert (model.format, model.differentiable, model.arrays) == ("onnx-scores", False, {})
    assert model.file == path.read_bytes()
    (note,) = model.notes
    assert note.endswith("the model gives scores only, computed by onnxruntime")
    x = draw(model.takes)
    process = ScoreProcess(model.format, model.file or b"", {})
    try:
        np.testing.assert_array_equal(process.scores(x.reshape(5, -1)), expect(path, x).reshape(5, -1))
        assert process.describe().gives == np.prod(model.gives)
    finally:
        process.close()


def test_the_process_refuses_a_file_that_is_not_allowed() -> None:
    process = ScoreProcess("onnx-scores", b"\x08\x09\x3a\x00", {})
    with pytest.raises(CorruptError, match=r"the stored \.onnx file is refused"):
        process.describe()
    process.close()


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_a_missing_library_is_named_with_its_command(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_model(MODELS["gemm"], tmp_path / "model.onnx")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=r'needs onnx.*pip install "advae\[models\]"'):
        read_onnx(path.read_bytes(), path, cut=True)


def test_a_function_that_differs_falls_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    row = ONNX_OPERATIONS["Relu"]
    monkeypatch.setitem(ONNX_OPERATIONS, "Relu", replace(row, run=lambda attributes, x: x))
    path = write_model(MODELS["residual"], tmp_path / "model.onnx")
    model = read_onnx(path.read_bytes(), path, cut=True)
    assert model.format == "onnx-scores"
    assert "which differs by" in model.notes[0]
