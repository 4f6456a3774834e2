"""Models that other programs trained, from their file to an entry like any other."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.datasets.load import load_dataset
from advae.errors import CorruptError, UsageError
from advae.evaluation.pipelines import load_classifier, load_pipeline, load_purifier
from advae.models.added.stored import GRAPH, digest_stored
from advae.records import AddedOptions, Manifest
from advae.registry import Registry
from advae.requests import AddRequest, AttackRequest
from advae.workflows import AttackCommand, Workspace, add_classifier, add_purifier, put_classifier, run_attacks
from advae.workflows.exporting import export_bundle

SCORES = "scores.json"

FILES = (
    *("sk_scaler_lr_digits.skops", "sk_pca_mlp_digits.skops", "sk_linearsvc_digits.skops"),
    *("sk_svc_digits.skops", "sk_forest_digits.skops", "keras_resnet_photos16.keras"),
    *("keras_cnn_mnist.keras", "torch_cnn_mnist.onnx", "torch_dynamo_mnist.onnx"),
)


@pytest.mark.real_data
@pytest.mark.parametrize("file", FILES)
def test_clean_accuracy_is_what_the_models_own_library_measures(
    file: str, add: Callable[[str], Manifest], shared_models: Path
) -> None:
    expected = json.loads((shared_models / SCORES).read_text())[file]
    found = add(file).as_classifier()[1]
    assert (round(found.test_accuracy, 4), found.n_test) == (expected["clean_accuracy"], expected["n"])
    results = {check.check: check.status for check in found.checks or ()}
    scores_only = file in ("sk_svc_digits.skops", "sk_forest_digits.skops")
    assert results.pop("gradients") == ("NOT RUN" if scores_only else "PASS")
    assert results == dict.fromkeys(results, "PASS")
    assert {"determinism", "order of the classes"} <= results.keys()
    assert ("labels" in results) == scores_only


@pytest.mark.real_data
def test_the_same_file_is_the_same_entry_and_another_file_another(
    bench: Workspace, add: Callable[[str], Manifest], shared_models: Path
) -> None:
    first = add("sk_scaler_lr_digits.skops")
    again = add_classifier(bench, str(shared_models / "sk_scaler_lr_digits.skops"), "digits", AddRequest())
    assert again.cached
    assert again.manifest.id == first.id
    other = add("sk_pca_mlp_digits.skops")
    assert other.id != first.id
    moved = add_classifier(
        bench, str(shared_models / "sk_scaler_lr_digits.skops"), "digits", AddRequest(input_range=(0.0, 2.0))
    )
    assert moved.manifest.id not in (first.id, other.id)


@pytest.mark.real_data
def test_what_is_affine_and_what_has_gradients_is_known(add: Callable[[str], Manifest]) -> None:
    def find(file: str) -> tuple[bool, bool]:
        options = add(file).as_classifier()[0].options
        assert isinstance(options, AddedOptions)
        return options.affine, options.differentiable

    assert find("sk_scaler_lr_digits.skops") == (True, True)
    assert find("sk_linearsvc_digits.skops") == (True, True)
    assert find("sk_pca_mlp_digits.skops") == (False, True)
    assert find("sk_svc_digits.skops") == (False, False)


@pytest.mark.real_data
def test_linear_attacks_run_on_an_affine_pipeline_only(bench: Workspace, add: Callable[[str], Manifest]) -> None:
    """Scaler and logistic regression together are affine: the logits of a middle are the middle of the logits."""
    affine = add("sk_scaler_lr_digits.skops")
    logits, x = load_classifier(bench.registry, affine), load_dataset("digits").x_test
    ends = (logits(x[:50]) + logits(x[50:100])) / 2
    np.testing.assert_allclose(logits((x[:50] + x[50:100]) / 2), ends, rtol=1e-4, atol=1e-4)
    command = AttackCommand([AttackRequest(method="non-targeted", threat="adaptive", eps=(0.2,), limit=100)])
    found = run_attacks(bench, affine.id, None, command).requested[0].manifest.as_run()[1]
    assert found.results[0].accuracy < found.clean_accuracy - 0.2
    with pytest.raises(UsageError, match="is for logistic regression"):
        run_attacks(bench, add("sk_pca_mlp_digits.skops").id, None, command)


@pytest.mark.real_data
def test_attacks_without_gradients_run_on_a_model_that_gives_scores_only(
    bench: Workspace, add: Callable[[str], Manifest]
) -> None:
    def attack(method: str, threat: str, **more: Any) -> Any:
        request = AttackRequest(method=method, threat=threat, eps=(0.1,), limit=30, **more)
        return run_attacks(bench, forest, None, AttackCommand([request])).requested[0].manifest.as_run()

    forest = add("sk_forest_digits.skops").id
    accuracies = {
        (method, threat): attack(method, threat, queries=100)[1].results[0].accuracy
        for method, threat in (("square", "adaptive"), ("square", "black-box"), ("worst", "adaptive"))
    }
    clean = attack("noise", "noise")[1].clean_accuracy
    assert max(accuracies.values()) < clean
    assert len({*accuracies.values()}) == 1
    with pytest.raises(UsageError, match="needs gradients, and this classifier gives scores only; take --method"):
        attack("pgd", "adaptive")


@pytest.mark.real_data
def test_a_transfer_attack_on_an_added_model_uses_a_surrogate_that_was_trained_on_its_answers(
    bench: Workspace, add: Callable[[str], Manifest]
) -> None:
    forest, told = add("sk_forest_digits.skops"), []
    speaking = Workspace(bench.registry, data_dir=bench.data_dir, tell=told.append)
    request = AttackRequest(method="fgsm", threat="transfer", eps=(0.2,), limit=60)
    recipe, found = run_attacks(speaking, forest.id, None, AttackCommand([request])).requested[0].manifest.as_run()
    surrogate = bench.registry.manifest(str(recipe.surrogate))
    assert surrogate.as_classifier()[0].distilled == forest.id
    assert any("on the answers of" in line for line in told)
    assert found.results[0].accuracy < found.clean_accuracy
    x = load_dataset("digits").x_test
    agreed = [np.argmax(load_pipeline(bench.registry, one).defend(x, 0), axis=1) for one in (surrogate, forest)]
    assert (agreed[0] == agreed[1]).mean() > 0.85
    named = AttackCommand([request], surrogate=surrogate.id)
    assert run_attacks(bench, forest.id, None, named).requested[0].manifest.id == entry_of(recipe)
    plain = request.model_copy(update={"threat": "noise"})
    with pytest.raises(UsageError, match="is for --threat transfer"):
        run_attacks(bench, forest.id, None, AttackCommand([plain], surrogate="x"))


def entry_of(recipe: Any) -> str:
    from advae.records import entry_id

    return entry_id(recipe)


@pytest.mark.real_data
def test_an_added_classifier_behind_an_autoencoder_is_its_own_undefended_counterpart(
    bench: Workspace, add: Callable[[str], Manifest]
) -> None:
    from advae.requests import AutoencoderRequest, NetworkRequest
    from advae.workflows import train_autoencoder

    classifier = add("sk_pca_mlp_digits.skops")
    asked = AutoencoderRequest(type="denoising", network=NetworkRequest(epochs=1))
    purifier, _ = train_autoencoder(bench, "digits", asked)
    behind = put_classifier(bench, None, purifier.manifest.id, classifier.id).manifest
    request = AttackRequest(method="fgsm", threat="oblivious", eps=(0.1,), limit=30)
    made = run_attacks(bench, behind.id, None, AttackCommand([request]))
    assert made.requested[0].manifest.as_run()[0].twin == classifier.id
    with pytest.raises(UsageError, match="was added from a file and cannot be trained again"):
        run_attacks(
            bench, classifier.id, None, AttackCommand([request.model_copy(update={"threat": "adaptive"})], seeds=2)
        )


@pytest.mark.real_data
def test_what_is_stored_is_checked_against_the_digest_of_the_recipe(
    bench: Workspace, add: Callable[[str], Manifest]
) -> None:
    manifest = add("sk_scaler_lr_digits.skops")
    recipe, _ = manifest.as_classifier()
    arrays = bench.registry.read_arrays(manifest, "weights.npz")
    assert isinstance(recipe.options, AddedOptions)
    assert digest_stored(arrays) == recipe.options.digest
    from advae.models.classifiers import restore_classifier

    name = next(name for name in arrays if name != GRAPH)
    for changed in (
        arrays | {name: arrays[name] + 1},
        arrays | {GRAPH: np.frombuffer(b"[]", np.uint8)},
        arrays | {GRAPH: np.frombuffer(b"{", np.uint8)},
        {key: value for key, value in arrays.items() if key != GRAPH},
    ):
        with pytest.raises(CorruptError):
            restore_classifier(recipe, changed)


def test_a_purifier_from_a_file_purifies(tmp_path: Path) -> None:
    """A network of Keras that returns its input in 0..255 is found out, and gives back the images."""
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Conv2D(1, 1, kernel_initializer="ones")(inputs)
    keras.Model(inputs, outputs).save(tmp_path / "identity.keras")
    workspace = Workspace(Registry(tmp_path / "home"))
    made = add_purifier(workspace, str(tmp_path / "identity.keras"), "digits", AddRequest()).manifest
    recipe, found = made.as_autoencoder()
    assert not recipe.is_baseline
    assert found.test_mse < 1e-12
    x = load_dataset("digits").x_test[:5]
    np.testing.assert_allclose(load_purifier(workspace.registry, made).mean(x), x, atol=1e-6)
    with pytest.raises(UsageError, match="--outputs is for classifiers"):
        add_purifier(workspace, str(tmp_path / "identity.keras"), "digits", AddRequest(outputs="logits"))


def test_a_softmax_is_cut_off_or_probabilities_become_logs(tmp_path: Path) -> None:
    """The same network with its softmax as the last operation, in the middle, and without: the same labels."""
    import keras

    keras.utils.set_random_seed(0)
    data = load_dataset("digits")
    network = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10)])
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    network.fit(data.x_train, data.y_train, epochs=20, verbose=0)
    after = keras.layers.Reshape((10,))
    ends = {
        "logits": [],
        "softmax": [keras.layers.Softmax()],
        "hidden": [keras.layers.Softmax(), after],
        "twice": [keras.layers.Softmax(), keras.layers.Softmax()],
    }
    workspace = Workspace(Registry(tmp_path / "home"))
    found = {}
    for name, end in ends.items():
        keras.Sequential([keras.Input((64,)), network, *end]).save(tmp_path / f"{name}.keras")
        manifest = add_classifier(workspace, str(tmp_path / f"{name}.keras"), "digits", AddRequest()).manifest
        options = manifest.as_classifier()[0].options
        assert isinstance(options, AddedOptions)
        assert options.outputs == ("probabilities" if name in ("hidden", "twice") else "logits")
        logits = load_classifier(workspace.registry, manifest)(data.x_test).numpy()
        found[name] = logits - logits.max(axis=1, keepdims=True)
    np.testing.assert_allclose(found["softmax"], found["logits"], atol=1e-4)
    shares = {name: np.exp(logits) / np.exp(logits).sum(1, keepdims=True) for name, logits in found.items()}
    for name in ("hidden", "twice"):
        np.testing.assert_allclose(shares[name], shares["logits"], atol=1e-4)


OWN = """
import numpy as np
import tensorflow as tf

