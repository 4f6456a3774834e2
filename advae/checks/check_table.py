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
    raised: str
    """What it means, in plain words, where the result is WARN or FAIL, and what to do; shown in the report."""
    needs: str = ""
    """Which other run the check needs; empty where one run is enough."""
    random: bool = False
    """Whether it is made only where the pipeline samples; of other pipelines it is not listed."""
    optional: bool = False
    """Whether what it needs is an addition: where it is missing, the check is not counted as NOT RUN."""


CHECKS: dict[str, Check] = {
    "budget": Check(
        "Is every adversarial example finite, in the valid range and inside the budget, measured again?",
        "Some adversarial examples are outside the ball, outside the image's range, or not finite. The attack did "
        "more than the threat model allows, so the robust accuracy is too low or means nothing. It is shown with a "
        "mark and never as a headline. The paper's linear attacks without a clip raise it on purpose.",
    ),
    "samples": Check(
        "Are all compared accuracies measured on the same images?",
        "Runs that are set beside each other attacked different images. A difference between them can come from the "
        "images alone. Attack the same number of images, chosen in the same way.",
        "a second run",
    ),
    "clean-accuracy": Check(
        "Does the pipeline predict all classes, and does the purifier preserve the clean accuracy?",
        "The pipeline predicts one class whatever the image, or the purifier costs much clean accuracy. A classifier "
        "that has collapsed cannot be attacked, so its robust accuracy says nothing; where clean accuracy is lost, "
        "look at what is robust and still useful.",
        "a run of the undefended counterpart",
    ),
    "iterative": Check(
        "Is an iterative attack at least as strong as a single step?",
        "One step of FGSM finds more adversarial examples than many steps. An iterative attack starts with such a "
        "step, so it should never be weaker: its step size is wrong, or gradients are masked. The robust accuracy is "
        "too high.",
        "fgsm beside bim, pgd or apgd",
    ),
    "monotone": Check(
        "Does the robust accuracy never rise with eps?",
        "The robust accuracy rises with eps. A larger ball contains the smaller one, so the attack at the larger eps "
        "has missed examples that exist. Use more iterations, or another step size.",
        "several eps",
    ),
    "full-budget": Check(
        "Does an iterative attack with an unlimited budget reduce the accuracy to chance?",
        "With a budget that reaches every image, the attack does not bring the accuracy down to chance. Such "
        "adversarial examples exist in any case, so the attack cannot find them: gradient masking. The robust "
        "accuracy at smaller eps is too high as well.",
        "a run at eps 1",
    ),
    "adaptive": Check(
        "Is the adaptive attack at least as strong as attacks that know less?",
        "An attacker who knows less breaks more images than the adaptive one. More knowledge cannot hurt, so the "
        "adaptive attack is too weak. Take the lower number as an upper bound, and strengthen the adaptive attack.",
        "noise, oblivious or transfer at the same eps",
    ),
    "black-box": Check(
        "Is the gradient-based attack at least as strong as a score-based one (no gradient masking)?",
        "An attack that only asks for scores breaks images that gradients do not. Gradients then do not point to "
        "where the classifier can be broken: gradient masking, a common reason for high robust accuracies that later "
        "attacks refute.",
        "a black-box run at the same eps",
    ),
    "gradients": Check(
        "Does a usable gradient reach the images (no gradient masking)?",
        "For some images the gradient is zero or not finite, or a clip stops it. A gradient-based attack does not "
        "move from such images, so they count as robust without having been attacked. Use a score-based attack, or "
        "BPDA where a step has no derivative.",
    ),
    "convergence": Check(
        "Does the attack raise its loss, and has it converged?",
        "The attack does not raise its own loss, or more iterations still break more images. It was stopped too "
        "early, or goes the wrong way; the robust accuracy is an upper bound that more iterations will lower.",
        "the same attack with twice the iterations",
    ),
    "restarts": Check(
        "Do more random restarts find nothing more?",
        "Further random starts still break more images. The loss has many local maxima, and one start is not enough. "
        "Use more restarts until the number does not change.",
        "a run with five restarts or more",
    ),
    "best-iterate": Check(
        "Does the attack return every success that it met?",
        "The attack had broken some images at an earlier iteration and returned a later point that does not. The "
        "robust accuracy is too high by that share.",
    ),
    "logits": Check(
        "Does the attack see logits, and average over EOT samples where the pipeline samples?",
        "The attack saw probabilities instead of logits, where the softmax rounds small gradients to zero; or it used"
        " one draw of a pipeline that samples. Either makes the attack weaker than it could be.",
    ),
    "undefended": Check(
        "Does the same attack break the undefended counterpart?",
        "The same attack does not break the classifier without a purifier either. Then the attack is too weak, or eps"
        " too small, to say anything about the purifier.",
        "the same attack on the undefended counterpart",
    ),
    "sample-size": Check(
        "Are there enough samples, of every class?",
        "Few images were attacked, or not all classes. The confidence interval is wide, and a difference of a few "
        "points means nothing. Attack more images before you compare.",
    ),
    "proportion": Check(
        "Is the budget in proportion to the range of the data?",
        "The perturbation is added to data of a larger range than an image has, as behind a purifier with raw output."
        " The same eps is then a much smaller change, and the number cannot be compared with others at this eps.",
    ),
    "ensemble": Check(
        "Is an ensemble of attacks at least as strong as each of its attacks alone?",
        "One attack of the ensemble is stronger alone than within it. The ensemble keeps what any of its attacks "
        "breaks, so it should never be weaker: compare their options.",
        "one of its attacks alone at the same eps",
    ),
    "certificate": Check(
        "Is no image broken that a certificate proves?",
        "An attack breaks an image that a certificate proves. Both cannot be right: the proof or the run has a "
        "defect. Trust neither number until it is explained, and report it as a defect.",
        "a certificate, which is optional (advae certify)",
        optional=True,
    ),
    "eot": Check(
        "Are the gradients through the pipeline's randomness averaged over enough EOT samples?",
        "The gradient through the purifier's randomness changes much from one set of draws to the next. The attack "
        "follows noise. Use more EOT samples (`--draws`).",
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
