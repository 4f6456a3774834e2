"""Every table of the report. A row here puts one into Markdown and CSV; the page has its own places for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from advae.report.analysis.activations import SOFTPLUS, tabulate_activations
from advae.report.analysis.baseline_comparison import BaselineComparison, find_baseline_comparisons, tabulate_baselines
from advae.report.analysis.check_results import describe_place, summarize_checks, tabulate_checks, tabulate_stored
from advae.report.analysis.confusion import MOST_SHOWN, Scores, select_shown, tabulate_matrix, tabulate_report
from advae.report.analysis.seed_spread import find_spreads, tabulate_spreads
from advae.report.analysis.tables import Findings, Line, Table
from advae.report.analysis.threat_comparison import tabulate_threats
from advae.report.data.runs import Run
from advae.report.data.word_tables import Cell, Grid, Part
from advae.report.formats.accuracy_table import explain_rows, tabulate_accuracy
from advae.report.formats.flat_rows import (
    list_accuracy_lines,
    list_control_lines,
    list_headline_lines,
    list_ladder_lines,
    list_matrix_lines,
    list_score_lines,
    list_seed_lines,
    list_stored_lines,
    list_verdict_lines,
)
from advae.report.formats.headline_table import tabulate_headlines
from advae.report.wording import BENEFIT, NOT_RUN


def _tabulate_headlines(findings: Findings) -> Iterator[Part]:
    yield Part(tabulate_headlines(findings.comparison), {})


def _tabulate_accuracy(findings: Findings) -> Iterator[Part]:
    aside = explain_rows(findings.comparison, "report.csv")
    yield Part(tabulate_accuracy(findings.comparison), {}, aside=aside)


def _tabulate_activations(findings: Findings) -> Iterator[Part]:
    grid = tabulate_activations(findings.comparison)
    if grid.rows:
        yield Part(grid, {})


def _tabulate_controls(findings: Findings) -> Iterator[Part]:
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


def _tabulate_ladders(findings: Findings) -> Iterator[Part]:
    aside = explain_rows(findings.comparison, "report-ladder.csv")
    for pipeline in findings.comparison.pipelines:
        yield Part(tabulate_threats(pipeline), {"classifier_id": pipeline.id}, THREATS_HEADING, aside)


def _tabulate_verdicts(findings: Findings) -> Iterator[Part]:
    for pipeline in findings.comparison.pipelines:
        keys: dict[str, object] = {"classifier_id": pipeline.id}
        for panel in pipeline.checked:
            subject = f"On the strongest adaptive attack: {describe_place(panel.subject)}."
            heading = f"{CHECKS_HEADING} {summarize_checks(panel.checks)}"
            yield Part(tabulate_checks(f"Checks of {pipeline.id}", panel.checks), keys, heading, subject)
        if not pipeline.checked:
            heading = f"{CHECKS_HEADING} {summarize_checks(pipeline.checks)}"
            yield Part(tabulate_checks(f"Checks of {pipeline.id}", pipeline.checks), keys, heading)


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


ACCURACY = "accuracy"
HEADLINES_EXPLAINED = (
    "Oblivious: an attacker who does not know of the defence. Adaptive: one who knows all of it. The illusion gap is "
    "what the first leaves more than the second. Pipelines of one dataset and kind of classifier are shown at the same "
    "eps, on the same images, as far as they were attacked there and no other attack leaves clearly less; any other "
    "number names its attack."
)
THREATS_HEADING = "What each attacker leaves"
CHECKS_HEADING = "Can it be believed?"
RUN_CHECKS_HEADING = "What this run says of itself"
MATRIX = "Confusion matrix. Rows: true class. Columns: predicted class."
REPORT = "Classification report."
LARGE_MATRIX = f"The {MOST_SHOWN} most frequent mistakes; report-matrices.csv and report.json have all."
LARGE_REPORT = f"The {MOST_SHOWN} classes with the lowest F1; report-scores.csv and report.json have all."

TABLES: dict[str, Table] = {
    "headlines": Table(
        "What each pipeline keeps",
        HEADLINES_EXPLAINED,
        "report",
        _tabulate_headlines,
        None,
        flatten=list_headline_lines,
        marks=("classifier_id", "pipeline", "clean_accuracy"),
    ),
    "activations": Table(
        "One activation or another",
        f"Autoencoders that differ in the activations of their hidden layers only. {SOFTPLUS}",
        "report",
        _tabulate_activations,
        None,
        flatten=lambda findings: flatten_parts(_tabulate_activations(findings)),
        marks=("hidden_activations", "training_loss"),
    ),
    ACCURACY: Table(
        "Accuracy with and without the autoencoder",
        "“Without” is the same attack, at the same eps and on the same images, on a classifier of the same kind that "
        "has no autoencoder. NOT RUN means that the registry holds no such run.",
        "report",
        _tabulate_accuracy,
        None,
        flatten=list_accuracy_lines,
        marks=("run", "classifier_id", "threat", "eps"),
    ),
    "baselines": Table(
        "How much of the benefit is blur?",
        BENEFIT,
        "report",
        _tabulate_controls,
        None,
        flatten=list_control_lines,
        marks=("classifier_id", "run", "purifier"),
    ),
    "seeds": Table(
        "The same with other seeds",
        "Pipelines that differ in their seeds only, under the same attack on the same images: how far a number is "
        "luck.",
        "report",
        _tabulate_seeds,
        None,
        flatten=list_seed_lines,
        marks=("pipeline", "seeds", "runs"),
    ),
    "ladder": Table(
        THREATS_HEADING,
        "What the strongest valid attack of each threat model leaves at each eps, the weakest attacker first.",
        "pipeline",
        _tabulate_ladders,
        None,
        flatten=list_ladder_lines,
        marks=("classifier_id", "run", "threat"),
    ),
    "verdicts": Table(
        CHECKS_HEADING,
        "Every check, on what the strongest adaptive attack leaves, compared with the other runs.",
        "pipeline",
        _tabulate_verdicts,
        None,
        flatten=list_verdict_lines,
        marks=("classifier_id", "run", "check", "status"),
    ),
    "stored-verdicts": Table(
        RUN_CHECKS_HEADING,
        "The checks that one run can answer alone, as they were stored with it.",
        "run",
        _tabulate_stored,
        None,
        flatten=list_stored_lines,
        marks=("classifier_id", "run", "check", "status"),
    ),
    "matrices": Table(
        "Confusion matrices",
        "How many images of each true class were taken for which. What is left out for its size is in report.json.",
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
"""By name, in the order in which they stand. The CSV of ACCURACY is ``report.csv``, else ``report-<name>.csv``."""


def list_tables(sections: Mapping[str, Table]) -> dict[str, Table]:
    """Return the tables of a report in the order in which they stand: the sections follow the headlines."""
    return {"headlines": TABLES["headlines"], **sections, **TABLES}


def name_keys(sections: Mapping[str, Table]) -> dict[str, str]:
    """Return what the CSV of each table is called among the report's files, ``csv-seeds``; by the table's name."""
    return {name: "csv" if name == ACCURACY else f"csv-{name}" for name in list_tables(sections)}


def flatten_parts(parts: Iterable[Part]) -> Iterator[Line]:
    """Yield a line for each row: the part's keys, then each title with the number behind its cell, else the words."""
    for part in parts:
        for row in part.grid.rows:
            yield {
                **part.keys,
                **{_name_column(title): _read(cell) for title, cell in zip(part.grid.titles, row, strict=True)},
            }


def _name_column(title: str) -> str:
    return "_".join(title.replace(",", " ").split()) or "name"


def _read(cell: str) -> object:
    return cell.value if isinstance(cell, Cell) and cell.value is not None else str(cell)
