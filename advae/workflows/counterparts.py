"""Pipelines by their recipes, and those that are like another but for one thing: without its purifier, or reseeded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from advae.evaluation.pipelines import check_pipeline
from advae.records import AutoencoderRecipe, ClassifierRecipe, Dataset, Manifest, entry_id
from advae.registry import Registry
from advae.workflows.training import make_autoencoder, make_classifier
from advae.workflows.workspace import Workspace

AnyRecipe = TypeVar("AnyRecipe", AutoencoderRecipe, ClassifierRecipe)

SEEDS = 2**31

SURROGATE = 1_000
"""How far a surrogate's seed lies from its pipeline's: beyond the seeds that people compare."""


@dataclass(frozen=True)
class PipelineRecipes:
    """The recipes of a pipeline, trained or not.

    autoencoder: of its purifier, None where it has none. needed: of the classifiers that have to be there before, the
    one that the purifier protects and the one whose weights are taken over.
    """

    classifier: ClassifierRecipe
    autoencoder: AutoencoderRecipe | None = None
    needed: tuple[ClassifierRecipe, ...] = ()

    @property
    def id(self) -> str:
        return entry_id(self.classifier)

    @property
    def ids(self) -> set[str]:
        """The ids of all of them, and of what they rest on."""
        recipes: list[AutoencoderRecipe | ClassifierRecipe] = [self.classifier, *self.needed]
        recipes += [self.autoencoder] if self.autoencoder else []
        return {id_ for recipe in recipes for id_ in (entry_id(recipe), *recipe.parents)}


def read_recipes(registry: Registry, recipe: ClassifierRecipe) -> PipelineRecipes:
    """Return the recipes of a classifier whose purifier is in the registry."""
    purifier = registry.manifest(recipe.autoencoder).as_autoencoder()[0] if recipe.autoencoder else None
    ids = (purifier.protects if purifier else None, recipe.origin if recipe.origin != recipe.autoencoder else None)
    needed = dict.fromkeys(id_ for id_ in ids if id_)
    return PipelineRecipes(recipe, purifier, tuple(registry.manifest(id_).as_classifier()[0] for id_ in needed))


def describe_undefended(recipes: PipelineRecipes) -> PipelineRecipes:
    """Return the pipeline without its purifier: of a classifier that was put behind it, that classifier."""
    return PipelineRecipes(recipes.classifier.model_copy(update={"autoencoder": None, "origin": None}))


def describe_reseeded(recipes: PipelineRecipes, offset: int) -> PipelineRecipes:
    """Return the pipeline trained again from seeds ``offset`` further on, its purifier too, and all that they need."""

    def reseed(recipe: AnyRecipe, **changes: str | None) -> AnyRecipe:
        renamed = {name: renamed_ids.get(id_, id_) if id_ else id_ for name, id_ in changes.items()}
        changed = {name: id_ for name, id_ in renamed.items() if id_}
        made = recipe.model_copy(update={"seed": (recipe.seed + offset) % SEEDS, **changed})
        renamed_ids[entry_id(recipe)] = entry_id(made)
        return made

    renamed_ids: dict[str, str] = {}
    needed = tuple(reseed(one) for one in recipes.needed)
    purifier = recipes.autoencoder
    purifier = reseed(purifier, protects=purifier.protects) if purifier else None
    classifier = recipes.classifier
    classifier = reseed(classifier, autoencoder=classifier.autoencoder, origin=classifier.origin)
    return PipelineRecipes(classifier, purifier, needed)


def list_family(recipes: PipelineRecipes) -> set[str]:
    """Return the ids of a pipeline and of what attacks on it may need: without its purifier, and surrogates."""
    pair = (recipes, describe_undefended(recipes))
    return {id_ for one in pair for like in (one, describe_reseeded(one, SURROGATE)) for id_ in like.ids}


def make_sibling(
    workspace: Workspace, sibling: PipelineRecipes, like: Manifest, load: Callable[[], Dataset]
) -> Manifest:
    """Return the classifier of a sibling, trained with its purifier where they are not there; no `latest` moves.

    like: the classifier that it is a sibling of. Raises CorruptError where that is smaller than its recipe claims:
    nothing of the size of such a recipe is trained.
    """
    found = workspace.registry.find_made(sibling.classifier)
    if found:
        return found
    check_pipeline(workspace.registry, like)
    # ``force`` is for what was asked for, not for what that needs.
    calm = replace(workspace, force=False)
    dataset = load()
    for needed in sibling.needed:
        workspace.tell(f"training {entry_id(needed)}, seed {needed.seed}")
        make_classifier(calm, needed, dataset, latest=False)
    if sibling.autoencoder:
        workspace.tell(f"training {entry_id(sibling.autoencoder)}, seed {sibling.autoencoder.seed}")
        make_autoencoder(calm, sibling.autoencoder, dataset, latest=False)
    workspace.tell(f"training {sibling.id}, seed {sibling.classifier.seed}")
    return make_classifier(calm, sibling.classifier, dataset, latest=False).manifest
