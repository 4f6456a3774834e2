"""What a report rests on: no weaker evidence hides what a stronger one says, and every format says the same."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from advae.checks import list_counted
from advae.records import CheckResult, Manifest
from advae.report.analysis.check_results import find_failures, list_all_failures, list_failures
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.findings import answer
from advae.report.analysis.headline_records import list_headlines
from advae.report.analysis.headlines import write_headlines
from advae.report.analysis.illusion_gap import find_gaps, find_largest_gap
from advae.report.analysis.tables import Findings
from advae.report.analysis.threat_comparison import compare_threats
from advae.report.data.contents import AttackedPipeline, Comparison
from advae.report.formats.attack_checks import build_check_table
from advae.report.formats.json_document import build_document
from advae.report.wording import NBSP
from tests.calls import call
from tests.report_fixtures import DIGITS, Lab, check_classifier, print_summary, read_files, read_headlines

SOFTMAX = {"probabilities": True}


def compare(lab: Lab) -> Comparison:
    return compare_runs(lab.registry, lab.registry.entries("run"))


def find_pipeline(lab: Lab, classifier: Manifest) -> AttackedPipeline:
    return next(pipeline for pipeline in compare(lab).pipelines if pipeline.id == classifier.id)


def describe(lab: Lab, classifier: Manifest) -> tuple[object, ...]:
    """Return the headline of a pipeline: run, eps, number, n, clean accuracy, and what fails."""
    pipeline = find_pipeline(lab, classifier)
    row = pipeline.subject
    assert row is not None
    failing = [result.check for result in pipeline.failures]
    return row.run.id, row.eps, row.attacked, row.run.metrics.n, row.run.clean, failing


QUICK: dict[str, dict[str, Any]] = {
    "--limit 10": {"n": 10, "keep": (0.0,)},
    "--limit 10 at a larger eps": {"n": 10, "eps": (0.3,), "keep": (0.0,)},
    "L2": {"norm": "l2", "eps": (3.0,), "keep": (0.0,), "limit": None},
    "L2 on 10": {"norm": "l2", "eps": (3.0,), "keep": (0.0,), "n": 10},
    "a smaller eps": {"eps": (0.05,), "keep": (0.9,), "limit": None},
}


@pytest.mark.parametrize("changes", QUICK.values(), ids=QUICK)
def test_a_quick_run_takes_nothing_over(lab: Lab, changes: dict[str, Any]) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder("blur"), model="lr")
    full = lab.add_run(
        classifier, method="pgd", eps=(0.1,), keep=(0.186,), n=360, limit=None, checked=True, found=SOFTMAX
    )
    before = describe(lab, classifier)
    assert before[0] == full.id
    assert before[-1] == ["logits"]
    lab.add_run(classifier, **({"method": "pgd", "eps": (0.1,), "n": 360, "checked": True, "steps": 20} | changes))
    assert describe(lab, classifier) == before
    assert any(full.id in reason for reason in list_failures(compare(lab)))
    out = lab.registry.home.parent / "out"
    assert call("report", "--home", lab.registry.home, "--out", out, "-q", "--strict").code == 7


def test_quick_runs_on_other_pipelines_take_nothing_over(lab: Lab) -> None:
    """Most of the kind were attacked on ten images only: this one still has its number from all of them."""
    classifier = lab.add_classifier(lab.add_autoencoder("vanilla"))
    full = lab.add_run(classifier, eps=(0.1,), keep=(0.3,), n=360, limit=None, checked=True)
    for kind in ("vanilla", "sparse", "denoising"):
        other = lab.add_classifier(lab.add_autoencoder(kind))
        lab.add_run(other, eps=(0.1,), keep=(0.0,), n=10, checked=True)
    assert describe(lab, classifier)[0] == full.id


def test_a_stronger_attack_on_many_of_the_images_counts_with_their_number(lab: Lab) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder())
    lab.add_run(classifier, eps=(0.1,), keep=(0.5,), n=400, limit=None, checked=True)
    strong = lab.add_run(classifier, method="pgd", eps=(0.1,), keep=(0.0,), n=100, checked=True)
    assert describe(lab, classifier)[0] == strong.id
    assert "n = 100)" in answer(Findings(compare(lab)))


def test_a_check_that_fails_on_fewer_images_fails_until_a_run_on_more_has_it(lab: Lab) -> None:
    """Beside the full run no black-box attack was made: what the smaller one found is not forgotten."""
    classifier = lab.add_classifier(lab.add_autoencoder())
    black = {"method": "square", "threat": "black-box", "steps": None, "queries": 1000, "keep": (0.1,)}
    few = {"method": "pgd", "eps": (0.1,), "n": 100, "checked": True}
    lab.add_run(classifier, **few, keep=(0.5,))
    lab.add_run(classifier, **(few | black))
    full = {"eps": (0.1,), "n": 400, "limit": None, "checked": True}
    lab.add_run(classifier, method="pgd", **full, keep=(0.5,))
    pipeline = find_pipeline(lab, classifier)
    assert pipeline.subject is not None
    assert pipeline.subject.run.metrics.n == 400
    (failure,) = pipeline.failures
    assert (failure.check, failure.sentence[-20:]) == ("black-box", " (eps 0.1) (n = 100)")
    lab.add_run(classifier, **(full | black | {"keep": (0.6,)}))
    assert find_pipeline(lab, classifier).failures == [], "the larger sample answers"


def test_another_eps_hides_no_failure(lab: Lab) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder())
    bad = lab.add_run(classifier, eps=(0.1,), keep=(0.5,), checked=True, found=SOFTMAX)
    lab.add_run(classifier, method="pgd", eps=(0.3,), keep=(0.1,), checked=True)
    pipeline = find_pipeline(lab, classifier)
    assert pipeline.subject is not None
    assert pipeline.subject.eps == 0.3
    assert [(one.check, bad.id in one.sentence) for one in pipeline.failures] == [("logits", True)]


def test_each_norm_has_a_subject_and_check_results_of_its_own(lab: Lab, tmp_path: Path) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder())
    linf = lab.add_run(classifier, checked=True)
    l2 = lab.add_run(classifier, method="pgd", norm="l2", eps=(1.5,), keep=(0.1,), checked=True, found=SOFTMAX)
    pipeline = find_pipeline(lab, classifier)
    assert [panel.subject.id for panel in pipeline.checked] == [linf.id, l2.id]
    assert pipeline.failures == []
    files = read_files(lab, [linf, l2], tmp_path)
    document = json.loads(files["json"])
    subjects = {(one["norm"], one["run"], one["headline"]) for one in document["checks"]}
    assert subjects == {("linf", linf.id, True), ("l2", l2.id, False)}
    assert [(one["check"], one["run"], one["headline"]) for one in document["failures"]] == [("logits", l2.id, False)]
    for text in (files["html"], files["md"]):
        assert f"{l2.id} at eps 1.5, L2" in text
        assert f"threat model adaptive, at eps 1.5 (n = 100, {l2.id}): 1 FAIL, " in text.replace("\\", "")
    assert {line["run"] for line in csv.DictReader(io.StringIO(files["csv-checks"]))} == {linf.id, l2.id}


def test_a_few_images_with_gradients_establish_nothing_that_many_without_do_not(lab: Lab) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder())
    lab.add_run(classifier, threat="oblivious", eps=(0.1,), keep=(0.3,), n=360, limit=None)
    lab.add_run(classifier, eps=(0.1,), keep=(0.9,), n=360, limit=None, stuck=0.9)
    for n, established in ((10, False), (360, True)):
        lab.add_run(classifier, method="pgd", eps=(0.1,), keep=(0.8,), n=n)
        assert (find_pipeline(lab, classifier).doubt is None) is established


# ---------------------------------------------------------------- gaps and the table of threat models


def test_gaps_and_threat_models_are_those_on_the_most_images(lab: Lab) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder())
    full = {"eps": (0.1,), "n": 360, "limit": None}
    few = {"eps": (0.1,), "n": 10}
    for threat, kept in (("oblivious", 0.6), ("adaptive", 0.4)):
        lab.add_run(classifier, threat=threat, keep=(kept,), **full)
        lab.add_run(classifier, threat=threat, keep=(1.0 if threat == "oblivious" else 0.0,), **few)
    pipeline = find_pipeline(lab, classifier)
    (gap,) = find_gaps(pipeline)
    assert gap.n == 360
    document = build_document(Findings(compare(lab)))
    assert [one.n for one in document.illusion_gaps] == [360]
    (headline,) = document.headlines
    assert (headline.classifier_id, headline.illusion_gap) == (classifier.id, document.illusion_gaps[0].illusion_gap)
    at_budget = [one for one in compare_threats(pipeline) if (one.norm, one.eps) == ("linf", 0.1)]
    assert {one.threat: one.n for one in at_budget if one.n} == {"oblivious": 360, "adaptive": 360}
    # At another eps on ten images: a gap, but not the one to show.
    for threat, kept in (("oblivious", 1.0), ("adaptive", 0.0)):
        lab.add_run(classifier, threat=threat, keep=(kept,), eps=(0.2,), n=10)
    largest = find_largest_gap(find_gaps(find_pipeline(lab, classifier)))
    assert largest is not None
    assert largest.n == 360


# ---------------------------------------------------------------- one number in every format


@pytest.fixture
def several(lab: Lab) -> dict[str, Manifest]:
    """Three pipelines attacked at 0.2, one of them also at 0.3 and by queries, one only there."""
    made = {}
    for kind, eps, keep in (("vanilla", (0.2,), (0.5,)), ("sparse", (0.2, 0.3), (0.4, 0.1)), ("blur", (0.2,), (0.3,))):
        made[kind] = lab.add_classifier(lab.add_autoencoder(kind))
        lab.add_run(made[kind], eps=eps, keep=keep, checked=True)
        lab.add_run(made[kind], eps=eps, keep=[0.9] * len(eps), threat="oblivious", checked=True)
    black = {"method": "square", "threat": "black-box", "steps": None, "queries": 1000}
    lab.add_run(made["sparse"], eps=(0.2,), keep=(0.3,), checked=True, **black)
    made["denoising"] = lab.add_classifier(lab.add_autoencoder("denoising"))
    lab.add_run(made["denoising"], eps=(0.3,), keep=(0.2,), checked=True, found=SOFTMAX)
    return made


def test_one_pipeline_has_one_headline_number_in_every_format(
    lab: Lab, several: dict[str, Manifest], tmp_path: Path
) -> None:
    """Row, eps, n, and counts of statuses; the sparse one's strongest attack is at an eps that others do not have."""
    comparison = compare(lab)
    files = read_files(lab, list(lab.registry.entries("run")), tmp_path)
    document = json.loads(files["json"])
    lines = {line["classifier_id"]: line for line in csv.DictReader(io.StringIO(files["csv-headlines"]))}
    table = {row[-1]: dict(zip(read_headlines(comparison).titles, row, strict=True)) for row in
             read_headlines(comparison).rows}  # fmt: skip
    terminal = print_summary(comparison, width=100)
    page, markdown = html.unescape(files["html"]).replace(NBSP, " "), files["md"].replace("\\", "").replace(NBSP, " ")
    assert {
        one.classifier_id: (one.adaptive.run, one.adaptive.eps) for one in list_headlines(Findings(comparison))
    } == {one.id: (one.subject.id, one.subject.eps) for one in comparison.pipelines}
    for headline in write_headlines(comparison):
        id_, row = headline.pipeline.id, headline.pipeline.subject
        assert row is not None
        assert headline.strongest is row
        rate, result = row.attacked, row.result
        counts = {status: [one.status for one in list_counted(headline.pipeline.checks)].count(status) for status in
                  ("FAIL", "WARN", "PASS", "NOT RUN")}  # fmt: skip
        entry = next(one for one in document["headlines"] if one["classifier_id"] == id_)
        told = entry["adaptive"]
        assert (told["run"], told["eps"], told["n"], told["robust_accuracy"]) == (row.id, row.eps, 100, result.accuracy)
        checked = {(one["run"], one["eps"]) for one in document["checks"] if one["classifier_id"] == id_}
        assert checked == {(row.id, row.eps)}
        assert entry["checks"] == counts
        line = lines[id_]
        assert (line["adaptive_run"], line["adaptive_eps"], line["adaptive_n"]) == (row.id, str(row.eps), "100")
        assert line["adaptive_robust_accuracy"] == str(result.accuracy)
        assert [line[f"checks_{name}"] for name in ("fail", "warn", "pass", "not_run")] == [*map(str, counts.values())]
        words = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        cells = {title: cell.replace(NBSP, " ") for title, cell in table[id_].items()}
        assert cells["robust accuracy, adaptive"].startswith(f"{100 * rate.value:.1f} % [")
        assert (cells["eps"], cells["n"], cells["checks"]) == (f"{row.eps:.3g} ({row.eps * 255:g}/255)", "100", words)
        shown = re.search(rf"^ +{headline.pipeline.first.autoencoder_type}\b.*\[.*$", terminal, re.MULTILINE)
        assert shown is not None
        assert f"{100 * rate.value:.1f}{'*' if counts['FAIL'] else ''}" in shown[0]
        assert f"eps {row.eps:.3g}" in terminal.replace(NBSP, " ")
        left = f"{100 * rate.value:.1f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
        for text in (page, markdown):
            assert left in re.sub(r"</?small>|<[^>]+>", "", text)
            assert f"{row.id} at eps {row.eps:.4g}" in text
            assert f"Checks: {words}" in text


