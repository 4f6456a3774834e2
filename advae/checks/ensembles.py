"""Whether an ensemble of attacks is as strong as the attacks that it is made of."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from advae import metrics
from advae.attacks import ATTACKS
from advae.checks.check_table import GRAVITY, not_run, say, show_share
from advae.checks.strongest import SIGNIFICANT

if TYPE_CHECKING:
    from advae.checks.evidence import PipelineRuns, ScoredRun
    from advae.records import CheckResult, FloatArray, Status

ONE_POINT = 0.01
"""By how much of the expected accuracy a member may be ahead, beyond chance, before it is a failure."""


def check_ensemble(pipeline: PipelineRuns) -> CheckResult:
    """An ensemble keeps the worst that its members find, so that none of them leaves less.

    Behind a pipeline that samples, accuracies are those expected over many draws.
    """
    pairs = list(_pair(pipeline))
    if not pairs:
        ensembles = any(_is_ensemble(row) for row in pipeline.own)
        return not_run("ensemble", "" if ensembles else "no ensemble of attacks was run")
    graded = [(_grade(ensemble, member), _lead(ensemble, member), ensemble, member) for ensemble, member in pairs]
    status, ahead, ensemble, member = max(graded, key=lambda pair: (GRAVITY.index(pair[0]), pair[1]))
    what = "expected " if _is_expected(ensemble, member) else ""
    mine, theirs = (1.0 - float(wrong.mean()) for wrong in _find_wrong(ensemble, member))
    sentence = (
        f"{what}robust accuracy {show_share(mine)} under {ensemble.recipe.method}, {show_share(theirs)} under "
        f"{member.recipe.method} alone, at eps {ensemble.eps:.4g}"
    )
    return say("ensemble", status, sentence, ahead)


def _pair(pipeline: PipelineRuns) -> Iterator[tuple[ScoredRun, ScoredRun]]:
    """Yield each ensemble in the subject's norm and threat model with each of its members that was run beside it."""
    subject = pipeline.subject.recipe
    rows = [row for row in pipeline.own if (row.recipe.norm, row.recipe.threat) == (subject.norm, subject.threat)]
    for ensemble in filter(_is_ensemble, rows):
        names = {name for name, _ in ATTACKS[ensemble.recipe.method].members.get(subject.norm, ())}
        yield from ((ensemble, row) for row in rows if row.recipe.method in names and row.is_beside(ensemble))


def _is_ensemble(row: ScoredRun) -> bool:
    attack = ATTACKS.get(row.recipe.method)
    return attack is not None and bool(attack.members)


def _is_expected(ensemble: ScoredRun, member: ScoredRun) -> bool:
    return ensemble.success_rate is not None and member.success_rate is not None


def _find_wrong(ensemble: ScoredRun, member: ScoredRun) -> tuple[FloatArray, FloatArray]:
    """Return how often each sample is wrong: over many draws where both runs measured that, else on the one stored."""
    import numpy as np

    if ensemble.success_rate is not None and member.success_rate is not None:
        return ensemble.success_rate.astype(np.float64), member.success_rate.astype(np.float64)
    return (~ensemble.right).astype(np.float64), (~member.right).astype(np.float64)


def _lead(ensemble: ScoredRun, member: ScoredRun) -> float:
    """Return by how much of the accuracy the member is ahead; below 0 where the ensemble is."""
    mine, theirs = _find_wrong(ensemble, member)
    return float(theirs.mean() - mine.mean())


def _grade(ensemble: ScoredRun, member: ScoredRun) -> Status:
    if _is_expected(ensemble, member):
        return _grade_expected(ensemble, member)
    if _lead(ensemble, member) <= 0:
        return "PASS"
    if metrics.mcnemar(ensemble.right, member.right) < SIGNIFICANT:
        return "FAIL"
    # By one draw each, as in records from before, equally strong attacks differ.
    return "PASS" if ensemble.metrics.stochastic or member.metrics.stochastic else "WARN"


def _grade_expected(ensemble: ScoredRun, member: ScoredRun) -> Status:
    """Grade a lead in the expected accuracy, of which something is due to the draws, by the test of a paired mean."""
    mine, theirs = _find_wrong(ensemble, member)
    error = float((theirs - mine).std()) / math.sqrt(len(mine))
    ahead = _lead(ensemble, member)
    if ahead <= metrics.Z_95 * error:
        return "PASS"
    return "FAIL" if ahead > ONE_POINT else "WARN"
