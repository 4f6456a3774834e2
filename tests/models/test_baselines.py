"""The baselines against exact oracles: scipy's blur, scikit-learn's components, a comparison; and put to use."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.batching import apply
from advae.errors import CorruptError, UsageError
from advae.evaluation.pipelines import load_purifier
from advae.models import baselines
from advae.models.baselines import BASELINES
from advae.models.blurring import blur_matrix
from advae.models.purifiers import make_autoencoder_recipe, restore_purifier
from advae.records import Dataset
from advae.registry import Registry
from advae.requests import AutoencoderRequest, NetworkRequest
from tests.calls import succeed
from tests.models.test_autoencoders import NO_DERIVATIVE, ask, fit


def purify(dataset: Dataset, x: Any, type_: str, **options: Any) -> Any:
    """Return images as a baseline leaves them. code: of pca."""
    network = NetworkRequest(code=options.pop("code")) if "code" in options else NetworkRequest()
    recipe, arrays, history = fit(dataset, AutoencoderRequest(type=type_, network=network, options=options))
    assert history is None
    return apply(restore_purifier(recipe, arrays), np.asarray(x, "f4"))


# ---------------------------------------------------------------- blur


def apply_matrix(images: Any, sigma: float) -> Any:
    """Return float64 images blurred by the matrix that is stored."""
    kernel = blur_matrix(images.shape[-1], sigma).astype("f8")
    return kernel @ images @ kernel.T


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5])
def test_blur_is_scipys_away_from_the_border(sigma: float) -> None:
    from scipy.ndimage import gaussian_filter

    images = np.random.default_rng(0).random((3, 64, 64))
    expected = gaussian_filter(images, (0, sigma, sigma), mode="constant", truncate=12)
    inner = slice(16, -16)
    np.testing.assert_allclose(apply_matrix(images, sigma)[:, inner, inner], expected[:, inner, inner], atol=1e-5)


def test_the_purifier_blurs_both_axes_of_the_image(digits: Dataset) -> None:
    blurred = purify(digits, digits.x_test, "blur", sigma=0.7)
    expected = apply_matrix(digits.x_test.reshape(-1, 8, 8).astype("f8"), 0.7)
    np.testing.assert_allclose(blurred, expected.reshape(-1, 64), atol=1e-6)
    assert not np.allclose(blurred, digits.x_test, atol=0.1)


@pytest.mark.parametrize("sigma", [1e-3, 0.5, 1.0, 8.0])
def test_a_constant_image_stays_constant_at_the_border_too(sigma: float, digits: Dataset) -> None:
    greys = np.array([0, 0.25, 0.5, 1])
    blurred = purify(digits, np.repeat(greys[:, None], 64, axis=1), "blur", sigma=sigma)
    np.testing.assert_allclose(blurred, np.repeat(greys[:, None], 64, axis=1), atol=2e-6)


def test_blur_keeps_the_mass_of_what_is_away_from_the_border() -> None:
    images = np.zeros((1, 33, 33))
    images[0, 14:19, 14:19] = np.random.default_rng(1).random((5, 5))
    blurred = apply_matrix(images, 1.5)
    assert blurred.sum() == pytest.approx(images.sum(), rel=1e-5)
    assert blurred.max() < 0.7 * images.max()


def test_a_point_becomes_the_gaussian() -> None:
    point = np.zeros((1, 41, 41))
    point[0, 20, 20] = 1
    squares = (np.arange(41) - 20.0) ** 2
    gaussian = np.exp(-(squares[:, None] + squares) / (2 * 2.0**2)) / (2 * np.pi * 2.0**2)
    np.testing.assert_allclose(apply_matrix(point, 2.0)[0], gaussian, atol=1e-6)


@pytest.mark.filterwarnings("error")
def test_blur_of_hardly_any_width_is_the_image(digits: Dataset) -> None:
    for sigma in (5e-324, 1e-300, 0.05):
        np.testing.assert_allclose(blur_matrix(8, sigma), np.eye(8), atol=1e-6)


@pytest.mark.parametrize("side", [1, 8, 28, 200])
@pytest.mark.parametrize("sigma", [0.4, 1.0])
def test_white_is_not_rounded_above_one_and_keeps_its_gradient(side: int, sigma: float) -> None:
    """A clip takes the gradient of what is above it: then an attack would look weaker than it is."""
    import tensorflow as tf

    kernel = blur_matrix(side, sigma)
    ref = make_autoencoder_recipe(AutoencoderRequest(type="blur", options={"sigma": sigma}), make_dataset(side, 2))
    blur = restore_purifier(ref, {"kernel": kernel})
    x = tf.ones((4, side * side))
    with tf.GradientTape() as tape:
        tape.watch(x)
        blurred = blur(x, 0)
    assert blurred.numpy().max() < 1
    gradient = tape.gradient(blurred, x, output_gradients=tf.ones_like(x)).numpy().reshape(4, side, side)
    columns = kernel.sum(0)
    np.testing.assert_allclose(gradient, np.broadcast_to(np.outer(columns, columns), gradient.shape), rtol=1e-4)


# ---------------------------------------------------------------- pca


def make_dataset(side: int, n: int) -> Dataset:
    """Return images of a few grey shapes with noise, n of them to train on."""
    from advae.records import DatasetRef

    rng = np.random.default_rng(side)
    x = (rng.random((n, 3)) @ rng.random((3, side * side)) / 3 + 0.05 * rng.random((n, side * side))).astype("f4")
    ref = DatasetRef(name="own", digest="0" * 64, side=side, classes=("a", "b"))
    y = np.arange(n) % 2
    return Dataset(ref, x, y, x, y)


@pytest.mark.parametrize("size", [1, 8, 40])
def test_pca_is_scikit_learns(size: int, digits: Dataset) -> None:
    from sklearn.decomposition import PCA

    peer = PCA(size, svd_solver="full").fit(digits.x_train.astype("f8"))
    expected = np.clip(peer.inverse_transform(peer.transform(digits.x_test.astype("f8"))), 0, 1)
    np.testing.assert_allclose(purify(digits, digits.x_test, "pca", code=size), expected, atol=1e-5)


def test_pca_of_fewer_images_than_pixels_is_scikit_learns() -> None:
    from sklearn.decomposition import PCA

    few = make_dataset(8, 20)
    peer = PCA(3, svd_solver="full").fit(few.x_train.astype("f8"))
    expected = np.clip(peer.inverse_transform(peer.transform(few.x_test.astype("f8"))), 0, 1)
    np.testing.assert_allclose(purify(few, few.x_test, "pca", code=3), expected, atol=1e-5)


def test_pca_takes_the_autoencoders_code_size_and_never_more_than_there_are_images(digits: Dataset) -> None:
    assert make_autoencoder_recipe(AutoencoderRequest(type="pca"), digits).options == {"code_size": 8}
    assert make_autoencoder_recipe(AutoencoderRequest(type="pca"), make_dataset(8, 5)).options == {"code_size": 5}
    asked = AutoencoderRequest(type="pca", network=NetworkRequest(code=6))
    with pytest.raises(UsageError, match="bad --code-size 6: at most 5 components for 5 images"):
        make_autoencoder_recipe(asked, make_dataset(8, 5))


def test_all_components_give_the_image_back(digits: Dataset) -> None:
    np.testing.assert_allclose(purify(digits, digits.x_test, "pca", code=64), digits.x_test, atol=1e-5)


def test_components_of_many_images_do_not_depend_on_the_parts(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:

    recipe = make_autoencoder_recipe(AutoencoderRequest(type="pca"), digits)
    whole = BASELINES["pca"].compute(recipe, digits.x_train)["components"]
    monkeypatch.setattr(baselines, "ROWS", 100)
    parts = BASELINES["pca"].compute(recipe, digits.x_train)["components"]
    np.testing.assert_allclose(whole.T @ whole, parts.T @ parts, atol=1e-5)


# ---------------------------------------------------------------- binary


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_binary_is_one_above_the_threshold(threshold: float, digits: Dataset) -> None:
    at = np.float32(threshold)
    x = digits.x_test.copy()
    x[0, :3] = at, np.nextafter(at, np.float32(2)), np.nextafter(at, np.float32(-1))
    purified = purify(digits, x, "binary", threshold=threshold)
    np.testing.assert_array_equal(purified, (x > at).astype("f4"))
    assert purified[0, :3].tolist() == [0, 1, 0]


# ---------------------------------------------------------------- recipes and what is refused


@pytest.mark.parametrize("kind", BASELINES)
def test_a_recipe_says_that_nothing_is_trained(kind: str, digits: Dataset) -> None:
    recipe = make_autoencoder_recipe(AutoencoderRequest(type=kind, seed=3, rescale="none"), digits)
    assert (recipe.network, recipe.loss, recipe.rescale, recipe.seed) == (None, None, "none", 3)
    assert recipe.is_baseline
    assert not make_autoencoder_recipe(AutoencoderRequest(type="vanilla"), digits).is_baseline


@pytest.mark.parametrize(
    ("type_", "asked", "message"),
    [
        ("blur", {"network": NetworkRequest(epochs=35)}, "--epochs does not fit --type blur, a baseline"),
        ("blur", {"network": NetworkRequest(code=8)}, "--code-size does not fit --type blur, a baseline"),
        ("pca", {"network": NetworkRequest(code=8, hidden=9)}, "--hidden-size does not fit --type pca, a baseline"),
        ("pca", {"loss": "squared-error"}, "--loss does not fit --type pca, a baseline"),
        ("binary", {"rescale": "intensity"}, "--rescale intensity does not fit --type binary, a baseline"),
        ("vanilla", {"options": {"sigma": 1.0}}, "--sigma does not fit --type vanilla; it is for blur"),
        ("pca", {"options": {"threshold": 0.5}}, "--threshold does not fit --type pca; it is for binary"),
        ("pca", {"options": {"code_size": 8}}, "--code-size does not fit --type pca"),
        ("blur", {"options": {"sigma": 0.0}}, "bad --sigma 0.0: above 0, at most 8"),
        ("blur", {"options": {"sigma": 8.1}}, "bad --sigma 8.1"),
        ("binary", {"options": {"threshold": 1.0}}, "bad --threshold 1.0: between 0 and 1"),
        ("binary", {"options": {"threshold": 0.0}}, "bad --threshold 0.0"),
        ("pca", {"network": NetworkRequest(code=65)}, "bad --code-size 65: at most 64"),
    ],
)
def test_what_does_not_fit_a_baseline_is_a_usage_error(
    type_: str, asked: dict[str, Any], message: str, digits: Dataset
) -> None:
    with pytest.raises(UsageError, match=message):
        make_autoencoder_recipe(AutoencoderRequest(type=type_, **asked), digits)


@pytest.mark.parametrize("kind", BASELINES)
def test_arrays_that_are_not_its_own_are_refused(kind: str, digits: Dataset) -> None:
    recipe, arrays, _ = fit(digits, ask(kind))
    with pytest.raises(CorruptError, match="do not fit the recipe"):
        restore_purifier(recipe, arrays | {"more": np.zeros(1, "f4")})


@pytest.mark.parametrize("kind", BASELINES)
@pytest.mark.parametrize(
    "changes",
    [
        {"network": make_autoencoder_recipe(AutoencoderRequest(type="vanilla"), make_dataset(8, 9)).network},
        {"loss": "squared-error"},
        {"rescale": "intensity"},
        {"options": {}},
        {"options": {"sigma": 1.0, "threshold": 0.5, "code_size": 8}},
    ],
    ids=str,
)
def test_a_forged_recipe_is_refused(kind: str, changes: dict[str, Any], digits: Dataset) -> None:
    recipe, arrays, _ = fit(digits, ask(kind))
    with pytest.raises(CorruptError):
        restore_purifier(recipe.model_copy(update=changes), arrays)


# ---------------------------------------------------------------- used like an autoencoder


BACKWARD = dict.fromkeys(NO_DERIVATIVE, "identity") | {"total-variation": "blur"}
"""Kinds without a derivative -> whose takes its place."""


@pytest.mark.parametrize("kind", BASELINES)
def test_a_baseline_takes_the_place_of_an_autoencoder(kind: str, tmp_path: Path) -> None:
    """Trained behind, attacked under every threat, purified, reported; and the report's command makes it again."""
    home = ("--home", tmp_path / "home")
    made = succeed("train-ae", "--type", kind, *home, "--json")
    ae = made.json["id"]
    assert f"{ae} is stored: a baseline, no autoencoder: " in made.err
    assert made.json["metrics"]["history"] is None
    assert load_purifier(Registry(tmp_path / "home"), Registry(tmp_path / "home").manifest(ae)).differentiable == (
        kind not in NO_DERIVATIVE
    )
    succeed("train-clf", "--model", "lr", *home)
    clf = succeed("train-clf", "--model", "lr", "--ae", ae, *home).id
    # The gradient of these is not their own; the others' under every threat is test_evaluate's.
    threats = ["adaptive", "gray-box", "oblivious", "encoded"] if kind in ("binary", "jpeg") else ["adaptive"]
    attack = ("attack", "--clf", clf, "--method", "fgsm", "--eps", "0.1", "--limit", 100, "--threat", ",".join(threats))
    found = succeed(*attack, *home, "--json").json
    runs = found.get("runs", [found])
    assert [run["threat"] for run in runs] == threats
    assert len({run["clean_accuracy"] for run in runs}) == 1
    stuck = {run["threat"]: run["results"][0]["zero_gradient_fraction"] for run in runs}
    # Where a baseline has no derivative of its own, the identity's takes its place.
    assert stuck == dict.fromkeys(threats, 0)
    adaptive = Registry(Path(home[-1])).manifest(runs[0]["id"]).as_run()[1]
    assert adaptive.backward == (BACKWARD.get(kind, "exact"))
    page = Path(succeed("report", *home, "--out", tmp_path / "out").id).read_text()
    assert f"behind baseline ({kind})" in page
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    (baseline,) = (network for network in report["networks"] if network["id"] == ae)
    assert baseline["history"] is None
    command = next(words for words in map(shlex.split, report["commands"]) if words[1] == "train-ae")
    assert succeed(*command[1:], "--home", tmp_path / "anew", "-q").id == ae
    np.save(tmp_path / "in.npy", np.full((3, 8, 8), 0.75, "f4"))
    succeed("purify", "--ae", ae, tmp_path / "in.npy", tmp_path / "out.npy", *home)
    assert np.load(tmp_path / "out.npy").shape == (3, 8, 8)
    assert succeed("predict", "--clf", clf, tmp_path / "in.npy", *home).out
    shown = succeed("registry", "show", ae, *home)
    assert f"{ae}: baseline, made" in shown.err
    assert f"{kind}, a baseline, " in shown.err
