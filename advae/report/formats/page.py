"""The report as one self-contained HTML page: it makes no request, and names from users' files are escaped."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from advae.report.analysis.check_results import summarize_checks
from advae.report.analysis.confusion import MATRIX_NAME
from advae.report.analysis.eps_selection import list_eps
from advae.report.analysis.findings import answer
from advae.report.analysis.headline_records import list_headlines
from advae.report.analysis.headlines import Headline, describe_attack, explain_doubt
from advae.report.analysis.tables import Findings
from advae.report.data.commands import list_commands
from advae.report.data.contents import AttackedPipeline
from advae.report.data.grouping import group_by
from advae.report.data.runs import Run
from advae.report.data.threat_models import describe_threat
from advae.report.data.word_tables import Cell, Grid, Part, read_value
from advae.report.drawing.figure import TRAINING
from advae.report.drawing.figure_table import draw_figures
from advae.report.drawing.templates import render_template
from advae.report.formats.accuracy_table import NOT_VALID_MARK
from advae.report.formats.catalogue import group_parts, list_tables
from advae.report.wording import (
    AGAIN,
    IMPORTED_EXPLAINED,
    NOT_APPLICABLE,
    NOT_ESTABLISHED,
    NOT_RUN,
    TITLE,
    describe_run,
    format_rate,
    format_share,
    name_attack,
    name_autoencoder,
    name_pipeline,
)

MATRIX_SHADES = 8
"""Steps of the background that the cells of a confusion matrix take with their share of the row."""

STATUSES = {"FAIL": "0", "WARN": "1", "PASS": "2"}
"""What a check result sorts by, the most serious first; NOT RUN comes last, as everywhere."""

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


def render_page(findings: Findings) -> str:
    """Return the whole page; equal findings give equal bytes."""
    comparison, parts = findings.comparison, group_parts(findings)
    tables = {name: table for name, table in list_tables(findings.sections).items() if table.about == "report"}
    script = render_template("page.js.j2")
    return render_template(
        "page.html.j2",
        **{function.__name__.lstrip("_"): function for function in FUNCTIONS},
        again=AGAIN,
        answer=answer(findings),
        branches=_branch(comparison.pipelines, (_name_dataset, _name_classifier, name_autoencoder)),
        commands=list_commands(comparison),
        comparison=comparison,
        datasets=comparison.datasets,
        figures=draw_figures(comparison),
        imported_explained=IMPORTED_EXPLAINED,
        missing=_list_missing(findings),
        not_established=NOT_ESTABLISHED,
        panels={run.id: _list_panels(parts.get(run.id, ())) for run in comparison.runs},
        parts=parts,
        places={pipeline.id for pipeline in comparison.pipelines} | {run.id for run in comparison.runs},
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        sections=list(findings.sections),
        statuses=STATUSES,
        tables={name: (table, list(table.tabulate(findings))) for name, table in tables.items()},
        title=TITLE,
        training=TRAINING,
    )


def _branch(pipelines: Sequence[AttackedPipeline], names: Sequence[Callable[[Run], str]]) -> tuple[Branch, ...]:
    """Return the pipelines by their first name, each group by the next, in the order of the report."""
    if not names:
        return ()
    groups = group_by(pipelines, lambda pipeline: names[0](pipeline.first))
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


def _list_panels(parts: Iterable[tuple[str, Part]]) -> list[list[Part]]:
    """Return a run's confusion matrices, each beside its classification report, one pair for each eps."""
    scores = (part for _, part in parts if "eps" in part.keys)
    return list(group_by(scores, lambda part: part.keys["eps"]).values())


def _shade(grid: Grid, label: int) -> list[str]:
    """Return the style of each count of a confusion matrix in the row of a class: how large a share, right or wrong.

    Of other grids no style.
    """
    if not grid.name.startswith(MATRIX_NAME):
        return [""] * (len(grid.titles) - 1)
    counts = [int(cell.value or 0) for cell in grid.rows[label][1:] if isinstance(cell, Cell)]
    shades = (-(-count * MATRIX_SHADES // (sum(counts) or 1)) for count in counts)
    return [f"{'r' if place == label else 'w'}{shade}" if shade else "" for place, shade in enumerate(shades)]


def _is_invalid(row: Sequence[str]) -> bool:
    """Whether a row of the accuracy table has a number that is not valid."""
    return any(cell.endswith(NOT_VALID_MARK) for cell in row)


FUNCTIONS: tuple[Callable[..., Any], ...] = (
    describe_attack,
    describe_run,
    describe_threat,
    explain_doubt,
    format_rate,
    format_share,
    list_eps,
    name_attack,
    name_pipeline,
    summarize_checks,
    Headline,
    _is_invalid,
    _order_cell,
    _shade,
    _split_counts,
)
"""What the template calls, under its name without the dash in front."""
