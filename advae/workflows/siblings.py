"""Pipelines by their recipes, and those that are like another but for one thing: without its purifier, or reseeded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from advae.records import AutoencoderRecipe, ClassifierRecipe, Dataset, Manifest, entry_id
from advae.registry import Registry
from advae.workflows.training import make_autoencoder, make_classifier
from advae.workflows.workspace import Workspace

SEEDS = 2**31

SURROGATE = 1_000
"""How far a surrogate's seed lies from its pipeline's: beyond the seeds that people compare."""


@dataclass(frozen=True)
class PipelineRecipes:
    """The recipes of a pipeline, trained or not. autoencoder: of its purifier, None where it has none."""

    classifier: ClassifierRecipe
    autoencoder: AutoencoderRecipe | None = None

    @property
    def id(self) -> str:
        return entry_id(self.classifier)


def read_recipes(registry: Registry, recipe: ClassifierRecipe) -> PipelineRecipes:
    """Return the recipes of a classifier whose purifier is in the registry."""
    purifier = registry.manifest(recipe.autoencoder).as_autoencoder()[0] if recipe.autoencoder else None
    return PipelineRecipes(recipe, purifier)


def describe_undefended(recipes: PipelineRecipes) -> PipelineRecipes:
    """Return the pipeline without its purifier."""
    return PipelineRecipes(recipes.classifier.model_copy(update={"autoencoder": None}))


def describe_reseeded(recipes: PipelineRecipes, offset: int) -> PipelineRecipes:
    """Return the pipeline trained again from seeds ``offset`` further on, its purifier too."""
    classifier, purifier = recipes.classifier, recipes.autoencoder
    changed = classifier.model_copy(update={"seed": (classifier.seed + offset) % SEEDS})
    if purifier is None:
        return PipelineRecipes(changed)
    purifier = purifier.model_copy(update={"seed": (purifier.seed + offset) % SEEDS})
    return PipelineRecipes(changed.model_copy(update={"autoencoder": entry_id(purifier)}), purifier)


def make_sibling(workspace: Workspace, sibling: PipelineRecipes, load: Callable[[], Dataset]) -> Manifest:
    """Return the classifier of a sibling, trained with its purifier where they are not there; no `latest` moves."""
    found = workspace.registry.find(sibling.id)
    if found:
        return found
    # ``force`` is for what was asked for, not for what that needs.
    calm = replace(workspace, force=False)
    dataset = load()
    if sibling.autoencoder:
        workspace.tell(f"training {entry_id(sibling.autoencoder)}, seed {sibling.autoencoder.seed}")
        make_autoencoder(calm, sibling.autoencoder, dataset, latest=False)
    workspace.tell(f"training {sibling.id}, seed {sibling.classifier.seed}")
    return make_classifier(calm, sibling.classifier, dataset, latest=False).manifest
