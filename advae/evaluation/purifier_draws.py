"""The numbers of a random purifier's draws: an attack and the score of its result never use the same draw."""

from __future__ import annotations

from advae.batching import Tensor

DRAWS_PER_BATCH = 100_000
"""Draws reserved for one batch; more than an attack has steps."""

FIRST_UNSEEN_DRAW = DRAWS_PER_BATCH - 1_000
"""The first draw of a batch by which an attack compares points, beyond all but the longest attack's steps."""

MAX_RESTARTS = 1_000
"""Random restarts of a batch that have a seed of their own."""

SCORING_DRAWS = 50
"""Draws for the success rate of each image where the pipeline samples; a trial has as many.

A rate is then known to within 14 points, and a rate of 50 out of 50 is at least 94 % (both with 95 % confidence).
"""

KEPT_DRAWS = 10
"""The first of the SCORING_DRAWS, whose outcomes are kept one by one: the k of any-of-k and majority-of-k accuracy."""

_SEED_STRIDE = 1_000_003
"""A prime; it puts the draws of small seeds far apart."""

_TRIAL_OFFSET = 2**29
"""Distance between the draws of trials and those of the score."""

_RATE_OFFSET, _RATE_TRIAL_OFFSET = _TRIAL_OFFSET + 2**28, _TRIAL_OFFSET + 2**27
"""Distances of the SCORING_DRAWS, and of those of a trial, from the draw by which a batch is scored."""


def _first(seed: int) -> int:
    """Return the first draw of a run; it depends on the seed, so that ``--seed`` changes a random purifier's noise."""
    return (seed * _SEED_STRIDE) % 2**30


def draw_for_attack(seed: int, index: Tensor, draw: Tensor) -> Tensor:
    """Return the draw of one step of an attack on a batch."""
    return _first(seed) + index * DRAWS_PER_BATCH + draw


def draw_for_score(seed: int, index: Tensor) -> Tensor:
    """Return the draw by which a batch is scored, which no attack step sees."""
    return -1 - _first(seed) - index


def draw_for_trial(seed: int, index: Tensor) -> Tensor:
    """Return a draw that is used neither by the attack nor for the score."""
    return draw_for_score(seed, index) - _TRIAL_OFFSET


def draw_for_fixed(seed: int) -> int:
    """Return the draw of a run that attacks and scores with the same, fixed one; no other draw of the run is used."""
    return _first(seed)


def draw_for_rate(seed: int, index: Tensor, k: Tensor) -> Tensor:
    """Return the k-th of the SCORING_DRAWS by which a batch's success rates are measured; nothing else uses them."""
    return -1 - _first(seed) - _RATE_OFFSET - index * SCORING_DRAWS - k


def draw_for_rate_trial(seed: int, index: Tensor, k: Tensor) -> Tensor:
    """Return the k-th of the SCORING_DRAWS of a trial, used neither by the attack nor for the score."""
    return -1 - _first(seed) - _RATE_TRIAL_OFFSET - index * SCORING_DRAWS - k


def seed_restart(seed: int, index: Tensor, restart: Tensor) -> Tensor:
    """Return the seed of an attack's random numbers, int32 (2,): of the run, the batch and the restart.

    Numbers that belong to an image have keys of their own, so that they do not depend on its batch.
    """
    import tensorflow as tf

    return tf.stack([seed, index * MAX_RESTARTS + restart])
