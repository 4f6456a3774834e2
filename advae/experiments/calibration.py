"""Calibration of eps: the radius at which an undefended classifier falls to an accuracy that a paper prints.

Papers give the accuracy under attack more often than its eps. The attack is swept over a grid of eps on the undefended
classifier, one run of the registry, and the eps is read off that run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, Strict

from advae.attacks import ATTACKS
from advae.errors import UsageError, unknown
from advae.experiments.plan_numbers import Number, PlannedEps
from advae.records import EpsResult, Record
from advae.requests import AttackRequest
from advae.run_options import Norm

LARGEST_GRID = 1000
"""Most eps of a grid; an adversarial example is scored at each."""


class Calibration(Record):
    """The search for an eps, in a plan in place of ``eps``."""

    accuracy: Annotated[Number, Field(ge=0, lt=1)]
    """Robust accuracy of the undefended classifier that is searched, 0 to 1."""
    method: str = "fgsm"
    """The attack, a name of ATTACKS."""
    most: Annotated[PlannedEps, Field(gt=0)] = 0.5
    """Largest eps of the grid, in units of x."""
    steps: Annotated[int, Strict(), Field(ge=2, le=LARGEST_GRID)] = 100
    """Number of eps of the grid, evenly spaced from ``most`` / ``steps`` to ``most``."""

    @property
    def grid(self) -> tuple[float, ...]:
        """The eps that are tried, ascending; written with at most 12 digits."""
        return tuple(float(f"{self.most * step / self.steps:.12g}") for step in range(1, self.steps + 1))

    def make_request(self, seed: int, norm: Norm) -> AttackRequest:
        """Return the request for the sweep, on all test images of the undefended classifier. Raises UsageError."""
        row = ATTACKS.get(self.method)
        if row is None or row.threat:
            raise UsageError(unknown("method", self.method, [name for name, one in ATTACKS.items() if not one.threat]))
        return AttackRequest(method=self.method, threat="adaptive", eps=self.grid, seed=seed, norm=norm)


def choose_result(results: Sequence[EpsResult], accuracy: float) -> EpsResult:
    """Return the result of a sweep that is nearest to an accuracy, of equally near ones that of the smallest eps.

    No eps beyond the first that reaches it is considered, because the accuracy under a one-step attack may rise again
    at a large eps. Where none reaches it, this is the lowest accuracy.
    """
    ascending = sorted(results, key=lambda result: result.eps)
    reached = next((place for place, one in enumerate(ascending) if one.accuracy <= accuracy), len(ascending))
    return min(ascending[: reached + 1], key=lambda one: (abs(one.accuracy - accuracy), one.eps))
