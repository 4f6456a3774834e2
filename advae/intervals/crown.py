"""Bounds of margins by backward linear functions, on intervals that these functions tighten on the way.

Intervals go forward. Before each operation that bends (an activation, a product, a quotient) its operand is bounded a
second time, by linear functions that go back to the image (``advae.intervals.backward``), value by value and only for
values whose bend is inside their interval; the tighter of both ends is kept. At the end the differences of logits go
back in the same way.

Linear rules: whatever is affine in the image (dense layers, convolutions, batch normalisation, averages, sums,
reshapes, paddings, concatenations), activations and clips with lines beside them, products of two and quotients.
Maxima, minima, sign, logarithm, root, and thresholds that jump have intervals only: these take the place of their
results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from advae.batching import Tensor
from advae.intervals.arithmetic import Arithmetic, Bounds
from advae.intervals.backward import Tape
from advae.intervals.bounding import follow_calls, forget, is_bounded, require_float32, require_rules
from advae.intervals.calls import OperationCall, Rule, is_live, map_ends
from advae.intervals.curve_shapes import CURVES, ActivationCurve, Followed
from advae.intervals.curves import follow_curve
from advae.intervals.lines import relax_curve, relax_product, relax_quotient
from advae.intervals.margins import find_margins

PLANES = {
    "Multiply": relax_product,
    **dict.fromkeys(("Divide", "TrueDivide", "DivideNoNan"), relax_quotient),
}
"""Operations of two operands that have planes, by class."""

CHUNK_BYTES = 1 << 28
"""Memory of the linear functions that go back at once."""

COEFFICIENT_BYTES = 8 * 8
"""Bytes of a coefficient times the number of arrays of that size that are held at once."""

PLACES_SHARE = 16
"""By how much fewer values with a place in the image are bounded a second time: each goes back through all filters."""

SOUND = Arithmetic(sound=True, dtype="float64")


def bound_margins_backward(function: Any, box: Bounds, y: Tensor, *, refined: int) -> Tensor:
    """Return sound lower bounds of logit_y - logit_j for all images of a box, float64 (n, classes), 0 at j = y.

    function: a traced network; box: (n, d) in [0, 1]; y: int (n,). refined: most values of an operand that are bounded
    a second time for an image, a sixteenth of it for the values of convolutions; where more of them bend, the intervals
    of that operand stay. Never below the margins that the tightened intervals have. Minus infinity for an image whose
    values can overflow. Raises UsageError as ``bound`` does.
    """
    import tensorflow as tf

    require_rules(function)
    require_float32(function)
    walk = _Walk(Tape(Bounds(tf.cast(box.low, "float64"), tf.cast(box.high, "float64"))), refined)
    logits = follow_calls(function, walk.tape.box, walk.compute)
    by_intervals = find_margins(forget(logits, walk.kept), y, sound=True)
    backward = walk.go_back_from_margins(logits, y)
    return tf.where(tf.math.is_finite(by_intervals), tf.maximum(by_intervals, backward), by_intervals)


@dataclass
class _Walk:
    """The way of intervals through a network, with a record of it and a second bound of what bends."""

    tape: Tape
    """The record."""
    refined: int
    """Most values of an operand that are bounded a second time for an image."""
    kept: list[Tensor] = field(default_factory=list)
    """For each result which images have bounds, bool (n,)."""
    depths: dict[int, int] = field(default_factory=dict)
    """By the identity of an interval how many operations that do not only move values led to it."""
    widest: int = 1
    """Most values of a result of one image."""

    def compute(self, rule: Rule, call: OperationCall) -> Any:
        """Return the interval of a call's result, or a list of them."""
        operands = call.intervals
        followed = _find_curve(rule, call)
        if rule.weigh:
            (before,) = self._note_affine(rule.weigh, call, [rule.weigh(SOUND, call)])
            if not followed:
                return before
            return self._bend(followed, before, lambda x: follow_curve(SOUND, followed.curve, followed.function, x))
        if followed and len(operands) == 1:
            return self._bend(followed, operands[0], lambda x: rule.run(SOUND, call.swap([x])))
        planes = PLANES.get(type(call.operation).__name__)
        if planes and len(operands) == len(call.operands) == 2 and _have_same_rank(operands):
            first, second = (self._refine(one, one.high > one.low) for one in operands)
            made = rule.run(SOUND, call.swap([first, second]))
            self.tape.note_planes([first, second], made, planes(first, second, made))
            return self._see([made], operands)[0]
        made = rule.run(SOUND, call)
        if made is call.args[0]:
            return made
        results = made if isinstance(made, list) else [made]
        if rule.curve is None and rule.affine(call) and not any(map(is_live, call.kwargs.values())):
            self._note_affine(rule.run, call, results)
        else:
            self._see(results, operands)
        return made

    def _note_affine(self, run: Callable[..., Any], call: OperationCall, made: list[Bounds]) -> list[Bounds]:
        self.tape.note_affine(call, made, run)
        return self._see(made, call.intervals, more=run is not map_ends)

    def _bend(self, followed: Followed, x: Bounds, run: Callable[[Bounds], Bounds]) -> Bounds:
        """Return the interval of a curve's result, its operand bounded a second time where lines depend on it."""
        x = self._refine(x, _find_bent(followed.curve, x))
        made = run(x)
        if made is x:
            return x
        if planes := relax_curve(followed, x, made):
            self.tape.note_planes([x], made, planes)
        return self._see([made], [x])[0]

    def _see(self, made: list[Bounds], operands: Sequence[Bounds], *, more: bool = True) -> list[Bounds]:
        """Note results: whether they are bounded, and how deep they lie."""
        depth = max((self.depths.get(id(one), 0) for one in operands), default=0) + more
        for one in made:
            self.kept.append(is_bounded(one))
            self.depths[id(one)] = depth
            self.widest = max(self.widest, _count_values(one))
        return made

    def _refine(self, x: Bounds, chosen: Tensor) -> Bounds:
        """Return the interval of values, those that are chosen bounded a second time; (n, ...)."""
        import tensorflow as tf

        # One affine operation on a box has exact intervals.
        if self.depths.get(id(x), 0) < 2:
            return x
        size = _count_values(x)
        flat = tf.reshape(chosen, (-1, size))
        most = self.refined if len(x.low.shape) == 2 else self.refined // PLACES_SHARE
        flat &= (tf.reduce_sum(tf.cast(flat, tf.int32), axis=1) <= most)[:, None]
        places = tf.where(flat)

        def go_back(some: Tensor) -> Tensor:
            unit = tf.reshape(tf.one_hot(some[:, 1], size, dtype=tf.float64), (-1, *x.low.shape[1:]))
            low, high = (self.tape.bound_below(x, sign * unit, some[:, 0]) for sign in (1.0, -1.0))
            return tf.stack([low, -high], axis=1)

        found = _map_chunks(go_back, places, self.widest, 2)
        low, high = (tf.reshape(end, (-1, size)) for end in (x.low, x.high))
        tighter = Bounds(
            tf.reshape(tf.tensor_scatter_nd_max(low, places, found[:, 0]), tf.shape(x.low)),
            tf.reshape(tf.tensor_scatter_nd_min(high, places, found[:, 1]), tf.shape(x.low)),
        )
        for end in (tighter.low, tighter.high):
            end.set_shape(x.low.shape)
        self.tape.note_same(x, tighter)
        self.depths[id(tighter)] = self.depths[id(x)]
        return tighter

    def go_back_from_margins(self, logits: Bounds, y: Tensor) -> Tensor:
        """Return lower bounds of the differences of logits, (n, classes), 0 at y."""
        import tensorflow as tf

        n, classes = tf.shape(y)[0], int(logits.low.shape[1])
        places = tf.stack([tf.repeat(tf.range(n), classes), tf.tile(tf.range(classes), [n])], axis=1)

        def go_back(some: Tensor) -> Tensor:
            own, other = (tf.one_hot(one, classes, dtype=tf.float64) for one in (tf.gather(y, some[:, 0]), some[:, 1]))
            return self.tape.bound_below(logits, own - other, some[:, 0])[:, None]

        found = tf.reshape(_map_chunks(go_back, places, self.widest, 1), (-1, classes))
        return tf.where(tf.one_hot(y, classes, on_value=True, off_value=False), tf.zeros_like(found), found)


