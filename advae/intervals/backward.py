"""Backward linear bounds (CROWN, DeepPoly): a linear function of a network's values, bounded by one of the image.

Zhang et al. 2018, arXiv:1811.00866; Singh et al. 2019. A record of the operations (``Tape``) is kept while intervals go
forward. Then a linear function of some values, sum(A z), goes back, operation by operation: where z = W x + b its
coefficients become A W, and A b is added to a constant; where z lies between two planes, coefficients above 0 take the
plane below, those below 0 the plane above. At the image the smallest value over its box is a closed form.

Why the result is sound. ``advae.intervals.arithmetic`` says of what. Let z be the values that a float32 evaluation has,
for one image of the box; the function that is bounded is that of these z, not of exact ones. All sums are in float64.
Write M for the largest size of a value, which its interval knows.

- An affine operation: z = W x + b + d, where |d| <= D is the rounding of float32 that the rule of its interval allows
  for: half of what a sound interval of [-M, M] is wider than a plain one, each of its ends moved as far as the one that
  moves further. So sum(A z) >= sum((A W) x) + sum(A b) - sum(|A| D).
- The coefficients A W are rounded. Their error is at most gamma |A| |W|, value by value, where gamma belongs to float64
  and to no more terms than the operation has results (Higham 2002, section 3.1). What it changes is at most gamma times
  sum(|A| |W| M) = gamma times sum(|A| S), where S = |W| M + |b| is the larger end of the plain interval of [-M, M]. The
  same S bounds the rounding of sum(A b), and of coefficients that are added where a value is used more than once. With
  N results, and fewer than 4,096 operations, (N + 8,192) 2^-52 is more than the gammas of all of these together.
- Between two planes: z >= slope x + constant and z <= slope' x + constant', for float32 results. A product of a
  coefficient with a slope is rounded once, and is added up where an operand was broadcast, as above; S is here
  |slope| M + |constant|, the larger of the two planes'.
- A value with an interval and no planes, as of a maximum, takes the end that its coefficient asks for.
- Any value may be flushed to zero where it is stored or read: 4 x 2^-126 is a part of every D.
- At the image, x = centre + r with |r| <= radius: sum(A x) >= A centre - |A| radius, less (N + 64) 2^-52 times
  |A| (|centre| + radius) for its rounding, with N pixels.
- All that is subtracted is a sum of numbers that are not negative, and is computed in float64 with a relative error far
  below 2^-20, by which it is raised. What float64 itself loses below 2^-1022 is less than 2^-126, as no value exceeds
  1e30; that is subtracted, too.
- What is not a number, as where a coefficient overflows, is no bound: minus infinity is returned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from advae.batching import Tensor
from advae.errors import UsageError
from advae.intervals.arithmetic import OWN_UNIT, TINY, Arithmetic, Bounds, find_centre
from advae.intervals.calls import OperationCall
from advae.intervals.lines import Plane, Relaxation

MOST_OPERATIONS = 4096
"""Operations of a network, fewer than which the error of our own sums allows for."""

RAISE = 1 + 2.0**-20
"""Factor of all that is subtracted, for its own rounding."""

Pull = Callable[[Tensor, Tensor], tuple[list[Tensor], Tensor]]
"""(coefficients of the result (p, ...), the image of each) -> coefficients of each operand, and constants (p,)."""


@dataclass(frozen=True)
class BackwardStep:
    """An operation of the network, as a linear function passes it backward."""

    operands: tuple[Bounds, ...]
    """The intervals of its operands."""
    result: Bounds
    """The interval of its result."""
    pull: Pull
    """What becomes of a linear function of its result."""


@dataclass
class Tape:
    """The operations of a network on a box, in the order in which they are computed."""

    box: Bounds
    """The images, float64 (n, d)."""
    steps: list[BackwardStep] = field(default_factory=list)
    """What has linear bounds; the result of any other operation is taken as its interval."""

    def note(self, operands: Sequence[Bounds], result: Bounds, pull: Pull) -> None:
        """Add an operation. Raises UsageError where there are too many of them."""
        if len(self.steps) >= MOST_OPERATIONS:
            raise UsageError(f"it has no backward bounds: it has more than {MOST_OPERATIONS:,} operations")
        self.steps.append(BackwardStep(tuple(operands), result, pull))

    def note_affine(self, call: OperationCall, made: Sequence[Bounds], run: Callable[..., Any]) -> None:
        """Add an affine operation with its results. run: (arithmetic, call) -> interval, or a list of them."""
        operands = call.intervals
        wide = [Bounds(-one.magnitude - TINY, one.magnitude + TINY) for one in operands]
        plain, sound = (
            _list(run(Arithmetic(sound=sound, dtype="float64", uniform=sound), call.swap(wide)))
            for sound in (False, True)
        )
        for number, result in enumerate(made):
            size = plain[number].magnitude
            wider = (sound[number].high - sound[number].low - (plain[number].high - plain[number].low)) / 2
            error = wider + _count_own_share(result) * size + 4 * TINY
            self.note(operands, result, _transpose(call, run, number, error))

    def note_planes(self, operands: Sequence[Bounds], result: Bounds, planes: Relaxation) -> None:
        """Add an operation between two planes."""
        below, above = planes.below, planes.above
        size = _find_size(below, operands) + _find_size(above, operands)
        error = _count_own_share(result) * size + 4 * TINY
        low, high = below.constant - error, above.constant + error

        def pull(given: Tensor, rows: Tensor) -> tuple[list[Tensor], Tensor]:
            import tensorflow as tf

            up, down = tf.maximum(given, 0.0), tf.minimum(given, 0.0)
            coefficients = [
                _sum_broadcast(up * tf.gather(lower, rows) + down * tf.gather(upper, rows), one.low.shape)
                for one, lower, upper in zip(operands, below.slopes, above.slopes, strict=True)
            ]
            return coefficients, sum_values(up * tf.gather(low, rows) + down * tf.gather(high, rows))

        self.note(operands, result, pull)

    def note_same(self, operand: Bounds, result: Bounds) -> None:
        """Add that two intervals are of the same values."""
        import tensorflow as tf

        self.note([operand], result, lambda given, rows: ([given], tf.zeros(tf.shape(given)[0], given.dtype)))

    def bound_below(self, values: Bounds, coefficients: Tensor, rows: Tensor) -> Tensor:
        """Return lower bounds of linear functions of some values of the network, float64 (p,).

        values: an operand or result on the tape; coefficients: (p, ...), exact; rows: the image of each function, (p,).
        """
        import tensorflow as tf

        found = {id(values): (values, coefficients)}
        total = tf.zeros(tf.shape(rows), coefficients.dtype)
        for step in reversed(self.steps):
            if id(step.result) not in found:
                continue
            given = found.pop(id(step.result))[1]
            parts, constant = step.pull(given, rows)
            total += constant
            for operand, part in zip(step.operands, parts, strict=True):
                before = found.get(id(operand))
                found[id(operand)] = (operand, part if before is None else before[1] + part)
        for one, given in found.values():
            total += _find_least(one, given, rows)
        total -= TINY
        return tf.where(tf.math.is_finite(total), total, tf.constant(-math.inf, total.dtype))


def _list(made: Any) -> list[Bounds]:
    return list(made) if isinstance(made, list | tuple) else [made]


def _count_own_share(result: Bounds) -> float:
    """Return the largest relative error of our own sums over the results of one image."""
    values: int = math.prod(result.low.shape[1:])
    return (values + 2 * MOST_OPERATIONS) * 2 * OWN_UNIT


def _find_size(plane: Plane, operands: Sequence[Bounds]) -> Tensor:
    import tensorflow as tf

    parts = [tf.abs(slope) * (one.magnitude + TINY) for slope, one in zip(plane.slopes, operands, strict=True)]
    return tf.abs(plane.constant) + tf.add_n([part + tf.zeros_like(plane.constant) for part in parts])


def sum_values(given: Tensor) -> Tensor:
    """Return the sum over all but the first axis."""
    import tensorflow as tf

    return tf.reduce_sum(given, axis=list(range(1, len(given.shape))))


def _sum_broadcast(given: Tensor, shape: Any) -> Tensor:
    """Return coefficients of an operand whose values were used along whole axes."""
    import tensorflow as tf

    axes = [axis for axis in range(1, len(shape)) if shape[axis] == 1 and given.shape[axis] != 1]
    return tf.reduce_sum(given, axis=axes, keepdims=True) if axes else given


def _find_least(one: Bounds, given: Tensor, rows: Tensor) -> Tensor:
    """Return the smallest value of linear functions of values that are only known to be in their intervals, (p,)."""
    import tensorflow as tf

    centre, radius = find_centre(one)
    size = tf.abs(centre) + radius
    share = (math.prod(one.low.shape[1:]) + 64) * 2 * OWN_UNIT
    radius = (radius + share * size + TINY) * RAISE
    return sum_values(given * tf.gather(centre, rows) - tf.abs(given) * tf.gather(radius, rows))


@dataclass(frozen=True)
class _Points(Arithmetic):
    """Evaluates an affine operation at a point, both ends of which are the same tensor."""

    def affine(
        self, x: Bounds, apply: Callable[[Tensor, Tensor], Tensor], kernel: Tensor, bias: Tensor | None, terms: int
    ) -> Bounds:
        made = apply(x.low, kernel)
        if bias is not None:
            made += bias
        return Bounds(made, made)


def _transpose(call: OperationCall, run: Callable[..., Any], number: int, error: Tensor) -> Pull:
    """Return what becomes of a linear function of an affine operation's result, by TensorFlow's gradients."""

    def evaluate(points: Sequence[Tensor]) -> Tensor:
        made = run(_Points(sound=False, dtype="float64"), call.swap([Bounds(point, point) for point in points]))
        return _list(made)[number].low

    def pull(given: Tensor, rows: Tensor) -> tuple[list[Tensor], Tensor]:
        import tensorflow as tf

        shapes = [one.low.shape[1:] for one in call.intervals]
        offset = evaluate([tf.zeros((1, *shape), given.dtype) for shape in shapes])
        zeros = [tf.zeros((tf.shape(given)[0], *shape), given.dtype) for shape in shapes]
        with tf.GradientTape() as tape:
            tape.watch(zeros)
            made = evaluate(zeros)
        found = tape.gradient(made, zeros, given, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        subtracted = tf.abs(given) * tf.gather(error * RAISE, rows)
        return found, sum_values(given * offset - subtracted)

    return pull
