"""Every table of the report. A row here puts one into Markdown and CSV; the page has its own places for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from advae.report.analysis.activations import SOFTPLUS, list_activation_records, tabulate_activations
from advae.report.analysis.baseline_comparison import BaselineComparison, find_baseline_comparisons, tabulate_baselines
from advae.report.analysis.check_results import describe_place, summarize_checks, tabulate_checks, tabulate_stored
from advae.report.analysis.confusion import MOST_SHOWN, Scores, select_shown, tabulate_matrix, tabulate_report
from advae.report.analysis.record_lists import (
    list_accuracies,
    list_baselines,
    list_checks,
    list_gaps,
    list_headlines,
    list_matrix_lines,
    list_run_checks,
    list_score_lines,
    list_threat_models,
)
from advae.report.analysis.seed_spread import find_spreads, tabulate_spreads
from advae.report.analysis.table_records import (
    AccuracyRecord,
    ActivationRecord,
    BaselineRecord,
    CheckRecord,
    GapRecord,
    HeadlineRecord,
    SeedRecord,
    ThreatModelRecord,
)
from advae.report.analysis.tables import CsvLine, Findings, Table, flatten_record
from advae.report.analysis.threat_comparison import tabulate_threats
from advae.report.data.runs import Run
from advae.report.data.word_tables import Grid, Part
from advae.report.formats.accuracy_table import explain_rows, tabulate_accuracy
from advae.report.formats.headline_table import tabulate_headlines
from advae.report.wording import BENEFIT, NOT_RUN


def _tabulate_headlines(findings: Findings) -> Iterator[Part]:
    yield Part(tabulate_headlines(findings.comparison), {})


def _tabulate_accuracy(findings: Findings) -> Iterator[Part]:
    aside = explain_rows(findings.comparison, "report.csv")
    yield Part(tabulate_accuracy(findings.comparison), {}, aside=aside)


def _tabulate_activations(findings: Findings) -> Iterator[Part]:
    grid = tabulate_activations(list_activation_records(findings.comparison))
    if grid.rows:
        yield Part(grid, {})


def _tabulate_baselines(findings: Findings) -> Iterator[Part]:
    for compared in find_baseline_comparisons(findings.comparison):
        grid = tabulate_baselines(compared) if compared.matches else Grid(compared.name, (), ())
        aside = " ".join(
            filter(None, (explain_rows(findings.comparison, "report-baselines.csv"), _tell_missing(compared)))
        )
        yield Part(grid, {}, compared.name, aside, compared.command or "")


def _tell_missing(compared: BaselineComparison) -> str:
    return f"{NOT_RUN}: {', '.join(compared.missing)}; the command below runs them." if compared.missing else ""


def _tabulate_seeds(findings: Findings) -> Iterator[Part]:
    spreads = find_spreads(findings.comparison)
    if spreads:
        yield Part(tabulate_spreads(spreads), {}, aside=explain_rows(findings.comparison, "report-seeds.csv"))


def _tabulate_threats(findings: Findings) -> Iterator[Part]:
    aside = explain_rows(findings.comparison, "report-threat-models.csv")
    for pipeline in findings.comparison.pipelines:
        yield Part(tabulate_threats(pipeline), {"classifier_id": pipeline.id}, THREATS_HEADING, aside)


def _tabulate_checks(findings: Findings) -> Iterator[Part]:
    for pipeline in findings.comparison.pipelines:
        keys: dict[str, object] = {"classifier_id": pipeline.id}
        for panel in pipeline.checked:
            subject = f"On the strongest adaptive attack: {describe_place(panel.subject)}."
            heading = f"{CHECKS_HEADING}: {summarize_checks(panel.checks)}"
            yield Part(tabulate_checks(f"Checks on {pipeline.id}", panel.checks), keys, heading, subject)
        if not pipeline.checked:
            heading = f"{CHECKS_HEADING}: {summarize_checks(pipeline.checks)}"
            yield Part(tabulate_checks(f"Checks on {pipeline.id}", pipeline.checks), keys, heading)


def _tabulate_stored(findings: Findings) -> Iterator[Part]:
    for run in findings.comparison.runs:
        yield Part(tabulate_stored(run), {"run": run.id}, RUN_CHECKS_HEADING)


def _tabulate_scores(
    caption: str, large: str, tabulate: Callable[[Run, Scores], Grid]
) -> Callable[[Findings], Iterator[Part]]:
    """Return what tabulates the scores of each run that a page has room for. large: the caption for many classes."""

    def tabulate_all(findings: Findings) -> Iterator[Part]:
        shown = select_shown(findings)
        for run in findings.comparison.runs:
            for scores in shown[run.id]:
                aside = large if scores.is_large else caption
                yield Part(tabulate(run, scores), {"run": run.id, "eps": scores.eps}, scores.title, aside)

    return tabulate_all


def _list_run_check_lines(findings: Findings) -> Iterator[CsvLine]:
    for run in findings.comparison.runs:
        yield from map(flatten_record, list_run_checks(run))


ACCURACY = "accuracy"
HEADLINES_EXPLAINED = (
    "Oblivious: an attacker who does not know of the defence. Adaptive: an attacker who knows all of it. The illusion "
    "gap is the overestimated robustness: the robust accuracy under the first minus that under the second. Pipelines "
    "of one dataset and kind of classifier are shown at the same eps, on the same images, as far as they were "
    "attacked there and no other attack leads to a clearly lower robust accuracy; any other number names its attack."
)
THREATS_HEADING = "Robust accuracy by threat model"
CHECKS_HEADING = "Checks"
RUN_CHECKS_HEADING = "Checks on this run alone"
MATRIX = "Confusion matrix. Rows: true class. Columns: predicted class."
REPORT = "Classification report."
LARGE_MATRIX = f"The {MOST_SHOWN} most frequent mistakes; report-matrices.csv and report.json have all."
LARGE_REPORT = f"The {MOST_SHOWN} classes with the lowest F1; report-scores.csv and report.json have all."

TABLES: dict[str, Table] = {
    "headlines": Table(
        "Robust accuracy of each pipeline",
        HEADLINES_EXPLAINED,
        "report",
        _tabulate_headlines,
        HeadlineRecord,
        list_headlines,
        marks=("classifier_id", "pipeline", "clean_accuracy"),
    ),
    "illusion_gaps": Table(
        "Illusion gaps",
        "Overestimated robustness: the robust accuracy under an oblivious attacker minus that under an adaptive one.",
        "report",
        lambda _: (),
        GapRecord,
        list_gaps,
        marks=("classifier_id", "illusion_gap"),
    ),
    "activations": Table(
        "One activation or another",
        f"Autoencoders that differ in the activations of their hidden layers only. {SOFTPLUS}",
        "report",
        _tabulate_activations,
        ActivationRecord,
        lambda findings: list_activation_records(findings.comparison),
        marks=("hidden_activations", "training_loss"),
    ),
    ACCURACY: Table(
        "Accuracy with and without the autoencoder",
        "The undefended counterpart is the same attack, at the same eps and on the same images, on a classifier of the "
        "same kind that has no autoencoder. NOT RUN means that the registry holds no such run.",
        "report",
        _tabulate_accuracy,
        AccuracyRecord,
        list_accuracies,
        marks=("run", "classifier_id", "threat", "eps"),
    ),
    "baselines": Table(
        "How much of the benefit is blur?",
        BENEFIT,
        "report",
        _tabulate_baselines,
        BaselineRecord,
        list_baselines,
        marks=("classifier_id", "run", "purifier"),
    ),
    "seeds": Table(
        "The same with other seeds",
        "Pipelines that differ in their seeds only, under the same attack on the same images: how much a number "
        "depends on chance.",
        "report",
        _tabulate_seeds,
        SeedRecord,
        lambda findings: find_spreads(findings.comparison),
        marks=("pipeline", "seeds", "runs"),
    ),
    "threat_models": Table(
        THREATS_HEADING,
        "Robust accuracy under the strongest valid attack of each threat model at each eps, from the least knowledge "
        "to the most.",
        "pipeline",
        _tabulate_threats,
        ThreatModelRecord,
        list_threat_models,
        marks=("classifier_id", "run", "threat"),
    ),
    "checks": Table(
        CHECKS_HEADING,
        "Every check on the result of the strongest adaptive attack, compared with the other runs.",
        "pipeline",
        _tabulate_checks,
        CheckRecord,
        list_checks,
        marks=("classifier_id", "run", "check", "status"),
    ),
    "run_checks": Table(
        RUN_CHECKS_HEADING,
        "The checks that need no other run, as they were stored with the run.",
        "run",
        _tabulate_stored,
        None,
        flatten=_list_run_check_lines,
        marks=("classifier_id", "run", "check", "status"),
    ),
    "matrices": Table(
        "Confusion matrices",
        "How many images of each true class were predicted as which. What is omitted for its size is in report.json.",
        "run",
        _tabulate_scores(MATRIX, LARGE_MATRIX, tabulate_matrix),
        None,
        flatten=list_matrix_lines,
        marks=("run", "true_label", "predicted_label"),
    ),
    "scores": Table(
        "Classification reports",
        "Precision, recall and F1 of each class, as scikit-learn defines them, and their averages.",
        "run",
        _tabulate_scores(REPORT, LARGE_REPORT, tabulate_report),
        None,
        flatten=list_score_lines,
        marks=("run", "label", "precision", "support"),
    ),
}
"""By name, in their order in the report. ``report.json`` has the records of a table under its name.

The CSV of ACCURACY is ``report.csv``, else ``report-<name>.csv``.
"""


def list_tables(sections: Mapping[str, Table]) -> dict[str, Table]:
    """Return the tables of a report in their order: the sections follow the headlines."""
    return {"headlines": TABLES["headlines"], **sections, **TABLES}


def name_keys(sections: Mapping[str, Table]) -> dict[str, str]:
    """Return what the CSV of each table is called among the report's files, ``csv-seeds``; by the table's name."""
    names = {name: f"csv-{name.replace('_', '-')}" for name in list_tables(sections)}
    return names | {ACCURACY: "csv"}
