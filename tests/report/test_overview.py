"""The first screen: one eps, one number for a pipeline, its two ratings, the title and the differences."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from advae.metrics import mcnemar, wilson_interval
from advae.records import CheckResult
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.envelopes import list_envelopes
from advae.report.analysis.eps_choices import list_eps_choices
from advae.report.analysis.headline_records import Strength
from advae.report.analysis.number_records import PipelineNumber
from advae.report.analysis.overview import list_overviews, write_title
from advae.report.analysis.pairwise import list_pairs
from advae.report.analysis.pipeline_numbers import list_first_numbers, list_numbers
from advae.report.analysis.ratings import RULE, SEARCHING, DefenceRating, Evidence, rate_defence, rate_number
from advae.report.analysis.tables import Findings, NotRun
from advae.report.analysis.titles import title_dataset, title_report
from advae.report.data.runs import Rate
from advae.report.wording import NBSP, describe_change
from tests.report_fixtures import Lab, print_summary, read_files

PASSED = tuple(CheckResult(check=name, status="PASS", sentence="", number=None) for name in SEARCHING)


def rate(value: float, n: int = 1000) -> Rate:
    return Rate(value, *wilson_interval(round(value * n), n))


BASE = Evidence(
    chance=0.1, clean=0.95, robust=rate(0.6), certified=None, collapsed=False, doubt=None, checks=PASSED,
    undefended=0.02, undefended_clean=0.97, p_value=1e-9,
)  # fmt: skip
FAILED = CheckResult(check="gradients", status="FAIL", sentence="", number=None)
WARNED = CheckResult(check="restarts", status="WARN", sentence="", number=None)

CASES: dict[str, tuple[dict[str, Any], str]] = {
    "collapsed": ({"collapsed": True}, "collapsed"),
    "at chance": ({"robust": rate(0.1)}, "broken"),
    "below chance, whatever fails": ({"robust": rate(0.0), "checks": (FAILED,)}, "broken"),
    "below chance, without a usable gradient": ({"robust": rate(0.05), "doubt": "no gradient"}, "broken"),
    "little above chance": ({"robust": rate(0.16)}, "weak"),
    "half of the clean accuracy, by its upper end only": ({"robust": rate(0.49)}, "weak"),
    "half of the clean accuracy": ({"robust": rate(0.55)}, "partial"),
    "no better than undefended": ({"undefended": 0.58, "p_value": 0.4}, "weak"),
    "worse than undefended": ({"undefended": 0.7, "p_value": 1e-9}, "weak"),
    "undefended not run": ({"undefended": None, "undefended_clean": None, "p_value": None}, "partial"),
    "the eps is too small": ({"robust": rate(0.95), "undefended": 0.9, "p_value": 0.01}, "not established"),
    "a check fails": ({"checks": (*PASSED, FAILED)}, "not established"),
    "no adaptive attack": ({"robust": None}, "not established"),
    "no usable gradient": ({"doubt": "no gradient"}, "not established"),
    "nearly all, every check passes": ({"robust": rate(0.93)}, "holds"),
    "nearly all, a check warns": ({"robust": rate(0.93), "checks": (*PASSED[:-1], WARNED)}, "partial"),
    "nearly all, undefended not run": (
        {"robust": rate(0.93), "undefended": None, "undefended_clean": None, "p_value": None}, "partial",
    ),
    "three quarters proved": ({"robust": rate(0.8), "certified": rate(0.76), "checks": (FAILED,)}, "holds"),
    "half proved, not attacked": ({"robust": None, "certified": rate(0.55)}, "partial"),
    "a proof that an attack contradicts": (
        {
            "certified": rate(0.76),
            "checks": (CheckResult(check="certificate", status="FAIL", sentence="", number=None),),
        },
        "not established",
    ),
    "little proved": ({"robust": None, "certified": rate(0.2)}, "not established"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_defence_is_rated_by_the_rule(name: str) -> None:
    changes, expected = CASES[name]
    found = rate_defence(replace(BASE, **changes))
    assert found.result == expected
    assert found.reason


def test_the_rule_names_every_result() -> None:
    words = " ".join(RULE).lower()
    assert all(result in words for result in DefenceRating.model_fields["result"].annotation.__args__)


def test_the_document_has_the_rule() -> None:
    text = " ".join((Path(__file__).parents[2] / ".github" / "docs" / "report.md").read_text().split())
    assert [sentence for sentence in RULE if sentence not in text] == []


def test_a_number_is_reliable_by_its_checks() -> None:
    absent = CheckResult(check="monotone", status="NOT RUN", sentence="", number=None)
    assert rate_number(replace(BASE, checks=(*PASSED, absent))).reason == "no check fails, 1 of 6 checks NOT RUN"
    failed = rate_number(replace(BASE, checks=(*PASSED, FAILED)))
    assert (failed.result, failed.reason, failed.failed) == (
        "not reliable",
        "the check gradients fails",
        ("gradients",),
    )
    assert rate_number(replace(BASE, doubt="no gradient")).reason == "no gradient"
    assert rate_number(replace(BASE, robust=None)).result == "no number"


# ---------------------------------------------------------------- the title


def number(result: str | None, name: str = "vanilla", **changes: Any) -> PipelineNumber:
    """Return a pipeline's number with a rating; result None: undefended."""
    role = changes.pop("role", "autoencoder" if result else "undefended")
    fields: dict[str, Any] = dict.fromkeys(PipelineNumber.model_fields)
    fields |= {"role": role, "purifier_name": name, "autoencoder_id": f"ae-{name}", "white_box": NotRun()}
    rating = DefenceRating.model_construct(result=result, reason="") if result else None
    return PipelineNumber.model_construct(**(fields | {"defence": rating} | changes))


