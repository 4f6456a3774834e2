"""The time left of an attack: as expected at first, then as its batches go."""

from __future__ import annotations

import numpy as np
import pytest

from advae.evaluation import time_left
from advae.evaluation.attack_costs import AttackCosts
from advae.evaluation.time_left import TimeLeft

COSTS = AttackCosts(
    seconds=np.array([[100.0, 50.0], [40.0, 20.0]]),
    entering=np.array([[1.0, 0.5], [0.4, 0.2]]),
    probing=5.0,
    tracing=1.0,
)
"""Two eps, two members, 1,000 images."""


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time_left.time, "monotonic", lambda: self.now)


def test_the_time_left_follows_what_batches_take(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told = Clock(monkeypatch), list[float]()
    watch = TimeLeft(COSTS, (0.2, 0.1), 1000, told.append)
    watch.begin(0.1, 0, 1000)
    assert told.pop() == COSTS.total == 215.0
    clock.now = 30.0
    assert watch.left() == 185.0
    clock.now = 100.0
    watch.finish_batch(500)
    # Half of it took all the expected time: so does the other half, and at the larger eps it takes twice as long.
    assert told.pop() == pytest.approx(100.0 + 50.0 + 80.0 + 20.0 + 5.0)
    clock.now = 200.0
    watch.finish_batch(500)
    assert told.pop() == pytest.approx(50.0 + 80.0 + 20.0 + 5.0)
    # Half as many images enter as was expected.
    watch.begin(0.1, 1, 250)
    assert told.pop() == pytest.approx(25.0 + 80.0 + 20.0 + 5.0)


def test_what_was_finished_before_an_interruption_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    told = list[float]()
    watch = TimeLeft(COSTS, (0.1, 0.2), 1000, told.append)
    watch.begin(0.2, 0, 400, done=300)
    assert told == [pytest.approx(10.0 + 20.0 + 5.0)]


def test_nothing_is_said_of_a_short_attack() -> None:
    told = list[float]()
    watch = TimeLeft(None, (0.1,), 10, told.append)
    watch.begin(0.1, 0, 10)
    watch.finish_batch(10)
    assert (told, watch.left()) == ([], 0.0)
