"""The report as one self-contained HTML page: no request leaves it, and names from users' files stay inert."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from advae.report.analysis.activations import list_activation_records
from advae.report.analysis.check_results import summarize_checks
from advae.report.analysis.confusion import (
    REPORT_COLUMNS,
    Scores,
    select_shown,
    tabulate_matrix,
    tabulate_report,
)
from advae.report.analysis.eps_selection import list_eps
from advae.report.analysis.findings import answer
from advae.report.analysis.headline_records import list_headlines
from advae.report.analysis.headlines import describe_attack, explain_doubt, write_headline
from advae.report.analysis.run_results import AccuracyRecord, list_accuracies
from advae.report.analysis.seed_spread import list_spreads
from advae.report.analysis.tables import Findings, Table
from advae.report.data.commands import list_commands
from advae.report.data.contents import AttackedPipeline
from advae.report.data.runs import Run
from advae.report.data.threat_models import describe_threat
from advae.report.data.word_tables import Grid, Part, read_value
from advae.report.drawing.figure import TRAINING
from advae.report.drawing.figure_table import draw_figures
from advae.report.drawing.templates import render_template
from advae.report.formats.accuracy_table import ACCURACY_COLUMNS, AccuracyColumn, explain_rows, select_rows
from advae.report.formats.catalogue import (
    HEADLINES_EXPLAINED,
    LARGE_MATRIX,
    LARGE_REPORT,
    describe_checked,
    group_baselines,
    group_checks,
    tabulate_pipelines,
    tabulate_stored,
)
from advae.report.formats.record_tables import (
    tabulate_activations,
    tabulate_baselines,
    tabulate_checks,
    tabulate_headlines,
    tabulate_spreads,
)
from advae.report.wording import (
    BENEFIT,
    IMPORTED_EXPLAINED,
    NOT_APPLICABLE,
    NOT_ESTABLISHED,
    NOT_RUN,
    TITLE,
    describe_run,
    format_rate,
    name_attack,
    name_autoencoder,
    name_pipeline,
)

MATRIX_SHADES = 8
"""Steps of the background that the cells of a confusion matrix take with their share of the row."""

STATUSES = {"FAIL": "0", "WARN": "1", "PASS": "2"}
"""What a check result sorts by, the gravest first; NOT RUN comes last, as everywhere."""

COUNT = re.compile(r"\d+ (FAIL|WARN|PASS|NOT RUN)")

NOTHING = (NOT_RUN, NOT_APPLICABLE, "")
"""Words in place of a number to sort by."""


@dataclass(frozen=True)
class Branch:
    """Pipelines that have something in common: dataset, then kind of classifier, then kind of autoencoder."""

    name: str
    """The value that they have in common."""
    branches: tuple[Branch, ...]
    """Branches of the next property; empty at the last."""
    pipelines: tuple[AttackedPipeline, ...]
    """The pipelines of the branch."""


@dataclass(frozen=True)
class ShownCell:
    """A cell of the accuracy table."""

    column: AccuracyColumn
    """Its column."""
    text: str
    """Text for people."""
    order: str
    """Value that its column sorts by; empty where there is no number."""


@dataclass(frozen=True)
class MatrixRow:
    """A row of a confusion matrix, of one true class."""

    name: str
    """Name of the class."""
    cells: tuple[tuple[int, str], ...]
    """Count, and style class of the shade, of each predicted class."""


@dataclass(frozen=True)
class ScoresView:
    """A confusion matrix, or of many classes their most frequent mistakes, beside its classification report."""

    scores: Scores
    """The scores that are shown."""
    names: tuple[str, ...]
    """Names of the classes."""
    rows: tuple[MatrixRow, ...]
    """Rows of the matrix; empty for many classes."""
    mistakes: Grid | None
    """The most frequent mistakes; None for few classes."""
    report: Sequence[Sequence[str]]
    """Rows of the classification report."""


def render_page(findings: Findings) -> str:
    """Return the whole page; equal findings give equal bytes."""
    comparison, shown = findings.comparison, select_shown(findings)
    script = render_template("page.js.j2")
    return render_template(
        "page.html.j2",
        activations=tabulate_activations(findings.collect(list_activation_records)),
        answer=answer(comparison),
        benefit=BENEFIT,
        branches=_branch(comparison.pipelines, (_name_dataset, _name_classifier, name_autoencoder)),
        columns=ACCURACY_COLUMNS,
        baselines=group_baselines(findings),
        commands=list_commands(comparison),
        comparison=comparison,
        datasets=sorted({run.dataset for run in comparison.runs}),
        figures=draw_figures(comparison),
        headlines_explained=HEADLINES_EXPLAINED,
        large_matrix=LARGE_MATRIX,
        large_report=LARGE_REPORT,
        title=TITLE,
        imported_explained=IMPORTED_EXPLAINED,
        headlines=tabulate_headlines(findings.collect(list_headlines)),
        missing=_list_missing(findings),
        panels={run.id: [_build_panel(run, one) for one in shown[run.id]] for run in comparison.runs},
        places={pipeline.id for pipeline in comparison.pipelines} | {run.id for run in comparison.runs},
        report_columns=REPORT_COLUMNS,
        rows=[(row.valid, tuple(_list_cells(row))) for row in select_rows(findings.collect(list_accuracies))],
        rows_explained=explain_rows(findings, "report.csv"),
        threats_explained=explain_rows(findings, "report-threat-models.csv"),
        contests_explained=explain_rows(findings, "report-baselines.csv"),
        spreads_explained=explain_rows(findings, "report-seeds.csv"),
        spreads=findings.collect(list_spreads),
        sections=_list_sections(findings),
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        training=TRAINING,
        not_established=NOT_ESTABLISHED,
        statuses=STATUSES,
        describe_attack=describe_attack,
        describe_run=describe_run,
        describe_checked=describe_checked,
        describe_threat=describe_threat,
        explain_doubt=explain_doubt,
        list_eps=list_eps,
        format_rate=format_rate,
        name_attack=name_attack,
        name_pipeline=name_pipeline,
        order_cell=_order_cell,
        split_counts=_split_counts,
        summarize_checks=summarize_checks,
        tabulate_baselines=tabulate_baselines,
        checks=group_checks(findings),
        threat_tables=tabulate_pipelines(findings),
        tabulate_spreads=tabulate_spreads,
        stored=tabulate_stored(findings),
        tabulate_checks=tabulate_checks,
        write_headline=write_headline,
    )


def _list_sections(findings: Findings) -> list[tuple[str, Table, list[Part]]]:
    """Return the name, the table and its parts of each section that has something to show."""
    parts = ((name, table, list(table.tabulate(findings))) for name, table in findings.sections.items())
    return [section for section in parts if section[2]]


def _branch(pipelines: Sequence[AttackedPipeline], names: Sequence[Callable[[Run], str]]) -> tuple[Branch, ...]:
    """Return the pipelines by their first name, each group by the next, in the order of the report."""
    if not names:
        return ()
    groups: dict[str, list[AttackedPipeline]] = {}
    for pipeline in pipelines:
        groups.setdefault(names[0](pipeline.first), []).append(pipeline)
    return tuple(Branch(name, _branch(group, names[1:]), tuple(group)) for name, group in groups.items())


def _name_dataset(run: Run) -> str:
    return run.dataset


def _name_classifier(run: Run) -> str:
    return run.classifier_recipe.model


def _list_missing(findings: Findings) -> list[str]:
    """Return the commands that run what the headline table has as NOT RUN, each once."""
    commands = (record.command for record in findings.collect(list_headlines))
    return list(dict.fromkeys(command for command in commands if command))


def _split_counts(text: str) -> list[tuple[str, str]]:
    """Return the parts of a summary of results, each with its status; none of any other text."""
    found = [COUNT.fullmatch(part) for part in text.split(", ")]
    return [(match[1], match[0]) for match in found if match] if all(found) else []


def _order_cell(cell: str) -> str | None:
    """Return what a cell sorts by, empty where there is nothing; None where that is its words themselves."""
    value = read_value(cell)
    if isinstance(value, str):
        return STATUSES.get(value, "" if value in NOTHING else None)
    return "" if value is None else repr(value)


def _list_cells(row: AccuracyRecord) -> Iterator[ShownCell]:
    for column in ACCURACY_COLUMNS:
        value = column.value(row)
        yield ShownCell(column, column.text(row), "" if value is None or value in NOTHING else str(value))


def _build_panel(run: Run, scores: Scores) -> ScoresView:
    names = run.recipe.dataset.classes
    rows = () if scores.is_large else zip(names, range(len(names)), scores.matrix, strict=True)
    return ScoresView(
        scores=scores,
        names=names,
        rows=tuple(MatrixRow(name, tuple(_shade_row(label, counts))) for name, label, counts in rows),
        mistakes=tabulate_matrix(run, scores) if scores.is_large else None,
        report=tabulate_report(run, scores).rows,
    )


def _shade_row(label: int, counts: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Yield each count of a row with its style: how large a share it is, and whether it is right or wrong."""
    total = sum(counts)
    for predicted, count in enumerate(counts):
        shade = -(-count * MATRIX_SHADES // total) if total else 0
        yield count, f"{'r' if predicted == label else 'w'}{shade}" if shade else ""
