"""The same file, attacked here and by ART, and the adversarial examples shown to the file's own library."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.datasets.load import load_dataset
from advae.records import ADVERSARIAL, Dataset, Manifest
from advae.requests import AttackRequest
from advae.workflows import AttackCommand, Workspace, run_attacks
from tests.added_files import MEANS, name_dataset

EPS = 0.03
N = 200
HALF_A_POINT = 0.005

FILES = (
    *("keras_cnn_mnist.keras", "keras_resnet_photos16.keras", "torch_cnn_mnist.onnx", "torch_dynamo_mnist.onnx"),
    *("sk_scaler_lr_digits.skops", "sk_pca_mlp_digits.skops", "sk_linearsvc_digits.skops"),
)
"""The files whose models have gradients."""

pytestmark = pytest.mark.real_data


Add = Callable[[str], Manifest]
Load = Callable[[str], Dataset]


@pytest.fixture(scope="module")
def load(bench: Workspace, shared_models: Path) -> Load:
    """A function that returns the dataset of a file's model, each loaded once."""

    @cache
    def run(name: str) -> Dataset:
        return load_dataset(name, data_dir=bench.data_dir)

    return lambda file: run(name_dataset(file, shared_models))


def attack(bench: Workspace, classifier: Manifest, method: str, **options: Any) -> tuple[float, Any]:
    """Return the robust accuracy on the first N test images, and the adversarial examples."""
    request = AttackRequest(method=method, threat="adaptive", eps=(EPS,), limit=N, save_adversarial=True, **options)
    run = run_attacks(bench, classifier.id, None, AttackCommand([request])).requested[0].manifest
    found = bench.registry.read_arrays(run, ADVERSARIAL)
    return run.as_run()[1].results[0].accuracy, found["x_adv"][0].astype(np.float32)


def open_with_its_own_library(path: Path, shape: tuple[int, ...]) -> Callable[[Any], Any]:
    """Return images, (n, d) in [0, 1], to the labels that the library which wrote the file gives."""
    if path.suffix == ".keras":
        import keras

        model = keras.saving.load_model(path)
        scale = 255.0 if "photos16" in path.name else 1.0
        return lambda x: model.predict(scale * x.reshape(-1, *shape), verbose=0).argmax(axis=1)
    if path.suffix == ".skops":
        import skops.io

        estimator = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
        return lambda x: estimator.predict(x)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    (mean,), (std,) = MEANS.get(path.name, ((0.0,), (1.0,)))
    name = session.get_inputs()[0].name

    def predict(x: Any) -> Any:
        rows = ((x - mean) / std).reshape(-1, 1, *shape[:2]).astype(np.float32)
        return session.run(None, {name: rows})[0].argmax(axis=1)

    return predict


@pytest.mark.parametrize("file", FILES)
def test_adversarial_examples_do_to_the_file_what_they_did_here(
    file: str, bench: Workspace, add: Add, load: Load, shared_models: Path
) -> None:
    added, data = add(file), load(file)
    predict = open_with_its_own_library(shared_models / file, data.ref.shape)
    accuracies = {}
    for method, options in (("fgsm", {}), ("pgd", {"steps": 10})):
        accuracies[method], x_adv = attack(bench, added, method, **options)
        theirs = float((predict(x_adv) == data.y_test[:N]).mean())
        assert abs(theirs - accuracies[method]) <= HALF_A_POINT, (method, theirs)
    clean = float((predict(data.x_test[:N]) == data.y_test[:N]).mean())
    assert accuracies["pgd"] <= accuracies["fgsm"] < clean


@pytest.mark.parametrize("file", [file for file in FILES if file.endswith(".keras")])
def test_fgsm_and_pgd_find_what_art_finds_on_the_same_file(
    file: str, bench: Workspace, add: Add, load: Load, shared_models: Path
) -> None:
    """ART differentiates Keras' own model; both take cross-entropy, the same steps, and no random start."""
    import keras
    import tensorflow as tf
    from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
    from art.estimators.classification import TensorFlowV2Classifier

    added, data = add(file), load(file)
    shape, classes = data.ref.shape, len(data.ref.classes)
    model = keras.saving.load_model(shared_models / file)
    photos = "photos16" in file
    estimator = TensorFlowV2Classifier(
        model=lambda x, training=False: model(x * 255.0 if photos else x, training=False),
        nb_classes=classes,
        input_shape=tuple(shape),
        loss_object=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=photos),
        clip_values=(0.0, 1.0),
    )
    x, y = data.x_test[:N].reshape(-1, *shape), data.y_test[:N]
    made = {
        "fgsm": FastGradientMethod(estimator, eps=EPS, batch_size=N),
        "bim": ProjectedGradientDescent(
            estimator, eps=EPS, eps_step=EPS / 10, max_iter=10, batch_size=N, verbose=False
        ),
    }
    for method, peer in made.items():
        ours, _ = attack(bench, added, method, loss="ce")
        moved = peer.generate(x, y)
        theirs = float((estimator.predict(moved).argmax(axis=1) == y).mean())
        assert abs(ours - theirs) <= HALF_A_POINT, json.dumps({"method": method, "ours": ours, "art": theirs})
