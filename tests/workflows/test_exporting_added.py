"""What is exported of models that other programs trained: the same predictions without this package, or one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.errors import UsageError
from advae.evaluation.pipelines import load_pipeline, load_purifier
from advae.records import Dataset, Manifest
from advae.registry import Registry
from advae.requests import AddRequest, AttackRequest, AutoencoderRequest, NetworkRequest
from advae.workflows import (
    AttackCommand,
    Workspace,
    add_classifier,
    add_purifier,
    put_classifier,
    run_attacks,
    train_autoencoder,
)
from advae.workflows.exporting import export_bundle, export_joblib, export_keras, export_npy, import_bundle

PEER = """
import sys
sys.modules["advae"] = None
from pathlib import Path
import keras, numpy as np
folder = Path(sys.argv[1])
for path in folder.glob("*.keras"):
    if path.with_suffix(".json").exists():
        outputs = keras.models.load_model(path, safe_mode=True).predict(np.load(folder / "images.npy"), verbose=0)
        np.save(path.with_suffix(".npy"), outputs)
assert not any(name.startswith("advae.") for name in sys.modules)
"""
"""Reads every exported model of a folder, and writes its outputs beside."""

CLASSIFIERS = ("network", "pipeline", "first")
PURIFIERS = ("trained", "added", "graph")


def save_network(path: Path, data: Dataset) -> None:
    """Convolutions, batch normalisation and a softmax, on 0..255."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    made = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    made.compile("adam", "sparse_categorical_crossentropy")
    made.fit(data.x_train.reshape(-1, 8, 8, 1) * 255, data.y_train, epochs=8, verbose=0)
    made.save(path)


def save_pipeline(path: Path, data: Dataset) -> None:
    """Every step of scikit-learn that becomes an operation."""
    import skops.io
    from sklearn.decomposition import PCA
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler

    steps = (StandardScaler(), MinMaxScaler(clip=True), Normalizer("l2"), PCA(20, whiten=True, random_state=0))
    made = make_pipeline(*steps, MLPClassifier((16,), activation="tanh", max_iter=60, random_state=0))
    skops.io.dump(made.fit(data.x_train.astype(float), data.y_train), path)


def save_first(path: Path, data: Dataset) -> None:
    """A graph that takes channels first, with a mean and a deviation of its own."""
    import onnx
    from onnx import numpy_helper
    from sklearn.linear_model import LogisticRegression

    from tests.models.added.onnx_models import Model, node

    found = LogisticRegression(max_iter=60).fit((data.x_train - 0.5) / 0.25, data.y_train)
    shape = numpy_helper.from_array(np.array([-1, 64]))
    nodes = [
        node("Constant", "", "shape", value=shape),
        node("Reshape", "x shape", "flat"),
        node("Gemm", "flat weights bias", "scores"),
    ]
    constants = {"weights": found.coef_.T.astype("f4"), "bias": found.intercept_.astype("f4")}
    onnx.save(Model(nodes, constants, shape=(1, 8, 8)).build(), path)


def save_forest(path: Path, data: Dataset) -> None:
    import skops.io
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(5, max_depth=6, random_state=0)
    skops.io.dump(forest.fit(data.x_train.astype(float), data.y_train), path)


def save_blur(path: Path, data: Dataset) -> None:
    """A purifier on 0..255."""
    import keras

    inputs = keras.Input((8, 8, 1))
    around = keras.layers.AveragePooling2D(3, 1, padding="same")(inputs)
    keras.Model(inputs, keras.layers.Average()([inputs, around])).save(path)


def save_graph(path: Path, data: Dataset) -> None:
    """A purifier that takes channels first."""
    import onnx

    from tests.models.added.onnx_models import Model, node

    nodes = [node("AveragePool", "x", "y", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)]
    onnx.save(Model(nodes, shape=(1, 8, 8)).build(), path)


NORMALISED = AddRequest(input_range=(0.0, 1.0), mean=(0.5,), std=(0.25,))
SAVED: dict[str, tuple[Callable[[Path, Dataset], None], str, AddRequest]] = {
    "network": (save_network, "keras", AddRequest()),
    "pipeline": (save_pipeline, "skops", AddRequest()),
    "first": (save_first, "onnx", NORMALISED),
    "forest": (save_forest, "skops", AddRequest()),
    "added": (save_blur, "keras", AddRequest(input_range=(0.0, 255.0))),
    "graph": (save_graph, "onnx", AddRequest()),
}


