"""The result of one check, as it is stored with what it was made on."""

from __future__ import annotations

from typing import Literal

from advae.records.base import Name, Record

Status = Literal["PASS", "WARN", "FAIL", "NOT RUN"]


class CheckResult(Record):
    """Result of one check."""

    check: Name
    """The check's name in the table CHECKS."""
    status: Status
    """PASS, WARN, FAIL, or NOT RUN where a run that the check needs is missing."""
    sentence: Name
    """The finding, in one sentence."""
    # Without limits: the difference of two numbers may be outside the range of each.
    number: float | None = None
    """The number in the finding, in the check's own unit; None where there is none."""
