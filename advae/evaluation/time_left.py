"""The time that an attack still takes: what was expected, corrected by what its batches really take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from advae.evaluation.attack_costs import AttackCosts


class TimeLeft:
    """The seconds that are left of an attack; it says them after each batch.

    costs: what was expected; None: nothing is said. eps: of the recipe; n: number of images; tell: takes seconds, None:
    nothing does.
    """

    def __init__(
        self, costs: AttackCosts | None, eps: tuple[float, ...], n: int, tell: Callable[[float], None] | None
    ) -> None:
        self.costs, self.radii, self.n, self.tell = costs, sorted(eps), n, tell or (lambda seconds: None)
        self._expected = None if costs is None else costs.seconds.copy()
        self._stage = (0, 0)
        self._begun, self._rows, self._done = time.monotonic(), 1, 0

    def begin(self, eps: float, member: int, rows: int, *, done: int = 0) -> None:
        """Begin with a member of an ensemble at an eps: it attacks so many rows, of which some are done already."""
        if self.costs is None or self._expected is None:
            return
        place = self.radii.index(eps)
        # Everything before is done, or was done before an interruption.
        self._expected[:place] = 0.0
        self._expected[place, :member] = 0.0
        ratio = rows / max(1.0, self.n * float(self.costs.entering[place, member]))
        self._expected[place, member] *= ratio * (1 - done / max(1, rows))
        self._stage, self._rows, self._done = (place, member), max(1, rows - done), 0
        self._begun = time.monotonic()
        self.tell(self.left())

    def finish_batch(self, rows: int) -> None:
        """Finish a batch of so many rows."""
        if self._expected is None:
            return
        self._done += rows
        place, member = self._stage
        taken, share = time.monotonic() - self._begun, self._done / self._rows
        before, self._expected[place, member] = self._expected[place, member], taken / share
        # The same member is as much slower, or faster, at the larger eps.
        if before > 0:
            self._expected[place + 1 :, member] *= self._expected[place, member] / before
        self.tell(self.left())

    def left(self) -> float:
        """Return the seconds that are left, at least 0."""
        if self.costs is None or self._expected is None:
            return 0.0
        place, member = self._stage
        now = max(0.0, float(self._expected[place, member]) - (time.monotonic() - self._begun))
        return (
            now
            + float(self._expected[place, member + 1 :].sum() + self._expected[place + 1 :].sum())
            + self.costs.probing
        )
