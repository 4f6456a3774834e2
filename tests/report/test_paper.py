"""The paper beside ours: which of our runs is compared with which of its accuracies."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from advae.experiments import list_published
from advae.experiments.measured_accuracy import Found
from advae.experiments.paper.section import PAPER_SECTION, PaperRecord, find_counterparts, tabulate_paper
from advae.records import Manifest
from advae.report import write_comparison
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.tables import NotRun
from tests.report_fixtures import DIGITS, MNIST, Lab

PAPER_EPS = 50 / 255


def on(tmp_path: Path, name: str) -> Lab:
    return Lab(tmp_path / "home", {"digits": DIGITS, "mnist": MNIST}[name])


def find(lab: Lab, runs: list[Manifest], **options: Any) -> dict[int, PaperRecord]:
    found = find_counterparts(compare_runs(lab.registry, runs, **options))
    return {one.figure: one for one in found}


def left(run: Manifest) -> float:
    return run.as_run()[1].results[0].accuracy


def attack_raw(lab: Lab, *, keep: float = 0.9, **changes: Any) -> Manifest:
    """A run under the paper's protocol: BIM on the raw output of a vanilla autoencoder."""
    raw = lab.add_classifier(lab.add_autoencoder(rescale="none", reach=(0.0, 40.0)))
    return lab.add_run(raw, eps=(0.3,), keep=(keep,), threat="encoded", **changes)


def attack_honestly(lab: Lab, *, keep: float = 0.1, seed: int = 0, **changes: Any) -> Manifest:
    rescaled = lab.add_classifier(lab.add_autoencoder(seed=seed), seed=seed)
    return lab.add_run(rescaled, eps=(0.3,), keep=(keep,), **changes)


def test_our_accuracies_are_shown_under_both_protocols(tmp_path: Path) -> None:
    """Figure 32: BIM on the network behind the vanilla autoencoder, 97.47 % in the paper."""
    lab = on(tmp_path, "mnist")
    raw, honest = attack_raw(lab), attack_honestly(lab)
    one = find(lab, [raw, honest])[32]
    assert one.accuracy == 0.9747
    assert isinstance(one.protocol, Found)
    assert isinstance(one.adaptive, Found)
    assert (one.protocol.run, one.protocol.accuracy) == (raw.id, left(raw))
    assert (one.adaptive.run, one.adaptive.accuracy) == (honest.id, left(honest))
    assert one.difference == pytest.approx(left(raw) - 0.9747)


def test_the_clean_images_need_no_attack(tmp_path: Path) -> None:
    lab = on(tmp_path, "mnist")
    raw, honest = attack_raw(lab, clean=0.97), attack_honestly(lab, clean=0.93)
    one = find(lab, [raw, honest])[26]
    assert isinstance(one.protocol, Found)
    assert isinstance(one.adaptive, Found)
    clean = [run.as_run()[1].clean_accuracy for run in (raw, honest)]
    assert [one.protocol.accuracy, one.adaptive.accuracy] == clean
    assert clean[0] != clean[1]


def test_every_figure_appears_where_ours_is_missing(tmp_path: Path) -> None:
    lab = on(tmp_path, "mnist")
    found = find(lab, [attack_raw(lab)])
    assert list(found) == [one.figure for one in list_published() if one.dataset == "mnist"]
    assert (found[10].protocol, found[10].adaptive, found[10].difference) == (NotRun(), NotRun(), None)
    assert find(lab, [attack_honestly(lab)], plan="paper").keys() == found.keys()


def test_a_report_on_other_runs_has_no_section_on_the_paper(tmp_path: Path) -> None:
    lab = on(tmp_path, "mnist")
    assert find(lab, [attack_honestly(lab)]) == {}
    digits = Lab(tmp_path / "digits")
    assert find(digits, [attack_raw(digits)]) == {}


def test_linear_attacks_of_the_paper_are_not_clipped(tmp_path: Path) -> None:
    """Figures 9 and 10: without the clip under the paper's protocol, with it honestly."""
    lab = on(tmp_path, "mnist")
    bare = lab.add_classifier(model="lr")
    raw = lab.add_classifier(lab.add_autoencoder(rescale="none", reach=(0.0, 40.0)), model="lr")
    attacks: dict[str, Any] = {"method": "non-targeted", "eps": (PAPER_EPS,), "steps": None, "loss": None}
    loose = lab.add_run(bare, keep=(0.04,), clip=False, **attacks)
    tight = lab.add_run(bare, keep=(0.17,), **attacks)
    encoded = lab.add_run(raw, keep=(0.8,), clip=False, threat="encoded", **attacks)
    found = find(lab, [loose, tight, encoded])
    assert isinstance(found[9].protocol, Found)
    assert isinstance(found[9].adaptive, Found)
    assert isinstance(found[10].protocol, Found)
    assert [found[9].protocol.run, found[9].adaptive.run, found[10].protocol.run] == [loose.id, tight.id, encoded.id]
    assert found[10].adaptive == NotRun()


def test_another_eps_is_no_counterpart(tmp_path: Path) -> None:
    lab = on(tmp_path, "mnist")
    raw = lab.add_classifier(lab.add_autoencoder(rescale="none", reach=(0.0, 40.0)))
    run = lab.add_run(raw, eps=(0.1, 0.2), keep=(0.9, 0.8), threat="encoded")
    assert find(lab, [run])[32].protocol == NotRun()


