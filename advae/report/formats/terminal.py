"""The report's summary for a terminal: the answer, the accuracy of each pipeline, and the checks that did not pass."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from advae.checks import CHECKS, NOT_VALID
from advae.records import Norm
from advae.report.analysis.check_results import CheckRecord, count_results, list_all_failures, list_checks
from advae.report.analysis.headline_records import HeadlineRecord, Strength, list_headlines
from advae.report.analysis.illusion_gap import describe_gap, find_largest_gap, list_gaps
from advae.report.analysis.number_records import PipelineNumber
from advae.report.analysis.overview import list_overviews, write_title
from advae.report.analysis.pipeline_numbers import list_first_numbers
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
    format_share,
    mark_imported,
)

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

ROOM_FOR_TEXT = 80
"""Columns that text is wrapped to at most."""

APART = re.compile(r"(?<=\bn) (?==)|(?<=\bn\s=) (?=\d)|(?<=\d) (?=%)|(?<=\beps) (?=\d)")
"""Spaces inside what belongs together: ``n = 360``, ``95 %``, ``eps 0.3``."""

SHOWN_CHECKS = 7
"""Checks that are quoted; the others are counted, and the page lists all of them."""

UNRELIABLE = "* not reliable (a check failed) or not established: see below"

DIFFERING = "+"
"""Marks a number from another eps or other images than the rest of its column; a note below names its attack."""

DEFENCE_COLOURS = {"holds": "green", "partial": "yellow", "weak": "bold yellow", "broken": "bold red"}
"""Colour of each rating of a defence; of the others none."""

TO_ASCII = str.maketrans({NBSP: " ", "\N{MINUS SIGN}": "-", "\N{LEFT DOUBLE QUOTATION MARK}": '"'})
"""ASCII characters for terminals that cannot show these."""


def summarize(comparison: Comparison, *, width: int, encoding: str) -> list[RenderableType]:
    """Return the parts of the summary, in order. width: columns of the terminal; encoding: of the terminal."""
    unicode, findings = _can_encode(encoding), Findings(comparison)
    paragraphs = [_write_overviews(findings), _list_doubts(findings), _explain_widest(findings)]
    texts = ["\n".join(_wrap(line, width) for line in lines) for lines in paragraphs]
    first, *more = (text if unicode else text.translate(TO_ASCII) for text in texts)
    return [first, build_headline_table(findings, plain=not unicode), *filter(None, more)]


def _write_overviews(findings: Findings) -> Iterator[str]:
    """Yield the title of the report, then what the summary of each dataset says, without version and date."""
    overviews = findings.collect(list_overviews)
    yield write_title(findings)
    for overview in overviews:
        _, *lines, _ = overview.summary.split("\n")
        yield from lines


def _can_encode(encoding: str) -> bool:
    try:
        f"─{NBSP}\N{MINUS SIGN}".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _wrap(text: str, width: int) -> str:
    """Return a paragraph as lines that break no number from its sign or name."""
    text = APART.sub(NBSP, text)
    return textwrap.fill(text, min(width, ROOM_FOR_TEXT), subsequent_indent="  ", break_on_hyphens=False)


# ---------------------------------------------------------------- the table


SUMMARY_TITLES = ("accuracy, in %", "white-box", "certified", "oblivious", "gap", "clean", "defence")
"""Titles of the table's columns: what people came for first."""


def build_headline_table(findings: Findings, *, plain: bool = False) -> Table:
    """Return the accuracy table in 80 columns, a row for each pipeline. plain: in ASCII only."""
    from rich.box import ASCII2, SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    numbers = findings.collect(list_first_numbers)
    left_out = () if any(one.certified for one in numbers) else ("certified",)
    table = Table(box=ASCII2 if plain else SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, caption_justify="left")
    table.add_column(SUMMARY_TITLES[0], overflow="fold")
    for title in (one for one in SUMMARY_TITLES[1:] if one not in left_out):
        table.add_column(title, justify="left" if title == "defence" else "right", no_wrap=True)
    for attacked, group in group_by(numbers, lambda one: one.attacked).items():
        budget = Counter((one.norm, one.eps) for one in group).most_common(1)[0][0]
        # Text, not markup: names come from users' files, and one like [red] must stay what it is.
        table.add_row(Text(f"{attacked}, eps {_name_eps(*budget)}", style="bold"))
        for one in group:
            cells = _list_cells(one, budget)
            shown = [cells[title] for title in SUMMARY_TITLES[:-1] if title not in left_out]
            table.add_row(*(Text(cell.translate(TO_ASCII) if plain else cell) for cell in shown), _show_defence(one))
    notes = list(_list_notes(numbers))
    if notes:
        caption = "\n".join(_wrap(note, ROOM_FOR_TEXT) for note in notes)
        table.caption = Text(caption.translate(TO_ASCII) if plain else caption)
    return table


