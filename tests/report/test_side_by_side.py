"""``advae diff``: two pipelines or runs on identical images, in 80 columns, from records alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from advae.metrics import mcnemar
from advae.records import Manifest
from advae.report.analysis.collecting import compare_runs
from tests.calls import call, succeed
from tests.report_fixtures import MNIST, Lab


@pytest.fixture
def three(lab: Lab) -> dict[str, Manifest]:
    """An undefended pipeline, one with a weak and a strong attack, and one that was attacked on fewer images."""
    bare, vanilla, sparse = (
        lab.add_classifier(lab.add_autoencoder(kind) if kind else None) for kind in ("", "vanilla", "sparse")
    )
    return {
        "bare": lab.add_run(bare, keep=(0.3, 0.0)),
        "weak": lab.add_run(vanilla, keep=(0.9, 0.8)),
        "strong": lab.add_run(vanilla, keep=(0.6, 0.2), method="pgd", restarts=1),
        "few": lab.add_run(sparse, keep=(0.5, 0.4), n=60, limit=60),
    }


def compare(lab: Lab, *words: object) -> Any:
    return succeed("diff", *words, "--home", lab.registry.home, "--json").json


def test_two_pipelines_are_compared_under_their_strongest_attack(lab: Lab, three: dict[str, Manifest]) -> None:
    found = compare(lab, three["bare"].parents[0], three["weak"].parents[0])
    assert found["kind"] == "clf"
    rows = {(row.id, row.eps): row for row in compare_runs(lab.registry, list(three.values())).rows}
    assert [line["eps"] for line in found["lines"]] == [0.0, 0.1, 0.3]
    for line in found["lines"][1:]:
        first, second = rows[three["bare"].id, line["eps"]], rows[three["strong"].id, line["eps"]]
        assert (line["first"]["run"], line["second"]["run"]) == (three["bare"].id, three["strong"].id)
        assert line["difference"] == pytest.approx(second.accuracy - first.accuracy)
        assert line["mcnemar_p"] == mcnemar(first.right, second.right)
        assert line["n"] == 100


def test_two_runs_are_compared_with_their_own_attacks(lab: Lab, three: dict[str, Manifest]) -> None:
    (line,) = compare(lab, three["weak"].id, three["strong"].id, "--eps", "0.3")["lines"][1:]
    assert line["first"]["attack"].startswith("bim")
    assert line["second"]["attack"].startswith("pgd")
    assert line["difference"] < 0


def test_only_common_images_count(lab: Lab, three: dict[str, Manifest]) -> None:
    found = compare(lab, three["weak"].parents[0], three["few"].parents[0])
    assert {line["n"] for line in found["lines"]} == {60}


def test_the_text_is_aligned_in_80_columns_and_says_a_loss(lab: Lab, three: dict[str, Manifest]) -> None:
    shown = succeed("diff", three["weak"].id, three["strong"].id, "--home", lab.registry.home)
    lines = shown.out.splitlines()
    assert max(map(len, lines)) <= 80
    head, *rows = lines[3:7]
    assert head.split()[0] == "eps"
    assert [row.split()[0] for row in rows] == ["clean", "0.1", "0.3"]
    assert "no difference" in rows[0]
    assert all("loses" in row and "points" in row for row in rows[1:])
    assert len({row.index("]") for row in rows}) == 1, "numbers are aligned"


def test_mistakes_have_one_line(lab: Lab, three: dict[str, Manifest], tmp_path: Path) -> None:
    clf, run, ae = three["weak"].parents[0], three["weak"].id, lab.registry.entries("ae")[0].id
    alone = lab.add_classifier(model="lr").id
    other = Lab(lab.registry.home, MNIST)
    foreign = other.add_run(other.add_classifier()).id
    far = lab.add_run(lab.registry.manifest(alone), eps=(0.7,), keep=(0.1,), first_id=500).id
    for words, code, said in (
        ((clf, run), 2, f"{clf} is a classifier and {run} is a run"),
        ((clf, ae), 2, f"{ae} is a purifier"),
        ((run, run), 2, "two different entries"),
        ((run, foreign), 2, "the datasets differ (digits and mnist)"),
        ((run, far), 2, "no eps in common"),
        ((run, three["strong"].id, "--eps", "0.2"), 2, "no eps of 0.2 in common"),
        ((run, "clf-0"), 3, "no entry 'clf-0'"),
        ((lab.add_classifier(model="cnn").id, clf), 3, "has no run to compare"),
    ):
        outcome = call("diff", *words, "--home", lab.registry.home)
        assert (outcome.code, outcome.out) == (code, ""), words
        assert said in outcome.err
        assert outcome.err.count("\n") == 1
