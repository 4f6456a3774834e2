"""How long an attack will take on this machine: a few steps of a batch are timed, and images that leave are counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae import batching
from advae.attacks.target_turns import MOST_TARGETS
from advae.batching import list_rows
from advae.evaluation.attack_progress import PROBED, double
from advae.evaluation.attacker import Attacker, stops_at_success

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.evaluation.scorer import Scorer
    from advae.records import FloatArray, IntArray

    Floats = NDArray[np.float64]

MEASURED_FROM = 8.0
"""Seconds of a guess from which on an attack is measured before it is made."""

PATIENCE = 6.0
"""Processor seconds for which it is counted before an attack how many images leave it."""

FEW_STEPS = 6
"""Steps of a batch that are timed; the first one is subtracted."""

TIMED_EPS = 1e-3
"""The eps at which they are timed: almost no image leaves there that is classified correctly, and steps still move."""

FEW_IMAGES = 64
"""Images of which it is counted how many leave early."""

LEAVING_STEPS = (1, 4, 16)
"""After so many steps it is counted how many images have left; those that remain are taken to stay to the end."""

FORWARD = 256
"""Images that are classified to guess the time."""

PASSES = 4
"""A step takes about as long as so many times classifying the images."""


@dataclass(frozen=True, eq=False)
class AttackCosts:
    """The expected time of an attack, or of an ensemble, at each eps from the smallest to the largest."""

    seconds: Floats
    """Seconds of each member at each eps, float64 (eps, members)."""
    entering: Floats
    """Share of the images that each member attacks at each eps, float64 (eps, members) in [0, 1]."""
    probing: float
    """Seconds after the attack, in which its progress is measured on the first images."""
    tracing: float
    """Seconds that the first call of each member took longer than the next; they are over."""

    @property
    def total(self) -> float:
        """The expected seconds of all that is to come."""
        return float(self.seconds.sum()) + self.probing


def guess_seconds(attackers: Sequence[Attacker], scorer: Scorer) -> float:
    """Return about how long an attack takes if no image leaves it, from the time of classifying a few images.

    It takes milliseconds, and may be wrong by a factor of five.
    """
    import tensorflow as tf

    few = tf.constant(scorer.x[:FORWARD])
    draw = tf.constant(0)
    scorer.classify(few, draw)
    seconds = _time(lambda: scorer.classify(few, draw)[1].numpy()) / len(few)
    steps = sum(_count_steps(one) * _count_turns(one) * (one.recipe.draws or 1) for one in attackers)
    return seconds * PASSES * steps * len(scorer.x) * len(scorer.recipe.eps)


def expect_costs(attackers: Sequence[Attacker], scorer: Scorer, right: NDArray[np.bool_]) -> AttackCosts | None:
    """Return what a long attack will cost; None for a short one, which measuring would make longer.

    right: as in ``measure_costs``.
    """
    if guess_seconds(attackers, scorer) < MEASURED_FROM:
        return None
    return measure_costs(attackers, scorer, right, patience=PATIENCE)


def measure_costs(
    attackers: Sequence[Attacker], scorer: Scorer, right: NDArray[np.bool_], *, patience: float
) -> AttackCosts:
    """Return what an attack will cost.

    right: which images are classified correctly, bool (n,): the others leave at once. patience: processor seconds after
    which it is no longer counted how many images leave, so that the estimate is an upper bound.
    """
    import numpy as np

    deadline = time.process_time() + patience
    n, rows = len(right), np.flatnonzero(right)[: batching.BATCH]
    with ExitStack() as stack:
        for attacker in attackers:
            stack.enter_context(_unreported(attacker))
        timed = [_time_member(one, rows if len(rows) else np.arange(n)[: batching.BATCH]) for one in attackers]
        entering, staying = _follow_images(attackers, scorer, rows[:FEW_IMAGES], deadline)
    per_image = np.array([seconds for seconds, _ in timed]) + _time_score(scorer, attackers[0].y)
    if stops_at_success(scorer.surface, scorer.recipe):
        entering, staying = entering * right.mean(), staying * right.mean()
    seconds = n * staying * per_image
    tracing = sum(seconds for _, seconds in timed)
    return AttackCosts(seconds, entering, _expect_probing(attackers, scorer, seconds / n), tracing)


@contextmanager
def _unreported(attacker: Attacker) -> Iterator[None]:
    """Report none of the attacker's batches in the context."""
    report, attacker.report = attacker.report, lambda: None
    try:
        yield
    finally:
        attacker.report = report


