"""The report as one self-contained HTML page: it makes no request, and names from users' files are escaped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

from advae.checks import CHECKS, list_made_checks
from advae.checks.check_table import Check
from advae.errors import printable
from advae.records import CheckResult
from advae.report.analysis.check_results import summarize_checks
from advae.report.analysis.confusion import MATRIX_NAME
from advae.report.analysis.eps_selection import list_eps
from advae.report.analysis.findings import answer
from advae.report.analysis.headline_records import list_headlines
from advae.report.analysis.headlines import Headline, describe_attack, explain_doubt
from advae.report.analysis.overview import list_overviews
from advae.report.analysis.pipeline_numbers import list_first_numbers
from advae.report.analysis.ratings import RULE
from advae.report.analysis.tables import Findings
from advae.report.analysis.titles import title_report
from advae.report.data.commands import list_commands
from advae.report.data.contents import AttackedPipeline
from advae.report.data.grouping import group_by
from advae.report.data.threat_models import describe_threat
from advae.report.data.word_tables import Cell, Grid, Part, read_value
from advae.report.drawing.compared_curves import COMPARED_SPEC, name_curves
from advae.report.drawing.figure import CODES, RETRAINING, SURFACE_GRIDS, TRAINING
from advae.report.drawing.figure_names import name_figure, name_slug
from advae.report.drawing.figure_table import draw_figures
from advae.report.drawing.image_strip import draw_best
from advae.report.drawing.palette import DARK, LIGHT, define_colours
from advae.report.drawing.pipeline_chart import REFERENCE
from advae.report.drawing.pipeline_spec import PipelineSpec
from advae.report.drawing.strips import write_strip
from advae.report.drawing.templates import render_template
from advae.report.drawing.vega import load_library
from advae.report.formats.accuracy_table import NOT_VALID_MARK
from advae.report.formats.catalogue import group_parts, list_tables
from advae.report.formats.compared_pipelines import CURVE_THREATS, list_curves, list_pair_data
from advae.report.formats.first_screen import Screen, list_screens
from advae.report.formats.inlining import ChartSheet, digest_script, pack, write_json
from advae.report.wording import (
    AGAIN,
    IMPORTED_EXPLAINED,
    NBSP,
    NOT_APPLICABLE,
    NOT_ESTABLISHED,
    NOT_RUN,
    TITLE,
    describe_run,
    format_rate,
    format_share,
    name_attack,
    name_pipeline,
)

MATRIX_SHADES = 8
"""Steps of the background that the cells of a confusion matrix take with their share of the row."""

STATUSES = {"FAIL": "0", "WARN": "1", "PASS": "2"}
"""What a check result sorts by, the most serious first; NOT RUN comes last, as everywhere."""

COUNT = re.compile(r"\d+ (FAIL|WARN|PASS|NOT RUN)")

NOTHING = (NOT_RUN, NOT_APPLICABLE, "")
"""Words in place of a number to sort by."""

SCRIPTS = ("tables", "charts", "first", "compare", "start")
"""Parts of the page's script, in their order."""


def render_page(findings: Findings) -> str:
    """Return the whole page; equal findings give equal bytes."""
    library, script = load_library(), "".join(render_template(f"page_{name}.js.j2") for name in SCRIPTS)
    page = SimpleNamespace(
        **{function.__name__.lstrip("_"): function for function in FUNCTIONS},
        **_list_contents(findings),
        **_list_compared(findings),
        **_list_words(findings),
        library=library,
        policy=f"{digest_script(script)} {digest_script(library.script)}",
        script=script,
    )
    return render_template("page.html.j2", page=page, light=define_colours(LIGHT), dark=define_colours(DARK))


def _list_contents(findings: Findings) -> dict[str, Any]:
    """Return what the page shows of its findings: tables, figures, and the pipelines in their order."""
    comparison, parts = findings.comparison, group_parts(findings)
    tables = {name: table for name, table in list_tables(findings.sections).items() if table.about == "report"}
    return {
        "branches": _branch(comparison.pipelines),
        "comparison": comparison,
        "datasets": comparison.datasets or sorted({pipeline.dataset for pipeline, _ in comparison.surfaces}),
        "figures": draw_figures(comparison),
        "panels": {run.id: _list_panels(parts.get(run.id, ())) for run in comparison.runs},
        "parts": parts,
        "places": {pipeline.id for pipeline in comparison.pipelines} | {run.id for run in comparison.runs},
        "sections": list(findings.sections),
        "section_figures": {name: list(table.draw(findings)) for name, table in findings.sections.items()},
        "tables": {name: (table, list(table.tabulate(findings))) for name, table in tables.items()},
    }


