"""The progress of an attack: its margin loss after 1, 2, 4, ... steps, and successes that it did not return."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae.attacks import ATTACKS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.evaluation.attacker import Attacker
    from advae.evaluation.proposals import Look
    from advae.records import FloatArray, IntArray

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


def list_probed(n: int) -> IntArray:
    """Return the rows by which the progress of an attack on n samples is measured, int64."""
    import numpy as np

    return np.arange(min(PROBED, n))


def measure_progress(attacker: Attacker, eps: float, targets: tuple[int, ...] | None) -> AttackProgress:
    """Return the progress of an attack, by attacking the first samples with 1, 2, 4, ... of its steps.

    The step size is that of the whole attack, so that the points are its own iterates where it is deterministic.
    """
    import numpy as np

    rows = list_probed(len(attacker.x))
    points: list[tuple[int, FloatArray | None]] = [(0, None)]
    iterative = ATTACKS[attacker.recipe.method].iterative
    for steps in double(attacker.steps) if iterative else [1]:
        proposals = attacker.propose(eps, rows, targets, steps=steps)
        points.append((steps, np.concatenate([proposal.x_adv for proposal in proposals])))
    return _summarise([(steps, attacker.look(rows, x_adv, targets)) for steps, x_adv in points])


def measure_until_success(
    attacker: Attacker, eps: float, reached: FloatArray, carried: NDArray[np.bool_]
) -> AttackProgress | None:
    """Return the progress of an attack that images leave at their first success; None where it attacked no image.

    reached: the adversarial examples that the whole attack returned for the first samples, float32 (m, d), the last
    point of the curve; carried: which of them are of a smaller eps, bool (m,). These stand at every point but that of
    0 steps, as do images that are final after fewer steps: they are the images that the whole attack returns.
    """
    import numpy as np

    rows = list_probed(len(attacker.x))
    if carried.all():
        return None
    x_adv, left = np.where(carried[:, None], reached, attacker.x[rows]), ~carried
    looks = [(0, attacker.look(rows, None, None))]
    for steps in double(attacker.steps)[:-1]:
        again = rows[left]
        for proposal in attacker.propose(eps, again, None, steps=steps):
            x_adv[proposal.rows] = proposal.x_adv
        look = attacker.look(rows, x_adv, None)
        looks.append((steps, look))
        # A score-based member of an ensemble has no final images of its own; what it breaks leaves the ensemble.
        left &= ~(look.succeeded if look.final is None else look.final)
    return _summarise([*looks, (attacker.steps, attacker.look(rows, reached, None))])


def _summarise(looks: Sequence[tuple[int, Look]]) -> AttackProgress:
    """Return the progress of an attack from its view of the samples after 0, 1, 2, ... steps."""
    import numpy as np

    curve = tuple((steps, -float(look.margins.mean())) for steps, look in looks)
    confirmed = np.stack([look.confirmed for _, look in looks])
    return AttackProgress(
        curve if all(math.isfinite(loss) for _, loss in curve) else None,
        float((confirmed.any(axis=0) & ~looks[-1][1].succeeded).mean()),
    )


def double(last: int) -> list[int]:
    """Return 1, 2, 4, ... below ``last``, and ``last``."""
    return [*(2**k for k in range(last.bit_length()) if 2**k < last), last]