# ---------------------------------------------------------------- the same failures everywhere


def test_the_same_checks_fail_wherever_failures_are_counted(
    lab: Lab, several: dict[str, Manifest], tmp_path: Path
) -> None:
    """Report, ``--strict``, JSON, and the table after an attack; also those of runs that no headline rests on."""
    unclipped = lab.add_run(several["sparse"], threat="oblivious", keep=(0.1, 0.1), seed=3, valid=False, checked=True)
    noise = lab.add_run(several["sparse"], method="noise", threat="noise", steps=None, checked=True,
                        found={"zero_gradient_fraction": 1.0, "loss_curve": ((0, 1.0), (1, 0.5))})  # fmt: skip
    comparison = compare(lab)
    failures = {(one.check, one.run) for one in list_all_failures(comparison.pipelines)}
    assert ("budget", unclipped.id) in failures
    assert not any(run == noise.id for _, run in failures)
    runs = list(lab.registry.entries("run"))
    document = json.loads(read_files(lab, runs, tmp_path)["json"])
    assert {(one["check"], one["run"]) for one in document["failures"]} == failures
    reasons = [reason for reason in list_failures(comparison) if " FAIL of " in reason]
    assert {tuple(re.findall(r"^([\w-]+) FAIL of (run-\w+)", reason)[0]) for reason in reasons} == failures
    elsewhere = sum(not one.headline for one in list_all_failures(comparison.pipelines))
    assert elsewhere == 1
    assert "On other runs 1 check fails." in answer(Findings(comparison))
    assert f"FAIL on other runs: {elsewhere}, first " in " ".join(print_summary(comparison).split())
    shown = set()
    for classifier in several.values():
        checked = check_classifier(lab.registry, classifier.id, runs)
        console = Console(width=80, record=True, file=io.StringIO())
        console.print(build_check_table(checked))
        text = " ".join(console.export_text().split())
        failed = find_failures(checked)
        assert text.count(" FAIL ") >= len(failed)
        shown |= {(one.check, one.run) for one in failed}
        assert all(one.text in text for one in failed if not one.headline)
    assert shown == {(check, run) for check, run in failures}


