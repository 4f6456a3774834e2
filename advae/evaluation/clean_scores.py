"""What the scorer measures on the unchanged images, and of the pipeline itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae import metrics
from advae.batching import Tensor, split_rows
from advae.evaluation.purifier_draws import draw_for_score, draw_for_trial

if TYPE_CHECKING:
    from advae.evaluation.scorer import Scorer
    from advae.records import FloatArray, IntArray

COMPARED = 256
"""Samples on which two draws are compared, to find out whether the pipeline samples."""

SUM_OF_PROBABILITIES = 1e-3
"""Largest deviation of the sum of a softmax's outputs from 1."""


@dataclass(frozen=True)
class CleanScores:
    """The scorer's measurements on the unchanged images, and of the pipeline itself."""

    predictions: IntArray
    """Predicted classes, int64 (n,)."""
    start: FloatArray
    """Starting points of the attack on the shown samples, float32 (m, d)."""
    start_range: tuple[float, float]
    """Smallest and largest pixel of the starting points of all samples."""
    clipped: float | None
    """Share of purified pixels at 0 or 1, in [0, 1]; None where the attacker does not differentiate through a clip."""
    probabilities: bool
    """Whether all outputs are positive and add up to 1, as those of a softmax do."""
    stochastic: bool
    """Whether two draws of the pipeline differ."""


def score_clean(scorer: Scorer, shown: IntArray) -> CleanScores:
    """Return the scores of the unchanged images. shown: positions whose starting points are returned."""
    import numpy as np
    import tensorflow as tf

    predictions, starts, ranges, clipped = [], [], [], []
    probabilities, stochastic = True, False
    for index, rows in split_rows(np.arange(len(scorer.x))):
        draw, other = (tf.constant(of(scorer.recipe.seed, index)) for of in (draw_for_score, draw_for_trial))
        start = scorer.start(tf.constant(scorer.x[rows]), draw)
        seen, logits = (output.numpy() for output in scorer.classify(start, draw))
        predictions.append(metrics.decide(logits))
        starts.append(start.numpy()[np.isin(rows, shown)])
        ranges += [float(start.numpy().min()), float(start.numpy().max())]
        clipped.append(float(((seen <= 0) | (seen >= 1)).mean()) * len(rows))
        probabilities &= _are_probabilities(logits)
        if index == 0:
            stochastic = _differ(scorer, rows[:COMPARED], draw, other)
    through = scorer.surface.through
    return CleanScores(
        predictions=np.concatenate(predictions),
        start=np.concatenate(starts),
        start_range=(min(ranges), max(ranges)),
        clipped=sum(clipped) / len(scorer.x) if through and through.clips else None,
        probabilities=probabilities,
        stochastic=stochastic,
    )


def _differ(scorer: Scorer, rows: IntArray, draw: Tensor, other: Tensor) -> bool:
    """Return whether two draws of the pipeline differ on some images."""
    import numpy as np
    import tensorflow as tf

    few = tf.constant(scorer.x[rows])
    # A random purifier is applied either before the starting point or after it.
    first, second = (scorer.classify(scorer.start(few, one), one)[1].numpy() for one in (draw, other))
    return not np.array_equal(first, second, equal_nan=True)


def _are_probabilities(logits: FloatArray) -> bool:
    return bool((logits >= 0).all() and (abs(logits.sum(axis=-1) - 1.0) <= SUM_OF_PROBABILITIES).all())
