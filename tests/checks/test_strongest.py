"""The strongest attack: never a quick one on a few samples, and of equal ones the one with the most effort."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from advae.checks import ScoredRun, find_strongest, group_by_samples, pick_strongest
from advae.records import find_eps, key_eps, unite_eps
from tests.checks.builder import attack


def make(left: float, *, n: int = 1000, eps: float = 0.3, name: str = "", **changes: Any) -> ScoredRun:
    """Return a run at one eps."""
    return attack((left,), eps=(eps,), n=n, name=name or f"{changes.get('method', 'bim')} {n}", **changes)[0]


def break_all(row: ScoredRun, ids: int) -> ScoredRun:
    """Return a row on the first samples, none of which survives."""
    chosen = slice(0, ids)
    wrong = (row.labels[chosen] + 1) % 10
    part = attack((0.0,), eps=(row.eps,), n=ids, name=f"first {ids}")[0]
    return replace(part, predictions=wrong, labels=row.labels[chosen], sample_ids=row.sample_ids[chosen])


@pytest.mark.parametrize(
    ("full", "few", "leads"),
    [
        # The builder keeps the first samples right: the full run holds all of the ten, a quick one loses some.
        (0.186, 5, "full"),
        (0.186, 6, "few"),
        (0.0, 10, "full"),
        (0.5, 1000, "few"),
    ],
)
def test_fewer_samples_lead_only_where_they_are_significantly_stronger_on_those(
    full: float, few: int, leads: str
) -> None:
    """Five of five lost is p = 0.06, six of six p = 0.03."""
    most = make(full, n=2000, name="full")
    rows = [most, replace(break_all(most, few), id="few")]
    for order in (rows, rows[::-1]):
        strongest = find_strongest(order)
        assert strongest is not None
        assert strongest.id == leads


def test_a_larger_eps_on_fewer_samples_does_not_lead() -> None:
    full = make(0.5, n=2000, eps=0.1, name="full")
    part = replace(break_all(make(0.5, n=2000, eps=0.3), 100), id="part")
    assert find_strongest([full, part]) is full
    assert find_strongest([make(0.5, n=2000, eps=0.3, name="full"), part]) is part


def test_a_pgd_on_the_first_thousand_still_counts_after_a_weaker_attack_on_all() -> None:
    bim = make(0.059, n=10_000, name="bim")
    pgd = replace(break_all(bim, 1000), id="pgd")
    assert find_strongest([bim, pgd]) is pgd


def test_samples_without_any_in_common_are_not_compared() -> None:
    first = make(0.5, n=100, name="first")
    other = replace(make(0.0, n=90, name="other"), sample_ids=np.arange(1000, 1090))
    assert find_strongest([other, first]) is first


def test_without_rows_there_is_no_strongest() -> None:
    assert find_strongest([]) is None
    assert group_by_samples([]) == []


# ---------------------------------------------------------------- equals


FGSM = make(0.0, method="fgsm", steps=None, name="fgsm")
PGD = make(0.0, method="pgd", steps=40, restarts=1, name="pgd")
LONGER = make(0.0, method="pgd", steps=80, restarts=1, name="longer")
OFTEN = make(0.0, method="pgd", steps=80, restarts=5, name="often")


@pytest.mark.parametrize(
    ("rows", "asked", "strongest"),
    [
        ([FGSM, PGD], (), PGD),
        ([FGSM, PGD], ("fgsm",), PGD),
        ([OFTEN, LONGER, PGD, FGSM], ("pgd",), PGD),
        ([OFTEN, LONGER, PGD, FGSM], ("longer", "pgd"), LONGER),
        ([PGD, LONGER, OFTEN], (), OFTEN),
        ([PGD, LONGER], (), LONGER),
        ([make(0.1, method="pgd", steps=40, name="weaker"), FGSM], ("weaker",), FGSM),
    ],
)
def test_equally_strong_attacks_are_ordered_by_how_they_search(
    rows: list[ScoredRun], asked: tuple[str, ...], strongest: ScoredRun
) -> None:
    for order in (rows, rows[::-1]):
        assert pick_strongest(order, asked) is strongest
        assert find_strongest(order, asked) is strongest


def test_the_smallest_eps_that_reaches_an_accuracy_comes_before_how_it_was_searched_for() -> None:
    small = make(0.0, method="fgsm", steps=None, eps=0.2)
    assert pick_strongest([PGD, small]) is small


# ---------------------------------------------------------------- budgets


def test_budgets_that_are_one_float32_are_one() -> None:
    exact, sum_ = 0.3, 0.1 + 0.2
    assert exact != sum_
    assert key_eps(exact) == key_eps(sum_)
    assert key_eps(0.3) != key_eps(0.3001)
    assert unite_eps((sum_, exact, 0.1)) == {key_eps(0.1): 0.1, key_eps(0.3): 0.3}
    assert find_eps((0.1, sum_), exact) == 1
    assert find_eps((0.1,), exact) is None
    assert key_eps(1e300) == 1e300
    assert make(0.5, eps=exact).is_beside(make(0.2, eps=sum_))