class Lab:
    """A registry with added models, alone and behind purifiers, by name, and where they are exported to."""

    def __init__(self, folder: Path, data: Dataset) -> None:
        self.workspace, self.folder = Workspace(Registry(folder / "home")), folder
        self.entries: dict[str, Manifest] = {}
        for name, (save, suffix, request) in SAVED.items():
            save(path := folder / f"{name}-source.{suffix}", data)
            add = add_purifier if name in PURIFIERS else add_classifier
            self.entries[name] = add(self.workspace, str(path), "digits", request).manifest
        asked = AutoencoderRequest(type="vanilla", network=NetworkRequest(epochs=1))
        self.entries["trained"] = train_autoencoder(self.workspace, "digits", asked)[0].manifest
        behind = [("network", "trained"), ("pipeline", "added"), ("first", "graph"), ("forest", "trained")]
        for name, purifier in behind:
            made = put_classifier(self.workspace, None, self.entries[purifier].id, self.entries[name].id)
            self.entries[f"{name} behind {purifier}"] = made.manifest


KERAS = [*CLASSIFIERS, *PURIFIERS, "network behind trained", "pipeline behind added", "first behind graph"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Lab:
    """Every export is read in one process without this package."""
    made = Lab(tmp_path_factory.mktemp("added"), digits)
    for name in KERAS:
        exported = export_keras(made.workspace, made.entries[name].id, made.folder / f"{name}.keras")
        assert exported.backward == "exact"
        (made.folder / f"{name}.json").write_text("{}")
    np.save(made.folder / "images.npy", digits.x_test[:100].reshape(-1, 8, 8, 1))
    command = [sys.executable, "-P", "-c", PEER, str(made.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, cwd=made.folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return made


def ask(workspace: Workspace, manifest: Manifest, x: Any) -> Any:
    if manifest.kind == "ae":
        return load_purifier(workspace.registry, manifest).mean(x).numpy()
    return load_pipeline(workspace.registry, manifest).defend(x, 0).numpy()


@pytest.mark.parametrize("name", KERAS)
def test_an_added_model_is_a_keras_model_that_answers_alike(name: str, lab: Lab, digits: Dataset) -> None:
    x = digits.x_test[:100]
    found, expected = np.load(lab.folder / f"{name}.npy"), ask(lab.workspace, lab.entries[name], x)
    found = found.reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    if name in CLASSIFIERS:
        assert (found.argmax(1) == digits.y_test[:100]).mean() > 0.7


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("forest", "clf-.* was added and gives scores only, for which Keras has no layers; use the file that it was"),
        (
            "forest behind trained",
            "clf-.* was added and gives scores only, for which Keras has no layers; use the file",
        ),
    ],
)
def test_scores_are_no_keras_model(name: str, line: str, lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=line):
        export_keras(lab.workspace, lab.entries[name].id, tmp_path / "out.keras")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["network", "pipeline", "first", "forest", "added", "network behind trained"])
def test_no_added_model_is_a_regression_of_scikit_learn(name: str, lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes an lr classifier that was trained here; use the file that it was"):
        export_joblib(lab.workspace, lab.entries[name].id, tmp_path / "out.joblib")
    with pytest.raises(UsageError, match="holds no adversarial examples; `advae attack"):
        export_npy(lab.workspace, lab.entries[name].id, tmp_path / "out.npy")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["network behind trained", "forest behind trained", "first behind graph"])
def test_a_bundle_answers_alike_in_another_registry(name: str, lab: Lab, tmp_path: Path, digits: Dataset) -> None:
    manifest, ids = export_bundle(lab.workspace, lab.entries[name].id, tmp_path / "bundle.tar")
    assert len(ids) == 3
    other = Workspace(Registry(tmp_path / "other"))
    import_bundle(other, tmp_path / "bundle.tar")
    x = digits.x_test[:20]
    found = ask(other, other.registry.manifest(manifest.id), x)
    np.testing.assert_array_equal(found, ask(lab.workspace, manifest, x))


def test_adversarial_examples_of_scores_are_arrays(lab: Lab, tmp_path: Path) -> None:
    request = AttackRequest(method="square", threat="adaptive", eps=(0.2,), queries=20, limit=10, save_adversarial=True)
    run = run_attacks(lab.workspace, lab.entries["forest"].id, None, AttackCommand([request])).requested[0].manifest
    export_npy(lab.workspace, run.id, tmp_path / "adv.npy")
    images, predictions = np.load(tmp_path / "adv.npy"), np.load(tmp_path / "adv-predictions.npy")
    assert images.shape == (10, 8, 8)
    logits = ask(lab.workspace, lab.entries["forest"], images.reshape(10, -1))
    np.testing.assert_array_equal(logits.argmax(1), predictions)
