"""The progress of an attack: its margin loss after 1, 2, 4, ... steps, and successes that it did not return."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae.attacks import ATTACKS

if TYPE_CHECKING:
    from advae.evaluation.attacker import Attacker
    from advae.records import FloatArray

PROBED = 256
"""Number of first samples that are attacked again with fewer steps; about a twentieth of the work for 10,000."""


@dataclass(frozen=True)
class AttackProgress:
    """Progress of the attack on the first PROBED samples after 1, 2, 4, ... steps, in the attacker's view."""

    loss_curve: tuple[tuple[int, float], ...] | None
    """(steps, mean margin loss), from the unchanged images on; None where a loss is not finite.

    Always the margin loss, whichever loss the attack maximises: a loss that saturates may stay constant until an image
    is near the decision boundary.
    """
    lost_fraction: float
    """Share of samples, in [0, 1], that are a success after fewer steps but not after all steps.

    For a pipeline that samples, a success is a wrong prediction on most fresh draws; at the last point a sample counts
    as no success where fewer than half of the draws are wrong.
    """


def measure_progress(attacker: Attacker, eps: float, targets: tuple[int, ...] | None) -> AttackProgress:
    """Return the progress of an attack, by attacking the first samples with 1, 2, 4, ... of its steps.

    The step size is that of the whole attack, so that the points are its own iterates where it is deterministic.
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
    """Return 1, 2, 4, ... below ``last``, and ``last``."""
    return [*(2**k for k in range(last.bit_length()) if 2**k < last), last]
