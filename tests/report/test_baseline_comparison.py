"""Pipelines beside each other: autoencoders and baselines, and the same pipeline from several seeds."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from advae.models.baselines import BASELINES
from advae.records import Manifest
from advae.report.analysis.baseline_comparison import BaselineComparison, find_baseline_comparisons
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.seed_spread import list_spreads
from advae.report.analysis.tables import Findings
from advae.report.data.word_tables import Grid
from advae.report.formats.catalogue import TABLES
from tests.report_fixtures import Lab, read_files


def attack_behind(lab: Lab, type_: str, **changes: Any) -> Manifest:
    return lab.add_run(lab.add_classifier(lab.add_autoencoder(type_)), **changes)


def find_compared(lab: Lab) -> BaselineComparison:
    (compared,) = find_baseline_comparisons(compare_runs(lab.registry, lab.registry.entries("run")))
    return compared


def tabulate_compared(lab: Lab) -> Grid:
    (part,) = TABLES["baselines"].tabulate(Findings(compare_runs(lab.registry, lab.registry.entries("run"))))
    return part.grid


# ---------------------------------------------------------------- baselines


def test_benefit_is_accuracy_behind_minus_accuracy_without(lab: Lab, tmp_path: Path) -> None:
    without = lab.add_run(lab.add_classifier(), keep=(0.3, 0.0))
    runs = {type_: attack_behind(lab, type_, keep=keep) for type_, keep in KEPT.items()}
    document = json.loads(read_files(lab, lab.registry.entries("run"), tmp_path)["json"])
    assert document["missing_baselines"] == []
    undefended, *purified = [one for one in document["baselines"] if one["eps"] == 0.1]
    assert (undefended["role"], undefended["run"], undefended["benefit"]) == ("undefended", without.id, None)
    assert undefended["robust_accuracy"] == without.as_run()[1].results[0].accuracy
    assert [one["purifier"] for one in purified if one["role"] == "baseline"] == ["blur", "pca", "binary", "jpeg"]
    assert [one["purifier"] for one in purified if one["role"] == "autoencoder"] == ["vanilla"]
    for one in purified:
        assert one["robust_accuracy"] == runs[one["purifier"]].as_run()[1].results[0].accuracy
        assert one["benefit"] == one["robust_accuracy"] - undefended["robust_accuracy"]


EXPECTED = tuple(kind for kind, row in BASELINES.items() if row.expected)

KEPT = {"blur": (0.4, 0.0), "pca": (0.5, 0.1), "binary": (0.9, 0.8), "jpeg": (0.8, 0.0), "vanilla": (0.6, 0.1)}


def test_a_missing_baseline_is_not_run_with_one_line_that_runs_it(lab: Lab, tmp_path: Path) -> None:
    lab.add_run(lab.add_classifier())
    attack_behind(lab, "vanilla")
    attack_behind(lab, "blur")
    compared = find_compared(lab)
    assert compared.missing == ("pca", "binary")
    grid = tabulate_compared(lab)
    place = grid.titles.index("behind pca")
    assert [row[place] for row in grid.rows] == ["NOT RUN", "NOT RUN"]
    assert compared.command is not None
    assert "\n" not in compared.command
    words = shlex.split(compared.command)
    assert words[:5] == ["for", "T", "in", "pca", "binary;"]
    for word in ("train-ae", "train-clf", "attack", "$T", "$CLF", "bim", "0.1,0.3"):
        assert any(word in part for part in words), word
    files = read_files(lab, lab.registry.entries("run"), tmp_path)
    assert "Autoencoders and baselines" in files["html"]
    assert "digits: nn behind baseline (blur)" in files["html"]
    assert compared.command in files["md"]


def test_without_any_baseline_all_are_not_run(lab: Lab) -> None:
    attack_behind(lab, "vanilla")
    compared = find_compared(lab)
    assert compared.missing == EXPECTED == ("blur", "pca", "binary")
    assert compared.matches == ()


@pytest.mark.parametrize(
    "changes",
    [{"n": 90}, {"first_id": 4}, {"steps": 20}, {"threat": "oblivious"}, {"eps": (0.2, 0.4)}, {"valid": False}],
    ids=["fewer samples", "other samples", "other steps", "other threat", "other eps", "outside the budget"],
)
def test_a_baseline_under_another_attack_is_no_match(lab: Lab, changes: dict[str, Any]) -> None:
    attack_behind(lab, "vanilla")
    attack_behind(lab, "blur", **changes)
    assert find_compared(lab).matches == ()


def test_a_baseline_alone_makes_no_comparison(lab: Lab) -> None:
    attack_behind(lab, "blur")
    assert find_baseline_comparisons(compare_runs(lab.registry, lab.registry.entries("run"))) == []


def test_a_benefit_without_an_undefended_run_is_not_run(lab: Lab) -> None:
    attack_behind(lab, "vanilla")
    attack_behind(lab, "blur")
    grid = tabulate_compared(lab)
    assert {row[grid.titles.index("undefended")] for row in grid.rows} == {"NOT RUN"}
    assert all("(NOT RUN)" in row[grid.titles.index("behind blur")] for row in grid.rows)


# ---------------------------------------------------------------- seeds


def add_seed(lab: Lab, seed: int, keep: float, type_: str = "vanilla", **changes: Any) -> Manifest:
    classifier = lab.add_classifier(lab.add_autoencoder(type_, seed=seed), seed=seed)
    return lab.add_run(classifier, eps=(0.1,), keep=(keep,), **changes)


def test_seeds_have_mean_minimum_and_maximum(lab: Lab, tmp_path: Path) -> None:
    runs = [add_seed(lab, seed, keep) for seed, keep in ((0, 0.2), (1, 0.6), (2, 0.4))]
    add_seed(lab, 0, 0.9, "sparse")
    values = [run.as_run()[1].results[0].accuracy for run in runs]
    files = read_files(lab, lab.registry.entries("run"), tmp_path)
    (spread,) = json.loads(files["json"])["seeds"]
    assert spread["seeds"] == 3
    assert (spread["minimum"], spread["maximum"]) == (min(values), max(values))
    assert spread["mean"] == pytest.approx(sum(values) / 3)
    assert {*spread["runs"]} == {run.id for run in runs}
    assert "Robust accuracy over seeds" in files["html"]
    assert "Robust accuracy over seeds" in files["md"]


def test_one_seed_is_no_spread(lab: Lab, tmp_path: Path) -> None:
    files = read_files(lab, [add_seed(lab, 0, 0.2)], tmp_path)
    assert json.loads(files["json"])["seeds"] == []
    assert "Robust accuracy over seeds" not in files["html"]


@pytest.mark.parametrize(
    "changes", [{"steps": 20}, {"threat": "gray-box"}, {"n": 90}, {"type_": "sparse"}, {"valid": False}]
)
def test_what_differs_in_more_than_seeds_is_no_spread(lab: Lab, changes: dict[str, Any]) -> None:
    add_seed(lab, 0, 0.2)
    add_seed(lab, 1, 0.3, **changes)
    assert list_spreads(Findings(compare_runs(lab.registry, lab.registry.entries("run")))) == []
