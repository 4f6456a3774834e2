"""Random search with noisy queries: a point counts as better, or misclassified, only where several queries agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from advae.attacks.goals import select
from advae.batching import Tensor
from advae.tracing import loops_over_tensors

if TYPE_CHECKING:
    from advae.attacks.goals import Goal


CONFIRMING_QUERIES = 8
"""Number of queries over which a point must be better on average to replace the best one. On digits behind a
variational autoencoder that samples, robust accuracy at 0.1 under 1,000 queries was 74 % with 1, 58 % with 4, 52 % with
8, 54 % with 16, 58 % with 32."""

REPEAT_EVERY = 8
"""Number of queries after which the best point is queried again, so that it is not the best by chance."""

FINAL_QUERIES = 16
"""Number of queries at the best point, all misclassified, after which the search for an image ends."""


class _Answers(NamedTuple):
    """The results of all queries at one point of each sample, float32 (n,) each."""

    total: Tensor
    """Sum of the margins, in logits."""
    count: Tensor
    """Number of queries."""
    right: Tensor
    """Number of queries that were no success."""


@loops_over_tensors
def search_noisy(
    goal: Goal, x: Tensor, *, eps: Tensor, steps: Tensor, propose: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Return for each sample the point of the lowest mean margin that ``steps`` queries found.

    x: float32 (n, d); propose: (best points, query) -> points to query. The first query of a point, by which it was
    chosen, does not count in its mean once the point is the best one.
    """
    import tensorflow as tf

    best = propose(x, 0)
    incumbent = _add_answer(_no_answers(x), goal.look(best, 0)[1], True)
    tried, challenger = propose(best, 1), _no_answers(x)
    lead, begun = tf.zeros_like(x[:, 0]), tf.zeros_like(x[:, 0], tf.bool)
    query = 1
    while query < steps and eps > 0.0 and tf.reduce_any(_is_open(incumbent)):
        unbroken = _is_open(incumbent)
        if query % REPEAT_EVERY == 0:
            incumbent = _add_answer(incumbent, goal.look(best, query)[1], unbroken)
        else:
            margins = goal.look(tried, query)[1]
            lead = tf.where(begun, lead, margins)
            challenger = _add_answer(challenger, margins, begun)
            mean = (lead + challenger.total) / (1.0 + challenger.count)
            worse = ~(mean < incumbent.total / incumbent.count)
            taken = unbroken & ~worse & (1.0 + challenger.count >= CONFIRMING_QUERIES)
            best = tf.where(taken[:, None], tried, best)
            incumbent = _Answers(*select(taken, challenger, incumbent))
            over = worse | taken
            tried = tf.where(over[:, None], propose(best, query + 1), tried)
            challenger = _Answers(*select(over, _no_answers(x), challenger))
            begun = ~over
        query += 1
    return best


def _no_answers(x: Tensor) -> _Answers:
    import tensorflow as tf

    return _Answers(*(tf.zeros_like(x[:, 0]) for _ in _Answers._fields))


def _add_answer(answers: _Answers, margins: Tensor, where: Tensor) -> _Answers:
    """Return the results with one more query, for the samples that were queried."""
    import tensorflow as tf

    news = _Answers(margins, tf.ones_like(margins), tf.cast(~(margins < 0.0), tf.float32))
    return _Answers(*(old + tf.where(where, new, 0.0) for old, new in zip(answers, news, strict=True)))


def _is_open(answers: _Answers) -> Tensor:
    """Return the samples whose best point was not misclassified in each of FINAL_QUERIES queries, bool (n,)."""
    return (answers.right > 0.0) | (answers.count < FINAL_QUERIES)
