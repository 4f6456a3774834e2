"""Chen and Sirkeci-Mergen 2018 beside ours: which of our runs stands beside which of their accuracies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from advae.experiments.chen2018.filter_section import CHEN_SECTION, FilterRecord, find_filtered, tabulate_filtered
from advae.experiments.chen2018.filtered_accuracies import FILTERED
from advae.experiments.measured_accuracy import Found
from advae.named_plans import CHEN_PLAN
from advae.records import Manifest
from advae.report import write_comparison
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.tables import NotRun
from tests.report_fixtures import MNIST, Lab

TWO = MNIST.model_copy(update={"digest": "37" * 32, "kept": (3, 7), "classes": ("3", "7"), "whole": MNIST.digest})


def attack(lab: Lab, model: str, **keep: float) -> list[Manifest]:
    """A sweep of FGSM over three eps, of which the second is nearest to what they print, and attacks there."""
    bare = lab.add_classifier(model=model)
    behind = lab.add_classifier(lab.add_autoencoder(), model=model, origin=bare.id)
    fgsm = {"method": "fgsm", "steps": None}
    runs = [lab.add_run(bare, eps=(0.1, 0.2, 0.3), keep=(0.5, 0.03, 0.2), **fgsm)]
    for name, share in keep.items():
        how = {"twin": bare.id, "threat": name} | fgsm if name == "oblivious" else fgsm if name == "adaptive" else {}
        runs.append(lab.add_run(behind, eps=(0.2,), keep=(share,), **how))
    # At another eps than the calibrated one.
    runs.append(lab.add_run(behind, eps=(0.3,), keep=(0.0,), **fgsm))
    return runs


def find(lab: Lab, runs: list[Manifest], plan: str | None = CHEN_PLAN) -> tuple[FilterRecord, ...]:
    return find_filtered(compare_runs(lab.registry, runs, plan=plan))


def test_each_accuracy_has_its_run(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "home", MNIST)
    swept, oblivious, adaptive, bim, _ = attack(lab, "nn", oblivious=0.7, adaptive=0.2, strongest=0.1)
    network, linear = find(lab, [swept, oblivious, adaptive, bim])
    assert (network.undefended_published, network.purified_published) == (0.0292, 0.7552)
    assert (network.eps, network.eps_from, network.reached) == (0.2, swept.id, False)
    found = (network.undefended, network.oblivious, network.adaptive, network.strongest)
    assert [one.run for one in found if isinstance(one, Found)] == [swept.id, oblivious.id, adaptive.id, bim.id]
    assert isinstance(network.oblivious, Found)
    assert network.oblivious.accuracy == oblivious.as_run()[1].results[0].accuracy
    assert network.difference == pytest.approx(network.oblivious.accuracy - 0.7552)
    assert network.strongest_attack == "bim"
    # Nothing was run of the other one.
    assert (linear.eps, linear.measured_on, linear.undefended, linear.oblivious) == (None, None, NotRun(), NotRun())


def test_the_linear_classifier_is_that_of_two_digits(tmp_path: Path) -> None:
    whole = attack(Lab(tmp_path / "home", MNIST), "lr", oblivious=0.9)
    lab = Lab(tmp_path / "home", TWO)
    runs = attack(lab, "lr", oblivious=0.9)
    network, linear = find(lab, [*whole, *runs])
    assert isinstance(linear.oblivious, Found)
    assert linear.oblivious.run == runs[1].id
    assert (linear.measured_on, linear.images) == ("mnist, classes 3 and 7", "digits 3 and 7")
    assert network.undefended == NotRun()


def test_another_classifier_behind_the_filter_is_no_counterpart(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "home", MNIST)
    swept, *_ = attack(lab, "nn")
    retrained = lab.add_classifier(lab.add_autoencoder())
    other = lab.add_run(retrained, eps=(0.2,), keep=(0.9,), method="fgsm", steps=None)
    assert find(lab, [swept, other])[0].adaptive == NotRun()


def test_only_a_report_of_the_plan_has_the_section(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "home", MNIST)
    runs = attack(lab, "nn", oblivious=0.7)
    assert find(lab, runs, plan=None) == find(lab, runs, plan="paper") == ()


def test_what_is_missing_is_said_and_what_differs_explained(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "home", MNIST)
    records = find(lab, attack(lab, "nn", oblivious=0.1))
    grid = tabulate_filtered(records)
    first, second = (dict(zip(grid.titles, row, strict=True)) for row in grid.rows)
    assert first["purified, theirs"].replace("\N{NO-BREAK SPACE}", " ") == "75.52 %"
    assert "their accuracy is not reached" in first["eps, calibrated"]
    assert "their eps, sizes and attacker are not known" in first["why"]
    assert (first["purified and adaptive, ours"], second["eps, calibrated"]) == ("NOT RUN", "NOT RUN")
    near = Lab(tmp_path / "near", MNIST)
    assert find(near, attack(near, "nn", oblivious=0.8))[0].explanation is None


def test_it_is_in_every_file(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "home", MNIST)
    comparison = compare_runs(lab.registry, attack(lab, "nn", oblivious=0.7), plan=CHEN_PLAN)
    files = write_comparison(comparison, tmp_path / "out", sections={"chen2018": CHEN_SECTION})
    rows = json.loads(files["json"].read_text())["chen2018"]
    assert [row["purified_published"] for row in rows] == [one.purified for one in FILTERED]
    assert rows[1]["oblivious"] == {"status": "NOT RUN"}
    for name in ("html", "md"):
        assert "Chen and Sirkeci-Mergen 2018 beside ours" in files[name].read_text()
    assert files["csv-chen2018"].read_text().count("\n") == 3
