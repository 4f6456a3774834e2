"""The checks that compare an adaptive attack with attackers who know less, and with examples made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from advae import metrics
from advae.attacks import ATTACKS
from advae.checks.check_table import not_run, say, show_share
from advae.checks.evidence import list_member_names
from advae.checks.strongest import SIGNIFICANT, pick_strongest

if TYPE_CHECKING:
    from advae.checks.evidence import PipelineRuns, ScoredRun
    from advae.records import CheckResult, Status

BLACK_BOX_LEAD = 0.002
"""By how much of the robust accuracy a score-based attack may be stronger without a failure."""

ONLY_WEAKER = 0.01
"""Share of samples that only attacks with less knowledge break, above which there is a warning."""

SHARE_ROUNDING = 1e-9
"""Rounding error of the difference of two shares: in floating point 0.2 - 0.198 is more than 0.002."""

WEAKER = ("noise", "oblivious", "transfer", "elsewhere")
"""Threat models that must not give a lower robust accuracy than the adaptive one. Examples that were made elsewhere lie
in the same ball, so that a strong adaptive attack finds such ones, too."""


FOREIGN = "examples made elsewhere"
"""Of a run that scores adversarial examples from a file."""


def grade_lead(stronger: ScoredRun, weaker: ScoredRun) -> Status:
    """Return PASS unless the attack that should be weaker is the stronger one; FAIL where it is significantly so."""
    if weaker.accuracy >= stronger.accuracy:
        return "PASS"
    return "FAIL" if metrics.mcnemar(stronger.right, weaker.right) < SIGNIFICANT else "WARN"


def check_adaptive(pipeline: PipelineRuns) -> CheckResult:
    """Check that the adaptive attack is at least as strong as attacks that know less."""
    import numpy as np

    weaker = pipeline.beside(*WEAKER)
    if not weaker:
        return not_run("adaptive")
    robust = np.logical_and.reduce([row.right for row in pipeline.beside("adaptive")])
    only = np.logical_and(robust, ~np.logical_and.reduce([row.right for row in weaker]))
    best = pick_strongest(weaker)
    sentence = f"{int(only.sum())} of {len(only)} samples were broken only by {_name_weaker(weaker)}"
    lead = grade_lead(pipeline.subject, best)
    if lead == "FAIL":
        under = FOREIGN if best.recipe.examples else f"{best.recipe.threat} attack"
        ahead = f"robust accuracy {show_share(best.accuracy)} under {under}"
        behind = f"{show_share(pipeline.subject.accuracy)} under the adaptive one"
        return say("adaptive", "FAIL", f"{ahead}, {behind}; {sentence}", float(only.mean()))
    warned = lead == "WARN" or only.mean() > ONLY_WEAKER
    if not warned and all(row.recipe.examples for row in weaker):
        # They may be weak, so that they can refute an attack, but not confirm it.
        return not_run("adaptive")
    return say("adaptive", "WARN" if warned else "PASS", sentence, float(only.mean()))


def _name_weaker(weaker: Sequence[ScoredRun]) -> str:
    """Return in words what an adaptive attack is compared with."""
    names = ", ".join(dict.fromkeys(row.recipe.threat for row in weaker if not row.recipe.examples))
    foreign = any(row.recipe.examples for row in weaker)
    return " or ".join([*([f"attacks that know less ({names})"] if names else []), *([FOREIGN] if foreign else [])])


def check_black_box(pipeline: PipelineRuns) -> CheckResult:
    """Check for gradient masking: a score-based attack must not be stronger than the gradient-based ones.

    An ensemble with a score-based member cannot be the weaker one. Its robust accuracy is reliable, but only runs
    without queries, and what its own members recorded, can show gradient masking.
    """
    rows = pipeline.beside("black-box")
    if not rows:
        return _check_members(pipeline.subject) or not_run("black-box")
    by_gradients = [row for row in pipeline.beside("adaptive") if not _asks(row)]
    if not by_gradients:
        return _check_members(pipeline.subject) or not_run(
            "black-box", f"{pipeline.subject.recipe.method} has a score-based member: needs pgd or apgd beside it"
        )
    best, gradients = pick_strongest(rows), pick_strongest(by_gradients)
    behind = gradients.accuracy - best.accuracy
    sentence = (
        f"robust accuracy {show_share(best.accuracy)} with {best.recipe.queries or 'some'} queries, "
        f"{show_share(gradients.accuracy)} with gradients alone ({gradients.recipe.method})"
    )
    if pipeline.subject.accuracy - best.accuracy > BLACK_BOX_LEAD + SHARE_ROUNDING:
        return say("black-box", "FAIL", f"{sentence}: gradient masking", behind)
    if behind > BLACK_BOX_LEAD + SHARE_ROUNDING:
        return say("black-box", "WARN", f"{sentence}: gradient masking, and more queries may find more", behind)
    return say("black-box", "PASS", sentence, behind)


def _asks(row: ScoredRun) -> bool:
    """Return whether a run makes queries for logits, itself or by a member."""
    return row.recipe.queries is not None or any(ATTACKS[name].queries for name in list_member_names(row.recipe))


def _check_members(row: ScoredRun) -> CheckResult | None:
    """Return whether an ensemble's score-based attack broke what its gradients left; None where that is not known.

    AutoAttack's flag "Square Attack improves the robustness evaluation", with its threshold.
    """
    members = row.result.members or ()
    asking = [bool(one.attack in ATTACKS and ATTACKS[one.attack].queries) for one in members]
    if not any(asking) or asking[0]:
        return None
    first = asking.index(True)
    before, after = members[first - 1].accuracy, members[first].accuracy
    sentence = (
        f"robust accuracy {show_share(before)} after the gradient-based attacks of {row.recipe.method}, "
        f"{show_share(after)} after {members[first].attack}"
    )
    if before - after > BLACK_BOX_LEAD + SHARE_ROUNDING:
        return say("black-box", "WARN", f"{sentence}: gradient masking, and more queries may find more", before - after)
    return say("black-box", "PASS", sentence, before - after)