def test_a_stored_failure_of_an_attack_without_gradients_is_read_as_not_run(lab: Lab, tmp_path: Path) -> None:
    """Its record has one from before: neither the report nor ``--strict`` counts it, and its id stays."""
    classifier = lab.add_classifier(lab.add_autoencoder())
    lab.add_run(classifier, checked=True)
    run = lab.add_run(classifier, method="square", threat="black-box", steps=None, queries=1000, checked=True)
    recipe, metrics = run.as_run()
    bad = CheckResult(
        check="gradients", status="FAIL", sentence="for 100.00 % of the samples the first gradient is zero"
    )
    stored = tuple(bad if one.check == "gradients" else one for one in metrics.verdicts)
    arrays = {name: lab.registry.read_arrays(run, name) for name in ("outcomes.npz", "samples.npz")}
    old = metrics.model_copy(update={"verdicts": stored})
    again = lab.registry.publish(recipe, old, arrays, replace=True)
    assert again.id == run.id
    comparison = compare(lab)
    assert list_failures(comparison) == []
    files = read_files(lab, list(lab.registry.entries("run")), tmp_path)
    assert "square takes no gradients" in files["html"]
    assert bad.sentence not in "".join(files.values())


# ---------------------------------------------------------------- equals


def test_after_an_attack_the_one_that_was_asked_for_is_checked_and_its_convergence_found(lab: Lab) -> None:
    """All have robust accuracy 0: neither the single step nor the strongest attack is the requested run."""
    classifier = lab.add_classifier(lab.add_autoencoder())
    nothing: dict[str, Any] = {"eps": (0.3,), "keep": (0.0,), "checked": True}
    asked = lab.add_run(classifier, method="pgd", steps=40, restarts=1, **nothing)
    others = [
        lab.add_run(classifier, method="fgsm", steps=None, **nothing),
        lab.add_run(classifier, method="pgd", steps=80, restarts=1, **nothing),
        lab.add_run(classifier, method="pgd", steps=80, restarts=5, **nothing),
    ]
    checked = check_classifier(lab.registry, classifier.id, [asked, *others])
    assert checked.subject is not None
    assert checked.subject.id == asked.id
    assert {result.check: result.status for result in checked.checks}["convergence"] == "PASS"
    subject = find_pipeline(lab, classifier).subject
    assert subject is not None
    assert (subject.recipe.steps, subject.recipe.restarts) == (80, 5)


