"""Iterative attacks on any differentiable pipeline, in L-infinity or L2: PGD, momentum, APGD.

Each is traced into its caller's graph, with eps, step size and step count as tensors, and returns the best iterate that
it met, so that a success on the way is not lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.attacks.goals import is_ahead
from advae.batching import Tensor

if TYPE_CHECKING:
    from advae.attacks.goals import Goal


def pgd(goal: Goal, x: Tensor, *, eps: Tensor, step_size: Tensor, steps: Tensor) -> Tensor:
    """Return the best iterate of projected gradient steps from a random point of the ball.

    x: float32 (n, d); eps, step_size: float32 scalars, in units of x; steps: int32. Madry et al. 2018,
    arXiv:1706.06083, section 2.1.
    """
    import tensorflow as tf

    x_adv = project(goal, x, x + random_point(goal, x, eps), eps)
    best, lowest = x_adv, tf.fill(tf.shape(x)[:1], float("inf"))
    for i in tf.range(steps):
        gradient, margins, _ = _look(goal, x_adv, i)
        best, lowest = _keep(best, lowest, x_adv, margins)
        x_adv = project(goal, x, x_adv + _direct(gradient, goal.norm, step_size), eps)
    return _choose(goal, _keep(best, lowest, x_adv, goal.look(x_adv, steps)[1])[0], x_adv)


def mim(goal: Goal, x: Tensor, *, eps: Tensor, step_size: Tensor, steps: Tensor) -> Tensor:
    """Return the best iterate of steps along the accumulated gradient, decay 1, from x.

    Dong et al. 2018, arXiv:1710.06081, algorithm 1.
    """
    import tensorflow as tf

    x_adv, momentum = x, tf.zeros_like(x)
    best, lowest = x_adv, tf.fill(tf.shape(x)[:1], float("inf"))
    for i in tf.range(steps):
        gradient, margins, _ = _look(goal, x_adv, i)
        best, lowest = _keep(best, lowest, x_adv, margins)
        momentum += tf.math.divide_no_nan(gradient, tf.reduce_mean(tf.abs(gradient), axis=-1, keepdims=True))
        x_adv = project(goal, x, x_adv + _direct(momentum, goal.norm, step_size), eps)
    return _choose(goal, _keep(best, lowest, x_adv, goal.look(x_adv, steps)[1])[0], x_adv)


def apgd(goal: Goal, x: Tensor, *, eps: Tensor, step_size: Tensor, steps: Tensor) -> Tensor:
    """Return the best iterate of Auto-PGD: momentum, and a step that halves wherever it no longer pays.

    step_size is not used: the first step is 2 eps. Croce and Hein 2020, arXiv:2003.01690, algorithm 1, with its
    checkpoints p_0 = 0, p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06), rho = 0.75 and alpha = 0.75.
    """
    import tensorflow as tf

    rows = tf.shape(x)[0]
    size = tf.fill([rows, 1], 2.0 * eps)
    x_adv = project(goal, x, x + random_point(goal, x, eps), eps)
    gradient, margins, losses = _look(goal, x_adv, 0)
    best, lowest = x_adv, margins
    # What the climb itself restarts from is the iterate of the highest loss, not of the lowest margin.
    top, top_loss, top_gradient = x_adv, losses, gradient
    before, last_loss = x_adv, losses
    risen, halved_at, loss_at_check = tf.zeros([rows]), tf.ones([rows], tf.bool), losses
    check, interval = _first_checkpoint(steps), _first_checkpoint(steps)
    shrink = tf.maximum(tf.cast(0.03 * tf.cast(steps, tf.float32), tf.int32), 1)
    shortest = tf.maximum(tf.cast(0.06 * tf.cast(steps, tf.float32), tf.int32), 1)
    for i in tf.range(steps):
        step = project(goal, x, x_adv + _direct(gradient, goal.norm, size), eps)
        kept = tf.where(i > 0, 0.75, 1.0)
        moved = project(goal, x, x_adv + kept * (step - x_adv) + (1.0 - kept) * (x_adv - before), eps)
        before, x_adv = x_adv, moved
        gradient, margins, losses = _look(goal, x_adv, i + 1)
        best, lowest = _keep(best, lowest, x_adv, margins)
        risen += tf.cast(losses > last_loss, tf.float32)
        last_loss = losses
        higher = losses > top_loss
        top = tf.where(higher[:, None], x_adv, top)
        top_gradient = tf.where(higher[:, None], gradient, top_gradient)
        top_loss = tf.where(higher, losses, top_loss)
        if i + 1 == check:
            seldom = risen < 0.75 * tf.cast(interval, tf.float32)
            stuck = ~halved_at & (top_loss <= loss_at_check)
            halve = seldom | stuck
            size = tf.where(halve[:, None], size / 2.0, size)
            x_adv = tf.where(halve[:, None], top, x_adv)
            before = tf.where(halve[:, None], top, before)
            gradient = tf.where(halve[:, None], top_gradient, gradient)
            last_loss = tf.where(halve, top_loss, last_loss)
            halved_at, loss_at_check, risen = halve, top_loss, tf.zeros_like(risen)
            interval = tf.maximum(interval - shrink, shortest)
            check += interval
    return _choose(goal, best, top, x_adv)


def _first_checkpoint(steps: Tensor) -> Tensor:
    import tensorflow as tf

    return tf.maximum(tf.cast(0.22 * tf.cast(steps, tf.float32), tf.int32), 1)


# ---------------------------------------------------------------- the ball


def project(goal: Goal, x: Tensor, x_raw: Tensor, eps: Tensor) -> Tensor:
    """Return x_raw moved into the eps-ball around x and into the valid range."""
    import tensorflow as tf
    from cleverhans.tf2.utils import clip_eta

    return tf.clip_by_value(x + clip_eta(x_raw - x, _order(goal.norm), eps), goal.lower, goal.upper)


def random_point(goal: Goal, x: Tensor, eps: Tensor) -> Tensor:
    """Return a perturbation drawn uniformly from the eps-ball, float32 (n, d)."""
    import tensorflow as tf

    if goal.norm == "linf":
        return eps * tf.random.stateless_uniform(tf.shape(x), goal.seed, -1.0, 1.0)
    direction = tf.random.stateless_normal(tf.shape(x), goal.seed)
    radius = tf.random.stateless_uniform(tf.shape(x)[:1], goal.seed + 1) ** (1.0 / tf.cast(tf.shape(x)[1], tf.float32))
    return eps * radius[:, None] * tf.math.l2_normalize(direction, axis=-1)


def _direct(gradient: Tensor, norm: str, size: Tensor) -> Tensor:
    """Return the step of length ``size`` that climbs fastest; a pixel whose gradient is not finite stays."""
    import tensorflow as tf
    from cleverhans.tf2.utils import optimize_linear

    finite = tf.where(tf.math.is_finite(gradient), gradient, 0.0)
    return optimize_linear(finite, size, _order(norm))


def _order(norm: str) -> float:
    import numpy as np

    return {"linf": np.inf, "l2": 2}[norm]


# ---------------------------------------------------------------- looking


def _look(goal: Goal, x: Tensor, draw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradient to climb, the margins and the losses to raise at x: (n, d), (n,), (n,)."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        losses, margins = goal.look(x, draw)
        total = tf.reduce_sum(losses)
    return tape.gradient(total, x), margins, losses


def _choose(goal: Goal, best: Tensor, *others: Tensor) -> Tensor:
    """Return the best iterate; where the pipeline samples, for each sample the point that fools most fresh draws.

    There the lowest of many margins is that of a lucky draw rather than of a good point.
    """
    import tensorflow as tf

    if not goal.noisy:
        return best
    share, margin = goal.measure_success(best, 0)
    for other in others:
        found = goal.measure_success(other, 0)
        better = is_ahead(*found, share, margin)
        best = tf.where(better[:, None], other, best)
        share, margin = tf.where(better, found[0], share), tf.where(better, found[1], margin)
    return best


def _keep(best: Tensor, lowest: Tensor, x: Tensor, margins: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each sample the image of the lower margin, and that margin."""
    import tensorflow as tf

    lower = margins < lowest
    return tf.where(lower[:, None], x, best), tf.where(lower, margins, lowest)
