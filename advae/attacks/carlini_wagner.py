"""Carlini and Wagner's L2 attack: it finds the nearest success, not the strongest one inside a ball.

Carlini and Wagner 2017, arXiv:1608.04644. The implementation of CleverHans 4.0 cannot be used: it calls an optimiser's
``variables()``, a property since Keras 3, and compares in Python, so that it cannot be traced as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from advae.attacks.goals import CONFIRMED_SHARE, select
from advae.batching import Tensor
from advae.tracing import loops_over_tensors

if TYPE_CHECKING:
    from advae.attacks.goals import Goal


SEARCH_STEPS = 5
"""Number of weights c of the margin that are tried on each sample (section VI)."""

FIRST_WEIGHT = 1.0
"""The first c. It is multiplied by 10 until the attack succeeds, or divided by 10 until it fails; then c is halved
between the two on a logarithmic scale."""

LEARNING_RATE = 0.1
"""Adam's first learning rate, in units of arctanh. It decreases linearly to 0; the paper's is constant. At a constant
rate the iterates jump over near boundaries, and the distances found were up to a sixth too long."""

NEARLY_ONE = 0.9999
"""Factor of the starting pixels, scaled to [-1, 1]: arctanh of a black or white pixel is infinite, and a gradient
cannot change it."""


class _Found(NamedTuple):
    """The best point of each sample so far."""

    x_adv: Tensor
    """float32 (n, d)."""
    distance: Tensor
    """Squared L2 distance from x, (n,); infinite where the point is no success."""
    margin: Tensor
    """Distance of the point from success, (n,), in logits."""


class _Moments(NamedTuple):
    """Adam's running means."""

    mean: Tensor
    """Running mean of the gradient, (n, d)."""
    square: Tensor
    """Running mean of the squared gradient, (n, d)."""


@loops_over_tensors
def cw(goal: Goal, x: Tensor, *, eps: Tensor, step_size: Tensor, steps: Tensor) -> Tensor:
    """Return for each sample the nearest success; where none was found, the point of the lowest margin.

    For a pipeline that samples, a success is a point that succeeds on CONFIRMED_SHARE of fresh draws.
    x: float32 (n, d); steps: int32, for each of SEARCH_STEPS weights. step_size is not used, and eps only where the
    valid range is unbounded: the caller projects longer perturbations, so a success at eps is at most eps away from x.
    Sections V.B (f_6 with kappa 0), V.C (change of variables) and VI.
    """
    import tensorflow as tf

    middle, half = _range(goal, x, eps)
    start = tf.atanh(NEARLY_ONE * tf.math.divide_no_nan(x - middle, half))
    scale = _largest_logit(goal, x)
    margins = goal.look(x, 0)[1]
    found = _Found(
        x,
        tf.where(_succeeds(goal, x, margins), 0.0, float("inf")),
        tf.where(tf.math.is_nan(margins), float("inf"), margins),
    )
    weight, too_little, enough = (tf.fill(tf.shape(margins), c) for c in (FIRST_WEIGHT, 0.0, float("inf")))
    for _ in tf.range(SEARCH_STEPS):
        w, moments = start, _Moments(tf.zeros_like(x), tf.zeros_like(x))
        succeeded = tf.zeros_like(margins, tf.bool)
        for i in tf.range(steps):
            with tf.GradientTape() as tape:
                tape.watch(w)
                x_adv = middle + half * tf.tanh(w)
                distances, margins = tf.reduce_sum((x_adv - x) ** 2, axis=-1), goal.look(x_adv, i)[1]
                total = tf.reduce_sum(distances + weight * tf.maximum(margins / scale, 0.0))
            success = _succeeds(goal, x_adv, margins)
            found = _keep_nearest(found, _Found(x_adv, tf.where(success, distances, float("inf")), margins))
            succeeded |= success
            rate = LEARNING_RATE * (1.0 - tf.cast(i, tf.float32) / tf.cast(steps, tf.float32))
            w, moments = _adam_step(w, tape.gradient(total, w), moments, rate, tf.cast(i + 1, tf.float32))
        too_little = tf.where(succeeded, too_little, weight)
        enough = tf.where(succeeded, weight, enough)
        weight = _next_weight(too_little, enough)
    return found.x_adv


@loops_over_tensors
def _succeeds(goal: Goal, x: Tensor, margins: Tensor) -> Tensor:
    """Return which points are a success, bool (n,); margins: (n,), at x."""
    import tensorflow as tf

    if not goal.noisy:
        return margins < 0.0
    # Measured on one draw each, the nearest of many points would be one that succeeds on few draws only.
    success = margins < 0.0
    return success & (goal.measure_success(x, 0)[0] >= CONFIRMED_SHARE) if tf.reduce_any(success) else success


def _range(goal: Goal, x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
    """Return the middle and half the width of the valid range, (n, d) both.

    tanh needs a bounded range: an unbounded end is replaced by the end of the eps-ball.
    """
    import tensorflow as tf

    lower = tf.where(tf.math.is_finite(goal.lower), goal.lower, x - eps)
    upper = tf.where(tf.math.is_finite(goal.upper), goal.upper, x + eps)
    return (lower + upper) / 2.0, (upper - lower) / 2.0


def _largest_logit(goal: Goal, x: Tensor) -> Tensor:
    """Return the largest magnitude of a logit at x, (n,), which the margins are divided by.

    Behind an exponential layer, logits and margins differ by orders of magnitude between models and between samples;
    so would the weight c that balances a margin against a distance, and five trials would not find it. The magnitude is
    taken at x only, so it is a constant and does not change the direction of a gradient.
    """
    import tensorflow as tf

    magnitudes = tf.reshape(tf.abs(goal.view(x, 0)[1]), (tf.shape(x)[0], -1))
    largest = tf.stop_gradient(tf.reduce_max(magnitudes, axis=-1))
    return tf.where(tf.math.is_finite(largest) & (largest > 0.0), largest, 1.0)


def _keep_nearest(found: _Found, tried: _Found) -> _Found:
    """Return for each sample the nearer success; where neither point is a success, the one with the lower margin."""
    import tensorflow as tf

    neither = tf.math.is_inf(found.distance) & tf.math.is_inf(tried.distance)
    better = tf.where(neither, tried.margin < found.margin, tried.distance < found.distance)
    return _Found(*select(better, tried, found))


def _adam_step(w: Tensor, gradient: Tensor, moments: _Moments, rate: Tensor, t: Tensor) -> tuple[Tensor, _Moments]:
    """Return Adam's t-th step, t from 1; a gradient that is not finite counts as 0.

    Kingma and Ba 2015, arXiv:1412.6980, algorithm 1 with its constants.
    """
    import tensorflow as tf

    finite = tf.where(tf.math.is_finite(gradient), gradient, 0.0)
    mean = 0.9 * moments.mean + 0.1 * finite
    square = 0.999 * moments.square + 0.001 * finite**2
    direction = mean / (1.0 - 0.9**t) / (tf.sqrt(square / (1.0 - 0.999**t)) + 1e-8)
    return w - rate * direction, _Moments(mean, square)


def _next_weight(too_little: Tensor, enough: Tensor) -> Tensor:
    """Return the next weights, (n,): between the largest without success and the smallest with success."""
    import tensorflow as tf

    between = tf.sqrt(too_little) * tf.sqrt(enough)
    return tf.where(tf.math.is_inf(enough), 10.0 * too_little, tf.where(too_little > 0.0, between, enough / 10.0))
