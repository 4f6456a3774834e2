"""Lists on stdout: for a terminal a table that fits its width, for a pipe fields that `cut` and `grep` find."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

ROOM_FOR_LAST, LEAST_FOR_LAST = 40, 22
"""Columns for the last field, a text, for which others are left out; and what it gets at least, which an id fits in."""

GAP = "  "


def is_table() -> bool:
    """Return whether people read stdout: it is a terminal."""
    return sys.stdout.isatty()


def separate(rows: Sequence[Sequence[str]]) -> str:
    """Return a line for each row, with tabs between its fields, for programs."""
    return "\n".join("\t".join(row) for row in rows)


def tabulate(rows: Sequence[Sequence[str]], spare: Sequence[str] = ()) -> str:
    """Return aligned lines for a terminal, the first row as titles.

    Where they are too wide, the columns of ``spare`` are left out in their order; the last column is a text, which
    is folded between words, so that no number is broken.
    """
    width = shutil.get_terminal_size().columns
    titles, kept = list(rows[0]), list(range(len(rows[0])))
    # Only the widths are counted before the rows are written: there may be thousands.
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for title in spare:
        if _measure(widths, kept) + min(widths[-1], ROOM_FOR_LAST) <= width:
            break
        kept.remove(titles.index(title))
    return "\n".join(line for row in rows for line in _write(row, widths, kept, width))


def _measure(widths: Sequence[int], kept: Sequence[int]) -> int:
    """Return the columns before the last field."""
    return sum(widths[index] + len(GAP) for index in kept[:-1])


def _write(row: Sequence[str], widths: Sequence[int], kept: Sequence[int], width: int) -> Iterator[str]:
    """Yield the lines of a row."""
    start = GAP.join(row[index].ljust(widths[index]) for index in kept[:-1]) + GAP
    text = row[kept[-1]]
    if len(start) + len(text) <= width:
        yield (start + text).rstrip()
        return
    room = max(width - len(start), LEAST_FOR_LAST)
    for line in textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False):
        yield (start + line).rstrip()
        start = " " * len(start)
