"""The report as one self-contained HTML page: no request leaves it, and names from users' files stay inert."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from advae.report.activations import tabulate_activations
from advae.report.commands import list_commands
from advae.report.controls import find_contests, tabulate_contest
from advae.report.drawing import TRAINING
from advae.report.figures import draw_figures
from advae.report.headlines import describe_attack, explain_doubt, write_headlines
from advae.report.judging import describe_subject, summarize_verdicts, tabulate_stored, tabulate_verdicts
from advae.report.ladder import tabulate_ladder
from advae.report.rows import Row, list_runs_of
from advae.report.runs import Run
from advae.report.scores import REPORT_COLUMNS, Findings, Scores, select_shown, tabulate_report
from advae.report.seeds import find_spreads, tabulate_spreads
from advae.report.tables import COLUMNS, Column, is_valid
from advae.report.templates import render_template
from advae.report.threat_models import describe_threat
from advae.report.wording import (
    BENEFIT,
    NOT_ESTABLISHED,
    describe_run,
    format_eps,
    format_rate,
    name_attack,
    name_pipeline,
    show_name,
)

SHADES = 8
"""Steps of the background that the cells of a confusion matrix take with their share of the row."""


@dataclass(frozen=True)
class Cell:
    """A cell of the accuracy table. order: what its column sorts by, empty where there is no number."""

    column: Column
    text: str
    order: str


@dataclass(frozen=True)
class MatrixRow:
    """A row of a confusion matrix, of one true class. cells: count, and style class of the shade."""

    name: str
    cells: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Panel:
    """A confusion matrix beside its classification report."""

    scores: Scores
    names: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
    report: Sequence[Sequence[str]]


def render_page(findings: Findings) -> str:
    """Return the whole page; equal findings give equal bytes."""
    comparison, shown = findings.comparison, select_shown(findings)
    script = render_template("page.js.j2")
    return render_template(
        "page.html.j2",
        activations=tabulate_activations(comparison),
        benefit=BENEFIT,
        columns=COLUMNS,
        contests=find_contests(comparison),
        commands=list_commands(list_runs_of(comparison.rows)),
        comparison=comparison,
        datasets=sorted({show_name(run.recipe.dataset.name) for run in comparison.runs}),
        figures=draw_figures(comparison),
        headlines=write_headlines(comparison),
        panels={run.id: [_build_panel(run, one) for one in shown[run.id]] for run in comparison.runs},
        report_columns=REPORT_COLUMNS,
        rows=[(is_valid(row), tuple(_list_cells(row))) for row in comparison.table_rows],
        spreads=find_spreads(comparison),
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        training=TRAINING,
        not_established=NOT_ESTABLISHED,
        describe_attack=describe_attack,
        describe_run=describe_run,
        describe_subject=describe_subject,
        describe_threat=describe_threat,
        explain_doubt=explain_doubt,
        format_eps=format_eps,
        format_rate=format_rate,
        name_attack=name_attack,
        name_pipeline=name_pipeline,
        summarize_verdicts=summarize_verdicts,
        tabulate_contest=tabulate_contest,
        tabulate_ladder=tabulate_ladder,
        tabulate_spreads=tabulate_spreads,
        tabulate_stored=tabulate_stored,
        tabulate_verdicts=tabulate_verdicts,
    )


def _list_cells(row: Row) -> Iterator[Cell]:
    for column in COLUMNS:
        value = column.value(row)
        yield Cell(column, column.text(row), "" if value is None else str(value))


def _build_panel(run: Run, scores: Scores) -> Panel:
    names = tuple(show_name(name) for name in run.recipe.dataset.classes)
    rows = zip(names, range(len(names)), scores.matrix, strict=True)
    return Panel(
        scores=scores,
        names=names,
        rows=tuple(MatrixRow(name, tuple(_shade_row(label, counts))) for name, label, counts in rows),
        report=tabulate_report(run, scores).rows,
    )


def _shade_row(label: int, counts: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Yield each count of a row with its style: how large a share it is, and whether it is right or wrong."""
    total = sum(counts)
    for predicted, count in enumerate(counts):
        shade = -(-count * SHADES // total) if total else 0
        yield count, f"{'r' if predicted == label else 'w'}{shade}" if shade else ""
