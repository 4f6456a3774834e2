"""Choice of an attack's target classes from the mistakes that the pipeline makes under another attack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from advae import metrics
from advae.attacks import ATTACKS, TARGETS_FROM
from advae.batching import list_rows, split_rows
from advae.evaluation.eps_sweep import score_along_line
from advae.evaluation.purifier_draws import SCORING_DRAWS
from advae.evaluation.run_artifacts import EpsScores, SavedSamples

if TYPE_CHECKING:
    from advae.evaluation.attacker import Attacker
    from advae.evaluation.scorer import Scorer
    from advae.records import IntArray, RunRecipe


def find_source(recipe: RunRecipe) -> RunRecipe | None:
    """Return the recipe of the attack whose mistakes give the targets; None where the attack needs no such targets."""
    if not ATTACKS[recipe.method].choose_targets:
        return None
    return recipe.model_copy(update={"method": TARGETS_FROM})


def choose_targets(
    recipe: RunRecipe, source: Attacker | None, scorer: Scorer, rows_at_once: int
) -> Sequence[tuple[int, ...] | None]:
    """Return for each eps of the recipe: true class -> target class; None where the attack does not choose targets.

    source: the attacker that ``find_source`` describes; mistakes are counted at the same eps on the same samples.
    """
    choose = ATTACKS[recipe.method].choose_targets
    if not (source and choose):
        return [None] * len(recipe.eps)
    y, classes = source.y, len(recipe.dataset.classes)
    saved = SavedSamples(list_rows(y) if scorer.surface.samples else y[:0], y[:0])
    mistaken = score_along_line(source, scorer, [None] * len(recipe.eps), saved, rows_at_once)
    return [choose(_count_mistakes(scorer, y, one, classes)) for one in mistaken]


def _count_mistakes(scorer: Scorer, y: IntArray, scores: EpsScores, classes: int) -> IntArray:
    """Return the confusion matrix; for a pipeline that samples, the sum over draws that the score does not use."""
    if not scorer.surface.samples:
        return metrics.confusion_matrix(y, scores.predictions, classes)
    parts = [
        metrics.confusion_matrix(y[rows], scorer.try_out(index, scores.x_adv[rows], k), classes)
        for index, rows in split_rows(list_rows(y))
        for k in range(SCORING_DRAWS)
    ]
    return sum(parts[1:], parts[0])
