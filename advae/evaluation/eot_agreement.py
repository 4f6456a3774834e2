"""The convergence of EOT: how much two independent averages of the attack's gradient over a random purifier agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from advae.evaluation.attacker import Attacker

if TYPE_CHECKING:
    from advae.records import FloatArray

AVERAGED = 64
"""Number of first samples whose gradients are averaged four times; less work than one step for 1,000 samples."""


def measure_agreement(attackers: Sequence[Attacker]) -> tuple[float, float] | None:
    """Return the mean cosine similarity of two independent EOT averages of the first gradient, each in [-1, 1].

    At the attack's own number of EOT samples, and at twice as many; of an ensemble that of its first attack by
    gradients. 1: the averages are equal; 0: they are noise. None where the gradients pass through no random purifier,
    or all are zero or not finite.
    Athalye et al. 2018, arXiv:1707.07397, section 2: the gradient is an expectation, which the average estimates.
    """
    attacker = next((one for one in attackers if one.row.takes_gradients and one.surface.craft_samples), None)
    if attacker is None:
        return None
    samples = attacker.recipe.draws or 1
    found = [_compare(attacker, samples, draws=(0, 1)), _compare(attacker, 2 * samples, draws=(2, 3))]
    once, twice = (None if one is None else round(one, 6) for one in found)
    return None if once is None or twice is None else (once, twice)


def _compare(attacker: Attacker, samples: int, *, draws: tuple[int, int]) -> float | None:
    """Return the mean cosine similarity of two averages over so many EOT samples; None where none can be compared."""
    import numpy as np
    import tensorflow as tf

    x, labels = attacker.x[:AVERAGED], attacker.aims(None)[:AVERAGED]

    goal, start = attacker.place(tf.constant(x), tf.constant(labels), tf.constant(0))

    def average(draw: int) -> FloatArray:
        own = replace(goal, eot_samples=samples, logits=lambda z, other: goal.logits(z, draw + other))
        gradient: FloatArray = attacker.row.gradient(own, start).numpy().astype(np.float64)
        return gradient

    # Not traced: four small gradients take less time than a graph.
    return _find_cosine(average(draws[0]), average(draws[1]))


def _find_cosine(first: FloatArray, second: FloatArray) -> float | None:
    """Return the mean cosine similarity of the rows that are finite and not zero; None where there are none."""
    import numpy as np

    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    usable = np.isfinite(lengths) & (lengths > 0)
    if not usable.any():
        return None
    return float(((first * second).sum(axis=1)[usable] / lengths[usable]).mean().clip(-1.0, 1.0))
