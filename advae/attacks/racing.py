"""A random search by noisy answers: a point is better, or misclassified, only where several queries agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from advae.batching import Tensor

if TYPE_CHECKING:
    from advae.attacks.goals import Goal


CONFIRMED = 8
"""Queries of which a point must be better on average to be taken. On digits behind a variational autoencoder that
samples, 1,000 queries at 0.1 left 74 % with 1, 58 % with 4, 52 % with 8, 54 % with 16, 58 % with 32."""

REFRESHED = 8
"""One in so many queries asks about the best point again, so that luck does not keep it there."""

SETTLED = 16
"""The search for an image ends after so many queries at its best point, each of which is misclassified."""


class _Heard(NamedTuple):
    """What the queries about a point said, float32 (n,): the sum of the margins, their number, how many were right."""

    total: Tensor
    count: Tensor
    right: Tensor


def race(goal: Goal, x: Tensor, *, eps: Tensor, steps: Tensor, propose: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return for each sample the point of the lowest mean margin that ``steps`` queries found.

    x: float32 (n, d); propose: (best points, query) -> points to ask about. A point's first query, which it was chosen
    for, does not count once it is the best one.
    """
    import tensorflow as tf

    best = propose(x, 0)
    incumbent = _hear(_nothing(x), goal.look(best, 0)[1], True)
    tried, challenger = propose(best, 1), _nothing(x)
    lead, begun = tf.zeros_like(x[:, 0]), tf.zeros_like(x[:, 0], tf.bool)
    query = 1
    while query < steps and eps > 0.0 and tf.reduce_any(_is_open(incumbent)):
        left = _is_open(incumbent)
        if query % REFRESHED == 0:
            incumbent = _hear(incumbent, goal.look(best, query)[1], left)
        else:
            margins = goal.look(tried, query)[1]
            lead = tf.where(begun, lead, margins)
            challenger = _hear(challenger, margins, begun)
            mean = (lead + challenger.total) / (1.0 + challenger.count)
            worse = ~(mean < incumbent.total / incumbent.count)
            taken = left & ~worse & (1.0 + challenger.count >= CONFIRMED)
            best = tf.where(taken[:, None], tried, best)
            incumbent = _pick(taken, challenger, incumbent)
            over = worse | taken
            tried = tf.where(over[:, None], propose(best, query + 1), tried)
            challenger = _pick(over, _nothing(x), challenger)
            begun = ~over
        query += 1
    return best


def _nothing(x: Tensor) -> _Heard:
    import tensorflow as tf

    return _Heard(*(tf.zeros_like(x[:, 0]) for _ in _Heard._fields))


def _hear(heard: _Heard, margins: Tensor, where: Tensor) -> _Heard:
    """Return what was heard with one more answer, for the samples that were asked about."""
    import tensorflow as tf

    news = _Heard(margins, tf.ones_like(margins), tf.cast(~(margins < 0.0), tf.float32))
    return _Heard(*(old + tf.where(where, new, 0.0) for old, new in zip(heard, news, strict=True)))


def _pick(where: Tensor, these: _Heard, others: _Heard) -> _Heard:
    import tensorflow as tf

    return _Heard(*(tf.where(where, one, other) for one, other in zip(these, others, strict=True)))


def _is_open(heard: _Heard) -> Tensor:
    """Return the samples whose best point was not misclassified in each of SETTLED queries, bool (n,)."""
    return (heard.right > 0.0) | (heard.count < SETTLED)
