"""The illusion gap, the table of threat models, and McNemar's test of with against without."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from advae.records import Manifest
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.illusion_gap import explain_gap, find_gaps
from advae.report.analysis.tables import Findings
from advae.report.analysis.threat_comparison import compare_threats
from advae.report.data.contents import Comparison
from advae.report.data.word_tables import Grid
from advae.report.formats.catalogue import TABLES
from advae.threats import list_threats
from tests.report_fixtures import Lab, print_summary, read_files


@pytest.fixture
def classifier(lab: Lab) -> Manifest:
    return lab.add_classifier(lab.add_autoencoder())


def tabulate_threats(comparison: Comparison) -> Grid:
    (part,) = TABLES["threat_models"].tabulate(Findings(comparison))
    return part.grid


def accuracy_of(run: Manifest, index: int) -> float:
    return run.as_run()[1].results[index].accuracy


# ---------------------------------------------------------------- the gap


def test_the_gap_is_oblivious_minus_the_worst_adaptive_at_the_same_eps(
    lab: Lab, classifier: Manifest, tmp_path: Path
) -> None:
    oblivious = lab.add_run(classifier, threat="oblivious", keep=(0.9, 0.5))
    weak = lab.add_run(classifier, method="fgsm", steps=None, keep=(0.8, 0.45))
    strong = lab.add_run(classifier, keep=(0.2, 0.1))
    document = json.loads(read_files(lab, [oblivious, weak, strong], tmp_path)["json"])
    gaps = document["illusion_gaps"]
    assert [(gap["eps"], gap["norm"], gap["oblivious_run"], gap["adaptive_run"]) for gap in gaps] == [
        (eps, "linf", oblivious.id, strong.id) for eps in (0.1, 0.3)
    ]
    for index, gap in enumerate(gaps):
        assert gap["oblivious"] == accuracy_of(oblivious, index)
        assert gap["adaptive"] == accuracy_of(strong, index)
        assert gap["illusion_gap"] == gap["oblivious"] - gap["adaptive"]


def test_the_largest_gap_is_a_sentence_everywhere(lab: Lab, classifier: Manifest, tmp_path: Path) -> None:
    oblivious = lab.add_run(classifier, threat="oblivious", keep=(0.9, 0.5))
    runs = [oblivious, lab.add_run(classifier, keep=(0.2, 0.1))]
    left = [100 * accuracy_of(run, 0) for run in runs]
    sentence = (
        f"Robust accuracy under an oblivious attack {left[0]:.1f} %, adaptive {left[1]:.1f} %: overestimated by "
        f"{left[0] - left[1]:.1f} points, the illusion gap (eps 0.1 (25.5/255))."
    )
    files = read_files(lab, runs, tmp_path)
    table = print_summary(compare_runs(lab.registry, runs))
    for text in (files["html"], files["md"].replace("\\", ""), table):
        assert sentence in " ".join(text.split())


@pytest.mark.parametrize(("threat", "missing"), [("adaptive", "oblivious"), ("oblivious", "adaptive")])
def test_a_missing_side_is_not_run_with_the_command_that_runs_it(
    lab: Lab, classifier: Manifest, threat: str, missing: str
) -> None:
    (pipeline,) = compare_runs(lab.registry, [lab.add_run(classifier, threat=threat)]).pipelines
    sentence = explain_gap(pipeline)
    assert sentence.startswith("Illusion gap: NOT RUN; advae attack --method bim --eps 0.1,0.3 ")
    assert f"--clf {classifier.id} --threat {missing}" in sentence


@pytest.mark.parametrize(
    "changes",
    [{"eps": (0.2, 0.4)}, {"norm": "l2"}, {"n": 90}, {"first_id": 3}, {"valid": False}],
    ids=["other eps", "other norm", "fewer samples", "other samples", "outside the budget"],
)
def test_what_differs_makes_no_gap(lab: Lab, classifier: Manifest, changes: dict[str, Any]) -> None:
    runs = [lab.add_run(classifier, threat="oblivious"), lab.add_run(classifier, **changes)]
    (pipeline,) = compare_runs(lab.registry, runs).pipelines
    assert find_gaps(pipeline) == []


def test_no_gap_is_no_illusion(lab: Lab, classifier: Manifest) -> None:
    runs = [lab.add_run(classifier, threat="oblivious"), lab.add_run(classifier)]
    (pipeline,) = compare_runs(lab.registry, runs).pipelines
    assert "no illusion gap" in explain_gap(pipeline)


def test_an_adaptive_attack_that_is_weaker_than_the_oblivious_one_is_not_reliable(
    lab: Lab, classifier: Manifest
) -> None:
    runs = [lab.add_run(classifier, threat="oblivious", keep=(0.3, 0.1)), lab.add_run(classifier)]
    (pipeline,) = compare_runs(lab.registry, runs).pipelines
    assert "the adaptive attack is weaker than the oblivious one, so the result is not reliable" in explain_gap(
        pipeline
    )


# ---------------------------------------------------------------- threat models


def test_threat_models_go_from_noise_to_black_box_with_the_worst_of_each(lab: Lab, classifier: Manifest) -> None:
    lab.add_run(classifier, threat="noise", method="noise", steps=None, keep=(0.95, 0.9), eps=(0.1, 0.2))
    lab.add_run(classifier, method="fgsm", steps=None, keep=(0.5, 0.4))
    worst = lab.add_run(classifier, keep=(0.3, 0.2))
    lab.add_run(classifier, keep=(0.0, 0.0), valid=False)
    comparison = compare_runs(lab.registry, lab.registry.entries("run"))
    (pipeline,) = comparison.pipelines
    records = list(compare_threats(pipeline))
    assert tuple(dict.fromkeys(one.threat for one in records)) == tuple(list_threats(purified=True))
    assert [one.run for one in records if (one.threat, one.eps) == ("adaptive", 0.3)] == [worst.id]
    grid = tabulate_threats(comparison)
    titles = [title.replace("\N{NO-BREAK SPACE}", " ") for title in grid.titles[1:]]
    assert titles == ["eps 0.1 (25.5/255)", "eps 0.2 (51/255)", "eps 0.3 (76.5/255)"]
    cells = {row[0]: row[1:] for row in grid.rows}
    assert cells["black-box"] == ("NOT RUN",) * 3
    assert cells["noise"][2] == cells["adaptive"][1] == "NOT RUN"
    assert cells["adaptive"][2].endswith("bim, 10 steps")


def test_a_threat_model_with_invalid_runs_only_is_marked(lab: Lab) -> None:
    run = lab.add_run(lab.add_classifier(model="lr"), method="non-targeted", steps=None, valid=False)
    cells = {row[0]: row[1] for row in tabulate_threats(compare_runs(lab.registry, [run])).rows}
    assert cells["adaptive"] == "only outside the budget: not a valid result"
    assert "oblivious" not in cells


def test_samples_that_differ_between_threat_models_are_named(lab: Lab, classifier: Manifest) -> None:
    runs = [lab.add_run(classifier), lab.add_run(classifier, threat="black-box", n=50)]
    cells = {row[0]: row[1] for row in tabulate_threats(compare_runs(lab.registry, runs)).rows}
    assert cells["black-box"].endswith(", n = 50")
    assert cells["adaptive"].endswith(", n = 100")


def test_threat_models_are_in_every_document(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    files = read_files(lab, pair, tmp_path)
    records = json.loads(files["json"])["threat_models"]
    own = [one for one in records if (one["classifier_id"], one["eps"]) == (pair[1].parents[0], 0.1)]
    assert [one["threat"] for one in own] == list_threats(purified=True)
    assert own[5]["robust_accuracy"] == accuracy_of(pair[1], 0)
    assert {one["status"] for one in own if one["threat"] != "adaptive"} == {"NOT RUN"}
    assert "what the attacker knows" in files["html"]
    assert "what the attacker knows" in files["md"]


# ---------------------------------------------------------------- with against without


def test_p_is_the_exact_test_on_the_samples_of_both(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    from scipy.stats import binomtest

    files = read_files(lab, pair, tmp_path)
    right = [(arrays["predictions"] == arrays["labels"])[0] for arrays in map(read_outcomes(lab), pair)]
    first, second = (int((one & ~other).sum()) for one, other in (right, right[::-1]))
    row = json.loads(files["json"])["accuracy"][0]
    assert row["mcnemar_p"] == pytest.approx(binomtest(first, first + second).pvalue)
    assert row["mcnemar_p"] < 0.001
    assert "&lt;0.001" in files["html"]
    assert "&lt;0.001" in files["md"]
    lines = {(line["run"], line["eps"]): line for line in csv.DictReader(files["csv"].splitlines())}
    assert float(lines[pair[1].id, "0.1"]["mcnemar_p"]) == row["mcnemar_p"]
    assert lines[pair[0].id, "0.1"]["mcnemar_p"] == "n/a"


def read_outcomes(lab: Lab) -> Any:
    return lambda run: lab.registry.read_arrays(run, "outcomes.npz")


def test_p_without_a_counterpart_is_not_run(lab: Lab, classifier: Manifest, tmp_path: Path) -> None:
    files = read_files(lab, [lab.add_run(classifier)], tmp_path)
    assert next(csv.DictReader(files["csv"].splitlines()))["mcnemar_p"] == "NOT RUN"
    assert json.loads(files["json"])["accuracy"][0]["mcnemar_p"] == {"status": "NOT RUN"}
