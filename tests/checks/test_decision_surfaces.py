"""The shares of a plane that stay right, and the check on where the gradient points."""

from __future__ import annotations

import numpy as np
import pytest

from advae.checks.decision_surfaces import average_planes, check_surface, describe_planes, find_harm_ratio
from tests.entries import make_surface_metrics, make_surface_recipe


def test_the_shares_are_those_of_points_with_a_lead() -> None:
    margins = np.ones((2, 5, 5), np.float32)
    margins[0, 2, 3:] = -1, 0  # up the gradient: a tie is not right
    margins[0, 0, 2] = -1  # along the random direction
    margins[0, 4, 4] = -1
    margins[1, 2, :2] = -1  # down the gradient, which is on neither line
    first, second = describe_planes(margins, [4, 6], [10, 3], [False, True])
    assert (first.label, first.sample_id, first.zero_gradient) == (4, 10, False)
    assert first.right_share == pytest.approx(21 / 25)
    assert (first.gradient_share, first.random_share) == (0.0, 0.75)
    assert (second.right_share, second.gradient_share, second.random_share) == (pytest.approx(23 / 25), 1.0, 1.0)
    found = average_planes([first, second])
    assert found == {
        "n": 2,
        "zero_gradients": 1,
        "right_share": pytest.approx(22 / 25),
        "gradient_share": 0.5,
        "random_share": 0.875,
    }
    assert average_planes([])["right_share"] is None


@pytest.mark.parametrize(
    ("changes", "status", "words", "number"),
    [
        ({"gradient_share": 0.25, "random_share": 0.75}, "PASS", "25.00 % of the points up the gradient", 1 / 3),
        ({"gradient_share": 0.75, "random_share": 0.5}, "WARN", "does not point to the weakness", 2.0),
        ({"gradient_share": 0.5, "random_share": 0.5}, "WARN", "does not point to the weakness", 1.0),
        ({"gradient_share": 1.0, "random_share": 0.5}, "WARN", "does not point to the weakness", None),
        ({"gradient_share": 1.0, "random_share": 1.0}, "NOT RUN", "within 0.25; take a larger --radius", None),
        ({"zero_gradients": 1}, "WARN", "1 of 1 images have a zero gradient", 1.0),
        (
            {"n": 0, "images": (), "right_share": None, "gradient_share": None, "random_share": None},
            "NOT RUN",
            "no test image is classified correctly",
            None,
        ),
    ],
)
def test_the_gradient_has_to_be_the_more_harmful_direction(
    changes: dict[str, object], status: str, words: str, number: float | None
) -> None:
    metrics = make_surface_metrics(**changes)
    result = check_surface(make_surface_recipe(), metrics)
    assert (result.check, result.status) == ("surface", status)
    assert words in result.sentence
    assert result.number == (number if number is None else pytest.approx(number))
    if not metrics.zero_gradients:
        assert find_harm_ratio(metrics) == result.number