# ---------------------------------------------------------------- one budget, one attack, one name


def test_budgets_that_are_one_float32_are_one_in_the_report(lab: Lab, tmp_path: Path) -> None:
    """0.1 + 0.2 is what np.arange gives for 0.3."""
    bare = lab.add_run(lab.add_classifier(), eps=(0.1 + 0.2,), keep=(0.1,), checked=True)
    classifier = lab.add_classifier(lab.add_autoencoder())
    own = lab.add_run(classifier, eps=(0.3,), keep=(0.4,), checked=True)
    oblivious = lab.add_run(classifier, eps=(0.1 + 0.2,), keep=(0.8,), threat="oblivious", checked=True)
    pipeline = find_pipeline(lab, classifier)
    (gap,) = find_gaps(pipeline)
    assert (gap.adaptive_run, gap.oblivious_run) == (own.id, oblivious.id)
    threats = list(compare_threats(pipeline))
    assert len(threats) == len({one.threat for one in threats})
    assert {one.eps for one in threats if not one.run} == {0.3}
    assert {(one.norm, float(np.float32(one.eps))) for one in threats} == {("linf", float(np.float32(0.3)))}
    assert all(row.undefended and row.undefended.id == bare.id for row in pipeline.rows)
    assert {result.check: result.status for result in pipeline.checks}["adaptive"] == "PASS"
    assert len(compare(lab).table_rows) == 2
    (summary,) = (one for one in list_headlines(Findings(compare(lab))) if one.defended)
    assert summary.gap is not None
    document = json.loads(read_files(lab, [own, oblivious, bare], tmp_path)["json"])
    assert [run["recipe"]["eps"] for run in document["runs"] if run["id"] == oblivious.id] == [[0.1 + 0.2]]