def test_of_several_the_largest_then_the_first_seed_counts(tmp_path: Path) -> None:
    lab = on(tmp_path, "mnist")
    few, second, first = (
        attack_honestly(lab, n=50, limit=50),
        attack_honestly(lab, seed=1),
        attack_honestly(lab),
    )
    found = find(lab, [few, second, first, attack_raw(lab)])[32].adaptive
    assert isinstance(found, Found)
    assert (found.run, found.n) == (first.id, 100)


def test_a_variational_output_is_raw_and_an_image(tmp_path: Path) -> None:
    """Its raw output is in [0, 1]: one pipeline serves both protocols."""
    lab = on(tmp_path, "mnist")
    behind = lab.add_classifier(lab.add_autoencoder("variational", rescale="none"))
    encoded = lab.add_run(behind, eps=(0.3,), keep=(0.5,), threat="encoded")
    adaptive = lab.add_run(behind, eps=(0.3,), keep=(0.2,))
    one = find(lab, [encoded, adaptive])[73]
    assert isinstance(one.protocol, Found)
    assert isinstance(one.adaptive, Found)
    assert (one.protocol.run, one.adaptive.run) == (encoded.id, adaptive.id)


def test_an_invalid_result_is_marked_in_every_file(tmp_path: Path) -> None:
    """The paper's linear attacks exceed their budget: the number always has a mark."""
    lab = on(tmp_path, "mnist")
    raw = lab.add_classifier(lab.add_autoencoder(rescale="none", reach=(0.0, 40.0)), model="lr")
    attacks: dict[str, Any] = {"method": "non-targeted", "eps": (PAPER_EPS,), "steps": None, "loss": None}
    run = lab.add_run(raw, keep=(0.8,), valid=False, threat="encoded", **attacks)
    comparison = compare_runs(lab.registry, [run])
    found = find_counterparts(comparison)
    (row,) = [row for row in tabulate_paper(found).rows if row[0] == "10"]
    assert row[4].endswith("not a valid result")
    files = write_comparison(comparison, tmp_path / "out", formats=["json", "csv"], sections={"paper": PAPER_SECTION})
    (entry,) = [one for one in json.loads(files["json"].read_text())["paper"] if one["figure"] == 10]
    assert "not a valid result" in entry["protocol"]["objections"]
    with files["csv-paper"].open() as file:
        (line,) = [line for line in csv.DictReader(file) if line["figure"] == "10"]
    assert "not a valid result" in line["protocol_objections"]


def test_an_attack_on_another_class_is_another_attack(tmp_path: Path) -> None:
    """Figure 29 aims at class 5."""
    lab = on(tmp_path, "mnist")
    bare = lab.add_classifier()
    attacks: dict[str, Any] = {"method": "tfgsm", "eps": (0.3,), "steps": None}
    third = lab.add_run(bare, keep=(0.5,), target=3, **attacks)
    assert find(lab, [third, attack_raw(lab)])[29].protocol == NotRun()
    fifth = lab.add_run(bare, keep=(0.4,), target=5, **attacks)
    found = find(lab, [third, fifth, attack_raw(lab)])[29].protocol
    assert isinstance(found, Found)
    assert found.run == fifth.id


def test_only_what_is_far_off_is_explained(tmp_path: Path) -> None:
    lab = on(tmp_path, "mnist")
    far, near = attack_raw(lab, keep=0.5), Lab(tmp_path / "near", lab.dataset)
    assert find(lab, [far])[32].explanation
    close = attack_raw(near, keep=1.0, clean=0.98)
    found = find(near, [close])[32]
    assert found.difference is not None
    assert abs(found.difference) < 0.05
    assert found.explanation is None


def test_only_the_datasets_of_the_report_are_compared(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "home")
    assert find(lab, [attack_raw(lab), attack_honestly(lab)], plan="paper") == {}
    mnist = on(tmp_path / "mnist", "mnist")
    assert {one.dataset for one in find(mnist, [attack_raw(mnist)]).values()} == {"mnist"}


def test_it_is_in_every_file(tmp_path: Path) -> None:
    lab = on(tmp_path, "mnist")
    raw, honest = attack_raw(lab), attack_honestly(lab)
    comparison = compare_runs(lab.registry, [raw, honest])
    files = write_comparison(comparison, tmp_path / "out", sections={"paper": PAPER_SECTION})
    document = json.loads(files["json"].read_text())
    (one,) = [entry for entry in document["paper"] if entry["figure"] == 32]
    assert (one["accuracy"], one["protocol"]["accuracy"], one["adaptive"]["accuracy"]) == (
        0.9747,
        left(raw),
        left(honest),
    )
    (missing,) = [entry for entry in document["paper"] if entry["figure"] == 10]
    assert missing["protocol"] == {"status": "NOT RUN"}
    with files["csv-paper"].open() as file:
        lines = {line["figure"]: line for line in csv.DictReader(file)}
    assert len(lines) == sum(one.dataset == "mnist" for one in list_published())
    assert (lines["32"]["protocol_accuracy"], lines["32"]["adaptive_accuracy"], lines["10"]["protocol_accuracy"]) == (
        str(left(raw)),
        str(left(honest)),
        "NOT RUN",
    )
    markdown = files["md"].read_text()
    assert "## The paper beside ours" in markdown
    assert "The paper beside ours" in files["html"].read_text()
