"""The checks that need one run only; what is stored of them is not read, but judged again from the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from advae.attacks import ATTACKS
from advae.checks.check_table import NOT_VALID, OLD, WEAK_ATTACK, not_run, say, show_share
from advae.checks.sample_checks import check_collapse, check_proportion, check_sample_size
from advae.metrics import BUDGET_TOLERANCE
from advae.records import key_eps
from advae.threats import THREATS

if TYPE_CHECKING:
    from advae.records import CheckResult, EpsResult, RunMetrics, RunRecipe, Status

WEAK, DEAD = 0.01, 0.05
"""Shares of samples without a usable gradient above which there is a warning, and a failure."""

STOPPED = 0.5
"""Share of purified pixels at which clipping stops the gradient above which there is a warning."""

LOST = 0.01
"""Share of successes lost on the way above which there is a warning."""

SEARCH = ("monotone", "convergence", "best-iterate", "logits")
"""Checks on how an attack searches, which say nothing of one that does not."""

IMAGES = ("clean-accuracy", "sample-size", "proportion")
"""Checks on what was attacked."""


def check_run(recipe: RunRecipe, metrics: RunMetrics) -> tuple[CheckResult, ...]:
    """Return what one run can answer, in the order of CHECKS."""
    return tuple(check_alone(check, recipe, metrics) for check in SINGLE)


def check_alone(check: str, recipe: RunRecipe, metrics: RunMetrics) -> CheckResult:
    """Return one of the checks in SINGLE; NOT RUN where it says nothing of such an attack."""
    why = explain_absence(check, recipe)
    return not_run(check, why) if why else SINGLE[check](recipe, metrics)


def explain_absence(check: str, recipe: RunRecipe) -> str | None:
    """Return why a check says nothing of such an attack, None where it does."""
    attack = ATTACKS.get(recipe.method)
    if attack is None or attack.takes_gradients:
        return None
    if check == "gradients":
        return f"{recipe.method} takes no gradients"
    return f"{recipe.method} does not search: it is drawn at random" if not attack.queries and check in SEARCH else None


def check_budget(recipe: RunRecipe, metrics: RunMetrics) -> CheckResult:
    """Finite, in its range, within eps: as the scorer measured it again."""

    def exceed(result: EpsResult) -> float:
        return _length(recipe, result) - result.eps

    # Of those inside their budget the largest: no perturbation is trivially inside eps 0.
    worst = max(metrics.results, key=lambda result: (max(exceed(result), 0.0), result.eps))
    over = exceed(worst)
    what = f"{recipe.norm} {_length(recipe, worst):.6g} at eps {worst.eps:.6g}"
    if not all(result.within_budget for result in metrics.results):
        return say("budget", "FAIL", f"{NOT_VALID} (neither projected nor clipped, {what})", over)
    if any(result.finite is False for result in metrics.results):
        return say("budget", "FAIL", "a pixel is not a finite number")
    if over > BUDGET_TOLERANCE * max(1.0, metrics.start_range[1] if metrics.start_range else 1.0):
        return say("budget", "FAIL", f"{NOT_VALID} ({what})", over)
    lows, highs = zip(*(result.pixel_range or (0.0, 1.0) for result in metrics.results), strict=True)
    lower, upper = _find_range(recipe, metrics)
    if min(lows) < lower or max(highs) > upper:
        return say("budget", "FAIL", f"{NOT_VALID} (pixels from {min(lows):.6g} to {max(highs):.6g})")
    return say("budget", "PASS", f"largest perturbation: {what}", over)


def _length(recipe: RunRecipe, result: EpsResult) -> float:
    return result.norm_max if result.norm_max is not None else result.linf_max


def _find_range(recipe: RunRecipe, metrics: RunMetrics) -> tuple[float, float]:
    """Return the valid pixels: those of an image, or what a purifier's output may become behind it."""
    if recipe.threat not in THREATS or THREATS[recipe.threat].on_input:
        return 0.0, 1.0
    low, high = metrics.start_range or (0.0, 1.0)
    return min(0.0, low), max(1.0, high + max(recipe.eps) + BUDGET_TOLERANCE)


def check_monotone(recipe: RunRecipe, metrics: RunMetrics) -> CheckResult:
    """A larger budget contains the smaller one."""
    results = metrics.results
    rises = [*_find_rises(results)]
    if not rises:
        return not_run("monotone")
    # Of equal ones the first.
    _, first, second = max(rises)
    small, large = results[-first], results[-second]
    rise = large.accuracy - small.accuracy
    if large.accuracy > small.accuracy_interval[1]:
        what = f"{show_share(small.accuracy)} are left at eps {small.eps:.4g}, {show_share(large.accuracy)} at"
        return say("monotone", "FAIL", f"{what} {large.eps:.4g}: the attack does not use its budget", rise)
    return say("monotone", "PASS", f"accuracy never rises with eps beyond its interval ({len(results)} eps)", rise)


