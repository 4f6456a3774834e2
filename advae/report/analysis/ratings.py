"""Two ratings of a result, apart: whether the defence is good, and whether the number is reliable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from advae.checks import list_counted
from advae.checks.strongest import SIGNIFICANT
from advae.records import CheckResult
from advae.report.analysis.tables import TableRecord
from advae.report.data.runs import Rate
from advae.report.wording import NBSP, NOT_RUN, format_p, format_share

DefenceResult = Literal["holds", "partial", "weak", "broken", "not established", "collapsed"]
NumberResult = Literal["reliable", "not reliable", "no number"]

PROTECTS: tuple[DefenceResult, ...] = ("holds", "partial")
"""Ratings with which a defence protects the classifier, wholly or in part."""

PART_SHARE = 0.5
"""Share of the clean accuracy from which a robust accuracy is partial."""

PROVED_SHARE = 0.75
"""Share of the clean accuracy from which a certified accuracy holds."""

ATTACKED_SHARE = 0.9
"""The same of a robust accuracy that is known from attacks alone, which can only bound it from above."""

SEARCHING = ("adaptive", "black-box", "gradients", "convergence", "restarts")
"""Checks that must PASS before a defence holds without a certificate: those that look for a stronger attack."""

RULE = (
    "The clean accuracy is that of the pipeline, or of its undefended counterpart where that is higher.",
    "Collapsed: the classifier predicts one class whatever the image.",
    "Broken: the robust accuracy is at or below chance, one over the number of classes. An attack that works is proof, "
    "so this holds whichever checks fail.",
    f"Holds: a certificate proves at least {PROVED_SHARE:.0%} of the clean accuracy; or, from attacks alone, at least "
    f"{ATTACKED_SHARE:.0%} of it, clearly more than undefended on the same images (McNemar, p < {SIGNIFICANT}), no "
    f"check fails and these PASS: {', '.join(SEARCHING)}.",
    f"Partial: at least {PART_SHARE:.0%} of the clean accuracy, by a certificate or under attack, and then clearly "
    "more than undefended where that was run.",
    "Not established: no adaptive attack with usable gradients was run, or a check fails, or the undefended "
    f"counterpart still has {ATTACKED_SHARE:.0%} of its clean accuracy, so that the eps is too small to test a "
    "defence.",
    f"Weak: anything else: above chance, but under {PART_SHARE:.0%} of the clean accuracy or not clearly above "
    "undefended.",
    "Holds and partial count the lower end of the 95 % confidence interval, broken the accuracy itself.",
)
"""The rule by which a defence is rated, a sentence each: what the page, documents and help show."""


class DefenceRating(TableRecord):
    """Whether a defence is good, by RULE."""

    result: DefenceResult
    """holds, partial, weak, broken, not established, or collapsed."""
    reason: str
    """The part of the rule that led to it, with its numbers."""


class NumberRating(TableRecord):
    """Whether a number is reliable, by the checks."""

    result: NumberResult
    """reliable, not reliable, or no number where no adaptive attack was run."""
    reason: str
    """The checks that fail or why robustness is not established, else how many checks were not run."""
    failed: tuple[str, ...]
    """Names of the checks that fail."""
    not_run: int
    """Number of checks that were not run."""
    total: int
    """Number of checks that count."""


@dataclass(frozen=True)
class Evidence:
    """What is known of a pipeline at one eps, as its ratings need it."""

    chance: float
    """Accuracy of a guess: one over the number of classes."""
    clean: float
    """Clean accuracy, 0 to 1, of a pipeline that samples by the rule of its robust accuracy."""
    robust: Rate | None
    """Robust accuracy under the strongest adaptive attack; None where none was run."""
    certified: Rate | None
    """Certified accuracy; None where there is no certificate for this eps."""
    collapsed: bool
    """Whether one class is predicted whatever the image."""
    doubt: str | None
    """Why robustness is not established; None where it is."""
    checks: tuple[CheckResult, ...]
    """Results of the checks on the robust accuracy; empty where there is none."""
    undefended: float | None = None
    """Robust accuracy of the undefended counterpart on the same images, 0 to 1; None where it was not run."""
    undefended_clean: float | None = None
    """Its clean accuracy, 0 to 1; None likewise."""
    p_value: float | None = None
    """McNemar's p of the difference between the two robust accuracies; None likewise."""

    @property
    def reference(self) -> float:
        """The clean accuracy that a defence is measured by."""
        return max(self.clean, self.undefended_clean or 0.0)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that fail."""
        return tuple(result.check for result in self.checks if result.status == "FAIL")

    @property
    def gains(self) -> bool | None:
        """Whether the purifier clearly adds robust accuracy; None where the counterpart was not run."""
        if self.robust is None or self.undefended is None or self.p_value is None:
            return None
        return self.robust.value > self.undefended and self.p_value < SIGNIFICANT

    @property
    def too_easy(self) -> bool:
        """Whether the undefended counterpart hardly loses anything at this eps."""
        if self.undefended is None or self.undefended_clean is None:
            return False
        return self.undefended >= ATTACKED_SHARE * self.undefended_clean


def rate_defence(found: Evidence) -> DefenceRating:
    """Return whether the defence is good, by RULE, with the reason."""
    result, reason = _rate(found)
    return DefenceRating(result=result, reason=reason)


def _rate(found: Evidence) -> tuple[DefenceResult, str]:
    robust, proved = found.robust, found.certified if "certificate" not in found.failed else None
    if found.collapsed:
        return "collapsed", "the classifier predicts one class whatever the image"
    if robust and robust.value <= found.chance:
        return "broken", f"{format_share(robust.value)} is not above chance, {format_share(found.chance)}"
    if proved and proved.low >= PART_SHARE * found.reference:
        part = f"a certificate proves {_share_of(proved.value, found)}"
        return ("holds" if proved.low >= PROVED_SHARE * found.reference else "partial"), part
    unknown = _explain_unknown(found)
    if robust is None or unknown:
        return "not established", unknown or "no adaptive attack was run at this eps"
    return _rate_attacked(robust, found)


def _explain_unknown(found: Evidence) -> str:
    """Return why nothing can be said from attacks, empty where something can."""
    if found.robust and found.doubt:
        return found.doubt
    if found.failed:
        return f"{_list_checks(found.failed)}, so a stronger attack may exist"
    if found.too_easy and found.undefended is not None:
        return f"undefended, {format_share(found.undefended)} is as robust: the eps is too small to test a defence"
    return ""


def _rate_attacked(robust: Rate, found: Evidence) -> tuple[DefenceResult, str]:
    share = _share_of(robust.value, found)
    if found.gains is False and found.undefended is not None:
        beside = f"not clearly above the undefended {format_share(found.undefended)} (p {format_p(found.p_value)})"
        return "weak", f"{format_share(robust.value)} is {beside}"
    if robust.low < PART_SHARE * found.reference:
        return "weak", share
    alone = "; the undefended counterpart was not run, so whether the purifier is the reason is not known"
    if found.gains is None:
        return "partial", share + alone
    passed = {result.check for result in found.checks if result.status == "PASS"}
    missing = [name for name in SEARCHING if name not in passed]
    if robust.low >= ATTACKED_SHARE * found.reference and not missing:
        return "holds", f"{share}, and every check that looks for a stronger attack passes"
    why = f", but without a PASS of {', '.join(missing)}" if robust.low >= ATTACKED_SHARE * found.reference else ""
    return "partial", share + why


def _share_of(value: float, found: Evidence) -> str:
    part = round(100 * value / found.reference) if found.reference else 0
    clean, chance = format_share(found.reference), format_share(found.chance)
    return f"{format_share(value)}, {part}{NBSP}% of the clean accuracy, {clean}; chance is {chance}"


def rate_number(found: Evidence) -> NumberRating:
    """Return whether the robust accuracy is reliable, with the checks behind it."""
    counted = list_counted(found.checks)
    absent = sum(result.status == "NOT RUN" for result in counted)
    left = f"{absent} of {len(counted)} checks {NOT_RUN}"
    if found.robust is None:
        result: NumberResult = "no number"
        reason = "no adaptive attack was run at this eps"
    elif found.failed or found.doubt:
        result, reason = "not reliable", _list_checks(found.failed) if found.failed else str(found.doubt)
    else:
        result, reason = "reliable", f"no check fails, {left}"
    return NumberRating(result=result, reason=reason, failed=found.failed, not_run=absent, total=len(counted))


def _list_checks(failed: Sequence[str]) -> str:
    return (
        f"the {'check' if len(failed) == 1 else 'checks'} {', '.join(failed)} {'fails' if len(failed) == 1 else 'fail'}"
    )
