"""Lines that a command tells several times, of other entries: the first one is shown, the others are counted."""

from __future__ import annotations

import re
from collections.abc import Callable

from advae.identity import KINDS

SUBJECT = re.compile(rf"\b(?:{'|'.join(KINDS)})-[0-9a-f]{{12}}\b")
"""An id in a line; lines that differ in ids only tell the same."""


class RepeatedLines:
    """Shows each line once, and at the end how often it was told again."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self.show = show
        self.lines: dict[str, list[str]] = {}

    def tell(self, line: str) -> None:
        """Show a line unless the same was shown before."""
        told = self.lines.setdefault(SUBJECT.sub("", line), [])
        told.append(line)
        if len(told) == 1:
            self.show(line)

    def finish(self) -> None:
        """Show how often lines were told again."""
        for first, *others in self.lines.values():
            if others:
                ids = ", ".join(dict.fromkeys(id_ for line in others for id_ in SUBJECT.findall(line)[:1]))
                times = "once more" if len(others) == 1 else f"{len(others)} more times"
                self.show(f"{times}{f' ({ids})' if ids else ''}: {first}")
