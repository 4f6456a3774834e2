"""What the report refuses to claim, and what it says beside a number."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from advae.records import Manifest
from advae.report import FORMATS
from advae.report.analysis.check_results import list_failures
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.findings import answer
from advae.report.analysis.headlines import write_headlines
from advae.report.analysis.tables import Findings
from advae.report.data.threat_models import describe_threat
from advae.threats import THREATS
from tests.report_fixtures import Lab, print_summary, read_files


def test_a_result_outside_the_budget_is_marked_in_every_format(lab: Lab, tmp_path: Path) -> None:
    run = lab.add_run(lab.add_classifier(model="lr"), method="non-targeted", valid=False)
    files = read_files(lab, [run], tmp_path)
    mark = "outside the budget: not a valid result (neither projected nor clipped, linf 0.18 at eps 0.1)"
    assert all(mark in files[name] for name in FORMATS)
    assert "not valid" in files["html"]
    assert "outside the budget: not a valid result (2 of 2 measurements)" in print_summary(
        compare_runs(lab.registry, [run])
    )


def test_pipeline_without_adaptive_run_is_not_called_robust(lab: Lab, tmp_path: Path) -> None:
    run = lab.add_run(lab.add_classifier(lab.add_autoencoder()), threat="oblivious")
    files = read_files(lab, [run], tmp_path)
    assert all("robustness not established" in files[name] for name in ("html", "md", "csv"))
    assert json.loads(files["json"])["headlines"][0]["robustness_established"] is False


def test_adaptive_run_outside_the_budget_establishes_nothing(lab: Lab) -> None:
    run = lab.add_run(lab.add_classifier(lab.add_autoencoder()), valid=False)
    assert compare_runs(lab.registry, [run]).pipelines[0].doubt


@pytest.mark.parametrize(
    ("eps", "stuck", "established"), [(0.0, 0.0, False), (0.05, 0.0, False), (0.1, 0.5, False), (0.1, 0.0, True)]
)
def test_robustness_is_established_by_an_adaptive_attack_of_that_eps_with_gradients(
    lab: Lab, eps: float, stuck: float, established: bool
) -> None:
    """An attack on a smaller budget, or one without gradients, does not establish robustness."""
    classifier = lab.add_classifier(lab.add_autoencoder())
    runs = [
        lab.add_run(classifier, threat="oblivious", eps=(0.1,), keep=(0.3,)),
        lab.add_run(classifier, eps=(eps,), keep=(0.9,), stuck=stuck),
    ]
    comparison = compare_runs(lab.registry, runs)
    assert (comparison.pipelines[0].doubt is None) is established
    oblivious = next(row for row in comparison.rows if row.run.recipe.threat == "oblivious")
    assert any(note.startswith("robustness not established") for note in oblivious.notes) is not established


def test_a_headline_from_one_step_attacks_has_a_warning(lab: Lab) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder())
    runs = [lab.add_run(classifier, method="fgsm", steps=None)]
    for said in (True, False):
        (headline,) = write_headlines(compare_runs(lab.registry, runs))
        assert any("one-step" in warning for warning in headline.warnings) is said
        runs.append(lab.add_run(classifier))


def test_headline_is_the_worst_valid_row_at_the_smallest_eps_that_reaches_it(lab: Lab) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder())
    runs = [
        lab.add_run(classifier, eps=(0.1, 0.2, 0.3), keep=(0.5, 0.0, 0.0)),
        lab.add_run(classifier, threat="encoded", keep=(0.4, 0.0)),
        lab.add_run(classifier, method="fgsm", keep=(0.0, 0.0), valid=False),
    ]
    strongest = compare_runs(lab.registry, runs).pipelines[0].find_strongest(["adaptive"])
    assert strongest is not None
    assert (strongest.run.id, strongest.eps) == (runs[0].id, 0.2)


def test_encoded_rows_name_where_the_budget_applies(lab: Lab) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder(rescale="none", reach=(0.0, 45.0)))
    row = compare_runs(lab.registry, [lab.add_run(classifier, threat="encoded")]).rows[0]
    assert any("added to data from 0 to 45, 45 times the range of an image" in note for note in row.notes)


def test_every_threat_model_of_the_table_is_described() -> None:
    assert all(describe_threat(name) == row.explanation for name, row in THREATS.items())
    assert "not know" in describe_threat("of a later version")


def test_collapsed_classifier_is_noted(lab: Lab) -> None:
    run = lab.add_run(lab.add_classifier(), clean=0.1)
    assert any("does not differ from chance (10.0" in note for note in compare_runs(lab.registry, [run]).rows[0].notes)


@pytest.mark.parametrize("checked", [True, False])
def test_a_collapsed_pipeline_is_marked_in_every_format_and_is_never_the_best(
    lab: Lab, checked: bool, tmp_path: Path
) -> None:
    """Also where the run is from before it was checked: its predictions are stored."""
    reliable = lab.add_run(lab.add_classifier(lab.add_autoencoder()), keep=(0.05, 0.0), checked=checked)
    constant = lab.add_run(lab.add_classifier(lab.add_autoencoder("sparse")), constant=1, checked=checked)
    comparison, files = (
        compare_runs(lab.registry, [reliable, constant]),
        read_files(lab, [reliable, constant], tmp_path),
    )
    said = "collapsed: class 1 is predicted for 100 of 100 unchanged images"
    assert all(said in files[name] for name in FORMATS)
    document = json.loads(files["json"])
    assert {one["classifier_id"]: one["collapsed"] for one in document["headlines"]} == {
        reliable.parents[0]: False,
        constant.parents[0]: True,
    }
    lines = {line["classifier_id"]: line for line in csv.DictReader(files["csv-headlines"].splitlines())}
    assert [lines[run.parents[0]]["collapsed"] for run in (reliable, constant)] == ["False", "True"]
    assert "sparse, collapsed" in files["md"]
    printed = " ".join(print_summary(comparison).split())
    assert "clean-accuracy FAIL (1 of 2 pipelines, first sparse, collapsed" in printed
    assert "one has a reliable result: vanilla has" in answer(Findings(comparison))
    assert any("clean-accuracy FAIL" in reason for reason in list_failures(comparison))


def test_a_classifier_that_predicts_one_class_has_collapsed_whatever_the_sample_shows(lab: Lab) -> None:
    """On images of one class alone it may be right, or wrong, of all."""
    classifier = lab.add_classifier(lab.add_autoencoder(), classes_predicted=1)
    comparison = compare_runs(lab.registry, [lab.add_run(classifier, n=1, constant=0, checked=True)])
    assert comparison.pipelines[0].collapsed
    assert "it has collapsed, it predicts one class whatever the image" in answer(Findings(comparison))


def test_small_samples_are_flagged(lab: Lab, pair: list[Manifest]) -> None:
    assert all(
        row.notes[-1].startswith("small sample (n = 100 < 1000)") for row in compare_runs(lab.registry, pair).rows
    )


def test_threat_models_are_explained(lab: Lab, tmp_path: Path) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder())
    runs = [lab.add_run(classifier, threat=threat) for threat in ("adaptive", "gray-box", "oblivious", "encoded")]
    page = read_files(lab, runs, tmp_path)["html"]
    for phrase in (
        "knows everything",
        "but not the autoencoder",
        "does not know of the defence",
        "not possible from outside",
    ):
        assert phrase in page