def test_an_attack_whose_images_were_stored_later_is_one_attack(lab: Lab) -> None:
    classifier = lab.add_classifier(lab.add_autoencoder())
    runs = [lab.add_run(classifier, save_adversarial=saved, checked=True) for saved in (True, False)]
    for given in (runs, runs[::-1]):
        comparison = compare_runs(lab.registry, given)
        assert [run.id for run in comparison.runs] == [runs[1].id]
        assert len(comparison.rows) == 2
    assert [run.id for run in compare_runs(lab.registry, runs[:1]).runs] == [runs[0].id]


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (("first", "second"), {"data (first)", "data (second)"}),
        (("a/same", "b/same"), {"data (eeeeee)", "data (ffffff)"}),
    ],
)
def test_two_files_of_one_name_have_distinct_dataset_names_everywhere(
    folders: tuple[str, str], names: set[str], tmp_path: Path
) -> None:
    lab = Lab(tmp_path / "home")
    runs = []
    for letter, folder in zip("ef", folders, strict=True):
        lab.dataset = DIGITS.model_copy(update={"name": "data", "digest": letter * 64})
        lab.source = f"{folder}/data.npz"
        runs.append(lab.add_run(lab.add_classifier(lab.add_autoencoder()), checked=True))
    files = read_files(lab, runs, tmp_path / "out")
    for key in ("csv", "csv-headlines"):
        assert {line["dataset"] for line in csv.DictReader(io.StringIO(files[key]))} == names
    assert {row["dataset"] for row in json.loads(files["json"])["accuracy"]} == names
    assert {run["recipe"]["dataset"]["name"] for run in json.loads(files["json"])["runs"]} == {"data"}
    for text in (files["html"], files["md"].replace("\\", ""), print_summary(compare_runs(lab.registry, runs))):
        for name in names:
            assert name in text
        told = re.sub("|".join(map(re.escape, [*names, *(f"{folder}/data.npz" for folder in folders)])), "", text)
        assert not re.search(r"\bdata: nn|on data\b|>data<", told)
    alone = read_files(lab, runs[:1], tmp_path / "alone")
    assert {line["dataset"] for line in csv.DictReader(io.StringIO(alone["csv"]))} == {"data"}