W = np.random.default_rng(0).standard_normal((64, 10)).astype("f4")

def tensors(x):
    return tf.reshape(x, (-1, 64)) @ W

def arrays(x):
    return np.asarray(x).reshape(-1, 64) @ W

def fails(x):
    raise ValueError("no such weights")

def flat(x):
    return np.zeros(len(x))

NUMBER = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of the user's own, the current one; what a process imported before is forgotten."""
    from advae.models.added import own_function

    (tmp_path / "mine.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    monkeypatch.setattr(own_function, "_IMPORTED", {})
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


RANGE = AddRequest(input_range=(0.0, 1.0))


@pytest.mark.parametrize("function", ["tensors", "arrays"])
def test_a_function_of_the_users_own_code_is_attacked_where_the_command_names_it(
    function: str, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from advae.models.added import own_function

    workspace, name = Workspace(Registry(own / "home")), f"mine:{function}"
    made = add_classifier(workspace, name, "digits", RANGE).manifest
    options = made.as_classifier()[0].added
    assert options
    assert options.differentiable == (function == "tensors")
    assert b"standard_normal" not in b"".join(path.read_bytes() for path in (own / "home").rglob("*") if path.is_file())
    method = "fgsm" if function == "tensors" else "square"
    request = AttackRequest(
        method=method, threat="adaptive", eps=(0.1,), limit=20, **({} if method == "fgsm" else {"queries": 20})
    )
    first = run_attacks(workspace, name, None, AttackCommand([request])).requested[0].manifest
    assert first.as_run()[0].classifier == made.id
    monkeypatch.setattr(own_function, "_IMPORTED", {})
    with pytest.raises(UsageError, match=f"name it on the command line in place of the id: --clf {name}"):
        load_classifier(workspace.registry, made)
    monkeypatch.delitem(sys.modules, "mine")
    (own / "mine.py").write_text(OWN.replace("default_rng(0)", "default_rng(1)"))
    shutil.rmtree(own / "__pycache__", ignore_errors=True)
    with pytest.raises(CorruptError, match="answers other than when it was added"):
        run_attacks(workspace, name, None, AttackCommand([request.model_copy(update={"eps": (0.2,)})]))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("mine:missing", "mine:missing cannot be imported: AttributeError"),
        ("nowhere:tensors", "nowhere:tensors cannot be imported: ModuleNotFoundError"),
        ("mine:NUMBER", "mine:NUMBER is no function: it is int"),
        ("mine:fails", "mine:fails fails on images of shape (64, 8, 8, 1): ValueError: no such weights"),
        ("mine:flat", "mine:flat returns shape (64,) for 64 images, expected (n, classes)"),
    ],
)
def test_a_function_that_is_no_model_is_refused_in_one_line(name: str, line: str, own: Path) -> None:
    with pytest.raises(UsageError) as caught:
        add_classifier(Workspace(Registry(own / "home")), name, "digits", RANGE)
    assert line in str(caught.value)


