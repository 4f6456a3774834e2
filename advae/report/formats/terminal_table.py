"""The table of the terminal's summary: a row for each pipeline, in 80 columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from advae.errors import printable
from advae.records import Norm
from advae.report.analysis.eps_choices import list_eps_choices
from advae.report.analysis.headline_records import Strength
from advae.report.analysis.number_records import PipelineNumber
from advae.report.analysis.pipeline_numbers import list_first_numbers
from advae.report.analysis.tables import Findings, NotRun
from advae.report.data.grouping import group_by
from advae.report.formats.fitted_table import TableOrLines
from advae.report.formats.record_tables import describe_strength, write_gap
from advae.report.wording import (
    IMPORTED_EXPLAINED,
    NBSP,
    NOT_APPLICABLE,
    NOT_RUN,
    format_budget,
    format_share,
    mark_imported,
)

if TYPE_CHECKING:
    from rich.text import Text

ROOM_FOR_TEXT = 80
"""Columns that text is wrapped to at most."""

KEPT_TOGETHER = re.compile(r"(?<=\bn) (?==)|(?<=\bn\s=) (?=\d)|(?<=\d) (?=%)|(?<=\beps) (?=\d)")
"""Spaces inside what belongs together: ``n = 360``, ``95 %``, ``eps 0.3``."""

UNRELIABLE = "* not reliable (a check failed) or not established: see below"

DIFFERING = "+"
"""Marks a number from another eps or other images than the rest of its column; a note below names its attack."""

DEFENCE_COLOURS = {"holds": "green", "partial": "yellow", "weak": "bold yellow", "broken": "bold red"}
"""Colour of each rating of a defence; of the others none."""

TO_ASCII = str.maketrans({NBSP: " ", "\N{MINUS SIGN}": "-", "\N{LEFT DOUBLE QUOTATION MARK}": '"'})
"""ASCII characters for terminals that cannot show these."""


def wrap_text(text: str, width: int) -> str:
    """Return a paragraph as lines that break no number from its sign or name."""
    text = KEPT_TOGETHER.sub(NBSP, text)
    return textwrap.fill(text, min(width, ROOM_FOR_TEXT), subsequent_indent="  ", break_on_hyphens=False)


SUMMARY_TITLES = ("accuracy, in %", "white-box", "certified", "oblivious", "gap", "clean", "defence")
"""Titles of the table's columns: what people came for first."""


def build_headline_table(findings: Findings, *, plain: bool = False) -> TableOrLines:
    """Return the accuracy table in 80 columns, a row for each pipeline; in fewer, lines. plain: in ASCII only."""
    from rich.box import ASCII2, SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    numbers = findings.collect(list_first_numbers)
    budgets = {one.dataset: (one.norm, one.eps) for one in findings.collect(list_eps_choices) if one.shown}
    rows = {one.classifier_id: _list_cells(one, budgets.get(one.dataset)) for one in numbers}
    shown = _choose_columns(numbers)
    table = Table(box=ASCII2 if plain else SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, caption_justify="left")
    for title in shown:
        words = title in (SUMMARY_TITLES[0], SUMMARY_TITLES[-1])
        table.add_column(
            title, justify="left" if words else "right", no_wrap=title != SUMMARY_TITLES[0], overflow="fold"
        )
    for attacked, group in group_by(numbers, lambda one: one.attacked).items():
        # Text, not markup: names come from users' files, and one like [red] must stay what it is.
        table.add_row(Text(printable(attacked), style="bold"))
        for one in group:
            cells = [rows[one.classifier_id][title] for title in shown[:-1]]
            cells = [printable(cell.translate(TO_ASCII) if plain else cell, keep=NBSP) for cell in cells]
            table.add_row(*map(Text, cells), _show_defence(one))
    notes = (printable(note, keep=NBSP) for note in _list_notes(numbers, budgets))
    caption = "\n".join(wrap_text(note, ROOM_FOR_TEXT) for note in notes)
    table.caption = Text(caption.translate(TO_ASCII) if plain else caption)
    return TableOrLines(table)


def _choose_columns(numbers: Sequence[PipelineNumber]) -> list[str]:
    """Return the columns with a number: those in which nothing was measured are named below the table."""
    proved = any(one.certified for one in numbers)
    found = {
        "certified": proved,
        "oblivious": any(isinstance(one.oblivious, Strength) for one in numbers),
        # Beside a certified accuracy there is no room for it; it is the difference of two columns.
        "gap": any(isinstance(one.illusion_gap, float) for one in numbers)
        and not any(one.certified for one in numbers),
    }
    return [title for title in SUMMARY_TITLES if found.get(title, True)]


def _list_notes(numbers: Sequence[PipelineNumber], budgets: Mapping[str, tuple[Norm, float]]) -> Iterator[str]:
    """Yield the eps and the chance level of each dataset, and what the marks in the table mean."""
    chances = {one.dataset: format_share(one.chance) for one in numbers}
    for dataset, (norm, eps) in budgets.items():
        yield f"{dataset}: eps {format_budget(eps, norm)}, chance {chances.get(dataset, NOT_APPLICABLE)}"
    if any(one.robust and one.reliability.result != "reliable" for one in numbers):
        yield UNRELIABLE
    sides = [side for one in numbers for side in (one.oblivious, one.white_box) if isinstance(side, Strength)]
    attacks = "; ".join(dict.fromkeys(describe_strength(side) for side in sides if not side.comparable))
    if attacks:
        yield f"{DIFFERING} from another attack than the other rows: {attacks}".replace(NBSP, " ")
    if any(isinstance(one.oblivious, NotRun) for one in numbers) and "oblivious" not in _choose_columns(numbers):
        yield f"oblivious attack: {NOT_RUN}"
    if any(one.imported for one in numbers):
        yield IMPORTED_EXPLAINED


def _name_eps(norm: Norm, eps: float) -> str:
    return f"{eps:.3g}{'' if norm == 'linf' else ' L2'}"


def _list_cells(one: PipelineNumber, budget: tuple[Norm, float] | None) -> dict[str, str]:
    """Return a pipeline's cells by the title of their column. budget: the eps that is named once."""
    gap, proved = one.illusion_gap, one.certified
    elsewhere = "" if (one.norm, one.eps) == budget else f", eps {_name_eps(one.norm, one.eps)}"
    mark = "" if one.reliability.result == "reliable" else UNRELIABLE[0]
    cells = (
        f" {one.purifier_name}{elsewhere}{mark_imported(one.imported)}",
        _write_strength(one.white_box, mark, interval=True),
        f"{100 * proved.accuracy:.1f}" if proved else NOT_APPLICABLE,
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
