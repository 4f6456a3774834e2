"""How an attack progresses: the margin loss along its steps, and successes that it lost on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae.attacks import ATTACKS

if TYPE_CHECKING:
    from advae.evaluation.attacker import Attacker
    from advae.records import FloatArray

PROBED = 256
"""The first so many samples are attacked again with fewer steps; about a twentieth of the work for 10,000."""


@dataclass(frozen=True)
class AttackProgress:
    """What the attack reaches on the first PROBED samples after 1, 2, 4, ... steps, as the attacker sees it."""

    loss_curve: tuple[tuple[int, float], ...] | None
    """(steps, mean margin loss), from the unchanged images on; None where a loss is not finite.

    It is the margin loss whatever loss the attack raises: a saturating one may be constant until near the boundary.
    """
    lost_fraction: float
    """Share of samples, in [0, 1], that were a success at one of these points and are none at the last.

    Of a pipeline that samples: a success on most fresh draws, and at the last on fewer than half of them.
    """


def measure_progress(attacker: Attacker, eps: float, targets: tuple[int, ...] | None) -> AttackProgress:
    """Attack the first samples with 1, 2, 4, ... of the attack's steps and return what the attacker sees of each.

    The size of a step is that of the whole attack, so that these are its own iterates where it is deterministic.
    """
    import numpy as np

    rows = np.arange(min(PROBED, len(attacker.x)))
    points: list[tuple[int, FloatArray | None]] = [(0, None)]
    iterative = ATTACKS[attacker.recipe.method].iterative
    for steps in _double(attacker.steps) if iterative else [1]:
        proposals = attacker.propose(eps, rows, targets, steps=steps)
        points.append((steps, np.concatenate([proposal.x_adv for proposal in proposals])))
    looks = [(steps, attacker.look(rows, x_adv, targets)) for steps, x_adv in points]
    curve = tuple((steps, -float(look.margins.mean())) for steps, look in looks)
    confirmed = np.stack([look.confirmed for _, look in looks])
    return AttackProgress(
        curve if all(math.isfinite(loss) for _, loss in curve) else None,
        float((confirmed.any(axis=0) & ~looks[-1][1].succeeded).mean()),
    )


def _double(last: int) -> list[int]:
    """Return 1, 2, 4, ... up to ``last``, which is among them."""
    return [*(2**k for k in range(last.bit_length()) if 2**k < last), last]
