"""The results of a pipeline and of its runs, in every format; ``--strict``; what an attacker's terminal shows."""

from __future__ import annotations

import html
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from advae.checks import CHECKS, list_made_checks
from advae.records import Manifest
from advae.report.analysis.check_results import find_failures, list_failures
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.headlines import write_headlines
from advae.report.formats.attack_checks import build_check_table
from tests.calls import call
from tests.report_fixtures import COUNTED, Lab, check_classifier, print_summary, read_files

STUCK = {"zero_gradient_fraction": 0.2}


@pytest.fixture
def healthy(lab: Lab) -> list[Manifest]:
    """A pipeline and its undefended counterpart, checked, with a weaker attacker beside."""
    undefended = lab.add_classifier()
    classifier = lab.add_classifier(lab.add_autoencoder())
    return [
        lab.add_run(undefended, keep=(0.3, 0.0), checked=True),
        lab.add_run(classifier, checked=True),
        lab.add_run(classifier, threat="oblivious", keep=(0.9, 0.8), checked=True),
    ]


def test_the_panel_is_in_every_format_of_words(lab: Lab, healthy: list[Manifest], tmp_path: Path) -> None:
    files = read_files(lab, healthy, tmp_path)
    checks = [one for one in json.loads(files["json"])["checks"] if one["classifier_id"] == healthy[1].parents[0]]
    assert {(one["run"], one["eps"]) for one in checks} == {(healthy[1].id, 0.3)}
    found = {one["check"]: one for one in checks}
    assert [*found] == list_made_checks(random=False)
    assert [result["place"] for result in found.values()] == [*range(1, len(found) + 1)]
    assert {found[check]["status"] for check in ("budget", "samples", "adaptive", "undefended")} == {"PASS"}
    assert found["sample-size"]["status"] == "WARN"
    assert found["black-box"]["status"] == "NOT RUN"
    for result in found.values():
        assert f">{result['status']}</span>" in files["html"]
        for text in (CHECKS[result["check"]].question, result["sentence"]):
            assert text in html.unescape(files["html"])
            assert text in html.unescape(files["md"]).replace("\\", "")


def test_an_undefended_pipeline_has_a_panel_too(lab: Lab, tmp_path: Path) -> None:
    files = read_files(lab, [lab.add_run(lab.add_classifier(), checked=True)], tmp_path)
    assert len(json.loads(files["json"])["checks"]) == len(list_made_checks(random=False))
    assert "there is no purifier" in files["html"]


def test_without_an_adaptive_run_every_check_is_not_run(lab: Lab) -> None:
    run = lab.add_run(lab.add_classifier(lab.add_autoencoder()), threat="oblivious", checked=True)
    (pipeline,) = compare_runs(lab.registry, [run]).pipelines
    assert {result.status for result in pipeline.checks} == {"NOT RUN"}
    assert pipeline.doubt


def test_the_undefended_rows_of_every_seed_are_asked(lab: Lab) -> None:
    """The counterpart is the one of the same seed, which does not break; another seed's did."""
    lab.add_run(lab.add_classifier(seed=1), keep=(0.3, 0.0))
    lab.add_run(lab.add_classifier(), keep=(0.9, 0.9))
    (pipeline,) = compare_runs(
        lab.registry, [lab.add_run(lab.add_classifier(lab.add_autoencoder()), checked=True)]
    ).pipelines
    assert len(pipeline.undefended) == 2
    found = {result.check: result for result in pipeline.checks}
    assert found["undefended"].status == "PASS"


# ---------------------------------------------------------------- what cannot be overlooked


def test_a_failure_is_written_above_the_number(lab: Lab, tmp_path: Path) -> None:
    run = lab.add_run(lab.add_classifier(lab.add_autoencoder()), checked=True, found={"probabilities": True})
    files = read_files(lab, [run], tmp_path)
    alarm = f"Not reliable: 1 of {len(COUNTED)} checks fails, on {run.id} at eps 0.3"
    page = files["html"]
    assert page.index(alarm) < page.index('<p class="big')
    assert files["md"].index(alarm) < files["md"].index("of the images are still classified correctly")
    assert json.loads(files["json"])["headlines"][0]["checks"]["FAIL"] == 1
    assert "logits FAIL: the classifier returns probabilities" in print_summary(compare_runs(lab.registry, [run]))


def test_no_failure_no_alarm(lab: Lab, healthy: list[Manifest], tmp_path: Path) -> None:
    files = read_files(lab, healthy, tmp_path)
    assert all("Not reliable" not in files[name] for name in ("html", "md", "json"))


