"""``advae.evaluate``: the numbers that ``advae attack`` stores, each kind of model, and errors that name the mend."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import advae
from advae.errors import AdvaeError, DatasetError, UsageError
from advae.records import Dataset
from tests.calls import succeed
from tests.conftest import Trained

EPS = (0.1, 0.3)


@pytest.fixture(scope="module")
def images(digits: Dataset) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """40 test images, (n, 8, 8), and their labels."""
    return digits.x_test[:40].reshape(-1, 8, 8), digits.y_test[:40]


@pytest.fixture(scope="module")
def weights(digits: Dataset) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Coefficients, (64, 10), and intercepts of a logistic regression on digits."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(max_iter=200).fit(digits.x_train, digits.y_train)
    return fitted.coef_.T.astype(np.float32), fitted.intercept_.astype(np.float32)


def make_tensorflow(w: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> Callable[[Any], Any]:
    import tensorflow as tf

    return lambda x: tf.reshape(x, (-1, 64)) @ w + b


# ---------------------------------------------------------------- equal to the command


@pytest.mark.parametrize("name", ["nn_behind", "nn", "lr"])
def test_a_loaded_pipeline_gives_the_numbers_of_attack(trained: Trained, digits: Dataset, name: str) -> None:
    id_ = getattr(trained, name)
    stored = succeed(
        *("attack", "--method", "pgd", "--steps", 5, "--eps", "0.1,0.3", "--clf", id_, "--limit", 40),
        *("--home", trained.home, "--json"),
    ).json
    pipeline = advae.open_registry(trained.home).load(id_)
    result = advae.evaluate(pipeline, digits.x_test[:40], digits.y_test[:40], methods="pgd", eps=EPS, steps=5)
    assert result.clean_accuracy == stored["clean_accuracy"]
    assert result.robust_accuracy == {one["eps"]: one["accuracy"] for one in stored["results"]}
    assert {eps: list(pair) for eps, pair in result.intervals.items()} == {
        one["eps"]: one["accuracy_interval"] for one in stored["results"]
    }
    ran = result.runs[0].metrics
    assert [one.l2_mean for one in ran.results] == [one["l2_mean"] for one in stored["results"]]


def test_home_stores_the_run_of_attack(trained: Trained, digits: Dataset) -> None:
    home = advae.open_registry(trained.home)
    pipeline = home.load(trained.lr_behind)
    x, y = digits.x_test[:40], digits.y_test[:40]
    stored = advae.evaluate(pipeline, x, y, methods=["fgsm"], eps=EPS, home=home)
    again = succeed(
        *("attack", "--method", "fgsm", "--eps", "0.1,0.3", "--clf", trained.lr_behind, "--limit", 40),
        *("--home", trained.home, "-q"),
    )
    manifest = stored.runs[0].manifest
    assert manifest is not None
    assert again.id == manifest.id
    assert stored.robust_accuracy == advae.evaluate(pipeline, x, y, methods=["fgsm"], eps=EPS).robust_accuracy
    with pytest.raises(UsageError, match="are not the first 40 of 'digits'; leave home= out"):
        advae.evaluate(pipeline, digits.x_test[1:41], digits.y_test[1:41], home=home)
    with pytest.raises(UsageError, match="`advae add-clf`"):
        advae.evaluate(lambda x: x, x, y, home=home)


def test_the_undefended_and_the_surrogate_are_named(trained: Trained, digits: Dataset) -> None:
    home = advae.open_registry(trained.home)
    behind, bare = home.load(trained.nn_behind), home.load(trained.nn)
    x, y = digits.x_test[:40], digits.y_test[:40]
    with pytest.raises(UsageError, match="'oblivious' needs undefended="):
        advae.evaluate(behind, x, y, methods=["fgsm"], threat="oblivious")
    result = advae.evaluate(behind, x, y, methods=["fgsm"], eps=EPS, threat="oblivious", undefended=bare)
    stored = succeed(
        *("attack", "--method", "fgsm", "--eps", "0.1,0.3", "--clf", trained.nn_behind, "--limit", 40),
        *("--threat", "oblivious", "--home", trained.home, "--json"),
    ).json
    assert result.robust_accuracy == {one["eps"]: one["accuracy"] for one in stored["results"]}
    with pytest.raises(UsageError, match="'transfer' needs surrogate="):
        advae.evaluate(behind, x, y, methods=["fgsm"], threat="transfer")
    transferred = advae.evaluate(behind, x, y, methods=["fgsm"], eps=0.3, threat="transfer", surrogate=bare)
    assert transferred.runs[0].recipe.surrogate is not None


# ---------------------------------------------------------------- each kind of model


def test_one_linear_model_gives_one_number_in_whatever_form(
    weights: tuple[Any, Any], images: tuple[Any, Any], digits: Dataset
) -> None:
    """As a function of tensors, a Keras model with and without softmax, and scikit-learn's pipeline."""
    import keras
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    (w, b), (x, y) = weights, images

    def build(activation: str | None) -> Any:
        layers = [keras.layers.Flatten(), keras.layers.Dense(10, activation=activation)]
        model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
        model.set_weights([w, b])
        return model

    scaler = MinMaxScaler().fit(np.array([[0.0] * 64, [1.0] * 64]))
    pipeline = make_pipeline(scaler, LogisticRegression(max_iter=200).fit(digits.x_train, digits.y_train))
    models = [make_tensorflow(w, b), build(None), build("softmax"), pipeline]
    found = [advae.evaluate(model, x, y, methods=["fgsm"], eps=EPS) for model in models]
    assert len({one.clean_accuracy for one in found}) == 1
    assert found[0].clean_accuracy > 0.8
    assert len({str(one.robust_accuracy) for one in found}) == 1
    for one in found:
        assert one.runs[0].metrics.backward == "exact"
        assert one.checks["logits"].status == "PASS"
        assert one.checks["gradients"].status == "PASS"
    # A margin of an affine model falls by eps * ||difference of weights||_1; clipping can only help the defence.
    logits = x.reshape(-1, 64) @ w + b
    margins = [
        min(
            logits[i, label] - logits[i, k] - 0.1 * np.abs(w[:, label] - w[:, k]).sum() for k in range(10) if k != label
        )
        for i, label in enumerate(y)
    ]
    robust = found[0].robust_accuracy
    assert isinstance(robust, dict)
    assert robust[0.1] >= float(np.mean(np.array(margins) > 0))