# ---------------------------------------------------------------- signs


def test_a_loss_of_accuracy_reads_as_one_everywhere(lab: Lab, tmp_path: Path) -> None:
    bare = lab.add_run(lab.add_classifier(), clean=1.0, keep=(0.9, 0.8), checked=True)
    classifier = lab.add_classifier(lab.add_autoencoder())
    own = lab.add_run(classifier, clean=0.9, keep=(0.3, 0.2), checked=True)
    lost = own.as_run()[1].clean_accuracy - bare.as_run()[1].clean_accuracy
    result = {one.check: one for one in find_pipeline(lab, classifier).checks}["clean-accuracy"]
    assert lost < 0
    assert result.sentence.endswith(f": \N{MINUS SIGN}{-100 * lost:.1f} points")
    assert result.number == pytest.approx(lost)
    files = read_files(lab, [bare, own], tmp_path)
    for name in ("html", "md"):
        assert f"\N{MINUS SIGN}{-100 * lost:.1f} points" in files[name]
        assert f"+{-100 * lost:.1f} points" not in files[name]


def test_baselines_are_compared_on_the_most_images_only(lab: Lab) -> None:
    """A baseline that keeps everything of ten images is not the best of three."""
    for kind, n, kept in (("blur", 360, 0.3), ("pca", 360, 0.2), ("binary", 10, 1.0)):
        classifier = lab.add_classifier(lab.add_autoencoder(kind))
        lab.add_run(classifier, eps=(0.1,), keep=(kept,), n=n, checked=True)
    assert "The baseline blur has" in answer(Findings(compare(lab)))
