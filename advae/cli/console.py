"""The console for people, on stderr: how wide it is, and whether it has colours."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Literal

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from advae.errors import printable

WIDTH_OF_FILES = 120
"""Columns where stderr is no terminal: a file has no width of its own, and Rich's 80 would break every table."""


class StderrConsole(Console):
    """Rich's console, which goes on where stderr has no reader, and shows nothing that cannot be printed."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield what is drawn: of texts, those of others among them, only what moves no cursor."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else printable(segment.text, keep="\n")
            yield segment if text is segment.text else Segment(text, segment.style)

    def on_broken_pipe(self) -> None:
        """Say nothing more. Rich would end the program, whose data and exit code are not for people."""
        self.quiet = True


def open_console(*, color: bool) -> Console:
    """Return the console on stderr. It counts as a terminal only where it is one, whatever FORCE_COLOR says.

    color: False where ``--no-color`` was given.
    """
    is_terminal = sys.stderr.isatty()
    return StderrConsole(
        stderr=True,
        force_terminal=is_terminal,
        color_system=_choose_colors(color=color, is_terminal=is_terminal),
        highlight=False,
        soft_wrap=True,
        width=None if is_terminal else WIDTH_OF_FILES,
        markup=False,
        emoji=False,
    )


def _choose_colors(*, color: bool, is_terminal: bool) -> Literal["auto", "standard"] | None:
    """Return the colours to use: none where the user said so (no-color.org), in a file only where the user said so."""
    if not color or os.environ.get("NO_COLOR"):
        return None
    forced = [os.environ.get(name, "") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")]
    if not is_terminal and any(value not in ("", "0") for value in forced):
        return "standard"
    return "auto"
