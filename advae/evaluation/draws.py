"""Which draws of a pipeline that samples an attacker sees, and which it is judged by: they never meet."""

from __future__ import annotations

from typing import Any

Tensor = Any

DRAWS_PER_BATCH = 100_000
"""Draws that belong to one batch; more than an attack has steps."""

MAX_RESTARTS = 1_000

_SEED_STRIDE = 1_000_003
"""A prime, so that the draws of small seeds lie far apart."""

_TRIALS = 2**29
"""How far the draws of trials lie from those that count."""


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


def start(seed: int, index: Tensor, restart: Tensor) -> Tensor:
    """Return what a random start draws from, int32 (2,): of the run, the batch and the restart."""
    import tensorflow as tf

    return tf.stack([seed, index * MAX_RESTARTS + restart])