def _count_turns(attacker: Attacker) -> int:
    """Return how often an attack takes all its steps: for each restart, towards each class that it takes in turn."""
    return (attacker.recipe.restarts or 1) * (MOST_TARGETS if attacker.row.in_turn else 1)


def _count_steps(attacker: Attacker) -> int:
    return attacker.steps if attacker.row.iterative else 1


def _time(work: Callable[[], object]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def _time_member(attacker: Attacker, rows: IntArray) -> tuple[float, float]:
    """Return the seconds of all steps for an image, and those of the tracing."""

    def attack(steps: int) -> float:
        return _time(lambda: list(attacker.propose(TIMED_EPS, rows, None, steps=steps)))

    tracing, first = attack(1), attack(1)
    few = min(FEW_STEPS, _count_steps(attacker))
    step = max(attack(few) - first, 0.0) / (few - 1) if few > 1 else 0.0
    return (max(first - step, 0.0) + step * _count_steps(attacker)) / len(rows), max(tracing - first, 0.0)


def _time_score(scorer: Scorer, y: IntArray) -> float:
    """Return the seconds for an image in which a random purifier's draws are scored; about 0 where there are none."""
    if not scorer.surface.samples:
        return 0.0
    rows = list_rows(y)[:FORWARD]
    scorer.measure_success(0, scorer.x[rows], y[rows])
    return _time(lambda: scorer.measure_success(0, scorer.x[rows], y[rows])) / len(rows)


def _follow_images(
    attackers: Sequence[Attacker], scorer: Scorer, rows: IntArray, deadline: float
) -> tuple[Floats, Floats]:
    """Return for each eps, rising, and member which share of some images it attacks, and for which share of its steps.

    Both float64 (eps, members) in [0, 1]. Where images do not leave, or the time is up, all of them stay.
    """
    import numpy as np

    radii = sorted(scorer.recipe.eps)
    entering = np.ones((len(radii), len(attackers)))
    staying = entering.copy()
    if not stops_at_success(scorer.surface, scorer.recipe) or not len(rows):
        return entering, staying
    left = rows
    for i, eps in enumerate(radii):
        for j, attacker in enumerate(attackers):
            entering[i, j] = staying[i, j] = len(left) / len(rows)
            if len(left) and time.process_time() < deadline:
                stay, left = _let_leave(attacker, eps, left)
                staying[i, j] *= stay if attacker.stops else 1.0
    return entering, staying


def _let_leave(attacker: Attacker, eps: float, rows: IntArray) -> tuple[float, IntArray]:
    """Return the share of its steps for which an attack has some images on average, and those that remain."""
    import numpy as np

    left, last, spent = rows, 0, 0
    for steps in LEAVING_STEPS:
        if not len(left) or steps > _count_steps(attacker):
            break
        x_adv: FloatArray = np.concatenate([one.x_adv for one in attacker.propose(eps, left, None, steps=steps)])
        spent, last = spent + len(left) * (steps - last), steps
        look = attacker.look(left, x_adv, None)
        left = left[~(look.succeeded if look.final is None else look.final)]
    total = _count_steps(attacker)
    return (spent + len(left) * (total - last)) / (total * len(rows)), left


def _expect_probing(attackers: Sequence[Attacker], scorer: Scorer, per_image: Floats) -> float:
    """Return the seconds in which the progress of a single attack is measured, from those for an image at each eps."""
    if len(attackers) > 1 or not scorer.recipe.clip or not attackers[0].row.iterative:
        return 0.0
    steps = double(attackers[0].steps)
    again = sum(steps[:-1] if attackers[0].stops else steps) / steps[-1]
    return float(per_image.sum()) * min(PROBED, len(scorer.x)) * again
