"""Attacks on codes in a report: a section of their own in every format, no accuracy, and refused where they lie."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from advae.cli.report_output import SECTIONS
from advae.errors import CorruptError
from advae.experiments.printed_areas import PRINTED, STEERING_PLAN
from advae.records import Manifest
from advae.report import write_comparison
from advae.report.analysis.collecting import compare_runs
from advae.report.data.code_attack_reader import open_code_attack
from advae.report.drawing.figure_table import FIGURES
from advae.report.formats.json_schema import describe_schema
from advae.report.wording import NBSP
from advae.workflows import Workspace, choose_runs
from tests.calls import call, succeed
from tests.report.steered_codes import add_code_attack, make_pictures, make_steered
from tests.report_fixtures import MNIST, Lab

FORMATS = ("html", "md", "json", "csv", "tex")


def write(lab: Lab, out: Path, runs: tuple[Manifest, ...] = (), **options: Any) -> dict[str, str]:
    """Return the files of a report on all attacks on codes, as a reader sees their text."""
    comparison = compare_runs(lab.registry, runs, code_attacks=lab.registry.entries("code"), **options)
    files = write_comparison(comparison, out, formats=FORMATS, sections=SECTIONS)
    return {name: html.unescape(path.read_text("utf-8")).replace(NBSP, " ") for name, path in files.items()}


def test_a_report_of_nothing_but_attacks_on_codes_has_them_in_every_format(lab: Lab, tmp_path: Path) -> None:
    easy = add_code_attack(lab, lab.add_autoencoder("variational"), arrays=make_steered(bend=0.2))
    hard = add_code_attack(lab, lab.add_autoencoder("vanilla"), arrays=make_steered(bend=0.9))
    areas = [one.as_code_attack()[1].area for one in (easy, hard)]
    assert None not in areas
    files = write(lab, tmp_path)
    for name in ("html", "md", "tex"):
        text = files["tex-code-attacks" if name == "tex" else name]
        assert all(f"{area:.3f}" in text for area in areas if area is not None)
    for name in ("html", "md"):
        assert "A larger area means a code that is harder to steer" in files[name]
        assert "no accuracy" in files[name]
        assert f"The codes of 2 autoencoders were attacked: mean area {areas[0]:.3f} to {areas[1]:.3f}" in files[name]
    document = json.loads(files["json"])
    Draft202012Validator(describe_schema(SECTIONS)).validate(document)
    assert [one["code_attack"] for one in document["code_attacks"]] == [hard.id, easy.id]
    assert [one["area"] for one in document["code_attacks"]] == areas[::-1]
    assert document["certified"] == document["headlines"] == document["accuracy"] == document["runs"] == []
    assert document["printed_areas"] == []
    lines = list(csv.DictReader(io.StringIO(files["csv-code-attacks"])))
    assert [float(line["area"]) for line in lines] == areas[::-1]
    assert {line["checks_blending"] for line in lines} == {"PASS"}
    assert f"advae attack-code --ae {easy.parents[0]} --pairs 4 --points 5" in files["md"]


def test_curves_and_pairs_are_drawn_beside_the_identity(lab: Lab) -> None:
    add_code_attack(lab, lab.add_autoencoder("variational"))
    add_code_attack(lab, lab.add_autoencoder("vanilla"), arrays=make_steered(bend=0.9))
    comparison = compare_runs(lab.registry, [], code_attacks=lab.registry.entries("code"))
    curves, *strips = FIGURES["steered"].draw(comparison)
    lines = {line.label: line.points for line in curves.charts[0].lines}
    assert list(lines) == ["vanilla", "variational", "identity"]
    assert lines["identity"] == [(0.0, 1.0), (1.0, 0.0)]
    assert lines["variational"][0] == (0.0, 1.0)
    assert lines["variational"][-1][1] == pytest.approx(np.mean([0, 0.01, 0.02, 0.03]))
    assert [len(one.strip.rows) for one in strips if one.strip] == [6, 6]
    first = strips[0].strip
    assert first
    assert first.names == ["0", "1"]
    assert list(first.words.values()) == [[("1", True), ("2", True)], [("0.750", True), ("0.750", True)]]


def test_beside_runs_it_changes_no_accuracy_and_no_title(lab: Lab, pair: list[Manifest], tmp_path: Path) -> None:
    before = json.loads(
        write_comparison(compare_runs(lab.registry, pair), tmp_path / "before", formats=["json"])["json"].read_text()
    )
    add_code_attack(lab, lab.registry.entries("ae")[0], statuses={"blending": "FAIL"})
    after = json.loads(write(lab, tmp_path / "after", tuple(pair))["json"])
    assert len(after["code_attacks"]) == 1
    for name in ("title", "headlines", "accuracy", "numbers", "overview", "failures", "checks"):
        assert after[name] == before[name], name


def test_a_pair_without_a_curve_is_left_out_of_all(lab: Lab, tmp_path: Path) -> None:
    arrays = make_steered()
    arrays["before"][1], arrays["complete"][1] = arrays["best"][1], False
    arrays["reached"][2], arrays["complete"][2] = np.nan, False
    pictures = make_pictures() | {"pairs": np.array([0, 3])}
    add_code_attack(lab, lab.add_autoencoder(), arrays=arrays, pictures=pictures)
    nothing = make_steered()
    nothing["complete"][:] = False
    add_code_attack(lab, lab.add_autoencoder("sparse"), arrays=nothing, pictures=make_pictures(0))
    files = write(lab, tmp_path)
    assert "| 2, 2 left out |" in files["md"]
    assert "| 0, 4 left out | n/a | n/a | n/a | 0 |" in files["md"]


def plant(**changes: Any) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        arrays = make_steered()
        for name, (place, value) in changes.items():
            arrays[name][place] = value
        return {"arrays": arrays}

    return make


LIES: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "another area": (lambda: {"said": {"area": 0.9}}, "its manifest says area 0.9"),
    "more pairs": (lambda: {"said": {"n": 5}}, "its manifest says n 5"),
    "fewer left out": (lambda: {"said": {"left_out": 1}}, "its manifest says left_out 1"),
    "another number of pairs": (lambda: {"pairs": 7}, "should have shape (7,)"),
    "another number of weights": (lambda: {"points": 7}, "should have shape"),
    "one class twice": (plant(target_labels=(0, 0)), "a pair has two images of one class"),
    "another target": (lambda: {"target": 3}, "of another class than its recipe says"),
    "a curve that cannot be": (plant(before=(0, 1.0)), "it counts a pair that has no curve"),
    "a negative distance": (plant(distortion=((0, 0), -1.0)), "distortion should hold real numbers from 0"),
    "a picture of no pair": (lambda: {"pictures": make_pictures() | {"pairs": np.array([0, 9])}}, "shows pairs"),
    "a picture of no weight": (lambda: {"pictures": make_pictures() | {"shown": np.array([0, 9])}}, "shows shown"),
    "a picture of a pair without a curve": (
        plant(before=(0, 1.0), complete=(0, False)),
        "shows a pair that has no curve",
    ),
    "a class that is none": (plant(labels=(0, 99)), "labels should hold"),
}


@pytest.mark.parametrize("name", LIES)
def test_an_attack_that_contradicts_itself_is_refused(lab: Lab, name: str) -> None:
    make, said = LIES[name]
    lying = add_code_attack(lab, lab.add_autoencoder(), **make())
    with pytest.raises(CorruptError) as error:
        open_code_attack(lab.registry, lying)
    assert said in str(error.value)
    assert f"`advae registry rm {lying.id}` removes it" in str(error.value)


def test_a_damaged_one_is_excluded_unless_it_was_named(lab: Lab, tmp_path: Path) -> None:
    autoencoder = lab.add_autoencoder()
    good = add_code_attack(lab, autoencoder)
    bad = add_code_attack(lab, autoencoder, seed=1, said={"area": 0.9})
    options = ("report", "--home", lab.registry.home, "--out", tmp_path / "out", "--format", "json")
    outcome = succeed(*options)
    assert f"{bad.id} contradicts itself" in outcome.err
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [one["code_attack"] for one in found["code_attacks"]] == [good.id]
    assert call(*options, bad.id).code == 4


def test_a_report_is_of_the_attacks_and_autoencoders_that_are_named(lab: Lab, pair: list[Manifest]) -> None:
    behind = lab.registry.manifest(pair[1].parents[0]).parents[0]
    own, other = (
        add_code_attack(lab, lab.registry.manifest(behind)),
        add_code_attack(lab, lab.add_autoencoder("sparse")),
    )
    workspace = Workspace(lab.registry)
    assert {one.id for one in choose_runs(workspace, [], None).code_attacks} == {own.id, other.id}
    by_attack = choose_runs(workspace, [other.id], None)
    assert ([one.id for one in by_attack.code_attacks], by_attack.runs) == ([other.id], ())
    by_autoencoder = choose_runs(workspace, [behind], None)
    assert [one.id for one in by_autoencoder.code_attacks] == [own.id]
    assert [one.id for one in by_autoencoder.runs] == [pair[1].id]


def test_the_plan_s_report_sets_printed_areas_beside_ours(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "home", MNIST)
    ours = add_code_attack(lab, lab.add_autoencoder("variational"), arrays=make_steered(bend=0.7))
    files = write(lab, tmp_path / "out", plan=STEERING_PLAN)
    found = {one["autoencoder"]: one for one in json.loads(files["json"])["printed_areas"]}
    assert list(found) == list(PRINTED)
    area = ours.as_code_attack()[1].area
    assert area
    assert found["variational"]["difference"] == pytest.approx(area - 0.389)
    assert found["variational"]["ours"]["code_attack"] == ours.id
    assert found["vanilla"]["ours"] == {"status": "NOT RUN"}
    assert "| vanilla | 0.336 (deviation 0.053) | NOT RUN |" in files["md"]
    assert "Areas of Tabacof et al. 2016 beside ours" in files["html"]
    assert json.loads(write(lab, tmp_path / "other", plan="paper")["json"])["printed_areas"] == []
