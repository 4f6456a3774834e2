"""The targeted FAB attack: it finds the nearest misclassified point, by projections onto the linearised boundary.

Croce and Hein 2020, arXiv:1907.02044, algorithm 1, with the settings of AutoAttack (arXiv:2003.01690): one start, at x.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.attacks.ball import norm_order
from advae.attacks.losses import margin_towards
from advae.attacks.target_turns import attack_in_turn
from advae.batching import Tensor
from advae.tracing import loops_over_tensors

if TYPE_CHECKING:
    from advae.attacks.goals import Goal

MOST_BIAS = 0.1
"""Largest weight alpha of the projection of x in a step (alpha_max)."""

OVERSHOOT = 1.05
"""Factor eta of a projection, so that the step ends beyond the boundary."""

RETURN = 0.9
"""Factor beta of a misclassified point's distance from x, from where the search continues."""


def fab(goal: Goal, x: Tensor, *, eps: Tensor, step_size: Tensor, steps: Tensor) -> Tensor:
    """Return the nearest misclassified point of each sample that steps towards the most likely other classes found.

    x: float32 (n, d); eps: float32 scalar, in units of x: a sample with a success inside it is not attacked further,
    and a nearest point outside is projected. steps: int32, for each class. step_size is not used.
    """
    return attack_in_turn(goal, x, eps, lambda few, start, rivals: _approach(few, start, rivals, eps=eps, steps=steps))


@loops_over_tensors
def _approach(goal: Goal, x: Tensor, rivals: Tensor, *, eps: Tensor, steps: Tensor) -> Tensor:
    """Return the nearest misclassified point on the way towards one class; x where there is none."""
    import tensorflow as tf

    lower, upper = _bound(goal, x)
    point, best, nearest = x, x, tf.fill(tf.shape(x)[:1], float("inf"))
    i = 0
    while i < steps and tf.reduce_any(nearest > eps):
        gap, normal = _linearise(goal, point, rivals, 2 * i)
        step = project_onto_boundary(point, normal, -gap, lower, upper, goal.norm)
        short = -gap - tf.reduce_sum(normal * (x - point), axis=-1)
        biased = project_onto_boundary(x, normal, short, lower, upper, goal.norm)
        here, back = (tf.maximum(_measure(one, goal.norm), 1e-8)[:, None] for one in (step, biased))
        weight = tf.minimum(here / (here + back), MOST_BIAS)
        moved = (1.0 - weight) * (point + OVERSHOOT * step) + weight * (x + OVERSHOOT * biased)
        point = tf.clip_by_value(moved, lower, upper)
        beyond = goal.look(point, 2 * i + 1)[1] < 0.0
        distance = _measure(point - x, goal.norm)
        nearer = beyond & (distance < nearest)
        best, nearest = tf.where(nearer[:, None], point, best), tf.where(nearer, distance, nearest)
        point = tf.where(beyond[:, None], x + RETURN * (point - x), point)
        i += 1
    return best


def _bound(goal: Goal, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the smallest and the largest pixel; an unbounded end is replaced by one at a distance of 1 from x."""
    import tensorflow as tf

    return (
        tf.where(tf.math.is_finite(goal.lower), goal.lower, x - 1.0),
        tf.where(tf.math.is_finite(goal.upper), goal.upper, x + 1.0),
    )


def _linearise(goal: Goal, x: Tensor, rivals: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rivals' logits minus the labels' at x, (n,), and their gradients, (n, d), 0 where not finite."""
    import tensorflow as tf

    each = rivals if goal.eot_samples == 1 else tf.repeat(rivals, goal.eot_samples)
    with tf.GradientTape() as tape:
        tape.watch(x)
        gaps = margin_towards(*goal.view(x, draw), each)
        gap = gaps if goal.eot_samples == 1 else tf.reduce_mean(tf.reshape(gaps, (-1, goal.eot_samples)), axis=-1)
        total = tf.reduce_sum(gap)
    gradient = tape.gradient(total, x)
    return gap, tf.where(tf.math.is_finite(gradient), gradient, 0.0)


@loops_over_tensors
def project_onto_boundary(x: Tensor, normal: Tensor, rise: Tensor, lower: Tensor, upper: Tensor, norm: str) -> Tensor:
    """Return the smallest perturbation d with <normal, d> = rise and lower <= x + d <= upper, float32 (n, d).

    rise: (n,). Where the range does not allow it, d is the one that comes nearest to it. Pixel i moves by
    min(t s_i, room_i) for one t of each sample, with s_i = 1 in L-infinity and |normal_i| in L2, so that the rise is
    concave and piecewise linear in t. Newton's method from t = 0 never passes the t that is wanted, and ends at it
    once no pixel reaches its bound any more; sorting the bounds instead takes longer than the network. Section 2.2 of
    the paper.
    """
    import tensorflow as tf

    way = tf.sign(normal) * tf.sign(rise)[:, None]
    weight = tf.abs(normal)
    pace = tf.abs(way) if norm == "linf" else weight * tf.abs(way)
    room = tf.maximum(tf.where(way > 0.0, upper - x, x - lower), 0.0)
    moves = pace > 0.0
    needed, gain, most = tf.abs(rise), weight * pace, tf.where(moves, weight * room, 0.0)
    ends = tf.where(moves, tf.math.divide_no_nan(room, pace), 0.0)
    t, grows = tf.zeros_like(needed), tf.constant(True)
    while grows:
        ended = ends <= t[:, None]
        spent = tf.reduce_sum(tf.where(ended, most, 0.0), axis=-1)
        slope = tf.reduce_sum(tf.where(ended, 0.0, gain), axis=-1)
        # Where every pixel is at its bound the rise is not reached.
        further = tf.where(slope > 0.0, tf.math.divide_no_nan(needed - spent, slope), float("inf"))
        grows = tf.reduce_any(further > t)
        t = tf.maximum(t, further)
    return way * tf.where(moves, tf.minimum(t[:, None] * tf.where(moves, pace, 1.0), room), 0.0)


def _measure(delta: Tensor, norm: str) -> Tensor:
    """Return the lengths of perturbations, (n,)."""
    import tensorflow as tf

    return tf.norm(delta, ord=norm_order(norm), axis=-1)
