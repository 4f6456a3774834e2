"""What is exported says, in a process that does not have this package, what the pipeline says here."""

from __future__ import annotations

import dataclasses
import json
import resource
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae import metrics
from advae.errors import AdvaeError, CorruptError, DiskError, NotFoundError, UsageError
from advae.evaluation.pipelines import WEIGHTS, load_classifier, load_pipeline, load_purifier
from advae.models import classifiers
from advae.models.autoencoders import AUTOENCODERS
from advae.models.baselines import BASELINES
from advae.models.classifiers import CLASSIFIERS
from advae.models.layers import collect_weights
from advae.models.purifiers import make_autoencoder_recipe
from advae.models.robust import build_robust
from advae.records import Dataset, Manifest, entry_id
from advae.registry import Registry
from advae.requests import ClassifierRequest, LogisticRequest
from advae.workflows import Workspace
from advae.workflows.exporting import EXPORTS, Exported, export_joblib, export_keras
from tests.entries import make_metrics, make_run_recipe
from tests.models.test_autoencoders import QUICK, ask, fit

RTOL = 1e-5
"""Of the largest number of an image's outputs."""

EPS = 0.1

PEER = """
import sys
sys.modules["advae"] = None
from pathlib import Path
import joblib, keras, numpy as np, tensorflow as tf
from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method

folder, eps, *compiled = Path(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:]
images = np.load(folder / "images.npy")
for path in folder.glob("*.keras"):
    model = keras.models.load_model(path, safe_mode=True)
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = model(x)
        flat = tf.reshape(outputs, (len(images), -1))
        loss = tf.reduce_sum(flat * np.cos(np.arange(flat.shape[1], dtype="f4")))
    found = {
        "outputs": outputs,
        "gradient": tape.gradient(loss, x),
        "predicted": model.predict(images, verbose=0) if path.stem in compiled else outputs,
        "shapes": [str(model.input_shape), str(model.output_shape)],
        "name": model.name,
    }
    if len(outputs.shape) == 2:
        found["x_adv"] = fast_gradient_method(
            model, x, eps, np.inf, clip_min=0.0, clip_max=1.0, sanity_checks=False
        )
    np.savez(path.with_suffix(".npz"), **found)
for path in folder.glob("*.joblib"):
    model, x = joblib.load(path), images.reshape(len(images), -1)
    np.savez(
        path.with_suffix(".npz"),
        labels=model.predict(x),
        probabilities=model.predict_proba(x),
        margins=model.decision_function(x),
    )
assert not any(name.startswith("advae.") for name in sys.modules)
"""
"""Reads every export of a folder as another program would, and writes what it finds beside."""


# ---------------------------------------------------------------- what is exported


def make_images(dataset: Dataset) -> np.ndarray[Any, Any]:
    """Return real digits, noise, a black and a white image, and images of one pixel: float32 (n, d) in [0, 1]."""
    noise = np.random.default_rng(0).random((50, 64), dtype=np.float32)
    return np.concatenate([dataset.x_test[:100], noise, np.zeros((1, 64)), np.ones((1, 64)), np.eye(64)]).astype("f4")


@dataclass(frozen=True)
class Lab:
    """A registry with one entry for each thing to export, by name, and what a peer made of the exported files."""

    workspace: Workspace
    entries: dict[str, Manifest]
    exported: dict[str, Exported]
    folder: Path
    images: np.ndarray[Any, Any]

    def read(self, name: str) -> dict[str, np.ndarray[Any, Any]]:
        with np.load(self.folder / f"{name}.npz", allow_pickle=False) as found:
            return dict(found)

    def fail(self, format_: str, name: str, target: Path, error: type[AdvaeError], message: str) -> None:
        with pytest.raises(error, match=message):
            EXPORTS[format_](self.workspace, self.entries[name].id, target)


OUTSIDE = [kind for kind, row in BASELINES.items() if not row.in_graph]
"""Kinds that no file of Keras can hold."""

