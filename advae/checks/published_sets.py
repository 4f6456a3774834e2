"""Published sets of attacks: which version a run is, and in what it differs from the published one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.attacks import ATTACKS
from advae.attacks.ensemble_members import explain_departure, name_version

if TYPE_CHECKING:
    from advae.records import RunMetrics, RunRecipe


def find_version(recipe: RunRecipe) -> str | None:
    """Return the name of the version of a published set of attacks; None for any other attack."""
    published = recipe.method in ATTACKS and ATTACKS[recipe.method].published
    return name_version(sampling=recipe.draws is not None) if published else None


def describe_departure(recipe: RunRecipe, metrics: RunMetrics) -> str | None:
    """Return in what a run of a published set of attacks differs from it; None where it does not."""
    if find_version(recipe) is None:
        return None
    sampling, scores_only = recipe.draws is not None, metrics.backward == "none"
    return explain_departure(len(recipe.dataset.classes), sampling=sampling, scores_only=scores_only)
