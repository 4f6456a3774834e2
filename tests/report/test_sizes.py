"""Reports on what is large: a thousand classes, many budgets."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from advae.checks.across_runs import TOGETHER
from advae.checks.evidence import PipelineRuns
from advae.records import CheckResult
from advae.report.analysis.eps_choices import MOST_CHOICES
from advae.report.formats.json_schema import describe_schema
from tests import report_fixtures
from tests.report_fixtures import DIGITS, Lab, read_files

CLASSES, N = 1000, 2000
MEGABYTES = 5
EPS = 120


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
    runs = [crowd.add_run(bare, n=N, method="non-targeted"), crowd.add_run(behind, n=N, method="natural")]
    files = read_files(crowd, runs, tmp_path)
    assert sum(map(len, files.values())) < MEGABYTES * 1e6
    document = json.loads(files["json"])
    assert [error.message for error in Draft202012Validator(describe_schema({})).iter_errors(document)] == []
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


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each check that compares runs is made."""
    counts: Counter[str] = Counter()

    def count(name: str, check: Callable[[PipelineRuns], CheckResult]) -> Callable[[PipelineRuns], CheckResult]:
        return lambda case: counts.update([name]) or check(case)

    for name, check in TOGETHER.items():
        monkeypatch.setitem(TOGETHER, name, count(name, check))
    return counts


def drop_library(page: str) -> str:
    """Return a page without the script that draws its charts, which is the same on each page."""
    return re.sub(r'(id="chart-library">)[^<]*', r"\1", page)


def test_a_report_on_many_eps_shows_a_selection_and_has_all_for_programs(tmp_path: Path, checks: Counter[str]) -> None:
    lab = Lab(tmp_path / "home")
    eps, keep = np.linspace(0, 1, EPS + 1)[1:].tolist(), np.linspace(0.9, 0.1, EPS).tolist()
    keep[33], keep[77] = 0.0, 1.0
    pair = lab.add_classifier(), lab.add_classifier(lab.add_autoencoder())
    runs = [lab.add_run(classifier, eps=eps, keep=keep, n=10, checked=True) for classifier in pair]
    files = read_files(lab, runs, tmp_path)
    # These say the same at every eps of a run, and are made once for each eps that people can choose.
    assert max(checks["samples"], checks["clean-accuracy"]) <= len(runs) * (1 + MOST_CHOICES)
    assert [len(run["scores"]) for run in json.loads(files["json"])["runs"]] == [EPS + 1] * 2
    assert len([*csv.DictReader(io.StringIO(files["csv"]))]) == EPS * 2
    for name, cell in (("html", '<td data-order="{}">'), ("md", "| {:.3g} (")):
        assert "Of more than 100 eps about 20 are shown" in files[name]
        assert len(drop_library(files[name])) < 3e5
        shown = [place for place in range(EPS) if cell.format(eps[place]) in files[name]]
        assert {0, 33, 77, EPS - 1} < {*shown}
        # Beside the selection, the eps of the headline is shown: the largest that does not reach every image.
        assert len({*shown} - {EPS - 2}) < 30
    assert "at most 202 are drawn" in files["html"]