def _find_curve(rule: Rule, call: OperationCall) -> Followed | None:
    """Return the curve that an operation follows, None where it follows none or a straight line."""
    followed = rule.curve(call) if rule.curve else None
    return None if followed is None or followed.curve is CURVES["linear"] else followed


def _have_same_rank(operands: Sequence[Bounds]) -> bool:
    return len({len(one.low.shape) for one in operands}) == 1


def _count_values(x: Bounds) -> int:
    return math.prod(x.low.shape[1:])


def _find_bent(curve: ActivationCurve, x: Bounds) -> Tensor:
    """Return for which values a curve is no line between their ends, bool of x's shape."""
    import tensorflow as tf

    if curve.curvature is None or curve.curvature != 0.0:
        return x.low < x.high
    bent = tf.zeros_like(x.low, tf.bool)
    for kink in curve.kinks:
        bent |= (x.low < kink) & (kink < x.high)
    return bent


def _map_chunks(go_back: Callable[[Tensor], Tensor], places: Tensor, widest: int, columns: int) -> Tensor:
    """Return (p, columns), computed for some places at a time, (p, 2) -> (p, columns)."""
    import tensorflow as tf

    places = tf.cast(places, tf.int64)
    most = max(1, CHUNK_BYTES // (COEFFICIENT_BYTES * widest))
    count = tf.shape(places)[0]
    size = tf.maximum(1, tf.minimum(most, count))
    # At least one chunk, as a loop over none has no shape.
    missing = tf.where(count == 0, 1, (-count) % size)
    filled = tf.reshape(tf.pad(places, [[0, missing], [0, 0]]), (-1, size, 2))
    found = tf.map_fn(go_back, filled, fn_output_signature=tf.float64, parallel_iterations=1)
    return tf.reshape(found, (-1, columns))[:count]
