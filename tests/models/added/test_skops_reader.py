"""scikit-learn's models from .skops files: their own labels, scores and gradients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import linear_model, preprocessing
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from advae.errors import CorruptError, UsageError
from advae.models.added.foreign import ForeignModel
from advae.models.added.score_process import ScoreProcess
from advae.models.added.sklearn_restore import restore_sklearn
from advae.models.added.skops_reader import read_skops
from advae.records import Dataset
from tests.models.added.skops_files import PIXELS, fit, make_images, save

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SHARED = ("sk_scaler_lr", "sk_pca_mlp", "sk_linearsvc", "sk_svc", "sk_forest")


def read(model: Any, tmp_path: Path) -> ForeignModel:
    """Return what the reader makes of a model."""
    return read_skops(save(model), tmp_path / "model.skops")


def compute(found: ForeignModel, x: Any) -> Any:
    """Return the outputs of a model for images, float32."""
    import tensorflow as tf

    return restore_sklearn(found.graph, found.arrays)(tf.constant(x, tf.float32)).numpy()


def label(found: ForeignModel, outputs: Any) -> Any:
    """Return the labels of the largest logits."""
    logits = np.hstack([np.zeros_like(outputs), outputs]) if outputs.shape[1] == 1 else outputs
    return np.array(found.graph["classes"])[logits.argmax(axis=1)]


@pytest.mark.parametrize("name", SHARED)
def test_a_shared_model_has_its_own_labels_and_accuracy(name: str, shared_models: Path, digits: Dataset) -> None:
    from skops.io import get_untrusted_types, load

    path = shared_models / f"{name}_digits.skops"
    found = read_skops(path.read_bytes(), path)
    if found.differentiable:
        outputs = compute(found, digits.x_test)
    else:
        assert found.file is not None
        process = ScoreProcess(found.format, found.file, found.graph)
        outputs = process.scores(digits.x_test)
        process.close()
    own = load(path, trusted=get_untrusted_types(file=path)).predict(digits.x_test.astype(np.float64))
    assert (label(found, outputs) == own).all()
    expected = json.loads((shared_models / "scores.json").read_text())[path.name]["clean_accuracy"]
    assert round(float((own == digits.y_test).mean()), 4) == expected
    assert found.takes == (64,)
    assert found.gives == (10,)
    assert found.differentiable == (name not in ("sk_svc", "sk_forest"))


LINEAR = [
    LogisticRegression(),
    linear_model.LogisticRegressionCV(cv=2, l1_ratios=(0,), scoring="accuracy", use_legacy_attributes=True),
    LinearSVC(),
    linear_model.SGDClassifier(random_state=0),
    linear_model.Perceptron(random_state=0),
    linear_model.RidgeClassifier(),
    LinearDiscriminantAnalysis(),
    GridSearchCV(LogisticRegression(), {"C": [1.0, 2.0]}, cv=2),
]

SCALERS = [
    preprocessing.StandardScaler(),
    preprocessing.StandardScaler(with_mean=False),
    preprocessing.MinMaxScaler((0.25, 0.5)),
    preprocessing.MinMaxScaler(clip=True),
    preprocessing.MaxAbsScaler(),
    preprocessing.RobustScaler(),
    preprocessing.Normalizer("l1"),
    preprocessing.Normalizer("l2"),
    preprocessing.Normalizer("max"),
    preprocessing.FunctionTransformer(),
    PCA(3),
    PCA(3, whiten=True),
    "passthrough",
]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("model", LINEAR, ids=lambda model: type(model).__name__)
def test_a_linear_classifier_has_its_own_scores(model: Any, classes: int, tmp_path: Path) -> None:
    fit(model, classes)
    found = read(model, tmp_path)
    x = make_images(classes)[0]
    outputs = compute(found, x)
    assert outputs == pytest.approx(model.decision_function(x).reshape(len(x), -1), abs=1e-4)
    assert (label(found, outputs) == model.predict(x)).all()
    assert found.affine
    assert found.gives == (1 if classes == 2 else 3,)


@pytest.mark.parametrize("step", SCALERS, ids=str)
def test_a_pipeline_has_its_own_scores_and_is_affine_where_all_steps_are(step: Any, tmp_path: Path) -> None:
    model = fit(make_pipeline(step, LogisticRegression()))
    found = read(model, tmp_path)
    # Beyond what was fitted, so that a clip clips, and with an image of zeros, that has no norm.
    x = np.vstack([make_images()[0] * 1.5 - 0.2, np.zeros(PIXELS)])
    assert compute(found, x) == pytest.approx(model.decision_function(x), abs=1e-4)
    clips = getattr(step, "clip", False)
    assert found.affine == (not clips and not isinstance(step, preprocessing.Normalizer))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("activation", ["identity", "relu", "tanh", "logistic"])
def test_a_perceptron_has_its_own_labels(activation: str, classes: int, tmp_path: Path) -> None:
    model = fit(MLPClassifier((5, 4), activation, max_iter=30, random_state=0), classes)
    found = read(model, tmp_path)
    x = make_images(classes)[0]
    outputs = compute(found, x)
    assert (label(found, outputs) == model.predict(x)).all()
    logits = np.hstack([np.zeros_like(outputs), outputs]) if classes == 2 else outputs
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    assert chances / chances.sum(axis=1, keepdims=True) == pytest.approx(model.predict_proba(x), abs=1e-4)
    assert found.ending == ("sigmoid" if classes == 2 else "softmax")
    assert found.affine == (activation == "identity")


@pytest.mark.parametrize(
    "model",
    [
        MLPRegressor(hidden_layer_sizes=(5,), max_iter=50, random_state=0),
        linear_model.LinearRegression(),
        linear_model.Ridge(),
        make_pipeline(
            preprocessing.StandardScaler(),
            MLPRegressor(hidden_layer_sizes=(3,), activation="tanh", max_iter=50, random_state=0),
        ),
    ],
    ids=str,
)
def test_a_regressor_of_images_is_a_purifier(model: Any, tmp_path: Path) -> None:
    x = make_images()[0]
    model.fit(x, x)
    found = read(model, tmp_path)
    assert compute(found, x) == pytest.approx(model.predict(x), abs=1e-4)
    assert (found.takes, found.gives) == ((PIXELS,), (PIXELS,))
    assert "classes" not in found.graph


@pytest.mark.parametrize(
    "model",
    [
        PCA(2),
        PCA(2, whiten=True),
        make_pipeline(preprocessing.StandardScaler(), PCA(2)),
        make_pipeline(preprocessing.MinMaxScaler(), preprocessing.RobustScaler(), PCA(4)),
    ],
    ids=str,
)
def test_a_transformer_purifies_by_its_inverse(model: Any, tmp_path: Path) -> None:
    x = make_images()[0]
    model.fit(x)
    assert compute(read(model, tmp_path), x) == pytest.approx(model.inverse_transform(model.transform(x)), abs=1e-4)


def test_gradients_are_those_of_finite_differences(tmp_path: Path) -> None:
    import tensorflow as tf

    steps = (preprocessing.StandardScaler(), preprocessing.Normalizer(), PCA(4, whiten=True))
    found = read(fit(make_pipeline(*steps, MLPClassifier((5,), "tanh", max_iter=30, random_state=0))), tmp_path)
    function = restore_sklearn(found.graph, found.arrays)
    x = tf.constant(make_images()[0][:8], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(function(x)[:, 0])
    gradient = tape.gradient(total, x).numpy()
    for pixel in range(PIXELS):
        step = np.eye(PIXELS, dtype=np.float32)[pixel] * 1e-2
        difference = (function(x + step) - function(x - step)).numpy()[:, 0] / 2e-2
        assert gradient[:, pixel] == pytest.approx(difference, abs=2e-2)


def test_an_image_of_zeros_has_a_finite_gradient(tmp_path: Path) -> None:
    import tensorflow as tf

    found = read(fit(make_pipeline(preprocessing.Normalizer(), LogisticRegression())), tmp_path)
    x = tf.zeros((1, PIXELS))
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = restore_sklearn(found.graph, found.arrays)(x)
    assert np.isfinite(tape.gradient(outputs, x).numpy()).all()


def test_labels_keep_their_order_and_type(tmp_path: Path) -> None:
    x, y = make_images()
    for names in (np.array(["b", "a", "c"]), np.array([3, 1, 2]), np.array(["x", "y", "z"], object)):
        found = read(LogisticRegression().fit(x, names[y]), tmp_path)
        assert found.graph["classes"] == sorted(names.tolist())


def test_the_same_model_has_the_same_graph_and_arrays(tmp_path: Path) -> None:
    first, second = (read(fit(make_pipeline(PCA(3), LogisticRegression())), tmp_path) for _ in range(2))
    assert first.graph == second.graph
    assert all((first.arrays[name] == second.arrays[name]).all() for name in first.arrays)
    assert json.loads(json.dumps(first.graph)) == first.graph


def test_coefficients_may_be_sparse(tmp_path: Path) -> None:
    model = fit(LogisticRegression())
    expected = model.decision_function(make_images()[0])
    assert compute(read(model.sparsify(), tmp_path), make_images()[0]) == pytest.approx(expected, abs=1e-4)


def test_steps_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    found = read(fit(make_pipeline(preprocessing.MinMaxScaler(clip=True), LogisticRegression())), tmp_path)
    graph, arrays = found.graph, found.arrays
    steps = graph["steps"]
    bad_graphs: list[dict[str, Any]] = [
        {},
        {**graph, "takes": "6"},
        {**graph, "takes": PIXELS + 1},
        {**graph, "steps": steps[:-1]},
        {**graph, "steps": [{"op": "system"}, *steps]},
        {**graph, "steps": [*steps[:2], {"op": "clip", "low": 1, "high": 0}, *steps[3:]]},
        {**graph, "steps": [*steps[:2], {"op": "clip", "low": 0, "high": float("nan")}, *steps[3:]]},
        {**graph, "steps": [*steps, {"op": "activate", "function": "eval"}]},
        {**graph, "steps": 5},
    ]
    bad_arrays = [
        {**arrays, "0": arrays["0"][:-1]},
        {**arrays, "0": arrays["0"] * np.nan},
        {**arrays, "0": arrays["0"].astype(np.complex128)},
        {**arrays, "9": arrays["0"]},
        {name: array for name, array in arrays.items() if name != "0"},
    ]
    for bad_graph, bad in [*((one, arrays) for one in bad_graphs), *((graph, one) for one in bad_arrays)]:
        with pytest.raises(CorruptError, match="do not fit"):
            restore_sklearn(bad_graph, bad)


def test_what_is_neither_a_classifier_nor_a_purifier_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no inverse"):
        read(fit(preprocessing.Normalizer()), tmp_path)
    with pytest.raises(UsageError, match="no classifier with scores"):
        read(fit(preprocessing.Binarizer()), tmp_path)
