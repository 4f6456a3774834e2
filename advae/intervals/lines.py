"""Planes below and above operations that are not affine: curves of one number, products and quotients of two.

Each is written as slope x + constant, or slope a + slope' b + constant, for values of the operands in their intervals.
It lies below, or above, every float32 result: the rounding of the operation, and ours, are in the constants.

- A curve. Between neighbouring points p < q of a grid, which has all places where its slope jumps, a function with
  |f''| <= C lies no further than C (q - p)^2 / 8 from its chord (the error of linear interpolation). So for any slope
  a, f(x) - a x is at least the smaller of its values at p and q, less that; the smallest over the grid is a constant
  with which the line is below f everywhere between the ends. Nothing else is asked of the slope. Of the slopes of some
  chords, and 0 with the interval's own end, the one is taken whose line is the highest in the middle. For a ReLU these
  are the line of Zhang et al. 2018, arXiv:1811.00866, section 3.3, above it, and below it 0 or 1, whichever leaves the
  smaller area (Singh et al. 2019, DeepPoly).
- A product. With a in [a - r, a + r] and b in [b - s, b + s] the four planes of McCormick 1976 are at a distance of at
  most r s from the tangent plane of a b in the middle. The means of the two below and of the two above have its slopes.
- A quotient is the product with 1 / b. For b > 0 this is convex: below the chord between its ends L and U, whose slope
  is -1 / (L U), and above the tangent of that slope, which touches it at the root of L U.
- Our own rounding. Whatever slope was computed is the slope; only the constants have errors, of some units of 2^-53 of
  the values that they are made of. 2^-44 of those is allowed, and of 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from advae.batching import Tensor
from advae.intervals.arithmetic import TINY, UNIT, Bounds, find_centre
from advae.intervals.curve_shapes import Curvature, Followed

CURVE_PARTS = 16
"""Parts into which the interval of a smooth curve is divided."""

OWN_SHARE = 2.0**-44
"""More than our own rounding of a constant, relative to the values that it is made of."""


@dataclass(frozen=True)
class Plane:
    """A plane below or above an operation's results."""

    slopes: tuple[Tensor, ...]
    """For each operand its slopes, of the shape of the result."""
    constant: Tensor
    """The value at 0, of the shape of the result."""


@dataclass(frozen=True)
class Relaxation:
    """The planes between which all float32 results of an operation are."""

    below: Plane
    """The plane that no result is below."""
    above: Plane
    """The plane that no result is above."""


# ---------------------------------------------------------------- curves


def relax_curve(followed: Followed, x: Bounds, made: Bounds) -> Relaxation | None:
    """Return the lines beside a curve between two ends; None for a curve that has none.

    x: the input, (n, ...); made: sound interval of the result.
    """
    import tensorflow as tf

    curve = followed.curve
    if curve.curvature is None:
        return None
    # What is flushed to zero before the activation.
    low, high = x.low - TINY, x.high + TINY
    points = _choose_points(low, high, curve.kinks, smooth=curve.curvature != 0.0)
    values = followed.function(points)
    lengths = points[1:] - points[:-1]
    sag = _bend_most(curve.curvature, points) * tf.square(lengths) / 8
    slopes = _list_slopes(points, values, high - low)
    found = [
        _choose_line(slopes, sign * values, points, sag, sign, sign * end)
        for sign, end in ((1.0, made.low), (-1.0, made.high))
    ]
    size = tf.reduce_max(tf.abs(values), axis=0)
    error = curve.find_error(x, made) + 4 * TINY
    (below, floor), (above, ceiling) = found
    magnitude = tf.maximum(tf.abs(low), tf.abs(high))
    errors = [
        error + OWN_SHARE * (tf.abs(slope) * magnitude + magnitude + size + 1) + tf.abs(slope) * TINY
        for slope in (below, above)
    ]
    return Relaxation(Plane((below,), floor - errors[0]), Plane((above,), errors[1] - ceiling))


def _choose_points(low: Tensor, high: Tensor, kinks: tuple[float, ...], *, smooth: bool) -> Tensor:
    """Return points from one end to the other, (points, n, ...), rising: both ends, kinks, and a grid where smooth."""
    import tensorflow as tf

    inner = [tf.maximum(low, tf.minimum(high, tf.constant(kink, low.dtype))) for kink in kinks]
    if not smooth:
        return tf.stack([low, *inner, high])
    grid = [low + (high - low) * (part / CURVE_PARTS) for part in range(1, CURVE_PARTS)]
    between = tf.stack([*grid, *inner])
    # Rounding may put a point beyond the ends.
    between = tf.sort(tf.maximum(low, tf.minimum(high, between)), axis=0)
    return tf.concat([low[None], between, high[None]], axis=0)


