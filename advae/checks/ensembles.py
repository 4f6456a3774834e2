"""The check of whether an ensemble of attacks is at least as strong as each of its members."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from advae import metrics
from advae.attacks import ATTACKS
from advae.checks.check_table import GRAVITY, not_run, say, show_share
from advae.checks.evidence import list_member_names
from advae.checks.strongest import SIGNIFICANT

if TYPE_CHECKING:
    from advae.checks.evidence import PipelineRuns, ScoredRun
    from advae.records import CheckResult, FloatArray, Status

ONE_POINT = 0.01
"""By how much of the expected robust accuracy a member may be stronger, beyond chance, before the check fails."""


def check_ensemble(pipeline: PipelineRuns) -> CheckResult:
    """Check that no member run alone gives a lower robust accuracy than the ensemble, which returns their worst case.

    For a pipeline that samples, the accuracies are expected values over many draws.
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
        names = list_member_names(ensemble.recipe)
        yield from ((ensemble, row) for row in rows if row.recipe.method in names and row.is_beside(ensemble))


def _is_ensemble(row: ScoredRun) -> bool:
    attack = ATTACKS.get(row.recipe.method)
    return attack is not None and bool(attack.members)


def _is_expected(ensemble: ScoredRun, member: ScoredRun) -> bool:
    return ensemble.success_rate is not None and member.success_rate is not None


def _find_wrong(ensemble: ScoredRun, member: ScoredRun) -> tuple[FloatArray, FloatArray]:
    """Return how often each sample is misclassified, float64 (n,) in [0, 1], for both runs.

    Over many draws where both runs measured that, else 0 or 1 from the stored predictions.
    """
    import numpy as np

    if ensemble.success_rate is not None and member.success_rate is not None:
        return ensemble.success_rate.astype(np.float64), member.success_rate.astype(np.float64)
    return (~ensemble.right).astype(np.float64), (~member.right).astype(np.float64)


def _lead(ensemble: ScoredRun, member: ScoredRun) -> float:
    """Return the ensemble's robust accuracy minus the member's; above 0 where the member is stronger."""
    mine, theirs = _find_wrong(ensemble, member)
    return float(theirs.mean() - mine.mean())


def _grade(ensemble: ScoredRun, member: ScoredRun) -> Status:
    if _is_expected(ensemble, member):
        return _grade_expected(ensemble, member)
    if _lead(ensemble, member) <= 0:
        return "PASS"
    if metrics.mcnemar(ensemble.right, member.right) < SIGNIFICANT:
        return "FAIL"
    # Older records have one draw each, by which equally strong attacks differ.
    return "PASS" if ensemble.metrics.stochastic or member.metrics.stochastic else "WARN"


def _grade_expected(ensemble: ScoredRun, member: ScoredRun) -> Status:
    """Grade the difference of the expected accuracies by a test of paired means, because it varies with the draws."""
    mine, theirs = _find_wrong(ensemble, member)
    error = float((theirs - mine).std()) / math.sqrt(len(mine))
    ahead = _lead(ensemble, member)
    if ahead <= metrics.Z_95 * error:
        return "PASS"
    return "FAIL" if ahead > ONE_POINT else "WARN"
