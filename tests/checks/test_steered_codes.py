"""The checks on an attack on a code: each finds what is planted, and passes what is in order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from advae.checks.steered_codes import CODE_CHECKS, ENOUGH_PAIRS, SteeredPairs, check_steering

N, K = ENOUGH_PAIRS, 4


def make_pairs(**changes: Any) -> SteeredPairs:
    """Return an attack that is in order: codes 4 apart, and distances that rise with the weight."""
    distances = np.tile([0.0, 1.0, 2.0, 4.0], (N, 1))
    fields: dict[str, Any] = {
        "pixel_range": (0.0, 1.0),
        "left_out": 0,
        "codes_apart": np.full(N, 4.0),
        "distances": distances,
        "objectives": distances + 0.1,
        "blends": distances + 0.5,
        "smallest_y": np.full(N, 0.05),
    }
    return SteeredPairs(**(fields | changes))


def spoil(name: str, rows: int, value: float, column: int | slice = slice(3)) -> dict[str, Any]:
    array = getattr(make_pairs(), name).copy()
    array[:rows, column] = value
    return {name: array}


PLANTED = {
    "a pixel above 1": ("range", "FAIL", {"pixel_range": (0.0, 1.0001)}),
    "a pixel that is none": ("range", "FAIL", {"pixel_range": (float("nan"), float("nan"))}),
    "pairs without a curve": ("pairs", "WARN", {"left_out": 2}),
    "one gradient that leads nowhere": ("objective", "WARN", spoil("distances", 1, 3.0)),
    "many of them": ("objective", "FAIL", spoil("distances", 5, 3.0)),
    "a blend that is better": ("blending", "WARN", spoil("objectives", 1, 9.0, 2)),
    "many of those": ("blending", "FAIL", spoil("objectives", N, 9.0, 2)),
    "a smaller weight that ends farther": ("monotone", "WARN", spoil("distances", 1, 2.5, 1)),
    "many weights that do": ("monotone", "FAIL", spoil("distances", N, 2.5, 1)),
    "a target that is not reached": ("target", "WARN", {"smallest_y": np.full(N, 0.5)}),
}


def test_what_is_in_order_passes() -> None:
    results = check_steering(make_pairs())
    assert [result.check for result in results] == list(CODE_CHECKS)
    assert {result.status for result in results} == {"PASS"}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found_and_nothing_else(name: str) -> None:
    check, status, changes = PLANTED[name]
    raised = {
        result.check: result.status for result in check_steering(make_pairs(**changes)) if result.status != "PASS"
    }
    assert raised == {check: status}


def test_few_pairs_warn_and_none_fail() -> None:
    few = {name: getattr(make_pairs(), name)[:3] for name in ("codes_apart", "distances", "objectives", "blends")}
    results = {one.check: one for one in check_steering(make_pairs(**few, smallest_y=np.zeros(3)))}
    assert results["pairs"].status == "WARN"
    none = {name: getattr(make_pairs(), name)[:0] for name in ("codes_apart", "distances", "objectives", "blends")}
    results = {one.check: one for one in check_steering(make_pairs(**none, smallest_y=np.zeros(0), left_out=3))}
    assert results["pairs"].status == "FAIL"
    assert {results[name].status for name in list(CODE_CHECKS)[2:]} == {"NOT RUN"}
