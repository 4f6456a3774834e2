"""Random noise: the floor that any attack must beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.batching import Tensor

if TYPE_CHECKING:
    from advae.attacks.goals import Goal


def noise(goal: Goal, x: Tensor, *, eps: Tensor) -> Tensor:
    """Return x with random noise of norm exactly eps, clipped to the valid range; the model is not looked at.

    x: float32 (n, d); eps: float32 scalar, in units of x. L-infinity: random signs times eps. L2: a direction drawn
    uniformly, of length eps.
    """
    import tensorflow as tf

    drawn = tf.random.stateless_normal(tf.shape(x), goal.seed)
    direction = tf.where(drawn < 0.0, -1.0, 1.0) if goal.norm == "linf" else tf.math.l2_normalize(drawn, axis=-1)
    return tf.clip_by_value(x + eps * direction, goal.lower, goal.upper)