def test_a_function_of_numpy_is_asked_for_scores(weights: tuple[Any, Any], images: tuple[Any, Any]) -> None:
    (w, b), (x, y) = weights, images

    def score(batch: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        assert isinstance(batch, np.ndarray)
        assert batch.shape[1:] == (8, 8, 1)
        return batch.reshape(len(batch), -1) @ w + b

    result = advae.evaluate(score, x, y, methods=["square"], eps=[0.3], queries=50)
    assert result.runs[0].recipe.threat == "adaptive"
    assert result.runs[0].metrics.backward == "none"
    assert isinstance(result.robust_accuracy, float)
    assert result.robust_accuracy < result.clean_accuracy
    with pytest.raises(UsageError, match="'pgd' needs gradients"):
        advae.evaluate(score, x, y, methods=["pgd"])


def test_a_random_forest_is_attacked_by_scores(digits: Dataset, images: tuple[Any, Any]) -> None:
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(5, random_state=0).fit(digits.x_train, digits.y_train)
    result = advae.evaluate(forest, *images, methods=["square"], eps=0.3, queries=20)
    assert result.clean_accuracy == float((forest.predict(images[0].reshape(-1, 64)) == images[1]).mean())
    assert result.checks["gradients"].status == "NOT RUN"


def test_purifiers_of_every_kind(trained: Trained, weights: tuple[Any, Any], images: tuple[Any, Any]) -> None:
    (w, b), (x, y) = weights, images
    import tensorflow as tf

    model, home = make_tensorflow(w, b), advae.open_registry(trained.home)
    loaded = home.load(trained.ae)
    first = advae.evaluate(model, x, y, purifier=loaded, methods=["fgsm"], eps=0.1)
    second = advae.evaluate(model, x, y, purifier=loaded.purifier, methods=["fgsm"], eps=0.1)
    assert first.robust_accuracy == second.robust_accuracy
    fitted = advae.Purifier(type="pca").fit(x)
    third = advae.evaluate(model, x, y, purifier=fitted, methods=["fgsm"], eps=0.1, threat="oblivious")
    assert third.runs[0].metrics.backward == "exact"
    traced = advae.evaluate(model, x, y, purifier=tf.sqrt, methods=["fgsm"], eps=0.1)
    assert traced.runs[0].metrics.backward == "exact"
    rounded = advae.evaluate(model, x, y, purifier=lambda a: np.round(np.asarray(a)), methods=["fgsm"], eps=0.1)
    assert rounded.runs[0].metrics.backward == "identity"
    with pytest.raises(UsageError, match="leave purifier= out"):
        advae.evaluate(home.load(trained.nn_behind), x, y, purifier=fitted)
    with pytest.raises(UsageError, match=r"take its \.purifier"):
        advae.evaluate(model, x, y, purifier=home.load(trained.nn))


def test_an_image_counts_only_where_no_method_succeeds(weights: tuple[Any, Any], images: tuple[Any, Any]) -> None:
    model = make_tensorflow(*weights)
    with pytest.warns(UserWarning, match="running noise under noise instead"):
        result = advae.evaluate(model, *images, methods=["noise", "fgsm"], eps=[0.2])
    assert isinstance(result.robust_accuracy, dict)
    alone = [run.metrics.results[0].accuracy for run in result.runs]
    assert result.robust_accuracy[0.2] <= min(alone)


def test_colour_images_and_models_of_keras_in_every_form() -> None:
    import keras

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.flat, self.last = keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")

        def call(self, x: Any) -> Any:
            return self.last(self.flat(x))

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (20, 6, 5, 3)).astype(np.uint8), rng.integers(0, 3, 20)
    layers = keras.layers
    last = keras.Sequential([keras.Input((6, 5, 3)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)])
    own, first = Own(), keras.Sequential([keras.Input((3, 6, 5)), layers.Flatten(), layers.Dense(1, "sigmoid")])
    own(np.zeros((1, 6, 5, 3)))
    for model, labels in ((last, y), (own, y), (first, y % 2)):
        result = advae.evaluate(model, x, labels, methods=["fgsm"], eps=8 / 255)
        assert tuple(result.runs[0].recipe.dataset.shape) == (6, 5, 3)
        assert result.checks["logits"].status == "PASS"
    with pytest.raises(UsageError, match="the model takes 3 x 6 x 5 for an image"):
        advae.evaluate(first, x[:, :5], y % 2)


