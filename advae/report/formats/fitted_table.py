"""A table for terminals of any width, in which no number is broken or cut: where it is too wide, rows become lines."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

EPS, GREY_LEVELS = "eps", " ("
"""The column of eps, and what begins the part of its cells that is left out first, ``0.1 (25.5/255)``."""


WORDS_WIDTH = 13
"""Columns of words that are folded."""


def _shorten(name: str, cell: str) -> str:
    return cell.partition(GREY_LEVELS)[0] if name == EPS else cell


def _name(title: str) -> str:
    """Return the title of a column on one line, without what it says of intervals."""
    return title.partition("\n[")[0].replace("\n", " ")


@dataclass(frozen=True)
class TableOrLines:
    """A table whose first column is of words, and in a terminal that is too narrow for its numbers a line for each."""

    table: Table
    """Its columns of numbers are not wrapped."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fits = Measurement.get(console, options.update(width=1000), self.table).minimum <= options.max_width
        yield self.table if fits else Text("\n".join([*self._list_lines(), str(self.table.caption or "")]).rstrip())

    def _list_lines(self) -> Iterator[str]:
        """Yield the words of each row, and below them each number after the title of its column."""
        titles = [str(column.header) for column in self.table.columns]
        for name, *cells in zip(*(map(str, column.cells) for column in self.table.columns), strict=True):
            yield name
            yield from (f"   {title} {cell}" for title, cell in zip(titles[1:], cells, strict=True) if cell)


class FittedTable:
    """Columns of words and of numbers.

    What makes it narrower, in order: words on several lines, eps without grey levels, a line for each number.
    """

    def __init__(self, title: str, columns: Sequence[str], words: Collection[str]) -> None:
        """title: above the table; columns: their titles, with line breaks; words: those that are no numbers."""
        self.title = title
        self.columns = columns
        self.words = words
        self.rows: list[tuple[str, ...]] = []
        self.notes: tuple[str, ...] = ()

    def add_row(self, *cells: str) -> None:
        """Add a row; a cell for each column."""
        self.rows.append(cells)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        folded = [tuple(map(self._fold, self.columns, row)) for row in self.rows]
        for rows in (self.rows, folded, [tuple(map(_shorten, self.columns, row)) for row in folded]):
            table = self._build(rows)
            if Measurement.get(console, options.update(width=1000), table).maximum <= options.max_width:
                yield table
                return
        yield Text("\n".join([*self._list_titles(), *self._list_lines(), *self.notes]))

    def _build(self, rows: Sequence[Sequence[str]]) -> Table:
        """Return the table of some rows, whose cells are not wrapped."""
        table = Table(
            title="\n".join(self._list_titles()) or None,
            caption="\n".join(self.notes) or None,
            title_justify="left",
            caption_justify="left",
            box=SIMPLE,
            padding=(0, 1, 0, 0),
            pad_edge=False,
        )
        for name in self.columns:
            table.add_column(name, justify="left" if name in self.words else "right", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        return table

    def _fold(self, name: str, cell: str) -> str:
        """Return a cell of words on lines of at most WORDS_WIDTH columns."""
        return "\n".join(textwrap.wrap(cell, WORDS_WIDTH)) if name in self.words else cell

    def _list_titles(self) -> list[str]:
        return [self.title] if self.title else []

    def _list_lines(self) -> Iterator[str]:
        """Yield the rows as lines: the words, and below them each number after the title of its column."""
        before = ""
        for row in self.rows:
            cells = dict(zip(self.columns, row, strict=True))
            head = ", ".join(cell for name, cell in cells.items() if name in self.words and cell)
            numbers = {name: cell for name, cell in cells.items() if name not in self.words and cell}
            if not head:
                yield "  " + " ".join(numbers.values())
                continue
            if head != before:
                yield head
            before = head
            yield from (f"  {_name(name)} {cell}" for name, cell in numbers.items())
