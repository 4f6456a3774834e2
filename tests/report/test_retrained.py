"""Retrained classifiers in a report: a defence, no counterpart of others; each round, and the honest number."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from advae.records import Manifest, Retraining, RetrainingRound
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.findings import answer
from advae.report.analysis.headline_records import Strength, list_headlines
from advae.report.analysis.pipeline_numbers import list_first_numbers
from advae.report.analysis.retrained import LEAKING, STILL_NEW, list_retrained_classifiers, list_rounds
from advae.report.analysis.run_results import list_accuracies
from advae.report.analysis.tables import Findings, NotRun
from advae.report.analysis.threat_comparison import list_threat_models
from advae.report.data.commands import describe_command
from advae.report.drawing.figure_table import draw_figures
from advae.report.formats.csv_tables import render_csv
from tests.report_fixtures import RETRAINED, ROUNDS, Lab, describe_round, read_files


def add_retrained(lab: Lab, front: Manifest | None = None, **changes: Any) -> Manifest:
    """Publish a retrained classifier, where ``changes`` does not say otherwise as RETRAINED and ROUNDS have it."""
    return lab.add_classifier(front, **({"retrained": RETRAINED, "retraining": ROUNDS} | changes))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "home")


def compare(lab: Lab, *runs: Manifest) -> Findings:
    return Findings(compare_runs(lab.registry, runs))


def test_a_retrained_classifier_is_no_counterpart_and_has_one(lab: Lab) -> None:
    plain, retrained = lab.add_classifier(), add_retrained(lab)
    behind = lab.add_classifier(lab.add_autoencoder())
    bare = lab.add_run(plain, keep=(0.3, 0.0))
    runs = [bare, lab.add_run(retrained, keep=(0.7, 0.4)), lab.add_run(behind, keep=(0.5, 0.2))]
    found = {record.run: record for record in list_accuracies(compare(lab, *runs))}
    for run in runs[1:]:
        record = found[run.id]
        assert record.undefended
        assert record.undefended.run == bare.id
        assert record.defended is record
    assert found[runs[1].id].retrained == "retrained on bim at 0.1"
    assert found[runs[1].id].purifier_name == "retrained on bim at 0.1"
    assert found[runs[2].id].retrained is None


def test_without_an_undefended_run_a_retrained_one_does_not_take_its_place(lab: Lab) -> None:
    runs = [lab.add_run(add_retrained(lab)), lab.add_run(lab.add_classifier(lab.add_autoencoder()))]
    found = list(list_accuracies(compare(lab, *runs)))
    assert len(found) == 4
    assert all(isinstance(record.undefended_counterpart, NotRun) for record in found)


def test_it_is_rated_and_ranked_as_a_defence_that_is_no_autoencoder(lab: Lab) -> None:
    runs = [
        lab.add_run(lab.add_classifier(), keep=(0.3, 0.0)),
        lab.add_run(add_retrained(lab), keep=(0.7, 0.4)),
        lab.add_run(add_retrained(lab, lab.add_autoencoder()), keep=(0.6, 0.3)),
    ]
    findings = compare(lab, *runs)
    numbers = {one.role: one for one in list_first_numbers(findings)}
    assert set(numbers) == {"undefended", "retrained", "autoencoder"}
    assert numbers["retrained"].defence
    assert (numbers["retrained"].place, numbers["autoencoder"].place) == (1, 2)
    assert numbers["retrained"].gain == pytest.approx(0.4, abs=0.05)
    assert numbers["autoencoder"].purifier_name == "vanilla, classifier retrained on bim at 0.1"
    assert {one.pipeline for one in numbers.values()} == {
        "digits: nn undefended",
        "digits: nn, retrained on bim at 0.1, without purifier",
        "digits: nn, retrained on bim at 0.1, behind autoencoder (vanilla)",
    }
    said = answer(findings)
    assert "The classifier retrained on bim at 0.1 has" in said
    assert "The vanilla autoencoder, classifier retrained on bim at 0.1" in said


def test_it_has_the_threat_models_of_a_defence_without_purifier(lab: Lab) -> None:
    retrained = add_retrained(lab)
    runs = [lab.add_run(retrained), lab.add_run(retrained, threat="oblivious", keep=(0.9, 0.8))]
    findings = compare(lab, *runs)
    threats = list(dict.fromkeys(record.threat for record in list_threat_models(findings)))
    assert threats == ["noise", "oblivious", "transfer", "adaptive", "black-box"]
    (headline,) = list_headlines(findings)
    assert headline.illusion_gap == pytest.approx(0.6, abs=0.1)


def test_its_own_attack_is_beside_the_strongest_one_on_the_same_images(lab: Lab) -> None:
    retrained = add_retrained(lab)
    own = lab.add_run(retrained, eps=(0.1,), keep=(0.7,))
    strong = lab.add_run(retrained, eps=(0.1,), keep=(0.2,), method="pgd", steps=40, restarts=1)
    lab.add_run(retrained, eps=(0.3,), keep=(0.05,), method="pgd", steps=40, restarts=1)
    findings = compare(lab, own, strong)
    (record,) = list_retrained_classifiers(findings)
    assert isinstance(record.own, Strength)
    assert isinstance(record.strongest, Strength)
    assert (record.own.run, record.strongest.run) == (own.id, strong.id)
    assert record.overestimated == pytest.approx(record.own.robust_accuracy - record.strongest.robust_accuracy)
    assert record.overestimated > 0.3
    assert (record.rounds, record.most_rounds, record.examples, record.new) == (1, 3, 30, 0)
    assert (record.robust_accuracy, record.n, record.notes) == (0.7, 100, ())
    notes = {one.run: one.notes for one in list_accuracies(findings)}
    assert any("retrained on this attack: an upper bound" in note for note in notes[own.id])
    assert not any("retrained on this attack" in note for note in notes[strong.id])


def test_a_number_that_was_not_run_is_no_number(lab: Lab) -> None:
    retrained = add_retrained(lab)
    (record,) = list_retrained_classifiers(compare(lab, lab.add_run(retrained, method="fgsm", steps=None)))
    assert isinstance(record.own, NotRun)
    assert isinstance(record.strongest, Strength)
    assert isinstance(record.overestimated, NotRun)
    other = add_retrained(lab, seed=1)
    (record,) = list_retrained_classifiers(compare(lab, lab.add_run(other, eps=(0.3,), keep=(0.1,))))
    assert isinstance(record.strongest, NotRun)


def test_label_leaking_and_an_unfinished_retraining_are_noted(lab: Lab) -> None:
    rounds = Retraining(attacked=50, rounds=(describe_round(0, 30, 95, 10), describe_round(30, 4, 90, 97)))
    run = lab.add_run(add_retrained(lab, retrained=RETRAINED.model_copy(update={"rounds": 1}), retraining=rounds))
    (record,) = list_retrained_classifiers(compare(lab, run))
    assert record.notes == (LEAKING, STILL_NEW)


def test_every_format_has_every_round(lab: Lab, tmp_path: Path) -> None:
    runs = [lab.add_run(add_retrained(lab)), lab.add_run(add_retrained(lab, lab.add_autoencoder()))]
    findings = compare(lab, *runs)
    records = list(list_rounds(findings))
    assert [(one.round, one.examples, one.new, one.attacked) for one in records] == [(0, 0, 30, 50), (1, 30, 0, 50)] * 2
    lines = list(csv.DictReader(render_csv(findings)["csv-retraining-rounds"].splitlines()))
    assert [line["robust_accuracy"] for line in lines] == ["0.1", "0.7"] * 2
    texts = read_files(lab, runs, tmp_path)
    for name in ("html", "md"):
        assert "Retraining, round by round" in texts[name]
        assert "forerunner of adversarial training" in texts[name]
    drawn = [one for drawings in draw_figures(findings.comparison).values() for one in drawings]
    drawings = [one for one in drawn if one.label.startswith("Rounds of the retraining")]
    assert len(drawings) == 2
    counts, accuracies = drawings[0].charts
    assert [list(line.points) for line in counts.lines] == [[(0, 0), (1, 30)], [(0, 30), (1, 0)]]
    assert [list(line.points) for line in accuracies.lines] == [[(0, 0.95), (1, 0.94)], [(0, 0.1), (1, 0.7)]]


def test_a_report_without_a_retrained_classifier_has_no_such_table(lab: Lab, tmp_path: Path) -> None:
    texts = read_files(lab, [lab.add_run(lab.add_classifier())], tmp_path)
    assert "round by round" not in texts["html"]
    assert "csv-retrained" not in texts


def test_the_command_has_every_option(lab: Lab) -> None:
    options = RETRAINED.model_copy(update={"limit": 7})
    command = describe_command(add_retrained(lab, retrained=options))
    expected = "--retrain 3 --retrain-method bim --retrain-eps 0.1 --retrain-steps 10 --retrain-limit 7"
    assert expected in command
    assert "retrain" not in describe_command(lab.add_classifier())


def test_a_round_whose_accuracy_contradicts_its_interval_is_refused() -> None:
    fields = ROUNDS.rounds[0].model_dump()
    with pytest.raises(ValidationError, match="outside its confidence interval"):
        RetrainingRound(**(fields | {"robust_accuracy": 0.9}))