ROBUST = Strength.model_construct(robust_accuracy=0.123, robust_accuracy_interval=(0.1, 0.15))
TITLES: list[tuple[list[PipelineNumber], str]] = [
    ([number("broken"), number("weak", "sparse"), number(None)], "None of 2 autoencoders protects the classifier"),
    ([number("broken"), number("holds", "robust")], "1 of 2 autoencoders protects the classifier: robust"),
    ([number("weak"), number("partial", "robust")], "1 of 2 autoencoders protects the classifier in part: robust"),
    ([number("partial"), number("holds", "robust")], "Each of 2 autoencoders protects the classifier"),
    ([number("broken", white_box=ROBUST)], "The vanilla autoencoder does not protect the classifier"),
    ([number("weak", white_box=ROBUST)], "The vanilla autoencoder hardly protects the classifier"),
    ([number("holds", white_box=ROBUST)], "The vanilla autoencoder protects the classifier"),
    (
        [number("collapsed"), number("collapsed", "sparse")],
        "The classifier behind each of 2 autoencoders has collapsed",
    ),
    ([number("not established"), number("not established", "sparse")], "Not established whether any of 2 autoencoders"),
    (
        [number("broken"), number("not established", "a")],
        "None of 2 autoencoders is shown to protect the classifier (1",
    ),
    ([number(None, white_box=ROBUST)], "No autoencoder was attacked; the undefended classifier has 12.3 % robust"),
    (
        [number("broken", "blur", role="baseline", white_box=ROBUST)],
        "No autoencoder was attacked; the baseline blur has",
    ),
    ([], "No autoencoder was attacked or certified"),
    (
        [number("holds", certified=object())],
        "A certificate proves that the vanilla autoencoder protects the classifier",
    ),
    ([number("not established", certified=object())], "The vanilla autoencoder is certified and was not attacked"),
]


@pytest.mark.parametrize("place", range(len(TITLES)))
def test_the_title_is_the_finding(place: int) -> None:
    numbers, expected = TITLES[place]
    assert title_dataset(numbers).replace(NBSP, " ").startswith(expected)


def test_several_datasets_have_one_title() -> None:
    none = "None of 2 autoencoders protects the classifier"
    assert title_report([("digits", none), ("mnist", none)]) == f"{none} on digits and mnist"
    assert title_report([("digits", none), ("mnist", "The x")]) == f"digits: n{none[1:]}; mnist: the x"


# ---------------------------------------------------------------- from records


@pytest.fixture
def several(lab: Lab) -> Lab:
    """Undefended, two autoencoders and a collapsed one at two eps, one of them with a third eps; one oblivious run."""
    bare = lab.add_run(lab.add_classifier(), keep=(0.3, 0.0), checked=True)
    vanilla, sparse, flat = (
        lab.add_classifier(lab.add_autoencoder(kind)) for kind in ("vanilla", "sparse", "denoising")
    )
    lab.add_run(vanilla, eps=(0.1, 0.3, 0.4), keep=(0.8, 0.6, 0.1), checked=True)
    lab.add_run(vanilla, eps=(0.3,), keep=(0.9,), threat="oblivious", checked=True)
    lab.add_run(sparse, keep=(0.6, 0.2), checked=True)
    lab.add_run(sparse, keep=(0.7, 0.1), method="pgd", restarts=1, checked=True)
    lab.add_run(flat, keep=(0.9, 0.9), constant=3, checked=True)
    assert bare.id
    return lab


def test_one_number_for_a_pipeline_in_every_format(several: Lab, tmp_path: Path) -> None:
    runs = several.registry.entries("run")
    comparison = compare_runs(several.registry, runs)
    findings = Findings(comparison)
    numbers = {one.purifier_name.split(",")[0]: one for one in list_first_numbers(findings)}
    assert {one.eps for one in numbers.values()} == {0.3}, "the largest eps that all share"
    assert numbers["sparse"].white_box.method == "pgd", "the strongest of two attacks"
    files, terminal = read_files(several, runs, tmp_path / "out"), print_summary(comparison)
    page = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", files["html"].replace(NBSP, " "), flags=re.DOTALL)
    document = json.loads(files["json"])
    stored = {one["classifier_id"]: one["adaptive"]["robust_accuracy"] for one in document["headlines"]}
    for one in numbers.values():
        assert one.robust is not None
        assert stored[one.classifier_id] == one.robust.value
        shown = f"{100 * one.robust.value:.1f}"
        assert f"{shown} %" in page
        row = next(line for line in terminal.splitlines() if line.strip().startswith(one.purifier_name.split(",")[0]))
        assert re.search(rf" {shown}\*? \[", row)
        (line,) = [
            line
            for line in files["md"].splitlines()
            if line.endswith(f"{one.classifier_id} |") and "% \\[" in line.replace(NBSP, " ")
        ][:1]
        assert f"{shown} %" in line.replace(NBSP, " ")
    assert document["title"] == write_title(findings)
    assert f"# {document['title']}" in files["md"].replace("\\", "")
    assert terminal.startswith(document["title"][:60])


