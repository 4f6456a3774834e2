"""A table of words, the same for the page, Markdown, CSV and the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from advae.report.data.runs import Rate
from advae.report.wording import format_eps, format_rate, format_share


class Cell(str):
    """A cell's words for people, with the number behind them, by which it sorts and which programs read."""

    __slots__ = ("value",)
    value: float | None

    def __new__(cls, text: str, value: float | None) -> Cell:
        cell = super().__new__(cls, text)
        cell.value = value
        return cell


@dataclass(frozen=True)
class Grid:
    """A table for people."""

    name: str
    """Its name where it has no heading."""
    titles: tuple[str, ...]
    """Titles of the columns; the first may be empty."""
    rows: tuple[tuple[str, ...], ...]
    """Text of each cell; a Cell where a number is behind it."""
    meanings: tuple[str, ...] = ()
    """Meaning of each column; empty where the titles say it."""


@dataclass(frozen=True)
class Part:
    """One grid of a table of the report. Without rows only heading, aside and command are shown."""

    grid: Grid
    """The grid."""
    keys: Mapping[str, object]
    """Values that identify it among the table's grids, by CSV column (``classifier_id``, ``run``, ``eps``, ...)."""
    heading: str = ""
    """Text above it."""
    aside: str = ""
    """Sentence below the heading."""
    command: str = ""
    """Command that runs what is missing; empty where nothing is."""


def read_value(cell: str) -> float | str | None:
    """Return what a cell sorts by: its number, None where it should have one and has not, else its words."""
    return cell.value if isinstance(cell, Cell) else cell


def show_percentage(value: float | None) -> Cell:
    """Return a share as a cell."""
    return Cell(format_share(value), value)


def show_rate(rate: Rate | None) -> Cell:
    """Return a rate with its interval as a cell; NOT RUN where there is none."""
    return Cell(format_rate(rate), rate.value if rate else None)


def show_eps(eps: float) -> Cell:
    """Return eps in both scales as a cell."""
    return Cell(format_eps(eps), eps)


def show_count(count: int | None) -> Cell:
    """Return a count as a cell."""
    return Cell(str(count), count)