PIPELINES = [
    *(f"nn behind {kind}" for kind in AUTOENCODERS if kind not in OUTSIDE),
    *(f"lr behind {kind}" for kind in ("vanilla", "variational", "binary")),
    "mlp behind robust",
]
"""One classifier behind every kind of purifier, and the others behind some: the parts do not know of each other."""

VARIANTS = ["nn behind raw", "nn behind sampled", "pair behind vanilla", "pair"]
PURIFIERS = [*(kind for kind in AUTOENCODERS if kind not in OUTSIDE), "raw", "sampled"]
KERAS = [*PIPELINES, *VARIANTS, *CLASSIFIERS, *PURIFIERS]
NO_DERIVATIVE = {"binary", "nn behind binary", "lr behind binary", "bit-depth", "nn behind bit-depth"}
JOBLIB = ["lr", "pair", "lr behind vanilla"]


def publish_all(registry: Registry, dataset: Dataset) -> dict[str, Manifest]:
    """Return an entry for every name above. A classifier is trained once, on images, and stands behind each purifier.

    raw: output as it stands; sampled: a variational purifier with draws; pair: logistic regression of two classes.
    """
    entries: dict[str, Manifest] = {}

    def publish(recipe: Any, arrays: Any, **found: Any) -> Manifest:
        return registry.publish(recipe, make_metrics(recipe).model_copy(update=found), {WEIGHTS: arrays})

    lr = classifiers.make_classifier_recipe(ClassifierRequest(model="lr"), dataset, None)
    publish(lr, CLASSIFIERS["lr"].fit(lr, dataset.x_train, dataset.y_train, lambda epoch: None).arrays)
    for name in AUTOENCODERS:
        if name == "robust":
            # Its training takes longer than all the others', and weights are exported alike whatever they are.
            recipe = make_autoencoder_recipe(ask(name), dataset)
            arrays = collect_weights(build_robust(recipe))
        else:
            recipe, arrays, _ = fit(dataset, ask(name))
        if recipe.protects:
            recipe = recipe.model_copy(update={"protects": entry_id(lr)})
        entries[name] = publish(recipe, arrays)
        if name == "vanilla":
            unscaled = recipe.model_copy(update={"rescale": "none"})
            entries["raw"] = publish(unscaled, arrays, output_range=(0.0, 45.0))
        if name == "variational":
            entries["sampled"] = publish(
                recipe.model_copy(update={"options": recipe.options | {"sample": True}}), arrays
            )
    kept = dataset.y_train < 2
    ref = dataset.ref.model_copy(update={"classes": dataset.ref.classes[:2]})
    of_two = publish(
        entries["vanilla"].recipe.model_copy(update={"dataset": ref}),
        registry.read_arrays(entries["vanilla"], WEIGHTS),
    )
    two = dataclasses.replace(dataset, ref=ref, x_train=dataset.x_train[kept], y_train=dataset.y_train[kept])
    logistic = LogisticRequest(C=1.0, intercept=True, max_iter=30)
    asked = {model: (ClassifierRequest(model=model), dataset) for model in CLASSIFIERS}
    asked |= {model: (ClassifierRequest(model=model, network=QUICK), dataset) for model in ("nn", "mlp")}
    asked["pair"] = (ClassifierRequest(model="lr", logistic=logistic), two)
    behind = {"pair": ["vanilla"], "nn": [*PURIFIERS, *OUTSIDE]}
    for name, (wanted, data) in asked.items():
        recipe_ = classifiers.make_classifier_recipe(wanted, data, None)
        fitted = CLASSIFIERS[wanted.model].fit(recipe_, data.x_train, data.y_train, lambda epoch: None)
        entries[name] = publish(recipe_, fitted.arrays)
        for kind in behind.get(name, list(AUTOENCODERS)):
            purifier = of_two if name == "pair" else entries[kind]
            defended = recipe_.model_copy(update={"autoencoder": purifier.id})
            entries[f"{name} behind {kind}"] = publish(defended, fitted.arrays)
    entries["run"] = publish(make_run_recipe(classifier=entries["nn"].id, dataset=dataset.ref), {"x": np.zeros(1)})
    return entries


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Lab:
    """The registry, every export of it, and all that one process without this package has read of them."""
    registry = Registry(tmp_path_factory.mktemp("home"))
    folder = tmp_path_factory.mktemp("exported")
    entries = publish_all(registry, digits)
    workspace = Workspace(registry, force=True)
    exported = {name: export_keras(workspace, entries[name].id, folder / f"{name}.keras") for name in KERAS}
    for name in JOBLIB:
        exported[f"{name} (joblib)"] = export_joblib(workspace, entries[name].id, folder / f"{name} (joblib).joblib")
    images = make_images(digits)
    np.save(folder / "images.npy", images.reshape(-1, 8, 8, 1))
    (folder / "peer.py").write_text(PEER)
    command = [
        sys.executable,
        "-P",
        str(folder / "peer.py"),
        str(folder),
        str(EPS),
        "vanilla",
        "lr behind variational",
        "nn behind vanilla",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return Lab(workspace, entries, exported, folder, images)


def load_function(lab: Lab, name: str) -> Any:
    """Return x -> outputs as the evaluation computes them, with the mean in place of a draw."""
    registry, manifest = lab.workspace.registry, lab.entries[name]
    if manifest.kind == "ae":
        return load_purifier(registry, manifest).mean
    if name == "nn behind sampled":
        logits, purifier = load_classifier(registry, manifest), load_purifier(registry, lab.entries["sampled"])
        return lambda x: logits(purifier.mean(x))
    pipeline = load_pipeline(registry, manifest)
    return lambda x: pipeline.defend(x, 0)


def is_differentiable(lab: Lab, name: str) -> bool:
    """Return whether an entry is, or stands behind, a purifier with a gradient, or none at all."""
    purifier = name.rpartition(" ")[2]
    if purifier not in PURIFIERS:
        return True
    return load_purifier(lab.workspace.registry, lab.entries[purifier]).differentiable


def place_attacker(lab: Lab, name: str) -> tuple[Any, np.ndarray[Any, Any]]:
    """Return what an adaptive attacker differentiates, and where: behind a purifier without derivative (BPDA)."""
    if is_differentiable(lab, name):
        return load_function(lab, name), lab.images
    manifest, purifier = lab.entries[name], lab.entries[name.rpartition(" ")[2]]
    purified = load_purifier(lab.workspace.registry, purifier).mean(lab.images).numpy()
    return (lambda x: x) if manifest.kind == "ae" else load_classifier(lab.workspace.registry, manifest), purified


def differentiate(function: Any, images: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    """Return (outputs, gradient) of the weighted sum that the peer differentiates too."""
    import tensorflow as tf

    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = function(x)
        loss = tf.reduce_sum(outputs * np.cos(np.arange(outputs.shape[1], dtype="f4")))
    return outputs.numpy(), tape.gradient(loss, x).numpy()


def assert_close(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any], rtol: float = RTOL) -> None:
    """Hold that rows agree to within a share of each row's largest number."""
    found, expected = (array.reshape(len(array), -1).astype("f8") for array in (found, expected))
    assert found.shape == expected.shape
    assert np.isfinite(expected).all()
    off = np.abs(found - expected).max(1)
    assert (off <= rtol * np.abs(expected).max(1)).all(), (off / np.abs(expected).max(1)).max()


# ---------------------------------------------------------------- Keras


@pytest.mark.parametrize("name", KERAS)
def test_the_exported_file_has_the_outputs_of_the_pipeline(name: str, lab: Lab) -> None:
    """Outputs and the gradient in the image, on digits, noise, black, white and single pixels."""
    found = lab.read(name)
    outputs, gradient = differentiate(*place_attacker(lab, name))
    assert found["outputs"].dtype == np.float32
    assert_close(found["outputs"], outputs)
    assert_close(found["predicted"], outputs)
    assert np.isfinite(found["gradient"]).all()
    assert gradient.any()
    assert_close(found["gradient"], gradient)


@pytest.mark.parametrize("name", KERAS)
def test_images_go_in_and_logits_or_images_come_out(name: str, lab: Lab) -> None:
    found, manifest = lab.read(name), lab.entries[name]
    classes = 2 if name.startswith("pair") else 10
    output = (None, 8, 8, 1) if manifest.kind == "ae" else (None, classes)
    assert found["shapes"].tolist() == [str((None, 8, 8, 1)), str(output)]
    assert found["name"] == manifest.id
    assert lab.exported[name].manifest.id == manifest.id


def walk(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a JSON document."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(child)


@pytest.mark.parametrize("name", KERAS)
def test_only_stock_parts_are_in_the_file(name: str, lab: Lab) -> None:
    with zipfile.ZipFile(lab.folder / f"{name}.keras") as archive:
        assert set(archive.namelist()) == {"metadata.json", "config.json", "model.weights.h5"}
        parts = [part for part in walk(json.loads(archive.read("config.json"))) if "module" in part]
    assert len(parts) > 3
    assert {str(part["module"]).split(".")[0] for part in parts} == {"keras"}
    assert not [part for part in parts if "ambda" in part["class_name"]]
    rescaled = {"Clip", "DivideNoNan"} <= {part["class_name"] for part in parts}
    purifier = name.rpartition(" ")[2]
    assert rescaled == (purifier in PURIFIERS and lab.entries[purifier].recipe.rescale == "intensity")


@pytest.mark.parametrize("name", [*PIPELINES, *VARIANTS, *CLASSIFIERS])
def test_a_peers_attack_takes_the_file_as_it_is(name: str, lab: Lab) -> None:
    """CleverHans' own FGSM on (n, side, side, 1) moves the image as it does on what we attack, of (n, d)."""
    import tensorflow as tf
    from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method

    x_adv = lab.read(name)["x_adv"]
    assert x_adv.shape == (len(lab.images), 8, 8, 1)
    x_adv = x_adv.reshape(lab.images.shape)
    moved = np.abs(x_adv - lab.images).max(1)
    assert moved.max() == pytest.approx(EPS, abs=1e-6)
    steady = is_differentiable(lab, name)
    pipeline = load_function(lab, name) if steady else load_pipeline(lab.workspace.registry, lab.entries[name])
    ours = fast_gradient_method(
        pipeline if steady else lambda x: pipeline.differentiate(x, 0),
        tf.constant(lab.images),
        EPS,
        np.inf,
        clip_min=0.0,
        clip_max=1.0,
        sanity_checks=False,
    ).numpy()
    # The sign of a gradient that is zero but for rounding may differ.
    assert (x_adv == ours).mean() > 0.999


def test_two_classes_are_zero_and_the_margin(lab: Lab) -> None:
    outputs = lab.read("pair")["outputs"]
    assert (outputs[:, 0] == 0).all()
    assert len(np.unique(outputs[:, 1])) > 150


def test_raw_output_is_unchanged_and_rescaled_output_is_in_range(lab: Lab) -> None:
    raw, rescaled = lab.read("raw")["outputs"], lab.read("vanilla")["outputs"]
    assert rescaled.min() >= 0
    assert rescaled.max() <= 1
    assert (rescaled == 1).any()
    assert raw.max() > 1
    assert not np.allclose(lab.read("nn behind raw")["outputs"], lab.read("nn behind vanilla")["outputs"], rtol=0.1)


def test_black_stays_black_behind_a_rescaling_purifier(lab: Lab) -> None:
    black = ~lab.images.any(1)
    assert black.sum() == 1
    assert (lab.read("vanilla")["outputs"][black] == 0).all()
    assert lab.read("raw")["outputs"][black].any()


def test_a_purifier_that_samples_is_exported_as_its_mean_with_a_note(lab: Lab) -> None:
    import tensorflow as tf

    assert [name for name, exported in lab.exported.items() if exported.by_mean] == ["nn behind sampled", "sampled"]
    assert all(lab.exported[name].left_out is None for name in KERAS)
    for sampled, steady in [("nn behind sampled", "nn behind variational"), ("sampled", "variational")]:
        np.testing.assert_array_equal(lab.read(sampled)["outputs"], lab.read(steady)["outputs"])
    draw = load_purifier(lab.workspace.registry, lab.entries["sampled"])(tf.constant(lab.images), tf.constant(0))
    assert not np.allclose(draw.numpy(), lab.read("sampled")["outputs"].reshape(draw.shape), atol=1e-3)


def test_a_reference_of_any_form_is_taken(lab: Lab, tmp_path: Path) -> None:
    prefix = lab.entries["nn"].id[:-3]
    assert export_keras(lab.workspace, prefix, tmp_path / "a.keras").manifest.id == lab.entries["nn"].id
    with pytest.raises(NotFoundError, match="no entry 'unknown'"):
        export_keras(lab.workspace, "unknown", tmp_path / "b.keras")


def test_nothing_is_printed(lab: Lab, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    export_keras(lab.workspace, lab.entries["nn behind vanilla"].id, tmp_path / "a.keras")
    export_joblib(lab.workspace, lab.entries["lr"].id, tmp_path / "a.joblib")
    assert capfd.readouterr() == ("", "")


# ---------------------------------------------------------------- scikit-learn


@pytest.mark.parametrize("name", JOBLIB)
def test_the_exported_regression_has_our_outputs(name: str, lab: Lab) -> None:
    """Not purified: on the same pixels, labels, probabilities and margins are those of our bare classifier."""
    import tensorflow as tf

    found = lab.read(f"{name} (joblib)")
    logits = load_classifier(lab.workspace.registry, lab.entries[name])(tf.constant(lab.images)).numpy()
    np.testing.assert_array_equal(found["labels"], metrics.decide(logits))
    margins = logits[:, 1] if name == "pair" else logits
    assert_close(found["margins"], margins)
    np.testing.assert_allclose(found["probabilities"], tf.nn.softmax(logits).numpy(), rtol=1e-3, atol=1e-6)


def test_an_export_without_its_purifier_has_a_note(lab: Lab) -> None:
    left_out = {name: lab.exported[f"{name} (joblib)"].left_out for name in JOBLIB}
    assert left_out == {"lr": None, "pair": None, "lr behind vanilla": lab.entries["vanilla"].id}


def test_every_difference_of_an_exported_file_has_a_note(lab: Lab) -> None:
    """A draw left out, another gradient, an output that is no image, a purifier that stays behind; and nothing else."""
    told = {name: exported.notes for name, exported in lab.exported.items() if exported.notes}
    notes = {
        "sampled": "its mean instead, which is easier to attack",
        "nn behind sampled": "its mean instead, which is easier to attack",
        "raw": "its output is not rescaled to an image: of the training images it is from",
        "lr behind vanilla (joblib)": f"it expects images purified by {lab.entries['vanilla'].id}",
    } | dict.fromkeys(
        NO_DERIVATIVE,
        "its purifier has no derivative; gradients through the file are those of the identity in its place",
    )
    assert told.keys() == notes.keys()
    assert all(len(told[name]) == 1 and note in told[name][0] for name, note in notes.items())
    inexact = {name for name, exported in lab.exported.items() if exported.backward == "identity"}
    assert inexact == NO_DERIVATIVE


def test_the_regression_has_the_options_and_the_attributes_of_a_fitted_one(lab: Lab) -> None:
    import joblib
    from sklearn.utils.validation import check_is_fitted

    model = joblib.load(lab.folder / "pair (joblib).joblib")
    check_is_fitted(model)
    assert (model.C, model.fit_intercept, model.max_iter) == (1.0, True, 30)
    assert (model.coef_.shape, model.intercept_.shape, model.n_features_in_) == ((1, 64), (1,), 64)
    assert model.classes_.tolist() == [0, 1]
    assert model.n_iter_.shape == (1,)


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize("name", ["nn", "nn behind vanilla", "vanilla", "run"])
def test_only_lr_is_a_regression(name: str, lab: Lab, tmp_path: Path) -> None:
    message = f"^{lab.entries[name].id} is not an lr classifier, which --format joblib needs; --format keras"
    lab.fail("joblib", name, tmp_path / "out.joblib", UsageError, message)
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_no_model(lab: Lab, tmp_path: Path) -> None:
    lab.fail("keras", "run", tmp_path / "out.keras", UsageError, "is a run; --format keras takes an autoencoder or a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", OUTSIDE)
@pytest.mark.parametrize("name", ["{}", "nn behind {}"])
def test_what_another_library_computes_fits_no_file_of_keras(kind: str, name: str, lab: Lab, tmp_path: Path) -> None:
    message = f"^{lab.entries[kind].id} is of type {kind}, which another library computes: Keras has no layers for it"
    lab.fail("keras", name.format(kind), tmp_path / "out.keras", UsageError, message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", ["out", "out.h5", "out.keras.bak", "out.KERAS", "keras"])
def test_a_name_that_keras_would_not_read_is_refused(file: str, lab: Lab, tmp_path: Path) -> None:
    lab.fail("keras", "nn", tmp_path / file, UsageError, r"ends in \.keras$")
    assert list(tmp_path.iterdir()) == []


FORMATS = [("keras", "nn"), ("joblib", "lr")]


@pytest.fixture(params=["absent", "old"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A target, absent or holding something, that must be as it was after the test, with nothing beside it."""
    folder = tmp_path / "out"
    folder.mkdir()
    before = {"out.keras": b"old"} if request.param == "old" else {}
    for name, content in before.items():
        (folder / name).write_bytes(content)
    yield folder / "out.keras"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def damage(lab: Lab, name: str, home: Path, *, fit: bool) -> Workspace:
    """Return a copy of the registry in which an entry's weights are damaged, or fit another recipe (``fit`` False)."""
    shutil.copytree(lab.workspace.registry.home, home)
    registry, manifest = Registry(home), lab.entries[name]
    if fit:
        path = next(home.rglob(f"{manifest.id}/{WEIGHTS}"))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        arrays = {key: array[..., :-1] for key, array in registry.read_arrays(manifest, WEIGHTS).items()}
        registry.publish(manifest.recipe, manifest.metrics, {WEIGHTS: arrays}, replace=True)
    return Workspace(registry, force=True)


@pytest.mark.parametrize("fit", [True, False], ids=["a bit", "shapes"])
@pytest.mark.parametrize(
    ("format_", "damaged", "name"),
    [("keras", "nn", "nn"), ("keras", "vanilla", "nn behind vanilla"), ("keras", "lr", "lr"), ("joblib", "lr", "lr")],
)
def test_damaged_weights_are_refused(
    format_: str, damaged: str, name: str, fit: bool, lab: Lab, tmp_path: Path, target: Path
) -> None:
    workspace = damage(lab, damaged, tmp_path / "home", fit=fit)
    with pytest.raises(CorruptError):
        EXPORTS[format_](workspace, lab.entries[name].id, target)


@pytest.mark.parametrize(("format_", "name"), FORMATS)
@pytest.mark.parametrize("place", ["nowhere/out.keras", "file/out.keras", "folder.keras"])
def test_a_target_that_cannot_be_is_a_disk_error(format_: str, name: str, place: str, lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.keras").mkdir()
    lab.fail(format_, name, tmp_path / place, DiskError, f"^cannot write {tmp_path / place}: ")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder.keras"]


@pytest.mark.parametrize(("format_", "name"), FORMATS)
@pytest.mark.parametrize("room", [0, 500, 2000])
def test_on_a_full_disk_no_file_remains(format_: str, name: str, room: int, lab: Lab, target: Path) -> None:
    """The system refuses to let a file grow, in the middle of what Keras or joblib writes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        lab.fail(format_, name, target, DiskError, f"^cannot write {target}: .*File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(("format_", "name"), FORMATS)
def test_an_older_file_is_replaced_by_force_only(format_: str, name: str, lab: Lab, tmp_path: Path) -> None:
    target = tmp_path / "out.keras"
    target.write_text("old")
    with pytest.raises(UsageError, match="exists already; name another file, or replace it with --force"):
        EXPORTS[format_](replace(lab.workspace, force=False), lab.entries[name].id, target)
    assert target.read_text() == "old"
    EXPORTS[format_](lab.workspace, lab.entries[name].id, target)
    assert target.stat().st_size > 1000
    assert list(tmp_path.iterdir()) == [target]
