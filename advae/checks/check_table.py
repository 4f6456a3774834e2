"""The table CHECKS: the checks of whether a robust accuracy is reliable, in the order of the report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from advae.records import CheckResult, Status


class Result(Protocol):
    """The result of a check, in whichever record."""

    @property
    def check(self) -> str: ...
    @property
    def status(self) -> Status: ...


R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class Check:
    """A row of CHECKS."""

    question: str
    """The question whose answer is yes where the result is PASS; shown in the report."""
    needs: str = ""
    """Which other run the check needs; empty where one run is enough."""
    random: bool = False
    """Whether it is made only where the pipeline samples; of other pipelines it is not listed."""
    optional: bool = False
    """Whether what it needs is an addition: where it is missing, the check is not counted as NOT RUN."""


CHECKS: dict[str, Check] = {
    "budget": Check("Is every adversarial example finite, in the valid range and inside the budget, measured again?"),
    "samples": Check("Are all compared accuracies measured on the same images?", "a second run"),
    "clean-accuracy": Check(
        "Does the pipeline predict all classes, and does the purifier preserve the clean accuracy?",
        "a run of the undefended counterpart",
    ),
    "iterative": Check("Is an iterative attack at least as strong as a single step?", "fgsm beside bim, pgd or apgd"),
    "monotone": Check("Does the robust accuracy never rise with eps?", "several eps"),
    "full-budget": Check(
        "Does an iterative attack with an unlimited budget reduce the accuracy to chance?", "a run at eps 1"
    ),
    "adaptive": Check(
        "Is the adaptive attack at least as strong as attacks that know less?",
        "noise, oblivious or transfer at the same eps",
    ),
    "black-box": Check(
        "Is the gradient-based attack at least as strong as a score-based one (no gradient masking)?",
        "a black-box run at the same eps",
    ),
    "gradients": Check("Does a usable gradient reach the images (no gradient masking)?"),
    "convergence": Check(
        "Does the attack raise its loss, and has it converged?", "the same attack with twice the iterations"
    ),
    "restarts": Check("Do more random restarts find nothing more?", "a run with five restarts or more"),
    "best-iterate": Check("Does the attack return every success that it met?"),
    "logits": Check("Does the attack see logits, and average over EOT samples where the pipeline samples?"),
    "undefended": Check(
        "Does the same attack break the undefended counterpart?", "the same attack on the undefended counterpart"
    ),
    "sample-size": Check("Are there enough samples, of every class?"),
    "proportion": Check("Is the budget in proportion to the range of the data?"),
    "ensemble": Check(
        "Is an ensemble of attacks at least as strong as each of its attacks alone?",
        "one of its attacks alone at the same eps",
    ),
    "certificate": Check(
        "Is no image broken that a certificate proves?",
        "a certificate, which is optional (advae certify)",
        optional=True,
    ),
    "eot": Check(
        "Are the gradients through the pipeline's randomness averaged over enough EOT samples?",
        "gradients through a purifier that samples",
        random=True,
    ),
}
"""Name -> check. The number of a check in the report is its place here, from 1."""


NOT_VALID = "outside the budget: not a valid result"
OLD = "an older version made this run and did not measure it; run it again with --force"
WEAK_ATTACK = "gradient masking: the attack is weak, not the defence strong"

GRAVITY: tuple[Status, ...] = ("PASS", "WARN", "FAIL")
"""The statuses of a check that was run, from the best to the worst."""


def number_of(name: str) -> int:
    """Return the place of a check in the table, from 1."""
    return [*CHECKS].index(name) + 1


def say(name: str, status: Status, sentence: str, number: float | None = None) -> CheckResult:
    """Return the result of a check in the table."""
    return CheckResult(check=name, status=status, sentence=sentence, number=number)


def not_run(name: str, sentence: str = "") -> CheckResult:
    """Return the result NOT RUN of a check. sentence: the reason; empty: the run that the check needs."""
    return CheckResult(check=name, status="NOT RUN", sentence=sentence or f"needs {CHECKS[name].needs}")


def list_made_checks(*, random: bool) -> list[str]:
    """Return the names of the checks that are made on a pipeline. random: whether it samples."""
    return [name for name, check in CHECKS.items() if random or not check.random]


def list_counted(results: Iterable[R]) -> list[R]:
    """Return the results that are counted: all but those of optional checks that were not run."""
    return [one for one in results if one.status != "NOT RUN" or not CHECKS[one.check].optional]


def show_share(value: float) -> str:
    """Return a share of [0, 1] in per cent, with two decimals."""
    return f"{100 * value:.2f} %"


def show_points(difference: float) -> str:
    """Return a difference of two shares in points with its sign, a loss as ``−7.2``."""
    return f"{100 * difference:+.1f}".replace("-", "\N{MINUS SIGN}")
