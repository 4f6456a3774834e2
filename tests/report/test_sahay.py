"""The table of the cascade's authors: which of our runs stands in which place, beside which of theirs."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from advae.experiments.sahay2019.cascade_accuracies import CASCADE_COLUMNS, list_cascade_accuracies
from advae.experiments.sahay2019.cascade_section import SAHAY_SECTION
from advae.experiments.sahay2019.cascade_table import Ours, Place, SahayRecord, list_sahay
from advae.records import LayersOptions, Manifest
from advae.report import write_comparison
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.tables import Findings, NotRun
from advae.report.formats.figure_files import write_figures
from tests.report_fixtures import DIGITS, MNIST, Lab

LAYERS = LayersOptions(layers=(100, 100), activation="relu", epochs=1, batch_size=16, learning_rate=0.001)
FGSM: dict[str, Any] = {"method": "fgsm", "steps": None, "eps": (0.1, 0.25)}


def add_pipeline(lab: Lab, stages: str | None, code: int | None = None) -> Manifest:
    """Publish a classifier of the table: stages of the cascade in front of it, None for no purifier."""
    purifier = None
    if stages:
        purifier = lab.add_autoencoder("cascade", rescale="none", options={"stages": stages}, seed=code or 0)
    return lab.add_classifier(purifier, model="mlp", options=LAYERS, code=code)


def add_all(lab: Lab) -> dict[Place, dict[str, Manifest]]:
    """Publish the runs of a table with one code size: by place, by threat model or attack."""
    found: dict[Place, dict[str, Manifest]] = {}
    shapes = {
        "attacked": (None, None),
        "denoised": ("denoise", None),
        "reduced": ("reduce", 20),
        "cascaded": ("both", 20),
    }
    for number, (column, (stages, code)) in enumerate(shapes.items()):
        classifier = add_pipeline(lab, stages, code)
        runs = {"adaptive": lab.add_run(classifier, keep=(0.2 + number / 50, 0.1), **FGSM)}
        if stages:
            runs["oblivious"] = lab.add_run(classifier, keep=(0.9 - number / 50, 0.8), threat="oblivious", **FGSM)
        runs["pgd"] = lab.add_run(classifier, method="pgd", keep=(0.05,), eps=(0.1,))
        found[Place(column, code)] = runs
    return found


def find(lab: Lab, runs: dict[Place, dict[str, Manifest]]) -> dict[tuple[Place, float | None], SahayRecord]:
    comparison = compare_runs(lab.registry, [run for several in runs.values() for run in several.values()])
    return {(Place(one.column, one.code_size), one.eps): one for one in list_sahay(comparison)}


def test_the_published_table_is_whole() -> None:
    """50 eps of 14 columns, and one clean accuracy, as the authors' file has them."""
    published = list_cascade_accuracies()
    assert len(published) == 50 * 14 + 1
    assert {one.column for one in published} == set(CASCADE_COLUMNS)
    found = {(one.column, one.code_size, one.eps): one.accuracy for one in published}
    assert found["attacked", None, None] == 0.98
    assert found["attacked", None, 0.25] == 0.0255
    assert found["denoised", None, 0.25] == 0.9596
    assert found["reduced", 40, 0.25] == 0.4629
    assert (found["cascaded", 331, 0.01], found["cascaded", 331, 0.5]) == (0.9609, 0.8539)
    assert all(0 < accuracy < 1 for accuracy in found.values())


def test_every_run_stands_in_its_place_beside_theirs(tmp_path: Path) -> None:
    lab = Lab(tmp_path, MNIST)
    runs = add_all(lab)
    found = find(lab, runs)
    assert {place for place, _ in found} == runs.keys()
    for place, several in runs.items():
        one = found[place, 0.1]
        weak = several.get("oblivious", several["adaptive"])
        assert isinstance(one.oblivious, Ours)
        assert isinstance(one.adaptive, Ours)
        assert isinstance(one.strong, Ours)
        assert (one.oblivious.run, one.adaptive.run, one.strong.run) == (
            weak.id,
            several["adaptive"].id,
            several["pgd"].id,
        )
        assert one.published is not None
        assert one.difference == pytest.approx(weak.as_run()[1].results[0].accuracy - one.published)
        assert found[place, 0.25].strong == NotRun()
    assert found[Place("attacked", None), None].published == 0.98
    assert found[Place("cascaded", 20), 0.25].published == 0.9572


def test_another_dataset_has_no_published_numbers_and_other_runs_no_table(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "digits", DIGITS)
    assert {one.published for one in find(lab, add_all(lab)).values()} == {None}
    other = Lab(tmp_path / "other", MNIST)
    run = other.add_run(other.add_classifier(other.add_autoencoder()), **FGSM)
    assert list_sahay(compare_runs(other.registry, [run])) == ()
    alone = {Place("attacked", None): {"adaptive": other.add_run(add_pipeline(other, None), **FGSM)}}
    assert find(other, alone) == {}


def test_it_is_in_every_form_of_a_report_with_its_figure(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "home", MNIST)
    runs = [run for several in add_all(lab).values() for run in several.values()]
    comparison = compare_runs(lab.registry, runs)
    sections = {"sahay2019": SAHAY_SECTION}
    formats = ["html", "md", "json", "csv", "tex"]
    files = write_comparison(comparison, tmp_path / "out", formats=formats, sections=sections)
    for name in ("html", "md"):
        assert "Sahay, Mahfuz, El Gamal 2018" in files[name].read_text()
    assert "mnist: oblivious FGSM" in files["md"].read_text()
    document = json.loads(files["json"].read_text())["sahay2019"]
    assert [one["published"] for one in document if (one["column"], one["eps"]) == ("denoised", 0.25)] == [0.9596]
    with files["csv-sahay2019"].open() as file:
        lines = [line for line in csv.DictReader(file) if (line["column"], line["eps"]) == ("cascaded", "0.25")]
    assert [(line["published"], line["strong_accuracy"]) for line in lines] == [("0.9572", "NOT RUN")]
    drawn = write_figures(Findings(comparison, sections), tmp_path / "figures", ["svg"])
    names = [path.name for path in drawn if path.name.startswith("accuracy-of-the-cascade")]
    assert len(names) == 4
    assert len(set(names)) == 4


def test_three_code_sizes_are_drawn_at_most(tmp_path: Path) -> None:
    lab = Lab(tmp_path, MNIST)
    runs = [
        lab.add_run(add_pipeline(lab, stages, code), **FGSM)
        for stages in ("reduce", "both")
        for code in (20, 40, 60, 80)
    ]
    (drawing,) = SAHAY_SECTION.draw(Findings(compare_runs(lab.registry, runs), {"sahay2019": SAHAY_SECTION}))
    assert [chart.title for chart in drawing.charts] == ["published", "adaptive FGSM"]
    labels = {line.label for line in drawing.charts[1].lines}
    assert labels == {f"{column}, {code}" for column in ("reduced", "cascaded") for code in (20, 60, 80)}
