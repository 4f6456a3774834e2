"""Attacks towards one other class after the other, the most likely first, until a sample is misclassified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from advae.attacks.ball import project
from advae.attacks.goals import is_ahead, narrow, select
from advae.attacks.image_draws import mix
from advae.attacks.iterative import apgd
from advae.attacks.leaving import find_final
from advae.attacks.losses import dlr_towards
from advae.batching import Tensor
from advae.tracing import loops_over_tensors

if TYPE_CHECKING:
    from advae.attacks.goals import Goal

MOST_TARGETS = 9
"""Number of other classes that are tried (AutoAttack); with fewer classes, all others are."""

Attempt = Callable[["Goal", Tensor, Tensor], Tensor]
"""(goal, x, rivals) -> proposed x_adv (m, d); rivals: int64 (m,), the class towards which each sample is moved."""


def apgd_targeted(goal: Goal, x: Tensor, *, eps: Tensor, step_size: Tensor, steps: Tensor) -> Tensor:
    """Return the best iterate of Auto-PGD on the targeted DLR loss, over the most likely other classes.

    x: float32 (n, d); steps: int32, for each target. A success is any misclassification. step_size is not used. Croce
    and Hein 2020, arXiv:2003.01690, section 4.1.
    """

    def attempt(few: Goal, start: Tensor, rivals: Tensor) -> Tensor:
        return apgd(aim(few, rivals), start, eps=eps, step_size=step_size, steps=steps)

    return attack_in_turn(goal, x, eps, attempt)


def aim(goal: Goal, rivals: Tensor) -> Goal:
    """Return the goal with the targeted DLR loss towards ``rivals``, int64 (n,)."""

    return replace(goal, loss=dlr_towards, rivals=rivals)


@loops_over_tensors
def attack_in_turn(goal: Goal, x: Tensor, eps: Tensor, attempt: Attempt) -> Tensor:
    """Return the best point of each sample, inside the ball, of an attempt towards each of the other classes.

    A sample that is misclassified is not attacked again; on a pipeline that samples, one that is so on all draws; where
    images leave at their first success, one that is so after rounding to 8 bits, too.
    """
    import tensorflow as tf

    ranked = rank_others(goal, x)
    best, (share, margin) = x, measure_point(goal, x)
    k = 0
    while k < ranked.shape[1] and tf.reduce_any(share < 1.0):
        rows = tf.where(share < 1.0)[:, 0]
        few = narrow(goal, rows)
        few = replace(few, keys=mix(few.list_keys(), k))
        start, rivals = tf.gather(x, rows), tf.gather(ranked[:, k], rows)
        tried = project(few, start, attempt(few, start, rivals), eps)
        old = (tf.gather(best, rows), tf.gather(share, rows), tf.gather(margin, rows))
        found = (tried, *measure_point(few, tried))
        new = select(is_ahead(*found[1:], *old[1:]), found, old)
        place = rows[:, None]
        best = tf.tensor_scatter_nd_update(best, place, new[0])
        share = tf.tensor_scatter_nd_update(share, place, new[1])
        margin = tf.tensor_scatter_nd_update(margin, place, new[2])
        k += 1
    return best


def measure_point(goal: Goal, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the share of draws with a success at x, 0 or 1 where the pipeline does not sample, and the margins."""
    import tensorflow as tf

    if goal.noisy:
        return goal.measure_success(x, 0)
    margins = goal.look(x, 0)[1]
    won = margins < 0.0
    if goal.stops:
        won = find_final(goal, x, margins, 0, tf.zeros_like(won))
    return tf.cast(won, tf.float32), margins


def rank_others(goal: Goal, x: Tensor) -> Tensor:
    """Return the most likely classes at x besides the label, the most likely first: int64 (n, targets)."""
    import tensorflow as tf

    logits = goal.logits(x, 0)
    classes = logits.shape[-1]
    others = tf.where(tf.one_hot(goal.labels, classes, True, False, dtype=tf.bool), -float("inf"), logits)
    return tf.cast(tf.math.top_k(others, min(MOST_TARGETS, classes - 1)).indices, tf.int64)
