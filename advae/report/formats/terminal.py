"""The report's summary for a terminal: the answer, the accuracy of each pipeline, and the checks that did not pass."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from advae.checks import CHECKS, NOT_VALID
from advae.report.analysis.certified_accuracy import CertifiedRange
from advae.report.analysis.check_results import CheckRecord, count_results, list_all_failures, list_checks
from advae.report.analysis.findings import answer
from advae.report.analysis.headline_records import HeadlineRecord, Strength, list_headlines
from advae.report.analysis.illusion_gap import describe_gap, find_largest_gap, list_gaps
from advae.report.analysis.tables import Findings, NotRun
from advae.report.data.contents import Comparison
from advae.report.data.grouping import group_by
from advae.report.formats.attack_checks import STATUS_COLOURS
from advae.report.formats.record_tables import describe_strength, write_gap
from advae.report.wording import (
    IMPORTED_EXPLAINED,
    NBSP,
    NOT_APPLICABLE,
    NOT_ESTABLISHED,
    NOT_RUN,
)

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

ROOM_FOR_TEXT = 80
"""Columns that text is wrapped to at most."""

SHOWN_CHECKS = 7
"""Checks that are quoted; the others are counted, and the page lists all of them."""

UNRELIABLE = "* not reliable (a check failed) or not established: see below"

DIFFERING = "+"
"""Marks a number from another eps or other images than the rest of its column; a note below names its attack."""

TO_ASCII = str.maketrans({NBSP: " ", "\N{MINUS SIGN}": "-", "\N{LEFT DOUBLE QUOTATION MARK}": '"'})
"""ASCII characters for terminals that cannot show these."""


def summarize(comparison: Comparison, *, width: int, encoding: str) -> list[RenderableType]:
    """Return the parts of the summary, in order. width: columns of the terminal; encoding: of the terminal."""
    unicode, findings = _can_encode(encoding), Findings(comparison)
    paragraphs = [answer(findings).split("\n"), _list_doubts(findings), _explain_widest(findings)]
    texts = ["\n".join(_wrap(line, width) for line in lines) for lines in paragraphs]
    first, *more = (text if unicode else text.translate(TO_ASCII) for text in texts)
    table = [build_headline_table(findings, plain=not unicode)] if comparison.runs else []
    return [first, *table, *filter(None, more)]


def _can_encode(encoding: str) -> bool:
    try:
        f"─{NBSP}\N{MINUS SIGN}".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _wrap(text: str, width: int) -> str:
    return textwrap.fill(text, min(width, ROOM_FOR_TEXT), subsequent_indent="  ", break_on_hyphens=False)


# ---------------------------------------------------------------- the table


def build_headline_table(findings: Findings, *, plain: bool = False) -> Table:
    """Return the accuracy table in 80 columns, a row for each pipeline. plain: in ASCII only."""
    from rich.box import ASCII2, SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=ASCII2 if plain else SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, caption_justify="left")
    table.add_column("accuracy, in %", overflow="fold")
    for title in ("eps", "clean", "oblivious", "adaptive", "gap", "checks"):
        table.add_column(title, justify="left" if title == "checks" else "right", no_wrap=True)
    records = findings.collect(list_headlines)
    for attacked, group in group_by(records, lambda one: one.attacked).items():
        # Text, not markup: names come from users' files, and one like [red] must stay what it is.
        table.add_row(Text(attacked, style="bold"))
        for record in group:
            cells = (cell.translate(TO_ASCII) if plain else cell for cell in _list_cells(record))
            table.add_row(*map(Text, cells), _show_worst(record))
            if record.certified:
                cells = (cell.translate(TO_ASCII) if plain else cell for cell in _list_certified(record.certified))
                table.add_row(*map(Text, cells))
    sides = [side for one in records for side in (one.oblivious, one.adaptive) if isinstance(side, Strength)]
    attacks = "; ".join(dict.fromkeys(describe_strength(side) for side in sides if not side.comparable))
    unreliable = any(isinstance(one.adaptive, Strength) and not one.reliable for one in records)
    notes = [UNRELIABLE] if unreliable else []
    notes += [_wrap(IMPORTED_EXPLAINED, ROOM_FOR_TEXT)] if any(one.imported for one in records) else []
    notes += [f"{DIFFERING} from another attack than the other rows: {attacks}"] if attacks else []
    if notes:
        table.caption = Text("\n".join(notes))
    return table


def _name_purifier(record: HeadlineRecord) -> str:
    """Return the purifier in words; a row has no column title that says what there is none of."""
    return record.purifier_name if record.autoencoder_id else record.purifier_name.replace("none", "undefended", 1)


def _list_cells(record: HeadlineRecord) -> tuple[str, ...]:
    defended, gap = record.oblivious is not None, record.illusion_gap
    budget = NOT_APPLICABLE if record.eps is None else f"{record.eps:.3g}{'' if record.norm == 'linf' else ' L2'}"
    return (
        f" {_name_purifier(record)}",
        budget,
        f"{100 * record.clean_accuracy:.1f}",
        _write_strength(record.oblivious, "") if defended else NOT_APPLICABLE,
        _write_strength(record.adaptive, "" if record.reliable else UNRELIABLE[0], interval=True),
        (write_gap(gap) if isinstance(gap, float) else NOT_RUN) if defended else NOT_APPLICABLE,
    )


def _list_certified(found: CertifiedRange) -> tuple[str, ...]:
    """Return the cells of the row below a pipeline's, with its certified accuracy under that of the attack."""
    low, high = found.accuracy_interval
    budget = f"{found.eps:.3g}{'' if found.norm == 'linf' else ' L2'}"
    return (
        f"  certified ({found.source})",
        budget,
        "",
        "",
        f"{100 * found.accuracy:.1f} [{100 * low:.1f}, {100 * high:.1f}]",
    )