def test_a_row_carries_its_runs_failure_as_a_note_once(lab: Lab) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder(rescale="none", reach=(0.0, 45.0)))
    raw = lab.add_run(classifier, threat="encoded", checked=True, found={"start_range": (0.0, 45.0)})
    softmax = lab.add_run(classifier, checked=True, found={"probabilities": True})
    for row in compare_runs(lab.registry, [raw, softmax]).rows:
        wanted = "45 times smaller than eps suggests" if row.run.id == raw.id else "attack its logits"
        assert sum(wanted in note for note in row.notes) == 1
        assert sum("purified data" in note or "added to data" in note for note in row.notes) == (row.run.id == raw.id)


def test_a_note_speaks_of_the_rows_own_eps(lab: Lab) -> None:
    run = lab.add_run(lab.add_classifier(model="lr"), method="non-targeted", valid=False, checked=True)
    small, large = compare_runs(lab.registry, [run]).rows
    assert "linf 0.18 at eps 0.1" in small.notes[0]
    assert "linf 0.54 at eps 0.3" in large.notes[0]


def test_a_budget_that_reaches_every_image_is_no_headline(lab: Lab) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder())
    runs = [lab.add_run(classifier, checked=True), lab.add_run(classifier, eps=(1.0,), keep=(0.0,), checked=True)]
    (pipeline,) = compare_runs(lab.registry, runs).pipelines
    assert pipeline.subject is not None
    assert pipeline.subject.eps == 0.3
    assert {result.check: result.status for result in pipeline.checks}["full-budget"] == "PASS"
    (alone,) = compare_runs(lab.registry, runs[1:]).pipelines
    assert alone.subject is not None
    assert alone.subject.eps == 1.0


def test_headline_counts_its_check_results(lab: Lab, healthy: list[Manifest]) -> None:
    (headline,) = write_headlines(compare_runs(lab.registry, healthy))
    assert headline.summary.startswith(f"{len(COUNTED)} checks: 1 WARN, ")


# ---------------------------------------------------------------- strict


def test_strict_exits_7_with_one_line_after_everything_was_written(lab: Lab, tmp_path: Path) -> None:
    run = lab.add_run(lab.add_classifier(lab.add_autoencoder()), checked=True, found=STUCK)
    out = tmp_path / "out"
    arguments = ("report", "--home", lab.registry.home, "--out", out, "-q")
    assert call(*arguments).code == 0
    outcome = call(*arguments, "--strict")
    assert outcome.code == 7
    assert outcome.out.strip() == str(out / "report.html")
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("advae: robustness not established for digits: nn behind autoencoder (vanilla)")
    assert outcome.err.count(f"gradients FAIL of {run.id}") == 1


def test_strict_is_0_where_nothing_fails(lab: Lab, healthy: list[Manifest], tmp_path: Path) -> None:
    assert list_failures(compare_runs(lab.registry, healthy)) == []
    arguments = ("report", "--home", lab.registry.home, "--out", tmp_path / "out", "--format", "json", "--strict")
    assert call(*arguments).code == 0


def test_strict_counts_stored_failures_of_runs_without_a_headline(lab: Lab) -> None:
    run = lab.add_run(lab.add_classifier(model="lr"), method="non-targeted", valid=False, checked=True)
    (reason,) = list_failures(compare_runs(lab.registry, [run]))
    assert reason.startswith(f"budget FAIL of {run.id}: outside the budget: not a valid result")


def test_an_undefended_pipeline_has_no_robustness_to_establish(lab: Lab) -> None:
    assert list_failures(compare_runs(lab.registry, [lab.add_run(lab.add_classifier())])) == []


# ---------------------------------------------------------------- one classifier


def test_one_classifier_is_checked_by_all_its_runs(lab: Lab, healthy: list[Manifest]) -> None:
    checked = check_classifier(lab.registry, healthy[1].parents[0])
    assert checked.subject is not None
    assert (checked.subject.id, checked.subject.eps) == (healthy[1].id, 0.3)
    assert len(checked.runs) == 2
    assert find_failures(checked) == []
    named = check_classifier(lab.registry, healthy[1].parents[0], healthy[:2])
    assert {result.check: result.status for result in named.checks}["adaptive"] == "NOT RUN"


def test_the_check_table_fits_80_columns(lab: Lab, healthy: list[Manifest]) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(build_check_table(check_classifier(lab.registry, healthy[1].parents[0])))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    for word in ("PASS", "WARN", "NOT RUN", "16", healthy[1].id, "Robust accuracy under an oblivious attack"):
        assert word in text
