"""HopSkipJump: a decision-based attack, which sees labels only.

Chen, Jordan and Wainwright 2020, arXiv:1904.02144, with the constants of the authors' code. It walks along the boundary
of the class towards x: a bisection between x and a misclassified point, an estimate of the boundary's normal there from
labels of points around it, and a step along the normal, whose size is halved until the point is misclassified.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from advae.attacks.goals import narrow, select
from advae.batching import Tensor
from advae.tracing import loops_over_tensors

if TYPE_CHECKING:
    from advae.attacks.goals import Goal

START_TRIES = 100
"""Random images that are tried until one is misclassified."""

START_BISECTIONS = 10
"""Halvings of the line from x to that image (a thousandth of its length)."""

FIRST_SAMPLES = 100
"""Points around the first boundary point; sqrt(t) times as many in iteration t (B_0, section IV.C)."""

FIRST_RADIUS = 0.1
"""Distance of these points in the first iteration, as a share of the pixel range."""

MOST_HALVINGS = 30
"""Halvings of a step; then it is too small for float32."""

AGREEING_LOOKS = 4
"""Queries of a pipeline that samples which must agree that a point is misclassified."""


class _Found(NamedTuple):
    """What the queries found so far."""

    best: Tensor
    """The nearest misclassified point, (n, d); x where there is none."""
    distance: Tensor
    """Its distance from x, (n,); infinite where there is none."""
    left: Tensor
    """Queries that are left, int32 (n,)."""
    asked: Tensor
    """Number of the next query, int32."""


class _Setting(NamedTuple):
    """What does not change during the attack."""

    goal: Goal
    """The goal."""
    x: Tensor
    """The images, (n, d)."""
    eps: Tensor
    """Radius of the ball: a sample with a success in it is asked no more."""
    lower: Tensor
    """Smallest pixel, finite."""
    upper: Tensor
    """Largest pixel, finite."""


@loops_over_tensors
def hop_skip_jump(goal: Goal, x: Tensor, *, eps: Tensor, step_size: Tensor, steps: Tensor) -> Tensor:
    """Return for each sample the nearest misclassified point that ``steps`` queries found, x where there is none.

    x: float32 (n, d); eps: float32 scalar, in units of x; steps: int32, queries for each sample, not counting the one
    at x. step_size is not used. A point farther than eps is projected by the caller, so that it is rarely a success.
    A sample with a success inside eps gets no more queries. On a pipeline that samples, a point counts as misclassified
    where AGREEING_LOOKS queries agree.
    """
    import tensorflow as tf

    setting = _bound(goal, x, eps)
    clean = goal.look(x, 0)[1] < 0.0
    found = _Found(x, tf.where(clean, 0.0, float("inf")), tf.zeros_like(goal.labels, tf.int32) + steps, 1)
    point, begun = x, tf.zeros_like(clean)
    tries = 0
    while tries < START_TRIES and tf.reduce_any(_active(setting, found) & ~begun):
        drawn = setting.lower + (setting.upper - setting.lower) * tf.random.stateless_uniform(
            tf.shape(x), tf.random.fold_in(goal.seed, found.asked)
        )
        hit, _, found = _ask(setting, found, drawn, ~begun)
        point, begun = tf.where(hit[:, None], drawn, point), begun | hit
        tries += 1
    point, found = _bisect(setting, found, point, begun, norm="l2", halvings=START_BISECTIONS)
    point, found = _approach(setting, found, point, begun)
    t = 1
    while tf.reduce_any(_active(setting, found) & begun):
        point, found = _step(setting, found, point, begun, t)
        point, found = _approach(setting, found, point, begun)
        t += 1
    return found.best


def _bound(goal: Goal, x: Tensor, eps: Tensor) -> _Setting:
    """Return the setting; an unbounded end of the pixel range is replaced by one at a distance of 1."""
    import tensorflow as tf

    lower = tf.where(tf.math.is_finite(goal.lower), goal.lower, x - 1.0)
    upper = tf.where(tf.math.is_finite(goal.upper), goal.upper, x + 1.0)
    return _Setting(goal, x, eps, lower, upper)


def _measure(setting: _Setting, points: Tensor, norm: str) -> Tensor:
    """Return the distances of points from x, (n,)."""
    import tensorflow as tf

    return tf.norm(points - setting.x, ord=math.inf if norm == "linf" else 2, axis=-1)


def _active(setting: _Setting, found: _Found) -> Tensor:
    """Return the samples with queries left and without a success in the ball, bool (n,)."""
    return (found.left > 0) & (found.distance > setting.eps)


@loops_over_tensors
def _ask(setting: _Setting, found: _Found, points: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, _Found]:
    """Return which points are misclassified, which samples were asked, bool (n,) both, and what is found now."""
    import tensorflow as tf

    asked = wanted & _active(setting, found)
    rows = tf.where(asked)[:, 0]
    few, chosen = narrow(setting.goal, rows), tf.gather(points, rows)
    looks = AGREEING_LOOKS if few.noisy else 1
    hits = tf.ones_like(rows, tf.bool)
    # TensorFlow's convolutions raise for a batch of no images.
    if tf.size(rows) > 0:
        for k in range(looks):
            hits &= few.look(chosen, found.asked * looks + k)[1] < 0.0
    hit = tf.tensor_scatter_nd_update(tf.zeros_like(asked), rows[:, None], hits)
    distance = tf.where(hit, _measure(setting, points, few.norm), float("inf"))
    best, nearest = select(distance < found.distance, (points, distance), (found.best, found.distance))
    left = found.left - looks * tf.cast(asked, tf.int32)
    return hit, asked, _Found(best, nearest, left, found.asked + 1)


def _approach(setting: _Setting, found: _Found, point: Tensor, begun: Tensor) -> tuple[Tensor, _Found]:
    """Return the boundary point between x and a misclassified point, to the paper's precision (section IV.A)."""
    pixels = setting.x.shape[-1]
    power = 2.0 if setting.goal.norm == "linf" else 1.5
    halvings = math.ceil(power * math.log2(max(pixels, 2)))
    return _bisect(setting, found, point, begun, norm=setting.goal.norm, halvings=halvings)


