"""Reports on what is large: a thousand classes, many budgets."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from advae.report import describe_schema
from tests import report_fixtures
from tests.report_fixtures import DIGITS, Lab, read_files

CLASSES, N = 1000, 2000
MEGABYTES = 10


@pytest.fixture
def crowd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab whose images are of a thousand classes, two of each."""

    def load_images(n: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        return np.random.default_rng(1).random((n, 64), dtype=np.float32), np.arange(n, dtype=np.int64)

    monkeypatch.setattr(report_fixtures, "load_images", load_images)
    classes = tuple(f"class {label}" for label in range(CLASSES))
    return Lab(tmp_path / "home", DIGITS.model_copy(update={"classes": classes}))


def test_a_report_on_a_thousand_classes_is_small_and_shows_what_is_large(crowd: Lab, tmp_path: Path) -> None:
    behind, bare = crowd.add_classifier(crowd.add_autoencoder()), crowd.add_classifier()
    runs = [crowd.add_run(one, n=N, method=method) for one in (bare, behind) for method in ("non-targeted", "natural")]
    files = read_files(crowd, runs, tmp_path)
    assert sum(map(len, files.values())) < MEGABYTES * 1e6
    document = json.loads(files["json"])
    assert [error.message for error in Draft202012Validator(describe_schema()).iter_errors(document)] == []
    for scores in (scores for run in document["runs"] for scores in run["scores"]):
        assert scores["confusion_matrix"] is None
        assert sum(count for _, _, count in scores["confusion_counts"]) == N
        right = sum(count for true, predicted, count in scores["confusion_counts"] if true == predicted)
        assert right / N == pytest.approx(scores["classification_report"]["accuracy"])
    lines = [line for line in csv.DictReader(io.StringIO(files["csv-matrices"])) if line["eps"] == "0.3"]
    assert {line["run"] for line in lines} == {run.id for run in runs}
    assert sum(int(line["count"]) for line in lines) == N * len(runs)
    for text in (files["html"], files["md"]):
        assert "The 20 most frequent mistakes; report-matrices.csv and report.json have all." in text
        assert "The 20 classes with the lowest F1; report-scores.csv and report.json have all." in text
    assert "First test image of the first 20 of 1000 classes" in files["html"]
