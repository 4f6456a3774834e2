"""The time left of a long attack, beside its progress bar."""

from __future__ import annotations

import time

from rich.progress import Task, TimeRemainingColumn
from rich.text import Text

LONG = 30.0
"""Seconds from which on an attack says beforehand how long it takes."""


class TimeLeftColumn(TimeRemainingColumn):
    """The time left: until the task's field ``ends``, a reading of time.monotonic(); without one as Rich guesses it."""

    def render(self, task: Task) -> Text:
        """Return the time left, ``0:01:30``."""
        ends = task.fields.get("ends")
        if ends is None or task.finished:
            return super().render(task)
        left = max(0, round(ends - time.monotonic()))
        return Text(f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02}", style="progress.remaining")
