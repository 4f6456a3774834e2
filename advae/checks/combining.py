"""A verdict for each check from all runs of a pipeline, so that no run hides what another one has found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from advae.checks.across_runs import TOGETHER
from advae.checks.check_table import CHECKS, not_run
from advae.checks.evidence import find_full_budget
from advae.checks.single_run import IMAGES, SINGLE
from advae.checks.strongest import group_by_samples, pick_strongest, rank_strength
from advae.records import key_eps

if TYPE_CHECKING:
    from advae.checks.evidence import Attacked, Case
    from advae.records import Status, Verdict

AT_EVERY_EPS = ("adaptive", "black-box", "convergence")
"""Checks of whether the attack was as strong as it could be, which it has to be wherever a number stands."""

OF_MEMBERS = ("monotone", "convergence", "best-iterate")
"""Checks on what one attack does in its steps and at its eps, of which an ensemble has none, or often one only."""

ON_ALL_ROWS = ("iterative", "ensemble")
"""Checks that look at all rows of a norm, so that they say the same whichever of them is asked about."""

OF_RUNS = ("samples", "clean-accuracy")
"""Checks that say the same at every eps of a run, of which there may be thousands: made once for each run."""

GRAVEST: tuple[Status, ...] = ("FAIL", "WARN", "PASS", "NOT RUN")


def judge_case(case: Case) -> tuple[Verdict, ...]:
    """Return a verdict for each of CHECKS, in its order, on the subject and on the other adaptive rows in its norm.

    What the subject's samples cannot answer, those of fewer samples may: a FAIL there counts, a PASS does not.
    """
    views = list(_list_views(case))
    return tuple(_decide(name, case, views) for name in CHECKS)


def _list_views(case: Case) -> Iterator[list[Attacked]]:
    """Yield, for the subject's samples and then each other set, the largest first, the strongest row at each eps.

    The row that says what is left is the first, then come the others from the largest eps down.
    """
    subject = case.subject
    rows = [
        row
        for row in case.own
        if row.recipe.norm == subject.recipe.norm
        and row.recipe.threat == "adaptive"
        and row.result.within_budget
        and row.eps > 0
    ]
    same = [row for row in rows if row.sample_key == subject.sample_key]
    yield [subject, *_list_strongest(case, same, subject)]
    for group in group_by_samples(row for row in rows if row.sample_key != subject.sample_key):
        limited = [row for row in group if key_eps(row.eps) < find_full_budget(row.recipe)]
        first = pick_strongest(limited or group, case.asked)
        yield [first, *_list_strongest(case, group, first)]


def _list_strongest(case: Case, rows: list[Attacked], first: Attacked) -> list[Attacked]:
    by_eps: dict[float, list[Attacked]] = {}
    for row in rows:
        by_eps.setdefault(key_eps(row.eps), []).append(row)
    others = sorted(by_eps.keys() - {key_eps(first.eps)}, reverse=True)
    return [pick_strongest(by_eps[eps], case.asked) for eps in others]


def _decide(name: str, case: Case, views: list[list[Attacked]]) -> Verdict:
    """Return a check's verdict on the subject's samples, else the FAIL of the largest others that have any verdict."""
    own, *others = views
    verdict = _weigh(name, case, own)
    if verdict.status == "NOT RUN":
        for rows in others:
            found = _weigh(name, case, rows)
            if found.status == "FAIL":
                return _add(found, f"n = {len(rows[0].labels)}")
            if found.status != "NOT RUN":
                break
    return verdict


def _weigh(name: str, case: Case, rows: list[Attacked]) -> Verdict:
    """Return the gravest of a check's verdicts on what is left at each eps on the same samples.

    Of the checks that are not AT_EVERY_EPS only a FAIL is taken from another eps.
    """
    first = rows[0]
    own = _judge(name, replace(case, subject=first))
    rest = _list_first(rows)[1:] if name in OF_RUNS else rows[1:]
    others = [(_judge(name, replace(case, subject=row)), row) for row in rest if _counts(name, row, first, own)]
    if name not in AT_EVERY_EPS:
        others = [(verdict, row) for verdict, row in others if verdict.status == "FAIL"]
    verdict, row = min([(own, first), *others], key=lambda pair: GRAVEST.index(pair[0].status))
    if verdict.status == "NOT RUN" or (verdict.status == "PASS" and own.status == "NOT RUN"):
        # A PASS at another eps does not validate the reported one.
        return own
    if verdict == row.find_verdict(name):
        # What a run has stored is on all its eps.
        return verdict if row.id == first.id else _add(verdict, row.id)
    return _add(verdict, f"eps {row.eps:.4g}") if name in AT_EVERY_EPS or row is not first else verdict


def _list_first(rows: list[Attacked]) -> list[Attacked]:
    """Return the first row of each run."""
    runs: dict[str, Attacked] = {}
    for row in rows:
        runs.setdefault(row.id, row)
    return list(runs.values())


def _counts(name: str, row: Attacked, first: Attacked, own: Verdict) -> bool:
    """Whether a check has to be made at another eps, too.

    What a run has stored has to; an attack that does not break the bare classifier at a larger eps is too weak at a
    smaller one; and what cannot be told at the reported eps may be elsewhere.
    """
    larger = name == "undefended" and key_eps(row.eps) > key_eps(first.eps)
    absent = own.status == "NOT RUN" and name not in ON_ALL_ROWS
    return name in AT_EVERY_EPS or name in SINGLE or larger or absent


def _add(verdict: Verdict, where: str) -> Verdict:
    return verdict.model_copy(update={"sentence": f"{verdict.sentence} ({where})"})


def _judge(name: str, case: Case) -> Verdict:
    """Return a verdict on the subject; what an ensemble cannot say, the strongest of its attacks run alone that can."""
    own = _judge_alone(name, case)
    if own.status != "NOT RUN" or name not in OF_MEMBERS:
        return own
    for row in sorted(case.list_members(), key=rank_strength):
        verdict = _judge_alone(name, replace(case, subject=row))
        if verdict.status != "NOT RUN":
            return verdict.model_copy(update={"sentence": f"{row.recipe.method}: {verdict.sentence}"})
    return own


def _judge_alone(name: str, case: Case) -> Verdict:
    stored = case.subject.find_verdict(name)
    if name in TOGETHER and not (stored and stored.status == "FAIL"):
        found = TOGETHER[name](case)
        # One run's own words are better than none, where they are not already weighed.
        return stored if stored and found.status == "NOT RUN" and name not in IMAGES else found
    return stored or not_run(name)
