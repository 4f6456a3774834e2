"""Names of cells, for progress and errors."""

from __future__ import annotations

from advae.models import purifiers
from advae.records import AutoencoderRecipe, entry_id
from advae.records.pipeline_names import name_defence
from advae.workflows.counterparts import PipelineRecipes


def name_seed(seed: int) -> str:
    """Return the end of a cell's name: its seed, where it is not 0."""
    return f", seed {seed}" if seed else ""


def name_recipes(recipes: PipelineRecipes) -> str:
    """Return the name of a pipeline by its recipes."""
    purifier = recipes.autoencoder
    protected = next((one for one in recipes.needed if purifier and entry_id(one) == purifier.protects), None)
    raw, protects = purifier is not None and is_raw(purifier), protected.model if protected else None
    baseline = purifier is not None and purifier.is_baseline
    classifier = recipes.classifier
    name = name_defence(classifier, purifier, baseline=baseline, raw=raw, protects=protects)
    if classifier.distilled:
        return f"{name}, trained on the answers of {classifier.distilled}"
    # Two models of one library would have one name.
    return f"{name}, {classifier.origin or recipes.id}" if classifier.added else name


def is_raw(purifier: AutoencoderRecipe) -> bool:
    """Return whether an autoencoder's output may be outside [0, 1]; a robust one's is in [0, 1] without rescaling."""
    return bool(purifier.network) and purifier.rescale == "none" and not purifiers.needs_classifier(purifier)
