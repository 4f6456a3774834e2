"""The progress of a command's work, as its workflow reports it: what is done now, and how long it takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from advae.errors import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from advae.models.fitting import Epoch

LONG = 30.0
"""Seconds from which on an attack says beforehand how long it takes."""

LONG_UNIT = 60.0
"""Seconds of the first epoch or batch from which its compilation is a small part of it."""

OVERDUE = 2.0
"""Seconds after its estimated end from which on no time left is shown."""

SHARE_NAMES = {
    "clean_accuracy": "clean",
    "attacked_accuracy": "robust",
    "certified_accuracy": "certified",
    "unstable_relus": "unstable ReLUs",
}
"""Field of a training's history -> how its progress names it."""


def describe_epoch(epoch: Epoch) -> str:
    """Return the losses of an epoch, and what else was measured on the held-out images."""
    note = f"loss {epoch.loss:.4g}, validation {epoch.validation_loss:.4g}"
    measured = (f"{SHARE_NAMES[name]} {share:.1%}" for name, share in epoch.shares.items())
    return f"{note}, held out: {', '.join(measured)}" if epoch.shares else note


class Pace:
    """Estimates when work ends, from the times of its units (epochs, batches); made when the work begins."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        # How many units were done when the first one was reported, and when that was.
        self.first: tuple[int, float] | None = None

    def estimate_end(self, done: int, total: int) -> float | None:
        """Return when the work ends, None while that cannot be known: the first unit includes the compilation."""
        now = time.monotonic()
        if self.first is None or done < self.first[0]:
            self.first = done, now
        first, then = self.first
        if done > first:
            return now + (now - then) / (done - first) * (total - done)
        return now + (now - self.begun) / done * (total - done) if now - self.begun > LONG_UNIT and done else None


class WorkProgress:
    """Draws the work of one command as one line."""

    def __init__(self, progress: Progress, title: str) -> None:
        self.progress = progress
        self.title = title
        self.stage = ""
        self.pace = Pace()
        self.known_end: float | None = None
        self.guessed_end: float | None = None
        self.task: TaskID = progress.add_task(printable(title), total=None, share=None, left=self._tell_left)

    def begin(self, title: str) -> None:
        """Begin to make another entry."""
        self.title = title
        self.show_stage("")

    def show_stage(self, stage: str) -> None:
        """Show what is done now, of which nothing is known but that it has begun."""
        self.stage, self.pace, self.known_end, self.guessed_end = stage, Pace(), None, None
        self.progress.reset(self.task, **self._describe(), share=None, note="", left=self._tell_left)
        # What comes next may not let the display's thread run for seconds.
        self.progress.refresh()

    def show_epoch(self, epoch: Epoch) -> None:
        """Show the epoch that has begun, the time left, and the losses of the last one."""
        self.stage = f"epoch {min(epoch.number + 1, epoch.epochs)} of {epoch.epochs}"
        self._advance(epoch.number, epoch.epochs, describe_epoch(epoch))

    def show_batch(self, done: int, total: int) -> None:
        """Show which share of the batches, or of the images, is done."""
        self.stage = f"{done / total:.0%}" if total else ""
        self._advance(done, total, "")

    def show_time_left(self, seconds: float) -> None:
        """Show a time that is known better than by the batches."""
        self.known_end = time.monotonic() + seconds

    def _advance(self, done: int, total: int, note: str) -> None:
        self.guessed_end = self.pace.estimate_end(done, total)
        self.progress.update(
            self.task,
            **self._describe(),
            share=done / total if total else None,
            note=note,
        )

    def _tell_left(self) -> float | None:
        """Return the seconds left, None where they are not known or are over."""
        ends = self.known_end or self.guessed_end
        left = None if ends is None else ends - time.monotonic()
        return None if left is None or left < -OVERDUE else max(left, 0.0)

    def _describe(self) -> dict[str, Any]:
        """Return what is done, and the same without the title, for a narrow terminal."""
        what = printable(f"{self.title}: {self.stage}" if self.stage else self.title)
        return {"description": what, "short": printable(self.stage)}
