"""The report for whoever stands before a terminal: the answer, a table, what did not pass, and a chart."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from advae.checks import CHECKS, NOT_VALID, pick_strongest
from advae.records import CheckResult, key_eps
from advae.report.analysis.check_results import count_results, list_all_failures
from advae.report.analysis.findings import answer
from advae.report.analysis.illusion_gap import Gap, explain_gap, find_gaps, find_largest_gap
from advae.report.analysis.ranking import PipelineSummary, group_pipelines, summarize_pipelines
from advae.report.data.contents import AttackedPipeline, Comparison, Row
from advae.report.data.runs import Measured
from advae.report.data.threat_models import ORDER
from advae.report.formats.attack_checks import COLOURS
from advae.report.formats.terminal_chart import BETWEEN, MARKERS, Point, draw_chart
from advae.report.wording import (
    IMPORTED_EXPLAINED,
    NBSP,
    NOT_APPLICABLE,
    NOT_ESTABLISHED,
    NOT_RUN,
    describe_terms,
    name_attacked,
    name_pipeline,
)

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

ROOM_FOR_TEXT, ROOM_FOR_CHART = 80, 60
"""Columns that text is wrapped to at most, and those that a chart needs."""

CHARTED = ("oblivious", "gray-box", "black-box", "adaptive")
"""The threat models that a chart has room for, the one to be seen where two meet last."""

SHOWN_CHECKS = 7
"""Checks that are quoted; the rest are counted, and the page has them all."""

UNSOUND = "* not to be believed, or not established: see below"

MOVED = "+"
"""Behind a number that is not of the eps and images of the others of its kind; its attack stands below the table."""

PLAIN = str.maketrans({NBSP: " ", "\N{MINUS SIGN}": "-", "\N{LEFT DOUBLE QUOTATION MARK}": '"'})
"""What a terminal without these characters shows instead."""


def summarize(comparison: Comparison, *, width: int, encoding: str, chart: bool) -> list[RenderableType]:
    """Return what to print, part by part. width: of the terminal; chart: whether there is one to draw a chart on."""
    unicode, gap = _can_encode(encoding), _find_widest(comparison)
    said = "\n".join(_wrap(line, width) for line in answer(comparison).split("\n"))
    texts = ["\n".join(_quote(comparison, width))]
    if gap:
        texts.append(_explain(comparison, gap, width))
        if chart and unicode and width >= ROOM_FOR_CHART:
            texts.append("\n".join(draw_chart(_collect_lines(_find_pipeline(comparison, gap), gap))))
    said, *texts = (text if unicode else text.translate(PLAIN) for text in (said, *texts))
    return [said, build_headline_table(comparison, plain=not unicode), *(text for text in texts if text)]


def _can_encode(encoding: str) -> bool:
    try:
        f"{''.join(MARKERS.values())}{BETWEEN}┤│└─{NBSP}\N{MINUS SIGN}".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _wrap(text: str, width: int) -> str:
    return textwrap.fill(text, min(width, ROOM_FOR_TEXT), subsequent_indent="  ", break_on_hyphens=False)


# ---------------------------------------------------------------- the table


def build_headline_table(comparison: Comparison, *, plain: bool = False) -> Table:
    """Return the headline in 80 columns, a row for each pipeline. plain: for a terminal that knows ASCII only."""
    from rich.box import ASCII2, SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=ASCII2 if plain else SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, caption_justify="left")
    table.add_column("correct, in %", overflow="fold")
    for title in ("eps", "clean", "oblivious", "adaptive", "gap", "checks"):
        table.add_column(title, justify="left" if title == "checks" else "right", no_wrap=True)
    for group in group_pipelines(comparison):
        # Text, not markup: names come from users' files, and one like [red] must stay what it is.
        table.add_row(Text(name_attacked(group.first.pipeline.first), style="bold"))
        for summary in group.summaries:
            cells = (cell.translate(PLAIN) if plain else cell for cell in _list_cells(summary))
            table.add_row(*map(Text, cells), _show_gravest(summary))
    summaries = summarize_pipelines(comparison)
    notes = [UNSOUND] if any(summary.adaptive and not summary.reliable for summary in summaries) else []
    moved = [row for summary in summaries for row in _find_moved(summary) if row]
    attacks = "; ".join(dict.fromkeys(describe_terms(row.run, row.eps) for row in moved))
    notes += [_wrap(IMPORTED_EXPLAINED, ROOM_FOR_TEXT)] if any(summary.imported for summary in summaries) else []
    notes += [f"{MOVED} not as the others were attacked: {attacks}"] if moved else []
    if notes:
        table.caption = Text("\n".join(notes))
    return table


def _find_moved(summary: PipelineSummary) -> tuple[Row | None, Row | None]:
    """Return the oblivious and the adaptive row, each only where it is not on the terms that a reader expects."""
    adaptive, oblivious = summary.adaptive, summary.oblivious
    return (
        oblivious if oblivious and oblivious.terms != summary.terms else None,
        adaptive if adaptive and summary.shared not in (None, summary.terms) else None,
    )


def _list_cells(summary: PipelineSummary) -> tuple[str, ...]:
    row = summary.row
    budget = f"{row.eps:.3g}{'' if row.run.recipe.norm == 'linf' else ' L2'}" if row else NOT_APPLICABLE
    gap = NOT_RUN if summary.gap is None else f"{100 * summary.gap:.1f}".replace("-", "\N{MINUS SIGN}")
    return (
        f" {summary.name}",
        budget,
        f"{100 * summary.clean.value:.1f}",
        _write_oblivious(summary) if summary.defended else NOT_APPLICABLE,
        _write_adaptive(summary),
        gap if summary.defended else NOT_APPLICABLE,
    )


def _write_share(row: Row | None) -> str:
    return f"{100 * row.own.result.accuracy:.1f}" if row else NOT_RUN


def _write_oblivious(summary: PipelineSummary) -> str:
    return f"{_write_share(summary.oblivious)}{MOVED if _find_moved(summary)[0] else ''}"


def _write_adaptive(summary: PipelineSummary) -> str:
    row = summary.adaptive
    if row is None:
        return NOT_RUN
    low, high = row.own.result.accuracy_interval
    marks = f"{'' if summary.reliable else UNSOUND[0]}{MOVED if _find_moved(summary)[1] else ''}"
    return f"{_write_share(row)}{marks} [{100 * low:.1f}, {100 * high:.1f}]"


def _show_gravest(summary: PipelineSummary) -> Text:
    """Return how many checks have the gravest status that there is."""
    from rich.text import Text

    counts = count_results(summary.checks)
    status, count = next((one for one in counts.items() if one[1]), (NOT_RUN, 0))
    return Text(f"{count} {status}", style=COLOURS[status])


# ---------------------------------------------------------------- what did not pass


def _quote(comparison: Comparison, width: int) -> Iterator[str]:
    """Yield what speaks against the numbers, a paragraph for each check that failed or warns, and what was not run."""
    invalid = sum(not row.own.result.within_budget for row in comparison.rows)
    if invalid:
        yield _wrap(f"{NOT_VALID} ({invalid} of {len(comparison.rows)} measurements)", width)
    summaries = summarize_pipelines(comparison)
    doubted = [summary for summary in summaries if summary.defended and summary.doubt]
    if doubted:
        first = doubted[0].pipeline
        where = f"{len(doubted)} of {len(summaries)} pipelines, first {name_pipeline(first.first)}, {first.id}"
        yield _wrap(f"{NOT_ESTABLISHED} ({where}): {doubted[0].doubt}", width)
    found = {check: _collect(summaries, check) for check in CHECKS}
    quoted = [check for check, told in found.items() if any(one.status in ("FAIL", "WARN") for _, one in told)]
    quoted.sort(key=lambda check: found[check][0][1].status != "FAIL")
    for check in quoted[:SHOWN_CHECKS]:
        yield _wrap(_quote_check(found[check]), width)
    if quoted[SHOWN_CHECKS:]:
        yield f"and {len(quoted[SHOWN_CHECKS:])} more checks that did not pass; the page has them all"
    elsewhere = [one for one in list_all_failures(comparison.pipelines) if not one.headline]
    if elsewhere:
        yield _wrap(f"FAIL on other runs: {len(elsewhere)}, first {elsewhere[0].text}", width)
    absent = [(check, sum(one.status == NOT_RUN for _, one in told)) for check, told in found.items()]
    missing = ", ".join(f"{check} ({count})" for check, count in absent if count)
    if missing:
        yield _wrap(f"NOT RUN (on how many pipelines): {missing}", width)


def _collect(summaries: Sequence[PipelineSummary], check: str) -> list[tuple[PipelineSummary, CheckResult]]:
    """Return every pipeline's verdict of a check on the number that is shown, the gravest first."""
    order = [*COLOURS]
    told = [(summary, verdict) for summary in summaries for verdict in summary.checks if verdict.check == check]
    return sorted(told, key=lambda one: order.index(one[1].status))


