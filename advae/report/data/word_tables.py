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
    """A table for people. name: what it is called where it has no heading; the first title may be empty.

    rows: words; a Cell where a number is behind them.
    """

    name: str
    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Part:
    """A grid where it belongs: one of those that a table of the report consists of.

    keys: what tells it from the table's other grids, by the column that the CSV has for it (``classifier_id``,
    ``run``, ``eps``, ...); heading: what stands above it; aside: a sentence below the heading; command: what would run
    that which is missing, empty where nothing is. A grid without rows is not shown, heading, aside and command are.
    """

    grid: Grid
    keys: Mapping[str, object]
    heading: str = ""
    aside: str = ""
    command: str = ""


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