def _list_notes(numbers: Sequence[PipelineNumber]) -> Iterator[str]:
    """Yield what the marks in the table mean, and the chance level."""
    if any(one.robust and one.reliability.result != "reliable" for one in numbers):
        yield UNRELIABLE
    sides = [side for one in numbers for side in (one.oblivious, one.white_box) if isinstance(side, Strength)]
    attacks = "; ".join(dict.fromkeys(describe_strength(side) for side in sides if not side.comparable))
    if attacks:
        yield f"{DIFFERING} from another attack than the other rows: {attacks}".replace(NBSP, " ")
    chances = dict.fromkeys(f"{format_share(one.chance)} on {one.dataset}".replace(NBSP, " ") for one in numbers)
    yield f"chance: {', '.join(chances)}"
    if any(one.imported for one in numbers):
        yield IMPORTED_EXPLAINED


def _name_eps(norm: Norm, eps: float) -> str:
    return f"{eps:.3g}{'' if norm == 'linf' else ' L2'}"


def _list_cells(one: PipelineNumber, budget: tuple[Norm, float]) -> dict[str, str]:
    """Return a pipeline's cells by the title of their column. budget: the eps of its group, which is named once."""
    gap, proved = one.illusion_gap, one.certified
    elsewhere = "" if (one.norm, one.eps) == budget else f", eps {_name_eps(one.norm, one.eps)}"
    mark = "" if one.reliability.result == "reliable" else UNRELIABLE[0]
    cells = (
        f" {one.purifier_name}{elsewhere}{mark_imported(one.imported)}",
        _write_strength(one.white_box, mark, interval=True),
        f"{100 * proved.accuracy:.1f}" if proved else "",
        _write_strength(one.oblivious, "") if one.oblivious else NOT_APPLICABLE,
        (write_gap(gap) if isinstance(gap, float) else NOT_RUN) if one.oblivious else NOT_APPLICABLE,
        f"{100 * one.clean_accuracy:.1f}",
    )
    return dict(zip(SUMMARY_TITLES, cells, strict=False))


def _write_strength(side: Strength | NotRun | None, marks: str, *, interval: bool = False) -> str:
    if not isinstance(side, Strength):
        return NOT_RUN
    low, high = side.robust_accuracy_interval
    share = f"{100 * side.robust_accuracy:.1f}{marks}{'' if side.comparable else DIFFERING}"
    return f"{share} [{100 * low:.1f}, {100 * high:.1f}]" if interval else share


def _show_defence(one: PipelineNumber) -> Text:
    """Return whether the defence is good, in one word."""
    from rich.text import Text

    result = one.defence.result if one.defence else "reference"
    return Text(result, style=DEFENCE_COLOURS.get(result, ""))


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
    name = whose.purifier_name if whose.autoencoder_id else whose.purifier_name.replace("none", "undefended", 1)
    first = f"first {name}, {whose.attacked}"
    of = "" if len(found) == 1 else f" ({count_results(found)[worst.status]} of {len(found)} pipelines, {first})"
    return f"{worst.check} {worst.status}{of}: {worst.sentence}"


# ---------------------------------------------------------------- the largest illusion gap


def _explain_widest(findings: Findings) -> Iterator[str]:
    """Yield the sentence on the largest gap of all pipelines; nothing where there is none."""
    gap = find_largest_gap(findings.collect(list_gaps))
    names = {one.classifier_id: one.pipeline for one in findings.collect(list_headlines)}
    if gap:
        yield f"Largest illusion gap, {names[gap.classifier_id]}: {describe_gap(gap)}"
