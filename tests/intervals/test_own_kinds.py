"""Every kind of purifier and classifier, and models of other programs: points of balls stay inside the bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.errors import UsageError
from advae.intervals import list_unbounded, trace_network
from advae.models.added.foreign import ForeignModel
from advae.models.added.keras_reader import read_keras
from advae.models.added.onnx_reader import read_onnx
from advae.models.added.skops_reader import read_skops
from advae.models.added.stored import open_model, pack_model
from advae.models.autoencoders import AUTOENCODERS
from advae.models.baselines import BASELINES
from advae.models.classifiers import CLASSIFIERS, make_classifier_recipe, restore_classifier
from advae.models.purifiers import restore_purifier
from advae.records import Dataset
from advae.requests import AutoencoderRequest, ClassifierRequest
from tests.intervals.test_bounding import require_inside
from tests.models.added.test_peers_on_files import FILES
from tests.models.test_autoencoders import describe, fit

BODIES = [(kind, body) for kind in AUTOENCODERS if kind not in (*BASELINES, "cascade") for body in ("dense", "conv")]


def draw_weights(expected: Any) -> dict[str, Any]:
    """Return random weights of the expected shapes."""
    generator = np.random.default_rng(0)
    return {
        name: generator.normal(0, 1 / np.sqrt(np.prod(weight.shape[:-1]) + 4), weight.shape).astype("float32")
        for name, weight in expected.items()
    }


def build_classifier(digits: Dataset, model: str) -> Callable[[Any], Any]:
    """Return a classifier of a kind with random weights."""
    recipe = make_classifier_recipe(ClassifierRequest(model=model), digits, None)
    arrays = draw_weights(CLASSIFIERS[model].weights(recipe))
    if "classes" in arrays:
        arrays["classes"] = np.arange(10)
    return restore_classifier(recipe, arrays).logits


def require_bounded(logits: Callable[[Any], Any], x: Any, *, eps: float = 0.02) -> None:
    function = trace_network(logits, x.shape[1])
    assert list_unbounded(function) == ()
    require_inside(function, x, eps=eps)


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_a_classifier(digits: Dataset, model: str) -> None:
    require_bounded(build_classifier(digits, model), digits.x_test[:6])


@pytest.mark.parametrize(("kind", "body"), BODIES)
def test_a_trained_purifier(digits: Dataset, kind: str, body: str) -> None:
    recipe = describe(AutoencoderRequest(type=kind, options={"body": body}), digits)
    purifier = restore_purifier(recipe, draw_weights(AUTOENCODERS[kind].weights(recipe)))
    classify = build_classifier(digits, "lr")
    require_bounded(lambda x: classify(purifier.mean(x)), digits.x_test[:6])


@pytest.mark.parametrize("kind", [kind for kind, row in BASELINES.items() if row.in_graph])
def test_a_baseline(digits: Dataset, kind: str) -> None:
    recipe, arrays, _ = fit(digits, AutoencoderRequest(type=kind))
    purifier, classify = restore_purifier(recipe, arrays), build_classifier(digits, "mlp")
    require_bounded(lambda x: classify(purifier.mean(x)), digits.x_test[:6])


@pytest.mark.parametrize("kind", [kind for kind, row in BASELINES.items() if not row.in_graph])
def test_a_baseline_that_another_library_computes_has_no_bounds(digits: Dataset, kind: str) -> None:
    recipe, arrays, _ = fit(digits, AutoencoderRequest(type=kind))
    with pytest.raises(UsageError, match="it has no interval bounds"):
        trace_network(restore_purifier(recipe, arrays).mean, 64)


READERS: dict[str, Callable[[bytes, Path], ForeignModel]] = {
    ".keras": lambda content, path: read_keras(content, path, cut=True),
    ".onnx": lambda content, path: read_onnx(content, path, cut=True),
    ".skops": lambda content, path: read_skops(content, path),
}


@pytest.mark.parametrize("file", FILES)
def test_a_model_of_another_program(file: str, shared_models: Path) -> None:
    import keras

    path = shared_models / file
    model = READERS[path.suffix](path.read_bytes(), path)
    run, shape = open_model(model.format, pack_model(model)), [int(size or 0) for size in model.takes]
    x = np.random.default_rng(0).random((4, math.prod(shape))).astype("float32")
    require_bounded(lambda images: run(keras.ops.reshape(images, (-1, *shape))), x, eps=0.005)
