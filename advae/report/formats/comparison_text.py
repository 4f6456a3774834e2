"""Two entries beside each other as plain text in 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from advae.report.analysis.side_by_side import ComparedAccuracy, ComparedLine, SideBySide, name_side_attacks
from advae.report.wording import format_p

TEXT_WIDTH = 80
"""Width that the text is made for."""

COMPARED_TITLES = ("eps", "first, in %", "second, in %", "the second", "p", "n")
"""Titles of the columns."""


def write_comparison_text(found: SideBySide) -> str:
    """Return both sides at each eps, a line each, aligned."""
    rows = [COMPARED_TITLES, *map(_list_cells, found.lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"{name:6}  {side.id}  {side.pipeline}" for name, side in (("first", found.first), ("second", found.second))
    ]
    lines += ["", *(_align(row, widths) for row in rows), ""]
    lines += [part for text in _list_remarks(found) for part in textwrap.wrap(text, TEXT_WIDTH, subsequent_indent="  ")]
    return "\n".join(lines)


def _list_cells(line: ComparedLine) -> tuple[str, ...]:
    name = "clean" if line.norm is None else f"{line.eps:.3g}{'' if line.norm == 'linf' else ' L2'}"
    return name, _show(line.first), _show(line.second), line.text, format_p(line.mcnemar_p), str(line.n)


def _show(side: ComparedAccuracy) -> str:
    low, high = side.accuracy_interval
    return f"{100 * side.accuracy:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _align(row: tuple[str, ...], widths: list[int]) -> str:
    """Return a line; the name and the words are on the left, numbers on the right."""
    places = zip(row, widths, strict=True)
    cells = (cell.ljust(width) if place in (0, 3) else cell.rjust(width) for place, (cell, width) in enumerate(places))
    return "  ".join(cells).rstrip()


def _list_remarks(found: SideBySide) -> Iterator[str]:
    what = "attack" if found.kind == "run" else "strongest adaptive attack"
    yield from (f"{what}, {attacks}" for attacks in name_side_attacks(found))
    yield "p: McNemar's exact test on the n images of both; below 0.05 the difference is not due to chance."
