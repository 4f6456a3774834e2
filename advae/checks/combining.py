"""The result of each check from all runs of a pipeline, so that a FAIL of one run is not hidden by another run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from advae.checks.across_runs import TOGETHER
from advae.checks.check_table import list_made_checks, not_run
from advae.checks.evidence import find_full_budget
from advae.checks.single_run import ON_IMAGES, SINGLE
from advae.checks.strongest import group_by_samples, pick_strongest, rank_strength
from advae.records import key_eps

if TYPE_CHECKING:
    from advae.checks.evidence import PipelineRuns, ScoredRun
    from advae.records import CheckResult, Status

AT_EVERY_EPS = ("adaptive", "black-box", "convergence")
"""Checks of the attack's strength; they must pass at every reported eps."""

OF_MEMBERS = ("monotone", "convergence", "best-iterate")
"""Checks on the steps or the several eps of one attack. An ensemble has no steps, and often only one eps."""

ON_ALL_ROWS = ("iterative", "ensemble", "certificate")
"""Checks that read all rows of a norm, or of every norm, so that their result does not depend on the subject."""

OF_RUNS = ("samples", "clean-accuracy")
"""Checks with the same result at every eps of a run; they are made once for each run, which may have thousands."""

GRAVEST: tuple[Status, ...] = ("FAIL", "WARN", "PASS", "NOT RUN")
"""The statuses, the worst first."""


def check_together(pipeline: PipelineRuns) -> tuple[CheckResult, ...]:
    """Return a result for each check that is made on the pipeline, in the order of CHECKS.

    It is of the subject and of the other adaptive rows in its norm.

    Where a check is NOT RUN on the subject's samples, a FAIL on a smaller set of samples counts; a PASS there does not.
    """
    views = list(_list_views(pipeline))
    return tuple(_decide(name, pipeline, views) for name in list_made_checks(random=pipeline.random))


def _list_views(pipeline: PipelineRuns) -> Iterator[list[ScoredRun]]:
    """Yield the strongest row at each eps, first on the subject's samples, then on each other set, the largest first.

    The first row of a set is the one with the reported robust accuracy; the others follow from the largest eps down.
    """
    subject = pipeline.subject
    rows = [
        row
        for row in pipeline.own
        if row.recipe.norm == subject.recipe.norm
        and row.recipe.threat == "adaptive"
        and row.result.within_budget
        and row.eps > 0
    ]
    same = [row for row in rows if row.sample_key == subject.sample_key]
    yield [subject, *_list_strongest(pipeline, same, subject)]
    for group in group_by_samples(row for row in rows if row.sample_key != subject.sample_key):
        limited = [row for row in group if key_eps(row.eps) < find_full_budget(row.recipe)]
        first = pick_strongest(limited or group, pipeline.asked)
        yield [first, *_list_strongest(pipeline, group, first)]


def _list_strongest(pipeline: PipelineRuns, rows: list[ScoredRun], first: ScoredRun) -> list[ScoredRun]:
    by_eps: dict[float, list[ScoredRun]] = {}
    for row in rows:
        by_eps.setdefault(key_eps(row.eps), []).append(row)
    others = sorted(by_eps.keys() - {key_eps(first.eps)}, reverse=True)
    return [pick_strongest(by_eps[eps], pipeline.asked) for eps in others]


def _decide(name: str, pipeline: PipelineRuns, views: list[list[ScoredRun]]) -> CheckResult:
    """Return a check's result on the subject's samples; where it is NOT RUN, a FAIL on the next largest set counts."""
    own, *others = views
    result = _weigh(name, pipeline, own)
    if result.status == "NOT RUN":
        for rows in others:
            found = _weigh(name, pipeline, rows)
            if found.status == "FAIL":
                return _add(found, f"n = {len(rows[0].labels)}")
            if found.status != "NOT RUN":
                break
    return result


def _weigh(name: str, pipeline: PipelineRuns, rows: list[ScoredRun]) -> CheckResult:
    """Return the worst of a check's results over the eps on the same samples.

    For a check that is not in AT_EVERY_EPS, only a FAIL is taken from another eps.
    """
    first = rows[0]
    own = _check_subject(name, replace(pipeline, subject=first))
    rest = _list_first(rows)[1:] if name in OF_RUNS else rows[1:]
    others = [
        (_check_subject(name, replace(pipeline, subject=row)), row) for row in rest if _counts(name, row, first, own)
    ]
    if name not in AT_EVERY_EPS:
        others = [(result, row) for result, row in others if result.status == "FAIL"]
    result, row = min([(own, first), *others], key=lambda pair: GRAVEST.index(pair[0].status))
    if result.status == "NOT RUN" or (result.status == "PASS" and own.status == "NOT RUN"):
        # A PASS at another eps does not validate the reported one.
        return own
    if result == row.find_check_result(name):
        # A stored result is for all eps of the run.
        return result if row.id == first.id else _add(result, row.id)
    return _add(result, f"eps {row.eps:.4g}") if name in AT_EVERY_EPS or row is not first else result


def _list_first(rows: list[ScoredRun]) -> list[ScoredRun]:
    """Return the first row of each run."""
    runs: dict[str, ScoredRun] = {}
    for row in rows:
        runs.setdefault(row.id, row)
    return list(runs.values())


def _counts(name: str, row: ScoredRun, first: ScoredRun, own: CheckResult) -> bool:
    """Whether the result of a check at another eps counts, too.

    It does for the checks of one run; for ``undefended`` at a larger eps, because an attack that does not break the
    undefended classifier there is too weak at a smaller one; and for a check that is NOT RUN at the reported eps.
    """
    larger = name == "undefended" and key_eps(row.eps) > key_eps(first.eps)
    absent = own.status == "NOT RUN" and name not in ON_ALL_ROWS
    return name in AT_EVERY_EPS or name in SINGLE or larger or absent


def _add(result: CheckResult, where: str) -> CheckResult:
    return result.model_copy(update={"sentence": f"{result.sentence} ({where})"})


def _check_subject(name: str, pipeline: PipelineRuns) -> CheckResult:
    """Return a check's result on the subject.

    Where the subject is an ensemble and the check is NOT RUN on it, the result is that of its strongest member that was
    also run alone and on which the check can be run.
    """
    own = _check_one(name, pipeline)
    if own.status != "NOT RUN" or name not in OF_MEMBERS:
        return own
    for row in sorted(pipeline.list_members(), key=rank_strength):
        result = _check_one(name, replace(pipeline, subject=row))
        if result.status != "NOT RUN":
            return result.model_copy(update={"sentence": f"{row.recipe.method}: {result.sentence}"})
    return own


def _check_one(name: str, pipeline: PipelineRuns) -> CheckResult:
    stored = pipeline.subject.find_check_result(name)
    if name in TOGETHER and not (stored and stored.status == "FAIL"):
        found = TOGETHER[name](pipeline)
        # A stored result is better than NOT RUN; checks on images already take it into account.
        return stored if stored and found.status == "NOT RUN" and name not in ON_IMAGES else found
    return stored or not_run(name)