def _bend_most(curvature: float | Curvature, points: Tensor) -> Tensor:
    """Return the largest curvature between neighbouring points."""
    import tensorflow as tf

    if callable(curvature):
        return curvature(points[:-1], points[1:]) * (1 + 2.0**-20)
    return tf.constant(curvature * (1 + 2.0**-20), points.dtype)


def _list_slopes(points: Tensor, values: Tensor, width: Tensor) -> list[Tensor]:
    """Return slopes of chords: of neighbouring points, and of ends and points; 0 where none can be computed."""
    import tensorflow as tf

    last = int(points.shape[0]) - 1
    step = 1 if last < CURVE_PARTS else CURVE_PARTS // 4
    pairs = [(one, one + 1) for one in range(last)] + [(0, one) for one in range(step, last + 1, step)]
    pairs += [(one, last) for one in range(step, last, step)] + [(0, last)]
    found = []
    for first, second in sorted(set(pairs)):
        run, rise = points[second] - points[first], values[second] - values[first]
        fine = run > 1e-6 * width
        found.append(tf.where(fine, rise / tf.where(fine, run, 1.0), 0.0))
    return found


def _choose_line(
    slopes: list[Tensor], values: Tensor, points: Tensor, sag: Tensor, sign: float, end: Tensor
) -> tuple[Tensor, Tensor]:
    """Return slope and constant of the line below sign * f that is the highest in the middle, for f the slope.

    slopes: of f; values: of sign * f at the points; end: a number that no value of sign * f is below.
    """
    import tensorflow as tf

    middle = (points[0] + points[-1]) / 2
    best, constant, height = tf.zeros_like(middle), end, end
    for slope in slopes:
        rest = values - sign * slope * points
        floor = tf.reduce_min(tf.minimum(rest[1:], rest[:-1]) - sag, axis=0)
        reached = sign * slope * middle + floor
        # Not a number is no better.
        better = reached > height
        best, constant = tf.where(better, slope, best), tf.where(better, floor, constant)
        height = tf.where(better, reached, height)
    return best, constant


# ---------------------------------------------------------------- products and quotients


def relax_product(first: Bounds, second: Bounds, made: Bounds) -> Relaxation:
    """Return the planes of a product of two intervals. made: sound interval of the result."""
    a, b = _widen(first), _widen(second)
    (a_middle, a_radius), (b_middle, b_radius) = find_centre(a), find_centre(b)
    centre, spread = -a_middle * b_middle, a_radius * b_radius
    return _lift((b_middle, a_middle), Bounds(centre - spread, centre + spread), (a, b), made)


def relax_quotient(dividend: Bounds, divisor: Bounds, made: Bounds) -> Relaxation:
    """Return the planes of a quotient; they are not numbers where the divisor can be 0."""
    import tensorflow as tf

    a, b = _widen(dividend), _widen(divisor)
    sign = tf.where(b.low > 0, tf.ones_like(b.low), -tf.ones_like(b.low))
    apart = (b.low > 0) | (b.high < 0)
    nothing = tf.constant(float("nan"), b.low.dtype)
    least = tf.where(apart, tf.minimum(tf.abs(b.low), tf.abs(b.high)), nothing)
    most = tf.maximum(tf.abs(b.low), tf.abs(b.high))
    # 1 / |b| + |b| / (least most), for |b| between the two.
    reciprocal = Bounds(2 / tf.sqrt(least * most), 1 / least + 1 / most)
    half_sum, half_width = (1 / least + 1 / most) / 2, (1 / least - 1 / most) / 2
    a_middle, a_radius = find_centre(a)
    ends = [sign * a_middle * end for end in (reciprocal.low, reciprocal.high)]
    # The product of a and 1 / |b| in the middle of both, then the lines of 1 / |b|.
    centre, spread = -sign * a_middle * half_sum, a_radius * half_width
    constants = Bounds(centre - spread + tf.minimum(*ends), centre + spread + tf.maximum(*ends))
    return _lift((sign * half_sum, -a_middle / (least * most)), constants, (a, b), made)


def _widen(x: Bounds) -> Bounds:
    return Bounds(x.low - TINY, x.high + TINY)


def _lift(
    slopes: tuple[Tensor, Tensor], constants: Bounds, operands: tuple[Bounds, Bounds], made: Bounds
) -> Relaxation:
    """Return parallel planes with constants moved outward by the rounding of one operation and our own."""
    import tensorflow as tf

    reach = sum(tf.abs(slope) * one.magnitude for slope, one in zip(slopes, operands, strict=True))
    size = tf.maximum(made.magnitude, constants.magnitude) + reach
    flushed = (tf.abs(slopes[0]) + tf.abs(slopes[1]) + 4) * TINY
    error = UNIT * (1 + 2.0**-20) * made.magnitude + OWN_SHARE * (size + 1) + flushed
    shape = tf.shape(error)
    given = tuple(tf.broadcast_to(slope, shape) for slope in slopes)
    return Relaxation(Plane(given, constants.low - error), Plane(given, constants.high + error))