@loops_over_tensors
def _bisect(
    setting: _Setting, found: _Found, point: Tensor, begun: Tensor, *, norm: str, halvings: int
) -> tuple[Tensor, _Found]:
    """Return the misclassified end of a bisection between x and a misclassified point: on a line, or by clipping."""
    import tensorflow as tf

    x, radius = setting.x, _measure(setting, point, norm)[:, None]
    low, high = tf.zeros_like(radius), tf.ones_like(radius)
    reached, halved = point, 0
    while halved < halvings and tf.reduce_any(_active(setting, found) & begun):
        middle = (low + high) / 2.0
        bound = middle * radius
        tried = tf.clip_by_value(point, x - bound, x + bound) if norm == "linf" else x + middle * (point - x)
        hit, _, found = _ask(setting, found, tried, begun)
        reached = tf.where(hit[:, None], tried, reached)
        low, high = tf.where(hit[:, None], low, middle), tf.where(hit[:, None], middle, high)
        halved += 1
    return reached, found


@loops_over_tensors
def _step(setting: _Setting, found: _Found, point: Tensor, begun: Tensor, t: Tensor) -> tuple[Tensor, _Found]:
    """Return the boundary points moved along the estimated normal, by the largest tried step that stays misclassified.

    The size begins at distance / sqrt(t) and is halved (geometric progression, section IV.B).
    """
    import tensorflow as tf

    distance = _measure(setting, point, setting.goal.norm)
    root = tf.sqrt(tf.cast(t, tf.float32))
    normal, found = _estimate_normal(setting, found, point, begun, t)
    size = (distance / root)[:, None]
    moved, short = point, begun
    halvings = 0
    while halvings < MOST_HALVINGS and tf.reduce_any(short & _active(setting, found)):
        tried = tf.clip_by_value(point + size * normal, setting.lower, setting.upper)
        hit, _, found = _ask(setting, found, tried, short)
        moved, short = tf.where(hit[:, None], tried, moved), short & ~hit
        size /= 2.0
        halvings += 1
    return moved, found


@loops_over_tensors
def _estimate_normal(
    setting: _Setting, found: _Found, point: Tensor, begun: Tensor, t: Tensor
) -> tuple[Tensor, _Found]:
    """Return the direction into the misclassified side at boundary points, from labels around them, (n, d).

    The Monte Carlo estimate of section III.C, with the mean of the labels as baseline; of length 1, or of signs for
    L-infinity.
    """
    import tensorflow as tf

    goal, pixels = setting.goal, setting.x.shape[-1]
    distance = _measure(setting, point, goal.norm)[:, None]
    first = FIRST_RADIUS * (setting.upper - setting.lower) + tf.zeros_like(distance)
    radius = tf.maximum(first if t == 1 else distance / pixels + tf.zeros_like(first), 1e-6)
    many = tf.cast(FIRST_SAMPLES * tf.sqrt(tf.cast(t, tf.float32)), tf.int32)
    labelled, directions = tf.zeros_like(point), tf.zeros_like(point)
    labels, count, labelling = tf.zeros_like(distance), tf.zeros_like(distance), 0
    while labelling < many and tf.reduce_any(_active(setting, found) & begun):
        own = tf.random.fold_in(goal.seed, found.asked)
        drawn = tf.random.stateless_uniform(tf.shape(point), own, -1.0, 1.0)
        if goal.norm != "linf":
            drawn = tf.random.stateless_normal(tf.shape(point), own)
        tried = tf.clip_by_value(point + radius * tf.math.l2_normalize(drawn, axis=-1), setting.lower, setting.upper)
        hit, asked, found = _ask(setting, found, tried, begun)
        weight = tf.cast(asked, tf.float32)[:, None]
        label = weight * tf.where(hit, 1.0, -1.0)[:, None]
        direction = (tried - point) / radius
        labelled, directions = labelled + label * direction, directions + weight * direction
        labels, count, labelling = labels + label, count + weight, labelling + 1
    mean = tf.math.divide_no_nan(labels, count)
    # Where all labels are equal, they say only on which side most of the points lie.
    normal = tf.where(tf.abs(mean) < 1.0, labelled - mean * directions, mean * directions)
    return tf.sign(normal) if goal.norm == "linf" else tf.math.l2_normalize(normal, axis=-1), found
