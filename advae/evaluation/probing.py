"""Whether an attack does its work: the margin loss along its steps, and successes that it lost on the way."""

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
class Probe:
    """loss_curve: (steps, mean margin loss), from the unchanged images on; None where one is not a finite number.

    The margin loss, the other logits' largest minus the label's, whatever the attack climbs: a loss that cannot
    saturate may stand still until a sample is near its boundary.

    lost_fraction: share of samples that were fooled in the attacker's eyes at one of these points, and at the last are
    not; of a pipeline that samples by most fresh draws, and at the last by fewer than half of them.
    """

    loss_curve: tuple[tuple[int, float], ...] | None
    lost_fraction: float


def probe(attacker: Attacker, eps: float, targets: tuple[int, ...] | None) -> Probe:
    """Attack the first samples with 1, 2, 4, ... of the attack's steps and look at each outcome as the attacker does.

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
    fooled = np.stack([look.surely_fooled for _, look in looks])
    return Probe(
        curve if all(math.isfinite(loss) for _, loss in curve) else None,
        float((fooled.any(axis=0) & ~looks[-1][1].fooled).mean()),
    )


def _double(last: int) -> list[int]:
    """Return 1, 2, 4, ... up to ``last``, which is among them."""
    return [*(2**k for k in range(last.bit_length()) if 2**k < last), last]