def _write_strength(side: Strength | NotRun | None, marks: str, *, interval: bool = False) -> str:
    if not isinstance(side, Strength):
        return NOT_RUN
    low, high = side.robust_accuracy_interval
    share = f"{100 * side.robust_accuracy:.1f}{marks}{'' if side.comparable else DIFFERING}"
    return f"{share} [{100 * low:.1f}, {100 * high:.1f}]" if interval else share


def _show_worst(record: HeadlineRecord) -> Text:
    """Return the worst status of a pipeline's checks, and how many checks have it."""
    from rich.text import Text

    status, count = next((one for one in record.checks.items() if one[1]), (NOT_RUN, 0))
    return Text(f"{count} {status}", style=STATUS_COLOURS[status])


# ---------------------------------------------------------------- checks that did not pass


def _list_doubts(findings: Findings) -> Iterator[str]:
    """Yield a paragraph for each reason against the numbers: checks that fail or warn, and checks that were not run."""
    rows, headlines = findings.comparison.rows, {one.classifier_id: one for one in findings.collect(list_headlines)}
    invalid = sum(not row.result.within_budget for row in rows)
    if invalid:
        yield f"{NOT_VALID} ({invalid} of {len(rows)} measurements)"
    doubted = [one for one in headlines.values() if one.oblivious and one.doubt]
    if doubted:
        where = f"{len(doubted)} of {len(headlines)} pipelines, first {doubted[0].pipeline}, {doubted[0].classifier_id}"
        yield f"{NOT_ESTABLISHED} ({where}): {doubted[0].doubt}"
    checks = sorted(findings.collect(list_checks), key=lambda one: [*STATUS_COLOURS].index(one.status))
    found = group_by((one for one in checks if one.headline), lambda one: one.check)
    quoted = [check for check in CHECKS if check in found and found[check][0].status in ("FAIL", "WARN")]
    quoted.sort(key=lambda check: found[check][0].status != "FAIL")
    yield from (_quote_check(found[check], headlines) for check in quoted[:SHOWN_CHECKS])
    if quoted[SHOWN_CHECKS:]:
        yield f"and {len(quoted[SHOWN_CHECKS:])} more checks that did not pass; the page has them all"
    elsewhere = [one for one in list_all_failures(findings.comparison.pipelines) if not one.headline]
    if elsewhere:
        yield f"FAIL on other runs: {len(elsewhere)}, first {elsewhere[0].text}"
    absent = {check: count_results(found.get(check, ()))["NOT RUN"] for check in CHECKS}
    missing = ", ".join(f"{check} ({count})" for check, count in absent.items() if count)
    if missing:
        yield f"NOT RUN (on how many pipelines): {missing}"


def _quote_check(found: Sequence[CheckRecord], headlines: Mapping[str, HeadlineRecord]) -> str:
    """Return the worst result of a check, with its pipeline. found: of all pipelines, the worst first."""
    worst, whose = found[0], headlines[found[0].classifier_id]
    first = f"first {_name_purifier(whose)}, {whose.attacked}"
    of = "" if len(found) == 1 else f" ({count_results(found)[worst.status]} of {len(found)} pipelines, {first})"
    return f"{worst.check} {worst.status}{of}: {worst.sentence}"


# ---------------------------------------------------------------- the largest illusion gap


def _explain_widest(findings: Findings) -> Iterator[str]:
    """Yield the sentence on the largest gap of all pipelines; nothing where there is none."""
    gap = find_largest_gap(findings.collect(list_gaps))
    names = {one.classifier_id: one.pipeline for one in findings.collect(list_headlines)}
    if gap:
        yield f"Largest illusion gap, {names[gap.classifier_id]}: {describe_gap(gap)}"
