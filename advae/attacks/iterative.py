"""Iterative attacks on any differentiable pipeline, in L-infinity or L2: PGD, momentum, APGD.

Each is traced into its caller's graph, with eps, step size and step count as tensors, and returns its best iterate, so
that a success at an earlier iterate is not lost: the one of the lowest margin, or, where ``goal.stops``, the first one
that is a success (``leaving``). Random starts belong to the image, not to its place in the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.attacks.ball import norm_order, project, random_direction, random_point
from advae.attacks.goals import is_ahead, narrow, select
from advae.attacks.leaving import keep_best, keep_nothing, keep_still, leave, put
from advae.batching import Tensor
from advae.tracing import loops_over_tensors

if TYPE_CHECKING:
    from advae.attacks.goals import Goal


def pgd(goal: Goal, x: Tensor, *, eps: Tensor, step_size: Tensor, steps: Tensor) -> Tensor:
    """Return the best iterate of projected gradient steps from a random point of the ball.

    x: float32 (n, d); eps, step_size: float32 scalars, in units of x; steps: int32. Madry et al. 2018,
    arXiv:1706.06083, section 2.1.
    """
    start = project(goal, x, x + random_point(goal, x, eps), eps)
    return _iterate(goal, x, start, eps, step_size, steps, accumulate=False)


def mim(goal: Goal, x: Tensor, *, eps: Tensor, step_size: Tensor, steps: Tensor) -> Tensor:
    """Return the best iterate of steps along the accumulated gradient, decay 1, from x.

    Dong et al. 2018, arXiv:1710.06081, algorithm 1.
    """
    return _iterate(goal, x, x, eps, step_size, steps, accumulate=True)


@loops_over_tensors
def _iterate(
    goal: Goal, x: Tensor, x_adv: Tensor, eps: Tensor, step_size: Tensor, steps: Tensor, *, accumulate: bool
) -> Tensor:
    """Return the best iterate of projected steps around x that start at x_adv.

    accumulate: step along the sum of the gradients, each divided by its mean magnitude, instead of the last gradient.
    """
    import tensorflow as tf

    left, kept, momentum = (x_adv, tf.range(tf.shape(x)[0])), keep_nothing(x_adv), tf.zeros_like(x)
    i = 0
    while i < steps and tf.size(left[1]) > 0:
        own = _narrow(goal, left[1])
        gradient, margins, _ = _look(own, x_adv, i)
        kept = keep_best(own, x_adv, margins, kept, i)
        if accumulate:
            momentum += tf.math.divide_no_nan(gradient, tf.reduce_mean(tf.abs(gradient), axis=-1, keepdims=True))
        else:
            momentum = gradient
        moved = project(own, x, x_adv + _scale_step(momentum, goal.norm, step_size), eps)
        if goal.stops and not accumulate:
            kept = keep_still(kept, x_adv, moved)
        x_adv = moved
        left, kept, (x, x_adv, momentum) = leave(goal, left, kept, (x, x_adv, momentum))
        i += 1
    # TensorFlow's convolutions raise for a batch of no images.
    if tf.size(left[1]) > 0:
        own = _narrow(goal, left[1])
        kept = keep_best(own, x_adv, own.look(x_adv, steps)[1], kept, steps)
    return _choose(goal, put(*left, kept[0]), x_adv)


@loops_over_tensors
def apgd(goal: Goal, x: Tensor, *, eps: Tensor, step_size: Tensor, steps: Tensor) -> Tensor:
    """Return the best iterate of Auto-PGD: momentum, and a step that is halved where the loss stops rising.

    step_size is not used: the first step is 2 eps. Croce and Hein 2020, arXiv:2003.01690, algorithm 1, with its
    checkpoints p_0 = 0, p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06), rho = 0.75 and alpha = 0.75.
    Where paper and published code differ it follows the code: it starts at a distance of exactly eps, a step is halved
    also where the loss rose on exactly rho of the steps, and a return to the best iterate keeps the momentum.
    """
    import tensorflow as tf

    rows = tf.shape(x)[0]
    size = tf.fill([rows, 1], 2.0 * eps)
    x_adv = project(goal, x, x + random_direction(goal, x, eps), eps)
    gradient, margins, losses = _look(goal, x_adv, 0)
    left, kept = (x_adv, tf.range(rows)), keep_best(goal, x_adv, margins, keep_nothing(x_adv), 0)
    # The attack continues from the iterate of the highest loss, which need not be that of the lowest margin.
    top, top_loss, top_gradient = x_adv, losses, gradient
    before, last_loss = x_adv, losses
    risen, halved_at, loss_at_check = tf.zeros([rows]), tf.ones([rows], tf.bool), losses
    check, interval = _first_checkpoint(steps), _first_checkpoint(steps)
    shrink = tf.maximum(tf.cast(0.03 * tf.cast(steps, tf.float32), tf.int32), 1)
    shortest = tf.maximum(tf.cast(0.06 * tf.cast(steps, tf.float32), tf.int32), 1)
    i = 0
    while i < steps and tf.size(left[1]) > 0:
        own = _narrow(goal, left[1])
        step = project(own, x, x_adv + _scale_step(gradient, goal.norm, size), eps)
        share = tf.where(i > 0, 0.75, 1.0)
        moved = project(own, x, x_adv + share * (step - x_adv) + (1.0 - share) * (x_adv - before), eps)
        if goal.stops:
            # Without momentum, and at the point to which a halving returns, a shorter step goes nowhere either.
            kept = keep_still(kept, x_adv, step, before, top)
        before, x_adv = x_adv, moved
        gradient, margins, losses = _look(own, x_adv, i + 1)
        kept = keep_best(own, x_adv, margins, kept, i + 1)
        risen += tf.cast(losses > last_loss, tf.float32)
        last_loss = losses
        top, top_gradient, top_loss = select(
            losses > top_loss, (x_adv, gradient, losses), (top, top_gradient, top_loss)
        )
        if i + 1 == check:
            seldom = risen <= 0.75 * tf.cast(interval, tf.float32)
            stuck = ~halved_at & (top_loss <= loss_at_check)
            halve = seldom | stuck
            size, x_adv, gradient = select(halve, (size / 2.0, top, top_gradient), (size, x_adv, gradient))
            halved_at, loss_at_check, risen = halve, top_loss, tf.zeros_like(risen)
            interval = tf.maximum(interval - shrink, shortest)
            check += interval
        images, numbers = (x, x_adv, before, gradient, top, top_gradient), (size, last_loss, top_loss, loss_at_check)
        left, kept, state = leave(goal, left, kept, (*images, *numbers, risen, halved_at))
        x, x_adv, before, gradient, top, top_gradient, size, last_loss, top_loss, loss_at_check, risen, halved_at = (
            state
        )
        i += 1
    return _choose(goal, put(*left, kept[0]), top, x_adv)


def _narrow(goal: Goal, rows: Tensor) -> Goal:
    """Return the goal for the images that are still attacked: for all where none leaves."""
    return narrow(goal, rows) if goal.stops else goal


def _first_checkpoint(steps: Tensor) -> Tensor:
    import tensorflow as tf

    return tf.maximum(tf.cast(0.22 * tf.cast(steps, tf.float32), tf.int32), 1)


# ---------------------------------------------------------------- steps


def _scale_step(gradient: Tensor, norm: str, size: Tensor) -> Tensor:
    """Return the step of length ``size`` that raises the loss most, 0 for a pixel whose gradient is not finite."""
    import tensorflow as tf
    from cleverhans.tf2.utils import optimize_linear

    finite = tf.where(tf.math.is_finite(gradient), gradient, 0.0)
    return optimize_linear(finite, size, norm_order(norm))


# ---------------------------------------------------------------- looking


def _look(goal: Goal, x: Tensor, draw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradient of the losses to raise, the margins and the losses at x: (n, d), (n,), (n,)."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        losses, margins = goal.look(x, draw)
        total = tf.reduce_sum(losses)
    return tape.gradient(total, x), margins, losses


def _choose(goal: Goal, best: Tensor, *others: Tensor) -> Tensor:
    """Return the best iterate; where the pipeline samples, for each sample the point with most successful draws.

    On a random pipeline the lowest of many margins is often due to one draw, not to a good point.
    """
    if not goal.noisy:
        return best
    share, margin = goal.measure_success(best, 0)
    for other in others:
        found = goal.measure_success(other, 0)
        best, share, margin = select(is_ahead(*found, share, margin), (other, *found), (best, share, margin))
    return best
