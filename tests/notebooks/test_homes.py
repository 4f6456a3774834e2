"""``advae.open_registry`` and what it loads, and the examples of the documentation."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest

import advae
from advae.errors import DatasetError, NotFoundError, UsageError
from advae.notebooks import evaluating, evaluation_result, homes, loaded, purifier_transformer
from advae.records import Dataset
from advae.registry import Registry
from tests.calls import succeed
from tests.conftest import Trained


def test_a_pipeline_predicts_as_the_command_does(trained: Trained, digits: Dataset, tmp_path: Path) -> None:
    pipeline = advae.open_registry(trained.home).load(trained.nn_behind)
    levels = (255 * digits.x_test[:20]).round().astype(np.uint8).reshape(-1, 8, 8)
    np.save(tmp_path / "x.npy", levels)
    told = succeed("predict", "--clf", trained.nn_behind, "--home", trained.home, tmp_path / "x.npy", "--json").json
    assert pipeline.predict(levels).tolist() == [one["label"] for one in told["predictions"]]
    probabilities = pipeline.predict_proba(levels)
    assert probabilities.dtype == np.float32
    assert probabilities.tolist() == [one["probabilities"] for one in told["predictions"]]
    succeed("purify", "--ae", trained.ae, "--home", trained.home, tmp_path / "x.npy", tmp_path / "out.npy")
    purified = pipeline.purify(levels)
    assert purified.shape == levels.shape
    assert np.array_equal(purified, np.load(tmp_path / "out.npy", allow_pickle=False))


@pytest.mark.parametrize("shape", [(-1, 64), (-1, 8, 8), (-1, 8, 8, 1)])
def test_images_keep_their_shape(trained: Trained, digits: Dataset, shape: tuple[int, ...]) -> None:
    pipeline = advae.open_registry(trained.home).load(trained.nn_behind)
    x = digits.x_test[:5].reshape(shape)
    assert pipeline.purify(x).shape == x.shape
    assert pipeline.purify(x).dtype == np.float32
    assert pipeline.predict(x).dtype == np.int64
    assert pipeline.predict(x).tolist() == pipeline.predict(digits.x_test[:5].astype(np.float64)).tolist()


def test_what_a_reference_means(trained: Trained, digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVAE_HOME", str(trained.home))
    home = advae.open_registry()
    assert home.path == trained.home
    latest = Registry(trained.home).latest("clf")
    assert latest
    assert home.load().id == home.load("latest").id == latest.id
    alone = home.load(trained.ae)
    assert alone.purify(digits.x_test[:2]).shape == (2, 64)
    with pytest.raises(UsageError, match="which only purifies; load a classifier"):
        alone.predict(digits.x_test[:2])
    with pytest.raises(UsageError, match="has no purifier"):
        home.load(trained.lr).purify(digits.x_test[:2])
    with pytest.raises(NotFoundError, match="clf-nothing"):
        home.load("clf-nothing")
    with pytest.raises(DatasetError, match="the model takes 8 x 8"):
        home.load(trained.lr).predict(np.zeros((2, 9, 9)))


def test_the_examples_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each public function and class has one, in a home with a pipeline 'best' behind a purifier 'autoencoder'."""
    monkeypatch.setenv("ADVAE_HOME", str(tmp_path / "home"))
    succeed("train-ae", "--type", "denoising", "--epochs", 1, "--tag", "autoencoder", "-q")
    succeed("train-clf", "--model", "lr", "--ae", "autoencoder", "--tag", "best", "-q")
    finder, runner = doctest.DocTestFinder(exclude_empty=True), doctest.DocTestRunner()
    ran = set()
    for module in (homes, loaded, evaluating, evaluation_result, purifier_transformer):
        for test in finder.find(module, globs={}):
            if test.examples:
                runner.run(test)
                ran.add(test.name.rpartition(".")[2])
    assert runner.summarize(verbose=False).failed == 0
    assert ran == {
        *("open_registry", "load", "LoadedPipeline", "LoadedPurifier", "evaluate", "Evaluation", "Purifier"),
    }