def _list_compared(findings: Findings) -> dict[str, Any]:
    """Return the first screen, the best pipelines' images, and what is needed to compare pipelines."""
    screens, charts = list(list_screens(findings)), ChartSheet()
    rows = [row for screen in screens for row in screen.shown.rows if not row["h"]]
    wanted = [screen.overview.classifier_id for screen in screens]
    return {
        "best_strips": list(draw_best(findings.comparison, list(filter(None, wanted)))),
        "certified": any("ce" in row for screen in screens for view in screen.views for row in view.rows),
        "charts": charts,
        "classifiers": list(dict.fromkeys(row["m"] for row in rows)),
        "compare_data": partial(_compare, findings, charts),
        "compared_threats": CURVE_THREATS,
        "differences": list_pair_data(findings),
        "kinds": list(dict.fromkeys(row["k"] for row in rows)),
        "pipeline_spec": PipelineSpec(),
        "screens": screens,
        "ticked": {id_ for screen in screens for id_ in _choose_ticked(screen)},
        "title": title_report(
            [(screen.overview.dataset, screen.overview.title) for screen in screens]
            or [(one.dataset, one.title) for one in findings.collect(list_overviews)]
            or [("", TITLE)]
        ),
    }


def _list_words(findings: Findings) -> dict[str, Any]:
    """Return the sentences and commands of the page."""
    random = any(run.metrics.stochastic for run in findings.comparison.runs)
    return {
        "again": AGAIN,
        "answer": answer(findings),
        "checks": {name: CHECKS[name] for name in list_made_checks(random=random)},
        "commands": list_commands(findings.comparison),
        "imported_explained": IMPORTED_EXPLAINED,
        "missing": _list_missing(findings),
        "not_established": NOT_ESTABLISHED,
        "rule": RULE,
        "statuses": STATUSES,
        "retraining": RETRAINING,
        "surfaces": SURFACE_GRIDS,
        "training": TRAINING,
        "codes": CODES,
    }


def _compare(findings: Findings, charts: ChartSheet) -> dict[str, Any]:
    """Return what the page's script needs to draw the curves of pipelines."""
    numbers = list_first_numbers(findings)
    return {
        "chart": {"spec": charts.key_of(COMPARED_SPEC), **charts.describe_size(320)},
        "curves": list_curves(findings),
        "datasets": {one.classifier_id: printable(one.dataset, keep=NBSP) for one in numbers},
        "names": {id_: printable(name, keep=NBSP) for id_, name in name_curves(findings).items()},
    }


def _choose_ticked(screen: Screen) -> Iterator[str]:
    """Yield the pipelines that are compared when the page opens: the best of each classifier, and one reference."""
    shown = [row for row in screen.shown.rows if not row["h"]]
    best = screen.overview.classifier_id
    yield from (rows[0]["id"] for rows in group_by(shown, lambda row: row["m"]).values())
    models = [row["m"] for row in shown if row["id"] == best]
    references = [row for row in shown if row["w"] == REFERENCE]
    yield from (row["id"] for row in sorted(references, key=lambda row: row["m"] not in models)[:1])
    if best:
        yield best


def _branch(pipelines: Sequence[AttackedPipeline]) -> list[tuple[str, list[AttackedPipeline]]]:
    """Return the pipelines of each classifier and dataset below their heading, in the order of the report."""
    groups = group_by(pipelines, lambda one: f"{one.first.classifier_recipe.model} on {one.first.dataset}")
    return list(groups.items())


def _list_raised(pipeline: AttackedPipeline) -> list[tuple[CheckResult, Check]]:
    """Return the checks of a pipeline's headline number that do not pass, each with its row, the most serious first."""
    raised = [result for result in pipeline.checks if result.status in ("FAIL", "WARN")]
    return [(result, CHECKS[result.check]) for result in sorted(raised, key=lambda one: STATUSES[one.status])]


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
    name_figure,
    name_pipeline,
    name_slug,
    pack,
    summarize_checks,
    write_json,
    write_strip,
    Headline,
    _is_invalid,
    _list_raised,
    _order_cell,
    _shade,
    _split_counts,
)
"""What the templates call, under its name without the dash in front."""
