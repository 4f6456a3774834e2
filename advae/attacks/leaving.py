"""Images that leave an attack at their first success, so that the remaining steps are on the remaining images only.

Only where ``goal.stops``: the attacker asks the very function that is scored, so it knows a success for certain. The
image that an attack returns is the first iterate that is a success, also after rounding to 8 bits; where there is none,
the iterate of the lowest margin. That does not depend on when an image leaves, because no image depends on another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.attacks.ball import round_to_8_bits
from advae.attacks.goals import narrow, select
from advae.batching import Tensor
from advae.tracing import loops_over_tensors

if TYPE_CHECKING:
    from advae.attacks.goals import Goal

LEAST_SHARE = 8
"""An eighth of the images must be finished before the rest is gathered: gathering costs a few passes over memory."""

Kept = tuple[Tensor, Tensor, Tensor]
"""Best iterate of each image, float32 (n, d); its margin, float32 (n,); whether it is final, bool (n,)."""


def keep_nothing(x_adv: Tensor) -> Kept:
    """Return what is kept before the first iterate was seen."""
    import tensorflow as tf

    margins = tf.fill(tf.shape(x_adv)[:1], float("inf"))
    return x_adv, margins, tf.zeros_like(margins, tf.bool)


def keep_best(goal: Goal, x_adv: Tensor, margins: Tensor, kept: Kept, draw: Tensor) -> Kept:
    """Return what is kept after one more iterate: the lower margin, or the first final image.

    x_adv: float32 (n, d); margins: float32 (n,), at x_adv; draw: number of the iterate.
    """
    best, lowest, final = kept
    better = margins < lowest
    if goal.stops:
        found = find_final(goal, x_adv, margins, draw, final)
        better = found | (better & ~final)
        final |= found
    best, lowest = select(better, (x_adv, margins), (best, lowest))
    return best, lowest, final


def keep_still(kept: Kept, x_adv: Tensor, *points: Tensor) -> Kept:
    """Return what is kept, with the images as final that are at x_adv in all ``points``: they do not move any more.

    x_adv, points: float32 (n, d). The next steps of the attack must depend on nothing but these points.
    """
    import tensorflow as tf

    best, lowest, final = kept
    still = [tf.reduce_all(point == x_adv, axis=-1) for point in points]
    return best, lowest, final | tf.reduce_all(still, axis=0)


@loops_over_tensors
def find_final(goal: Goal, x_adv: Tensor, margins: Tensor, draw: Tensor, known: Tensor) -> Tensor:
    """Return which images are a success, also after rounding to 8 bits, bool (n,); False where ``known`` is true."""
    import tensorflow as tf

    final = (margins < 0.0) & ~known
    if tf.reduce_any(final):
        # Only the few rows that have just succeeded are looked at again.
        rows = tf.where(final)[:, 0]
        rounded = narrow(goal, rows).look(round_to_8_bits(tf.gather(x_adv, rows)), draw)[1]
        lasting = tf.boolean_mask(rows, rounded < 0.0)[:, None]
        final = tf.scatter_nd(lasting, tf.ones_like(lasting[:, 0]), tf.shape(final, tf.int64)) > 0
    return final


@loops_over_tensors
def leave(
    goal: Goal, left: tuple[Tensor, Tensor], kept: Kept, state: tuple[Tensor, ...]
) -> tuple[tuple[Tensor, Tensor], Kept, tuple[Tensor, ...]]:
    """Return the same without the images that are final, once they are enough.

    left: the images that the attack returns, float32 (n, d), and the rows of those that are still attacked, int32 (m,);
    kept, state: of the m images. What leaves is written into the first.
    """
    import tensorflow as tf

    found, rows = left
    if goal.stops:
        final = kept[2]
        many = tf.math.count_nonzero(final, dtype=tf.int32)
        if (many > 0) & (LEAST_SHARE * many >= tf.size(final)):
            found = put(found, tf.boolean_mask(rows, final), tf.boolean_mask(kept[0], final))
            stay = tf.where(~final)[:, 0]
            rows = tf.gather(rows, stay)
            kept = tuple([tf.gather(part, stay) for part in kept])
            state = tuple([tf.gather(part, stay) for part in state])
    return (found, rows), kept, state


def put(found: Tensor, rows: Tensor, images: Tensor) -> Tensor:
    """Return ``found`` with some of its rows replaced by other images."""
    import tensorflow as tf

    return tf.tensor_scatter_nd_update(found, rows[:, None], images)
