"""The console for people, on stderr: its width and its colours."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from advae.errors import printable

WIDTH_OF_FILES = 120
"""Width in columns where stderr is no terminal; Rich's default of 80 is too narrow for the tables."""


class StderrConsole(Console):
    """Rich's console, which neither ends the program at a closed stderr nor prints unprintable characters."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments with unprintable characters escaped, so that foreign text cannot move the cursor."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else printable(segment.text, keep="\n")
            yield segment if text is segment.text else Segment(text, segment.style)

    def on_broken_pipe(self) -> None:
        """Print nothing more. Rich would end the program, but a closed stderr must not change data and exit code."""
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


@contextmanager
def beside_redirection(console: Console) -> Iterator[None]:
    """Let a console on stderr write to a copy of its descriptor.

    The import of TensorFlow redirects descriptor 2 for seconds, in which progress is to be seen.
    """
    try:
        copy = os.dup(sys.stderr.fileno())
    except (OSError, ValueError):
        # Stderr is no file, or closed.
        yield
        return
    with os.fdopen(copy, "w", encoding=sys.stderr.encoding, errors=sys.stderr.errors) as stream:
        console.file = stream
        try:
            yield
        finally:
            console.file = sys.stderr


def _choose_colors(*, color: bool, is_terminal: bool) -> Literal["auto", "standard"] | None:
    """Return the colours to use: none where the user said so (no-color.org), in a file only where the user said so."""
    if not color or os.environ.get("NO_COLOR"):
        return None
    forced = [os.environ.get(name, "") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")]
    if not is_terminal and any(value not in ("", "0") for value in forced):
        return "standard"
    return "auto"
