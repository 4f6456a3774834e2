"""Randomised smoothing: its statistics, its noise, and every kind of pipeline."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from advae.certificates import CERTIFICATES, Images, ProofProgress
from advae.certificates import smoothing as module
from advae.certificates.smoothing import (
    Smoothing,
    estimate_seconds,
    find_certified,
    find_largest_radius,
    read_smoothing,
    smooth,
)
from advae.errors import CorruptError
from advae.evaluation.pipelines import load_pipeline
from advae.metrics import ABSTAINS, ESTIMATING, SELECTING, bound_below, decide_radii
from advae.models.autoencoders import AUTOENCODERS
from advae.models.purifiers import TrainingData, fit_autoencoder, make_autoencoder_recipe, restore_purifier
from advae.records import CertificateRecipe, Dataset
from advae.registry import Registry
from advae.requests import AddRequest, AutoencoderRequest, NetworkRequest
from advae.threats import Pipeline
from advae.workflows import Workspace, add_classifier
from tests.entries import TINY
from tests.models.added.skops_files import save

PIXELS = 20
QUICK = Smoothing(0.25, samples=1_000, select=50)


def make_half_space() -> tuple[Pipeline, Any]:
    """Return a linear classifier of two classes, and the exact distance of images from its boundary, float64 (n,)."""
    w = np.random.default_rng(1).normal(size=PIXELS).astype("f4")
    bias = float(w.sum() / 2)
    pipeline = Pipeline(lambda x: _stack_scores(x @ w[:, None] - bias), linear=True)
    return pipeline, lambda x: (x.astype("f8") @ w.astype("f8") - bias) / np.linalg.norm(w.astype("f8"))


def _stack_scores(score: Any) -> Any:
    import tensorflow as tf

    return tf.concat([-score, score], axis=1)


def make_images(n: int) -> Any:
    return np.random.default_rng(2).random((n, PIXELS)).astype("f4")


# ---------------------------------------------------------------- statistics


@pytest.mark.parametrize("n", [1, 100, 10_000])
@pytest.mark.parametrize("alpha", [0.001, 0.05])
def test_bounds_are_those_of_scipys_exact_test(n: int, alpha: float) -> None:
    hits = np.unique(np.linspace(0, n, 25).astype("i8"))
    found = bound_below(hits, n, alpha)
    expected = [binomtest(int(k), n, alternative="greater").proportion_ci(1 - alpha, method="exact").low for k in hits]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_radii_are_the_papers_formula_and_a_bound_of_one_half_abstains() -> None:
    counts = np.array([[[2, 8], [10, 990]], [[10, 0], [500, 500]], [[9, 1], [0, 1_000]], [[5, 5], [1_000, 0]]])
    predictions, radii = decide_radii(counts, sigma=0.5, samples=1_000, alpha=0.001)
    # The third is chosen as class 0, of which no copy of the bound is; a tie chooses the first class.
    assert predictions.tolist() == [1, ABSTAINS, ABSTAINS, 0]
    low = binomtest(990, 1_000, alternative="greater").proportion_ci(0.999, method="exact").low
    np.testing.assert_allclose(radii, [0.5 * norm.ppf(low), 0, 0, 0.5 * norm.ppf(0.001 ** (1 / 1_000))], rtol=1e-9)


@pytest.mark.parametrize(("n", "multiple"), [(1_000, 2.46), (10_000, 3.20), (100_000, 3.81)])
def test_the_largest_radius_is_that_of_the_literature(n: int, multiple: float) -> None:
    assert find_largest_radius(Smoothing(0.25, samples=n)) == pytest.approx(0.25 * multiple, abs=0.002)


def test_a_certificate_needs_the_right_class_and_a_radius_above_eps() -> None:
    labels, predictions = np.array([1, 1, 2, 0]), np.array([1, 1, 0, ABSTAINS])
    found = find_certified(labels, predictions, np.array([0.5, 0.2, 3.0, 0.0]), (0.0, 0.2, 0.5))
    assert found.tolist() == [[True, True, False, False], [True, False, False, False], [False] * 4]


def test_the_radius_of_a_half_space_is_never_above_the_exact_one_and_close_to_it() -> None:
    pipeline, measure = make_half_space()
    x = make_images(120)
    exact, options = measure(x), Smoothing(0.3, samples=5_000, select=2_000)
    found = smooth(pipeline, x, np.arange(len(x)), smoothing=options, classes=2)
    decided = found.predictions != ABSTAINS
    # At alpha 0.001 more than 4 wrong ones of 120 have a probability below 1e-6.
    wrong = decided & ((found.predictions != (exact > 0)) | (found.radii > np.abs(exact)))
    assert wrong.sum() <= 4
    # The margin of the bound and four standard deviations, both of a share of 5,000.
    assert np.abs(exact[~decided]).max() < (3.1 + 4) * (0.25 / 5_000) ** 0.5 / norm.pdf(0) * options.sigma
    reachable = decided & (np.abs(exact) < 2 * options.sigma)
    assert (np.abs(exact) - found.radii)[reachable].max() < 0.25 * options.sigma
    # The estimate without its margin is the exact radius.
    p = found.counts[:, ESTIMATING, 1] / options.samples
    inside = (p > 0.02) & (p < 0.98)
    np.testing.assert_allclose(options.sigma * norm.ppf(p[inside]), exact[inside], atol=0.12 * options.sigma)


def test_a_pipeline_that_guesses_abstains() -> None:
    import tensorflow as tf

    pipeline = Pipeline(lambda x: tf.stack([x[:, 0], x[:, 1]], axis=1))
    x = np.full((20, 2), 0.5, "f4")
    found = smooth(pipeline, x, np.arange(20), smoothing=QUICK, classes=2)
    assert found.abstained >= 19
    assert not find_certified(np.zeros(20, int), found.predictions, found.radii, (0.0,))[0, found.radii == 0].any()


# ---------------------------------------------------------------- noise


def test_the_noise_is_added_before_the_purifier_has_its_deviation_and_is_not_clipped() -> None:
    import tensorflow as tf

    seen = []

    def keep(x: Any) -> Any:
        seen.append(x)
        return x

    def purify(x: Any, draw: Any) -> Any:
        return tf.numpy_function(keep, [x], tf.float32)

    pipeline = Pipeline(lambda x: tf.reshape(x, (-1, PIXELS))[:, :2], purify)
    x = make_images(2)
    smooth(pipeline, x, np.arange(2), smoothing=Smoothing(0.5, samples=4_900), classes=2)
    copies = np.concatenate(seen[: len(seen) // 2])[:5_000]
    noise = (copies.astype("f8") - x[0]).ravel()
    assert copies.min() < -1
    assert copies.max() > 2
    assert abs(noise.mean()) < 5 * 0.5 / len(noise) ** 0.5
    assert noise.std() == pytest.approx(0.5, rel=0.01)
    # No copy is used twice, neither of one image nor of two.
    assert len(np.unique(np.concatenate(seen), axis=0)) == sum(map(len, seen))
    # One half of the values lies within 0.6745 deviations of the mean.
    assert (np.abs(noise) < 0.5 * norm.ppf(0.75)).mean() == pytest.approx(0.5, abs=0.01)


def test_each_image_has_its_own_noise_whatever_is_certified_beside_it() -> None:
    pipeline, _ = make_half_space()
    x = make_images(6)
    ids = np.array([7, 2, 90, 4, 11, 3])
    whole = smooth(pipeline, x, ids, smoothing=QUICK, classes=2)
    for kept in ([3], [5, 0], [1, 2, 3, 4]):
        part = smooth(pipeline, x[kept], ids[kept], smoothing=QUICK, classes=2)
        np.testing.assert_array_equal(part.counts, whole.counts[kept])
    same = smooth(pipeline, np.repeat(x[:1], 2, axis=0), np.array([1, 2]), smoothing=QUICK, classes=2)
    assert not np.array_equal(same.counts[0], same.counts[1])
    reseeded = smooth(pipeline, x, ids, smoothing=dataclasses.replace(QUICK, seed=1), classes=2)
    assert not np.array_equal(reseeded.counts, whole.counts)


def test_every_copy_is_counted_once_also_where_blocks_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, _ = make_half_space()
    x = make_images(3)
    for values in (7 * PIXELS, PIXELS - 1, 10**6):
        monkeypatch.setattr(module, "BLOCK_VALUES", values)
        options = Smoothing(0.3, samples=101, select=9)
        counts = smooth(pipeline, x, np.arange(3), smoothing=options, classes=2).counts
        assert (counts[:, SELECTING].sum(axis=1) == 9).all()
        assert (counts[:, ESTIMATING].sum(axis=1) == 101).all()


def test_a_logit_that_is_not_a_number_never_wins() -> None:
    import tensorflow as tf

    pipeline = Pipeline(lambda x: tf.stack([x[:, 0] * float("nan"), x[:, 0], x[:, 0] - 1], axis=1))
    counts = smooth(pipeline, make_images(1), np.arange(1), smoothing=QUICK, classes=3).counts
    assert counts[0].sum(axis=0).tolist() == [0, 1_050, 0]


# ---------------------------------------------------------------- interruptions


class Stored:
    """A checkpoint in memory that interrupts after some saves."""

    def __init__(self, saves: int) -> None:
        self.saves, self.arrays = saves, None

    def load(self) -> Any:
        return self.arrays

    def save(self, arrays: Any) -> None:
        self.arrays = {name: array.copy() for name, array in arrays.items()}
        self.saves -= 1
        if not self.saves:
            raise KeyboardInterrupt


def test_a_resumed_certification_equals_an_uninterrupted_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAVE_SECONDS", -1.0)
    pipeline, _ = make_half_space()
    x, ids, told = make_images(8), np.arange(8) + 5, []
    whole = smooth(pipeline, x, ids, smoothing=QUICK, classes=2)
    stored = Stored(3)
    with pytest.raises(KeyboardInterrupt):
        smooth(pipeline, x, ids, smoothing=QUICK, classes=2, checkpoint=stored)
    resumed = smooth(
        pipeline, x, ids, smoothing=QUICK, classes=2, checkpoint=stored, on_image=lambda *step: told.append(step)
    )
    assert told == [(done, 8) for done in range(4, 9)]
    for name in ("counts", "predictions", "radii"):
        assert getattr(resumed, name).tobytes() == getattr(whole, name).tobytes()
    assert resumed.seconds > stored.arrays["seconds"][0] > 0
    with pytest.raises(CorruptError, match="another certification"):
        smooth(pipeline, x, ids + 1, smoothing=QUICK, classes=2, checkpoint=stored)


def test_the_row_of_the_table_reads_the_noise_from_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAVE_SECONDS", -1.0)
    pipeline, _ = make_half_space()
    x, ids, row = make_images(6), np.arange(6) + 3, CERTIFICATES["smoothing"]
    recipe = CertificateRecipe(
        method="smoothing",
        norm="l2",
        classifier="clf-0123456789ab",
        dataset=TINY,
        eps=(0.0, 0.1, 0.3),
        limit=6,
        sigma=QUICK.sigma,
        samples=QUICK.samples,
        select=QUICK.select,
        alpha=0.01,
        seed=4,
        recipe_rev=row.revision,
    )
    assert read_smoothing(recipe) == dataclasses.replace(QUICK, alpha=0.01, seed=4)
    images, stored = Images(x, np.arange(6) % 2, ids), Stored(4)
    direct = smooth(pipeline, x, ids, smoothing=read_smoothing(recipe), classes=2)
    with pytest.raises(KeyboardInterrupt):
        row.certify(pipeline, images, recipe, ProofProgress(checkpoint=stored))
    found = row.certify(pipeline, images, recipe, ProofProgress(checkpoint=stored))
    assert found.seconds_before > 0
    np.testing.assert_array_equal(found.predictions, direct.predictions)
    np.testing.assert_array_equal(found.certified, find_certified(images.y, *direct[1:3], recipe.eps))
    np.testing.assert_array_equal(found.more["counts"], direct.counts)
    np.testing.assert_array_equal(found.more["radii"], direct.radii)
    np.testing.assert_array_equal(found.more["abstained"], direct.predictions == ABSTAINS)
    assert row.estimate(pipeline, images, recipe) > 0


def test_the_time_is_estimated_from_one_image() -> None:
    pipeline, _ = make_half_space()
    x = make_images(200)
    one, all_ = (estimate_seconds(pipeline, x[:n], np.arange(n), smoothing=QUICK, classes=2) for n in (1, 200))
    assert 0 < one < all_


# ---------------------------------------------------------------- every kind of pipeline


def add(home: Path, name: str, content: Callable[[Path], Any]) -> Pipeline:
    """Return the pipeline of a model that is added from a file."""
    path, workspace = home / name, Workspace(Registry(home / "home"))
    content(path)
    made = add_classifier(workspace, str(path), "digits", AddRequest())
    return load_pipeline(workspace.registry, made.manifest)


def save_forest(path: Path, digits: Dataset) -> None:
    from sklearn.ensemble import RandomForestClassifier

    path.write_bytes(save(RandomForestClassifier(20, random_state=0).fit(digits.x_train, digits.y_train)))


def save_keras(path: Path, digits: Dataset) -> None:
    import keras

    centres = np.stack([digits.x_train[digits.y_train == label].mean(axis=0) for label in range(10)])
    network = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10)])
    network.set_weights([2 * centres.T, -(centres**2).sum(axis=1)])
    network.save(path)


def make_random_purifier(digits: Dataset) -> Pipeline:
    """Return nearest centres behind a variational autoencoder that samples its code."""
    import tensorflow as tf

    asked = AutoencoderRequest(
        type="variational", network=NetworkRequest(epochs=40, hidden=64, code=16), options={"sample": True}
    )
    recipe = make_autoencoder_recipe(asked, digits)
    assert "sample" in AUTOENCODERS[recipe.type].options
    arrays, _ = fit_autoencoder(recipe, TrainingData(digits.x_train, digits.y_train, lambda epoch: None))
    centres = np.stack([digits.x_train[digits.y_train == label].mean(axis=0) for label in range(10)])
    weights, bias = tf.constant(2 * centres.T), tf.constant(-(centres**2).sum(axis=1))
    return Pipeline(lambda x: x @ weights + bias, restore_purifier(recipe, arrays), samples=True)


def test_every_kind_of_pipeline_is_smoothed(digits: Dataset, tmp_path: Path) -> None:
    pipelines = {
        "score-based": add(tmp_path, "forest.skops", lambda path: save_forest(path, digits)),
        "keras": add(tmp_path, "centres.keras", lambda path: save_keras(path, digits)),
        "random purifier": make_random_purifier(digits),
    }
    assert pipelines["score-based"].scores_only
    x, y, ids = digits.x_test[:20], digits.y_test[:20], np.arange(20)
    options = Smoothing(0.1, samples=500, select=50)
    for name, pipeline in pipelines.items():
        found = smooth(pipeline, x, ids, smoothing=options, classes=10)
        again = smooth(pipeline, x[3:5], ids[3:5], smoothing=options, classes=10)
        np.testing.assert_array_equal(again.counts, found.counts[3:5], err_msg=name)
        certified = find_certified(y, found.predictions, found.radii, (0.0, 0.1))
        assert certified[0].mean() > 0.5, name
        assert certified[1].sum() > 0, name
        assert found.counts[:, ESTIMATING].max() < 500 or name != "random purifier"


def test_a_random_purifier_makes_a_fresh_draw_for_each_copy() -> None:
    """Images on the boundary, noise far smaller than the purifier's: only its draws can decide, and they disagree."""
    import tensorflow as tf

    def purify(x: Any, draw: Any) -> Any:
        return x + tf.random.stateless_normal(tf.shape(x), tf.stack([3, draw]))

    pipeline = Pipeline(lambda x: _stack_scores(x[:, :1] - 0.5), purify, samples=True)
    x = np.full((4, PIXELS), 0.5, "f4")
    counts = smooth(pipeline, x, np.arange(4), smoothing=Smoothing(1e-4, samples=9_900), classes=2).counts
    share = counts.sum(axis=1)[:, 0] / 10_000
    assert np.abs(share - 0.5).max() < 0.03
    assert len(np.unique(share)) > 1
