"""The table CHECKS: what is looked at before a number under attack is believed, in the order of the report."""

from __future__ import annotations

from dataclasses import dataclass

from advae.records import CheckResult, Status


@dataclass(frozen=True)
class Check:
    """A row of CHECKS. question: what a PASS answers with yes, for readers; needs: what has to be run for it."""

    question: str
    needs: str = ""


CHECKS: dict[str, Check] = {
    "budget": Check("Is every attacked image finite, in its range and inside the budget, measured again?"),
    "samples": Check("Are all compared numbers made on the same images?", "a second run"),
    "clean-accuracy": Check(
        "Does the pipeline tell classes apart, and the purifier leave the clean accuracy alone?",
        "a run without the purifier",
    ),
    "iterative": Check("Is an iterative attack at least as strong as a single step?", "fgsm beside bim, pgd or apgd"),
    "monotone": Check("Does a larger budget never leave more?", "several eps"),
    "full-budget": Check("Does an iterative attack with all the budget there is reach chance?", "a run at eps 1"),
    "adaptive": Check(
        "Is knowing of the defence at least as good as not knowing?", "noise, oblivious or transfer at the same eps"
    ),
    "black-box": Check("Do gradients find at least what scores alone find?", "a black-box run at the same eps"),
    "gradients": Check("Does a usable gradient reach the images?"),
    "convergence": Check(
        "Does the loss of the attack rise, and has it levelled off?", "the same attack with twice the steps"
    ),
    "restarts": Check("Do more random starts bring nothing?", "a run with five restarts or more"),
    "best-iterate": Check("Is no success lost on the way?"),
    "logits": Check("Does the attack see logits, and every draw of a pipeline that samples?"),
    "undefended": Check("Does the same attack break the classifier without the purifier?", "the undefended run"),
    "sample-size": Check("Are there samples enough, of every class?"),
    "proportion": Check("Is the budget in proportion to what it is added to?"),
    "ensemble": Check(
        "Is an ensemble of attacks at least as strong as each of its attacks alone?",
        "one of its attacks alone at the same eps",
    ),
}
"""Name -> check. Their numbers in the report are their places here, from 1."""


NOT_VALID = "outside the budget: not a valid result"
OLD = "the run is from before this was measured; with --force it is measured"
WEAK_ATTACK = "a weak attack, not a strong defence"

GRAVITY: tuple[Status, ...] = ("PASS", "WARN", "FAIL")
"""The statuses of a check that was made, the gravest last."""


def number_of(name: str) -> int:
    """Return the place of a check in the table, from 1."""
    return [*CHECKS].index(name) + 1


def say(name: str, status: Status, sentence: str, number: float | None = None) -> CheckResult:
    """Return a verdict of a check in the table."""
    return CheckResult(check=name, status=status, sentence=sentence, number=number)


def not_run(name: str, sentence: str = "") -> CheckResult:
    """Return that a check could not be made, and what it needs."""
    return CheckResult(check=name, status="NOT RUN", sentence=sentence or f"needs {CHECKS[name].needs}")


def show_share(value: float) -> str:
    """Return a share of [0, 1] in per cent, with two decimals."""
    return f"{100 * value:.2f} %"


def show_points(difference: float) -> str:
    """Return a difference of two shares in points with its sign, a loss as ``−7.2``."""
    return f"{100 * difference:+.1f}".replace("-", "\N{MINUS SIGN}")
