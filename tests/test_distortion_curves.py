"""Distortion-distortion curves: exact areas, what has no curve, and what the definition promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from advae.distortion_curves import (
    PairDistances,
    average_curves,
    describe_mean,
    find_half,
    measure_area,
    summarize_curves,
    trace_curve,
)


def array(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


AREAS = {
    "nothing is reached": ([0.0, 0.5, 2.0], [1.0, 1.0, 1.0], 1.0),
    "no attack": ([], [], 1.0),
    "a straight line, as of the identity": ([0.25, 0.5, 1.0], [0.75, 0.5, 0.0], 0.5),
    "the target at half the distortion, then level": ([0.5], [0.0], 0.25),
    "a point beyond 1 decides the line up to 1": ([2.0], [0.0], 0.75),
    "the smallest y up to each x counts": ([0.5, 0.75, 1.0], [0.0, 0.9, 0.8], 0.25),
    "of two points at one x the smaller y": ([0.0, 0.0], [1.0, 0.5], 0.5),
    "nearer than the target's own reconstruction": ([0.5, 1.0], [-0.5, -0.5], 0.5 * (1 - 0.5) / 2 - 0.25),
    "an attack that is worse than none is not used": ([0.5, 1.0], [1.5, 1.5], 1.0),
}


@pytest.mark.parametrize("name", AREAS)
def test_an_area_is_exact_in_any_order_of_the_attacks(name: str) -> None:
    x, y, area = AREAS[name]
    assert measure_area(array(*x), array(*y)) == pytest.approx(area, abs=1e-12)
    assert measure_area(array(*x[::-1]), array(*y[::-1])) == pytest.approx(area, abs=1e-12)


@pytest.mark.parametrize(
    ("x", "y", "half"),
    [
        ([0.25, 0.5, 1.0], [0.75, 0.5, 0.0], 0.5),
        ([1.0], [0.0], 0.5),
        ([0.4], [0.5], 0.4),
        ([0.0], [0.25], 0.0),
        ([1.0], [0.6], None),
        ([3.0], [0.4], None),
    ],
)
def test_half_way_is_where_the_curve_crosses_it(x: list[float], y: list[float], half: float | None) -> None:
    found = find_half(array(*x), array(*y))
    assert found == (None if half is None else pytest.approx(half, abs=1e-12))


POINTS = st.lists(st.tuples(st.floats(0, 3), st.floats(-0.5, 1.5)), min_size=1, max_size=12)


@given(POINTS, POINTS)
def test_a_curve_never_rises_and_more_attacks_never_enlarge_its_area(
    points: list[tuple[float, float]], more: list[tuple[float, float]]
) -> None:
    x, y = np.array(points).T
    xs, ys = trace_curve(x, y)
    assert (xs[0], xs[-1], ys[0]) == (0.0, 1.0, pytest.approx(max(-0.5, ys[0])))
    assert (np.diff(xs) >= 0).all()
    assert (np.diff(ys) <= 1e-12).all()
    # A further attack at an x that is there already can only lower the curve.
    lower = np.concatenate([y, [min(y.min(), -0.5)]])
    assert measure_area(np.concatenate([x, x[:1]]), lower) <= measure_area(x, y) + 1e-9


def test_the_mean_of_curves_has_the_mean_of_areas() -> None:
    x, y = np.array([[0.5, 1.0], [0.25, 0.75]]), np.array([[0.5, 0.25], [0.5, 0.0]])
    grid = np.linspace(0, 1, 4001)
    mean, deviation = average_curves(x, y, grid)
    areas = [measure_area(*pair) for pair in zip(x, y, strict=True)]
    assert np.trapezoid(mean, grid) == pytest.approx(np.mean(areas), abs=1e-6)
    assert deviation[0] == 0 < deviation[-1]


def test_mean_deviation_and_interval_are_those_of_scipy() -> None:
    values = [0.2, 0.5, 0.35, 0.8]
    mean, deviation, interval = describe_mean(values)
    assert mean == pytest.approx(np.mean(values))
    assert deviation == pytest.approx(np.std(values, ddof=1))
    expected = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert interval == pytest.approx(expected)
    assert describe_mean([0.5]) == (0.5, None, None)
    assert describe_mean([]) == (None, None, None)


def make_distances(**changes: np.ndarray) -> PairDistances:
    p = {"images": array(2, 2), "before": array(3, 3), "best": array(1, 1)}
    k = {"distortion": np.array([[0.0, 1.0]] * 2), "reached": np.array([[3.0, 1.0]] * 2)}
    return PairDistances(**(p | k | changes))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("images", array(2, 0)),
        ("before", array(3, 1)),
        ("before", array(3, 0.5)),
        ("before", array(3, 1.01)),
        ("best", array(1, np.nan)),
        ("reached", np.array([[3.0, 1.0], [3.0, np.inf]])),
    ],
)
def test_a_pair_that_is_not_told_apart_has_no_curve(field: str, value: np.ndarray) -> None:
    assert make_distances().find_complete().tolist() == [True, True]
    assert make_distances(**{field: value}).find_complete().tolist() == [True, False]


def test_relative_distances_go_from_one_to_zero() -> None:
    found = make_distances()
    x, y = found.relate(array(1, 0).astype(bool))
    assert x.tolist() == [[0.0, 0.5]]
    assert y.tolist() == [[1.0, 0.0]]
    numbers = summarize_curves(x, y)
    assert numbers == {
        "n": 1,
        "area": 0.25,
        "area_deviation": None,
        "area_interval": None,
        "half_distortion": 0.25,
        "half_reached": 1,
    }
    nothing = summarize_curves(x[:0], y[:0])
    assert (nothing["n"], nothing["area"], nothing["half_distortion"], nothing["half_reached"]) == (0, None, None, 0)
