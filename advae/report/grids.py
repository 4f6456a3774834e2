"""A table of words, the same for the page, Markdown, CSV and the terminal."""

from __future__ import annotations

from dataclasses import dataclass


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


def read_value(cell: str) -> float | str | None:
    """Return what a cell sorts by: its number, None where it should have one and has not, else its words."""
    return cell.value if isinstance(cell, Cell) else cell
