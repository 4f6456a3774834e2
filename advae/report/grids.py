"""A table of words, the same for the page, Markdown and the terminal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """A table for people. name: what it is called where it has no heading; the first title may be empty."""

    name: str
    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
