"""Which draws of a pipeline that samples an attacker sees, and which it is judged by: they never meet."""

from __future__ import annotations

from advae.batching import Tensor

DRAWS_PER_BATCH = 100_000
"""Draws that belong to one batch; more than an attack has steps."""

FRESH = DRAWS_PER_BATCH - 1_000
"""The first draw of a batch that an attack compares points by, beyond all but the longest attack's steps."""

MAX_RESTARTS = 1_000

_SEED_STRIDE = 1_000_003
"""A prime, so that the draws of small seeds lie far apart."""

_TRIALS = 2**29
"""How far the draws of trials lie from those that count."""

MANY = 50
"""Fresh draws of a pipeline that samples by which each image's success rate is measured, and as many in a trial: a rate
is then known to within 14 points, and one of 50 out of 50 is at least 94 % (95 % confidence, both)."""

_MANY_COUNT, _MANY_TRIALS = _TRIALS + 2**28, _TRIALS + 2**27
"""How far the many draws that count, and those of a trial, lie from the one that a batch is judged by."""


def _first(seed: int) -> int:
    """Return where a run's draws begin, so that ``--seed`` gives a sampling purifier other noise."""
    return (seed * _SEED_STRIDE) % 2**30


def craft(seed: int, index: Tensor, draw: Tensor) -> Tensor:
    """Return the draw of one look of an attack on a batch."""
    return _first(seed) + index * DRAWS_PER_BATCH + draw


def score(seed: int, index: Tensor) -> Tensor:
    """Return the draw that a batch is judged by, which no attack step sees."""
    return -1 - _first(seed) - index


def trial(seed: int, index: Tensor) -> Tensor:
    """Return a draw that belongs neither to the attack nor to its judgement."""
    return score(seed, index) - _TRIALS


def score_many(seed: int, index: Tensor, k: Tensor) -> Tensor:
    """Return the k-th of the MANY draws by which a batch's success rates are measured, which nothing else sees."""
    return -1 - _first(seed) - _MANY_COUNT - index * MANY - k


def try_many(seed: int, index: Tensor, k: Tensor) -> Tensor:
    """Return the k-th of the MANY draws of a trial, which belong neither to the attack nor to its judgement."""
    return -1 - _first(seed) - _MANY_TRIALS - index * MANY - k


def start(seed: int, index: Tensor, restart: Tensor) -> Tensor:
    """Return what a random start draws from, int32 (2,): of the run, the batch and the restart."""
    import tensorflow as tf

    return tf.stack([seed, index * MAX_RESTARTS + restart])