# ---------------------------------------------------------------- the result


def test_result_as_frame_and_report(weights: tuple[Any, Any], images: tuple[Any, Any], tmp_path: Path) -> None:
    result = advae.evaluate(
        make_tensorflow(*weights), *images, purifier=lambda x: 0.9 * x, methods=["fgsm", "pgd"], eps=EPS, steps=None
    )
    assert repr(result).startswith("Evaluation(fgsm+pgd, adaptive, linf; clean: 0.")
    page = result.report(tmp_path / "out")
    assert page == tmp_path / "out" / "report.html"
    text = (tmp_path / "out" / "report.md").read_text()
    assert "fgsm" in text
    assert "pgd" in text
    frame = pytest.importorskip("pandas") and result.to_frame()
    assert frame["method"].tolist() == ["fgsm", "fgsm", "pgd", "pgd"]
    assert frame["eps"].tolist() == [0.1, 0.3, 0.1, 0.3]
    assert frame["accuracy"].tolist() == [one.accuracy for run in result.runs for one in run.metrics.results]


def test_the_error_without_pandas_names_the_command(
    weights: tuple[Any, Any], images: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = advae.evaluate(make_tensorflow(*weights), *images, methods=["fgsm"])
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pip install pandas"):
        result.to_frame()


# ---------------------------------------------------------------- errors

WRONG: dict[str, tuple[Callable[[Any, Any], tuple[Any, Any]], str]] = {
    "levels as float": (lambda x, y: (255 * x, y), "divide by 255, or store them as uint8"),
    "levels as int": (lambda x, y: ((255 * x).astype(int), y), "store levels from 0 to 255 as uint8"),
    "NaN": (lambda x, y: (np.where(np.arange(40)[:, None, None] == 3, np.nan, x), y), "NaN in image 3"),
    "standardised": (lambda x, y: ((x - 0.5) / 0.2, y), "undo the standardization"),
    "one image": (lambda x, y: (x[0], y), r"x\[None\] is an array of one image"),
    "no images": (lambda x, y: (x[:0], y[:0]), "x is empty"),
    "channels first": (lambda x, y: (x[:, None], y), "move the channels last"),
    "another size": (lambda x, y: (x[:, :7], y), "x holds images of 7 x 8 pixels, the model takes 8 x 8"),
    "one-hot labels": (lambda x, y: (x, np.eye(10)[y]), r"store argmax\(axis=1\)"),
    "float labels": (lambda x, y: (x, y / 1), "store the numbers of the classes as integers"),
    "labels from 1": (lambda x, y: (x, y + 1), "labels begin at 0: subtract 1 from all"),
    "a negative label": (lambda x, y: (x, y - 1), "y has label -1, the model has 10 classes, 0 to 9"),
    "too few labels": (lambda x, y: (x, y[:-1]), "39 labels for 40 images"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_arrays_are_one_line_that_names_the_mend(mistake: str, trained: Trained, images: tuple[Any, Any]) -> None:
    change, told = WRONG[mistake]
    pipeline = advae.open_registry(trained.home).load(trained.nn)
    with pytest.raises(DatasetError, match=told) as caught:
        advae.evaluate(pipeline, *change(*images))
    assert "\n" not in str(caught.value)


def test_wrong_models_and_options_are_one_line(images: tuple[Any, Any], digits: Dataset) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    x, y = images

    def fail(batch: Any) -> Any:
        raise RuntimeError("the first line\nthe second")

    def fail_later(batch: Any) -> Any:
        return np.zeros((len(batch), 10)) if len(batch) < 5 else fail(batch)

    def refuse(model: Any, **options: Any) -> str:
        with pytest.raises(AdvaeError) as caught:
            advae.evaluate(model, x, y, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    shifted = LogisticRegression(max_iter=20).fit(digits.x_train, digits.y_train + 1)
    small = LogisticRegression(max_iter=20).fit(digits.x_train[:, :60], digits.y_train)
    assert "expected a loaded pipeline, a Keras model" in refuse("model.keras")
    assert "call fit first" in refuse(LogisticRegression())
    assert "is no classifier" in refuse(StandardScaler().fit(digits.x_train))
    assert "subtract 1 from all" in refuse(shifted)
    assert "takes 60 features" in refuse(small)
    assert "RuntimeError: the first line" in refuse(fail)
    assert "fails on a batch of images: RuntimeError: the first line" in refuse(fail_later, methods=["noise"])
    assert "once for each threat model" in refuse(fail, threat="all")
    assert "expected (n, classes)" in refuse(lambda batch: batch)
    assert "did you mean 'fgsm'" in refuse(
        lambda batch: batch[:, 0, :, 0] @ np.ones((8, 10), np.float32), methods=["fgsn"]
    )
    assert "did you mean 'steps'" in refuse(lambda batch: batch, stepss=3)
    assert "50/255" in refuse(lambda batch: batch[:, 0, :, 0] @ np.ones((8, 10), np.float32), methods=["fgsm"], eps=8)