def test_a_bundle_refuses_a_function(own: Path) -> None:
    workspace = Workspace(Registry(own / "home"))
    made = add_classifier(workspace, "mine:arrays", "digits", RANGE).manifest
    with pytest.raises(UsageError, match="of your own code, which no bundle can hold"):
        export_bundle(workspace, made.id, own / "bundle.tar.gz")


@pytest.mark.real_data
@pytest.mark.parametrize("file", ["keras_resnet_photos16.keras", "torch_dynamo_mnist.onnx", "sk_pca_mlp_digits.skops"])
def test_an_added_network_is_exported_as_a_keras_model(
    file: str, bench: Workspace, add: Callable[[str], Manifest], tmp_path: Path
) -> None:
    import keras

    from advae.workflows.exporting import export_keras

    made = add(file)
    export_keras(bench, made.id, tmp_path / "out.keras")
    shape = made.recipe.dataset.shape
    x = np.random.default_rng(0).random((5, shape.size), dtype="f4")
    found = keras.saving.load_model(tmp_path / "out.keras").predict(x.reshape(-1, *shape), verbose=0)
    np.testing.assert_allclose(found, load_classifier(bench.registry, made)(x), rtol=1e-4, atol=1e-4)


@pytest.mark.real_data
def test_what_has_no_layers_of_keras_is_not_exported_as_a_keras_model(
    bench: Workspace, add: Callable[[str], Manifest], tmp_path: Path
) -> None:
    from advae.workflows.exporting import export_keras

    with pytest.raises(UsageError, match="for which Keras has no layers; use the file that it was added from"):
        export_keras(bench, add("sk_forest_digits.skops").id, tmp_path / "out.keras")