def _find_rises(results: Sequence[EpsResult]) -> Iterator[tuple[float, int, int]]:
    """Yield how far each accuracy lies above the lowest end of an interval at a smaller eps, and the places of both.

    The places are negative: the largest rise is the first of equal ones. In one pass, since eps may be thousands.
    """
    least: list[tuple[float, int]] = []
    ranked = sorted(enumerate(results), key=lambda one: key_eps(one[1].eps))
    for _, group in groupby(ranked, key=lambda one: key_eps(one[1].eps)):
        same = [*group]
        for end, place in least:
            yield from ((large.accuracy - end, -place, -other) for other, large in same)
        least = [min([*least, *((one.accuracy_interval[1], place) for place, one in same)])]


def check_gradients(recipe: RunRecipe, metrics: RunMetrics) -> CheckResult:
    """Zero, infinite or undefined gradients, and those that clipping stops."""
    share = max(result.zero_gradient_fraction for result in metrics.results)
    stopped = metrics.clipped_fraction or 0.0
    clipped = f", and clipping stops it at {show_share(stopped)} of the purified pixels" if stopped else ""
    by = " (identity in place of the purifier's)" if metrics.backward == "identity" else ""
    sentence = f"for {show_share(share)} of the samples the first gradient{by} is zero or not finite{clipped}"
    weak = share > WEAK or stopped > STOPPED
    status: Status = "FAIL" if share > DEAD else "WARN" if weak else "PASS"
    return say("gradients", status, sentence if status == "PASS" else f"{sentence}: {WEAK_ATTACK}", share)


def check_loss_curve(recipe: RunRecipe, metrics: RunMetrics) -> CheckResult:
    """The margin loss along the attack's steps; whether it has levelled only another run can tell."""
    curves = [result.loss_curve for result in metrics.results if result.loss_curve and result.eps > 0]
    if not curves:
        return not_run("convergence", "the margin loss along the steps was not measured")
    curve = min(curves, key=lambda curve: curve[-1][1] - curve[0][1])
    rise = curve[-1][1] - curve[0][1]
    what = f"its margin loss goes from {curve[0][1]:.4g} to {curve[-1][1]:.4g} in {curve[-1][0]} steps"
    if rise <= 0:
        return say("convergence", "FAIL", f"the attack does not climb: {what}", rise)
    return say("convergence", "NOT RUN", f"{what}; whether it has levelled takes twice the steps", rise)


def check_best_iterate(recipe: RunRecipe, metrics: RunMetrics) -> CheckResult:
    """Successes that the attack met and did not keep."""
    found = [result.lost_fraction for result in metrics.results if result.lost_fraction is not None]
    if not found:
        ensemble = recipe.method in ATTACKS and ATTACKS[recipe.method].members
        return not_run(
            "best-iterate", "the attacks of an ensemble are probed where they run alone" if ensemble else OLD
        )
    lost = max(found)
    sentence = (
        f"{show_share(lost)} of the probed samples were misclassified on the way, or before, and are not at the end"
    )
    return say("best-iterate", "WARN" if lost > LOST else "PASS", sentence, lost)


def check_logits(recipe: RunRecipe, metrics: RunMetrics) -> CheckResult:
    """Probabilities saturate where logits do not; one draw of many misleads."""
    if metrics.probabilities is None:
        return not_run("logits", OLD)
    if metrics.probabilities:
        return say(
            "logits", "FAIL", "the classifier returns probabilities: their gradient saturates; attack its logits"
        )
    draws = recipe.draws or 1
    if metrics.stochastic and draws < 2 and recipe.threat in ("adaptive", "transfer"):
        return say("logits", "FAIL", "the pipeline samples, and each gradient saw one draw of it", float(draws))
    if metrics.stochastic:
        return say(
            "logits", "PASS", f"logits; the pipeline samples, each gradient is the mean over {draws} draws", draws
        )
    return say("logits", "PASS", "logits, and two draws of the pipeline agree")


SINGLE: dict[str, Callable[[RunRecipe, RunMetrics], CheckResult]] = {
    "budget": check_budget,
    "clean-accuracy": check_collapse,
    "monotone": check_monotone,
    "gradients": check_gradients,
    "convergence": check_loss_curve,
    "best-iterate": check_best_iterate,
    "logits": check_logits,
    "sample-size": check_sample_size,
    "proportion": check_proportion,
}