def test_what_has_collapsed_ranks_nowhere_and_the_undefended_is_the_reference(several: Lab) -> None:
    findings = Findings(compare_runs(several.registry, several.registry.entries("run")))
    found = list_first_numbers(findings)
    assert [one.place for one in found] == [1, 2, None, None]
    assert [one.role for one in found][-1] == "undefended"
    assert found[2].defence is not None
    assert found[2].defence.result == "collapsed"
    assert found[-1].defence is None
    (overview,) = list_overviews(findings)
    assert overview.classifier_id == found[0].classifier_id
    assert overview.summary.startswith(overview.title)
    assert "eps 0.3" in overview.summary
    assert overview.version in overview.summary


def test_the_eps_to_choose_among_say_who_has_them(several: Lab) -> None:
    findings = Findings(compare_runs(several.registry, several.registry.entries("run")))
    choices = list(list_eps_choices(findings))
    assert [(one.eps, one.shown, one.shared, len(one.pipelines)) for one in choices] == [
        (0.3, True, True, 4),
        (0.1, False, True, 4),
        (0.4, False, False, 1),
    ]
    at = [one.eps for one in list_numbers(findings)]
    assert [at.count(eps) for eps in (0.3, 0.1, 0.4)] == [4, 4, 1]


def test_an_envelope_is_the_strongest_attack_at_each_eps(several: Lab) -> None:
    findings = Findings(compare_runs(several.registry, several.registry.entries("run")))
    numbers = {one.classifier_id: one for one in list_first_numbers(findings)}
    sparse = next(one for one in numbers.values() if one.autoencoder == "sparse")
    points = [one for one in list_envelopes(findings) if one.classifier_id == sparse.classifier_id]
    assert [one.eps for one in points] == [0.0, 0.1, 0.3]
    assert points[0].robust_accuracy == sparse.clean_accuracy
    assert [str(one.attack).split(",")[0] for one in points[1:]] == ["bim", "pgd"]
    assert points[-1].robust_accuracy == sparse.robust.value


def test_points_on_other_images_are_left_out_and_counted(lab: Lab) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder())
    lab.add_run(classifier, eps=(0.1, 0.3), keep=(0.5, 0.2))
    lab.add_run(classifier, eps=(0.2,), keep=(0.3,), n=40, limit=40)
    points = list(list_envelopes(Findings(compare_runs(lab.registry, lab.registry.entries("run")))))
    assert [one.eps for one in points] == [0.0, 0.1, 0.3]
    assert {one.left_out for one in points} == {1}


def test_differences_are_on_identical_images_with_a_test(several: Lab) -> None:
    comparison = compare_runs(several.registry, several.registry.entries("run"))
    pairs = [one for one in list_pairs(Findings(comparison)) if one.eps == 0.3]
    assert len(pairs) == 6
    rows = {row.run.id: row for row in comparison.rows if row.eps == 0.3}
    for pair in pairs:
        first, second = rows[pair.first_run], rows[pair.second_run]
        assert pair.difference == pytest.approx(first.accuracy - second.accuracy)
        assert pair.mcnemar_p == mcnemar(first.right, second.right)
        assert pair.text.startswith("gains" if pair.difference > 0 else "loses" if pair.difference < 0 else "no")


def test_images_that_both_have_are_compared(lab: Lab) -> None:
    lab.add_run(lab.add_classifier(lab.add_autoencoder()), keep=(0.5, 0.2), n=100)
    lab.add_run(lab.add_classifier(lab.add_autoencoder("sparse")), keep=(0.5, 0.4), n=60, limit=60)
    pairs = list(list_pairs(Findings(compare_runs(lab.registry, lab.registry.entries("run")))))
    assert {one.n for one in pairs} == {60}


def test_the_interval_of_a_pipeline_that_samples_is_that_of_its_number(lab: Lab) -> None:
    run = lab.add_run(
        lab.add_classifier(lab.add_autoencoder("variational", options={"sample": True})),
        keep=(0.6, 0.4),
        luck=0.3,
        checked=True,
    )
    (number_,) = list_first_numbers(Findings(compare_runs(lab.registry, [run])))
    result = run.as_run()[1].results[1]
    assert number_.robust == Rate(result.robust_accuracy, *result.robust_interval)
    assert result.robust_interval != result.accuracy_interval


def test_a_loss_is_said_as_a_loss() -> None:
    assert [describe_change(one) for one in (-0.072, 0.072, 0.0001)] == [
        "loses 7.2 points",
        "gains 7.2 points",
        "no difference",
    ]