def _quote_check(told: Sequence[tuple[PipelineSummary, CheckResult]]) -> str:
    """Return the gravest verdict with the pipeline that it is about."""
    (summary, gravest), counts = told[0], count_results(verdict for _, verdict in told)
    whose = f"{summary.name}, {name_attacked(summary.pipeline.first)}"
    of = "" if len(told) == 1 else f" ({counts[gravest.status]} of {len(told)} pipelines, first {whose})"
    return f"{gravest.check} {gravest.status}{of}: {gravest.sentence}"


# ---------------------------------------------------------------- the widest gap


def _find_widest(comparison: Comparison) -> Gap | None:
    return find_largest_gap([gap for pipeline in comparison.pipelines for gap in find_gaps(pipeline)])


def _find_pipeline(comparison: Comparison, gap: Gap) -> AttackedPipeline:
    return next(pipeline for pipeline in comparison.pipelines if pipeline.id == gap.adaptive.run.classifier.id)


def _explain(comparison: Comparison, gap: Gap, width: int) -> str:
    name = name_pipeline(gap.adaptive.run)
    return _wrap(f"Largest illusion gap, {name}: {explain_gap(_find_pipeline(comparison, gap))}", width)


def _collect_lines(pipeline: AttackedPipeline, gap: Gap) -> dict[str, list[Point]]:
    """Return accuracy against eps of each threat model, the clean accuracy first, on the terms of a gap."""
    norm, samples, clean = gap.norm, gap.adaptive.run.sample_key, gap.adaptive.run.clean.value
    lines: dict[str, list[Point]] = {}
    bare = [row.undefended for row in pipeline.list_valid(ORDER) if row.undefended and _is_on(row, norm, samples)]
    if bare:
        lines["without"] = [(0.0, bare[0].run.clean.value)]
        groups: dict[float, list[Measured]] = {}
        for one in sorted(bare, key=lambda one: one.eps):
            groups.setdefault(key_eps(one.eps), []).append(one)
        left = map(pick_strongest, groups.values())
        lines["without"] += [(one.eps, one.accuracy) for one in left]
    for threat in CHARTED:
        rows = [row for row in pipeline.find_worst(threat).values() if _is_on(row, norm, samples)]
        points = sorted((row.eps, row.accuracy) for row in rows)
        if points:
            lines[threat] = [(0.0, clean), *points]
    return lines


def _is_on(row: Row, norm: str, samples: str) -> bool:
    return row.run.recipe.norm == norm and row.run.sample_key == samples
