"""The checks that need one run only. Their results are computed from the record, not read from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from advae.attacks import ATTACKS
from advae.checks.check_table import NOT_VALID, OLD, WEAK_ATTACK, list_made_checks, not_run, say, show_share
from advae.checks.sample_checks import check_collapse, check_proportion, check_sample_size
from advae.metrics import BUDGET_TOLERANCE
from advae.records import key_eps
from advae.threats import THREATS

if TYPE_CHECKING:
    from advae.records import CheckResult, EpsResult, RunMetrics, RunRecipe, Status

WEAK_GRADIENTS, NO_GRADIENTS = 0.01, 0.05
"""Shares of samples without a usable gradient above which there is a warning, and a failure."""

STOPPED = 0.5
"""Share of purified pixels without gradient because of clipping, above which there is a warning."""

MOST = 0.5
"""Robust accuracy above which an attack has left images that its iterations should have changed."""

LOST = 0.01
"""Share of samples that were misclassified at an earlier iterate only, above which there is a warning."""

AGREED = 0.9
"""Cosine similarity of two EOT averages below which there is a warning: a tenth of each is noise then."""

SEARCH = ("monotone", "convergence", "best-iterate", "logits")
"""Checks on how an attack searches, which do not apply to one that does not search."""

GIVEN = "the adversarial examples come from a file: how they were made is not known"
"""Why checks on how an attack searches do not apply to one that was made elsewhere."""

CARRIED_ALONE = "what a smaller eps broke is not attacked again, so the robust accuracy cannot rise with eps"
"""Why the check of a rising accuracy does not apply to a sweep."""

ON_IMAGES = ("clean-accuracy", "sample-size", "proportion")
"""Checks on the test images of a run."""


def check_run(recipe: RunRecipe, metrics: RunMetrics) -> tuple[CheckResult, ...]:
    """Return the results of the checks that need one run only, in the order of CHECKS."""
    made = list_made_checks(random=bool(metrics.stochastic))
    return tuple(check_alone(check, recipe, metrics) for check in SINGLE if check in made)


def check_alone(check: str, recipe: RunRecipe, metrics: RunMetrics) -> CheckResult:
    """Return the result of one of the checks in SINGLE; NOT RUN where it does not apply to the attack."""
    why = explain_absence(check, recipe)
    return not_run(check, why) if why else SINGLE[check](recipe, metrics)


def explain_absence(check: str, recipe: RunRecipe) -> str | None:
    """Return why a check does not apply to an attack, None where it applies."""
    attack = ATTACKS.get(recipe.method)
    if attack is None or attack.takes_gradients:
        return None
    if attack.given:
        return GIVEN if check in (*SEARCH, "gradients") else None
    if check == "gradients":
        return f"{recipe.method} takes no gradients"
    return f"{recipe.method} does not search: it is drawn at random" if not attack.queries and check in SEARCH else None


def check_budget(recipe: RunRecipe, metrics: RunMetrics) -> CheckResult:
    """Check that adversarial examples are finite, in the valid range and within eps, as the scorer measured."""

    def exceed(result: EpsResult) -> float:
        return _length(recipe, result) - result.eps

    # Among results inside their budget take the largest eps: at eps 0 the check is trivial.
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
    """Return the valid range: that of an image, or behind the purifier that of its outputs and the budget."""
    if recipe.threat not in THREATS or THREATS[recipe.threat].on_input:
        return 0.0, 1.0
    low, high = metrics.start_range or (0.0, 1.0)
    return min(0.0, low), max(1.0, high + max(recipe.eps) + BUDGET_TOLERANCE)


def check_monotone(recipe: RunRecipe, metrics: RunMetrics) -> CheckResult:
    """Check that the robust accuracy does not rise with eps: a larger budget contains the smaller one.

    An accuracy with images that are carried from a smaller eps cannot rise, so it says nothing.
    """
    results = [result for result in metrics.results if not result.carried]
    rises = [*_find_rises(results)]
    if not rises:
        return not_run("monotone", CARRIED_ALONE if len(results) < len(metrics.results) else "")
    # Of equal rises the first one.
    _, first, second = max(rises)
    small, large = results[-first], results[-second]
    rise = large.accuracy - small.accuracy
    if large.accuracy > small.accuracy_interval[1]:
        what = f"robust accuracy {show_share(small.accuracy)} at eps {small.eps:.4g}, {show_share(large.accuracy)} at"
        return say("monotone", "FAIL", f"{what} {large.eps:.4g}: the attack does not use its budget", rise)
    return say(
        "monotone", "PASS", f"robust accuracy never rises with eps beyond its interval ({len(results)} eps)", rise
    )


def _find_rises(results: Sequence[EpsResult]) -> Iterator[tuple[float, int, int]]:
    """Yield how far each accuracy is above the lowest upper end of the intervals at smaller eps, and both positions.

    The positions are negative, so that the first of equal rises is the largest tuple. One pass: eps may be thousands.
    """
    least: list[tuple[float, int]] = []
    ranked = sorted(enumerate(results), key=lambda one: key_eps(one[1].eps))
    for _, group in groupby(ranked, key=lambda one: key_eps(one[1].eps)):
        same = [*group]
        for end, place in least:
            yield from ((large.accuracy - end, -place, -other) for other, large in same)
        least = [min([*least, *((one.accuracy_interval[1], place) for place, one in same)])]


def check_gradients(recipe: RunRecipe, metrics: RunMetrics) -> CheckResult:
    """Check for gradient masking: gradients that are zero, infinite, undefined, or stopped by clipping."""
    if metrics.backward == "none":
        return not_run("gradients", "the classifier gives scores only: the attack asks for them and uses no gradients")
    share = max(result.zero_gradient_fraction for result in metrics.results)
    stopped = metrics.clipped_fraction or 0.0
    clipped = f", and clipping stops it at {show_share(stopped)} of the purified pixels" if stopped else ""
    replaced = metrics.backward in ("identity", "blur")
    by = f" ({metrics.backward} in place of the purifier's)" if replaced else ""
    sentence = f"for {show_share(share)} of the samples the first gradient{by} is zero or not finite{clipped}"
    weak = share > WEAK_GRADIENTS or stopped > STOPPED
    status: Status = "FAIL" if share > NO_GRADIENTS else "WARN" if weak else "PASS"
    return say("gradients", status, sentence if status == "PASS" else f"{sentence}: {WEAK_ATTACK}", share)


def check_loss_curve(recipe: RunRecipe, metrics: RunMetrics) -> CheckResult:
    """Check that the attack raises its margin loss. Whether it has converged needs another run."""
    curves = [result.loss_curve for result in metrics.results if result.loss_curve and result.eps > 0]
    if not curves:
        return not_run("convergence", "the margin loss along the iterations was not measured")
    curve = min(curves, key=lambda curve: curve[-1][1] - curve[0][1])
    rise = curve[-1][1] - curve[0][1]
    what = f"its margin loss goes from {curve[0][1]:.4g} to {curve[-1][1]:.4g} in {curve[-1][0]} iterations"
    if rise <= 0 or any(_is_stuck(recipe, result) for result in metrics.results):
        return say("convergence", "FAIL", f"the attack does not raise its loss: {what}", rise)
    return say(
        "convergence", "NOT RUN", f"{what}; whether it has converged takes a run with twice the iterations", rise
    )


def _is_stuck(recipe: RunRecipe, result: EpsResult) -> bool:
    """Whether no iteration after the first one raised the loss, although most images are still classified correctly.

    An attack that returns its best point is never below its random start, whichever way it goes from there. The steps
    of the default size are so small that the first one cannot have reached the end of the ball.
    """
    curve, row = result.loss_curve or (), ATTACKS.get(recipe.method)
    small = row is not None and row.sized and recipe.step_size is None
    attacked = not result.carried and result.accuracy > MOST
    return small and attacked and len(curve) > 2 and curve[-1][1] <= curve[1][1]


def check_best_iterate(recipe: RunRecipe, metrics: RunMetrics) -> CheckResult:
    """Check that the attack returns the successful points that it finds."""
    found = [result.lost_fraction for result in metrics.results if result.lost_fraction is not None]
    if not found:
        ensemble = recipe.method in ATTACKS and ATTACKS[recipe.method].members
        return not_run(
            "best-iterate", "the attacks of an ensemble are measured where they run alone" if ensemble else OLD
        )
    lost = max(found)
    sentence = (
        f"{show_share(lost)} of the samples were a success at an earlier iterate, or unchanged, and are none at the end"
    )
    return say("best-iterate", "WARN" if lost > LOST else "PASS", sentence, lost)


def check_logits(recipe: RunRecipe, metrics: RunMetrics) -> CheckResult:
    """Check that the attack sees logits, which do not saturate, and enough EOT samples of a random purifier."""
    if metrics.probabilities is None:
        return not_run("logits", OLD)
    if metrics.probabilities:
        return say(
            "logits",
            "FAIL",
            "the classifier returns probabilities, whose gradient saturates (gradient masking); attack its logits",
        )
    draws = recipe.draws or 1
    if metrics.stochastic and draws < 2 and recipe.threat in ("adaptive", "transfer"):
        return say("logits", "FAIL", "the pipeline samples, and each gradient used one EOT sample", float(draws))
    if metrics.stochastic:
        return say(
            "logits", "PASS", f"logits; the pipeline samples, each gradient is the mean over {draws} EOT samples", draws
        )
    return say("logits", "PASS", "logits, and two draws of the pipeline agree")


def check_eot(recipe: RunRecipe, metrics: RunMetrics) -> CheckResult:
    """Check that EOT has converged: two independent averages of the gradient must point the same way."""
    if recipe.draws is None:
        return not_run("eot", "the attack's gradients pass through no random purifier")
    if metrics.eot_agreement is None:
        return not_run("eot", OLD)
    once, twice = metrics.eot_agreement
    what = (
        f"cosine similarity of two independent EOT averages of the gradient: {once:.3f} with {recipe.draws} EOT "
        f"samples each, {twice:.3f} with {2 * recipe.draws}"
    )
    if once < AGREED:
        return say("eot", "WARN", f"{what}: the gradient is noisy; raise --draws to {2 * recipe.draws} or more", once)
    return say("eot", "PASS", what, once)


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
    "eot": check_eot,
}
