"""A line of progress that fits its terminal: what is done, a bar, the time left, and a note where there is room."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil

from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.control import Control
from rich.progress import Progress, Task
from rich.segment import ControlType
from rich.text import Text

SPINNER, PLAIN_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"
"""Signs that take turns to show that the program works; the second for terminals without Unicode."""

TURNS_A_SECOND = 8

REWRAPPING = ("TMUX", "VTE_VERSION", "TERM_PROGRAM", "KITTY_WINDOW_ID", "WT_SESSION", "ALACRITTY_WINDOW_ID")
"""Variables of terminals that wrap lines again when they become narrower.

Rich goes up by as many rows as it has written, and these show more. Others, such as xterm, cut the lines.
"""

SHORTEST_BAR, LONGEST_BAR = 10, 30
"""Columns of a bar."""


def show_time(seconds: float) -> str:
    """Return a duration of progress, ``0:07`` or ``1:02:03``."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


@dataclass(frozen=True)
class ProgressLine:
    """One line of progress."""

    what: str
    """What is done."""
    share: float | None
    """Share that is done, 0 to 1; None where it is not known, and no bar is drawn."""
    spent: float
    """Seconds since it began."""
    left: float | None
    """Estimated seconds that are left; None where they are not known, and the spent ones are shown."""
    note: str = ""
    """What is shown where there is room."""
    short: str = ""
    """What is done, where there is no room for all of it."""

    def compose(self, console: Console) -> Text:
        """Return the line, which leaves at least one of the terminal's columns free."""
        options = console.options
        return Text.assemble(*self._list_pieces(options.max_width, plain=options.ascii_only), no_wrap=True, end="")

    def _list_pieces(self, width: int, *, plain: bool) -> Iterator[tuple[str, str]]:
        """Yield the pieces of the line with their styles."""
        signs = PLAIN_SPINNER if plain else SPINNER
        yield f"{signs[int(self.spent * TURNS_A_SECOND) % len(signs)]} ", "progress.spinner"
        clock = f" {show_time(self.spent)}" if self.left is None else f" {show_time(self.left)} left"
        room = width - 1 - 2 - len(clock)
        what = self.what if cell_len(self.what) <= room or not self.short else self.short
        if cell_len(what) > room:
            what = set_cell_size(what, max(room - 1, 0)) + ("." if plain else "…")
        yield what, ""
        room -= cell_len(what)
        bar = 0 if not self.share or room <= SHORTEST_BAR else min(LONGEST_BAR, room - 1)
        note = f"  {self.note}" if self.note else ""
        if bar and SHORTEST_BAR + 1 + cell_len(note) <= room:
            bar = min(bar, room - 1 - cell_len(note))
        yield from self._draw_bar(bar, plain=plain)
        yield clock, "progress.remaining" if self.left is not None else "progress.elapsed"
        if cell_len(note) <= room - (bar + 1 if bar else 0):
            yield note, ""

    def _draw_bar(self, width: int, *, plain: bool) -> Iterator[tuple[str, str]]:
        """Yield the bar; without colours, its rest is told from it by its sign."""
        if width:
            done = int(width * min(self.share or 0.0, 1.0))
            yield " ", ""
            yield ("#" if plain else "━") * done, "bar.complete"
            yield ("-" if plain else "┄") * (width - done), "bar.back"


def read_line(task: Task) -> ProgressLine:
    """Return the line of a task.

    Its fields, each of them optional: ``share`` that is done; ``left``, a function that returns the seconds left, None
    where they are not known; ``note`` and ``short`` of the line.
    """
    left = task.fields.get("left")
    return ProgressLine(
        task.description,
        task.fields.get("share"),
        task.elapsed or 0.0,
        left() if left else None,
        task.fields.get("note", ""),
        task.fields.get("short", ""),
    )


class LineProgress(Progress):
    """Rich's progress display with a line for each task, which stays one line while the terminal changes its width."""

    drawn: tuple[int, list[int]] = (0, [])
    """Width of the terminal when the lines were drawn last, and their lengths, in columns."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield what clears rows of wrapped lines, then a line for each visible task."""
        if not self.tasks:
            # Rich's constructor asks for them, too, before there is a console.
            return
        width = self.console.width
        texts = [read_line(task).compose(self.console) for task in self.tasks if task.visible]
        before, lengths = self.drawn
        if 0 < width < before and any(map(os.environ.get, REWRAPPING)):
            extra = sum(ceil(length / width) - 1 for length in lengths if length)
            yield Control(
                *(code for _ in range(extra) for code in ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)))
            )
        self.drawn = width, [text.cell_len for text in texts]
        yield Text("\n").join(texts)
