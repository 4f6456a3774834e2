"""Pipelines by their recipes, and their counterparts: the undefended one, and those of other seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from advae.datasets.table import DATASETS
from advae.errors import NotFoundError
from advae.evaluation.pipelines import check_pipeline
from advae.models import classifiers, purifiers
from advae.quoting import join_command
from advae.records import AutoencoderRecipe, ClassifierRecipe, Dataset, Manifest, entry_id
from advae.registry import Registry
from advae.workflows.training import make_autoencoder, make_classifier
from advae.workflows.workspace import Workspace

AnyRecipe = TypeVar("AnyRecipe", AutoencoderRecipe, ClassifierRecipe)

SEEDS = 2**31

SURROGATE = 1_000
"""Distance of a surrogate's seeds from its pipeline's; larger than the seeds that users compare."""


@dataclass(frozen=True)
class PipelineRecipes:
    """The recipes of a pipeline, trained or not."""

    classifier: ClassifierRecipe
    """Recipe of the classifier."""
    autoencoder: AutoencoderRecipe | None = None
    """Recipe of its purifier; None for an undefended classifier."""
    needed: tuple[ClassifierRecipe, ...] = ()
    """Recipes of the classifiers that must be trained before: the one that the purifier protects, and the one whose
    weights are used."""

    @property
    def id(self) -> str:
        return entry_id(self.classifier)

    @property
    def on_code(self) -> bool:
        """Whether the purifier's code is classified, not a purified image."""
        return self.classifier.code is not None

    @property
    def samples(self) -> bool:
        """Whether what is classified is random; of a random code its mean is."""
        return self.autoencoder is not None and purifiers.samples(self.autoencoder) and not self.on_code

    @property
    def ids(self) -> set[str]:
        """The ids of all of them and of their parents."""
        recipes: list[AutoencoderRecipe | ClassifierRecipe] = [self.classifier, *self.needed]
        recipes += [self.autoencoder, *purifiers.list_stages(self.autoencoder)] if self.autoencoder else []
        return {id_ for recipe in recipes for id_ in (entry_id(recipe), *recipe.parents)}


def read_recipes(registry: Registry, recipe: ClassifierRecipe) -> PipelineRecipes:
    """Return the recipes of a classifier whose purifier is in the registry."""
    purifier = registry.manifest(recipe.autoencoder).as_autoencoder()[0] if recipe.autoencoder else None
    ids = (purifier.protects if purifier else None, recipe.origin if recipe.origin != recipe.autoencoder else None)
    needed = dict.fromkeys(id_ for id_ in ids if id_)
    return PipelineRecipes(recipe, purifier, tuple(registry.manifest(id_).as_classifier()[0] for id_ in needed))


def describe_undefended(recipes: PipelineRecipes) -> PipelineRecipes:
    """Return the undefended counterpart: the classifier of the same recipe without purifier and without retraining."""
    changes = {"autoencoder": None, "origin": None, "retrained": None, "code": None}
    return PipelineRecipes(recipes.classifier.model_copy(update=changes))


def describe_surrogate(recipes: PipelineRecipes) -> PipelineRecipes:
    """Return the pipeline that a transfer attacker differentiates: of another seed; of an added model, distilled."""
    if recipes.classifier.added:
        return PipelineRecipes(classifiers.describe_distilled(recipes.classifier))
    return describe_reseeded(recipes, SURROGATE)


def describe_counterpart(recipes: PipelineRecipes) -> PipelineRecipes:
    """Return what an oblivious attacker differentiates: the undefended counterpart, distilled where it only scores."""
    undefended = describe_undefended(recipes)
    return undefended if classifiers.gives_gradients(undefended.classifier) else describe_surrogate(undefended)


def describe_reseeded(recipes: PipelineRecipes, offset: int) -> PipelineRecipes:
    """Return the pipeline with all seeds increased by ``offset``: classifier, purifier, and classifiers they need.

    An added model has no seed and stays.
    """

    def reseed(recipe: AnyRecipe, **changes: str | None) -> AnyRecipe:
        if recipe.added and not any(changes.values()):
            return recipe
        renamed = {name: renamed_ids.get(id_, id_) if id_ else id_ for name, id_ in changes.items()}
        changed = {name: id_ for name, id_ in renamed.items() if id_}
        seed = recipe.seed if recipe.added else (recipe.seed + offset) % SEEDS
        made = recipe.model_copy(update={"seed": seed, **changed})
        made = purifiers.name_stages(made) if isinstance(made, AutoencoderRecipe) else made
        renamed_ids[entry_id(recipe)] = entry_id(made)
        return made

    renamed_ids: dict[str, str] = {}
    needed = tuple(reseed(one) for one in recipes.needed)
    purifier = recipes.autoencoder
    purifier = reseed(purifier, protects=purifier.protects) if purifier else None
    classifier = recipes.classifier
    classifier = reseed(classifier, autoencoder=classifier.autoencoder, origin=classifier.origin)
    return PipelineRecipes(classifier, purifier, needed)


def list_related(recipes: PipelineRecipes) -> set[str]:
    """Return the ids of a pipeline and of those that attacks on it may need: undefended counterparts and surrogates."""
    pair = (recipes, describe_undefended(recipes))
    related = [like for one in pair for like in (one, describe_surrogate(one), describe_counterpart(one))]
    return {id_ for one in related for id_ in one.ids}


def make_dependency(
    workspace: Workspace, dependency: PipelineRecipes, like: Manifest, load: Callable[[], Dataset]
) -> Manifest:
    """Return the classifier of a pipeline that an attack needs, trained with its purifier where they are missing.

    like: the classifier under attack. Raises CorruptError where its weights do not fit its recipe: a forged recipe
    could ask for a huge network. `latest` is not changed.
    """
    found = workspace.registry.find_made(dependency.classifier)
    if found:
        return found
    check_pipeline(workspace.registry, like)
    # Do not pass --force on to dependencies.
    unforced = replace(workspace, force=False)
    dataset = load()
    for needed in dependency.needed:
        workspace.tell(f"training {entry_id(needed)}, seed {needed.seed}")
        make_classifier(unforced, needed, dataset, latest=False)
    if dependency.autoencoder:
        workspace.tell(f"training {entry_id(dependency.autoencoder)}, seed {dependency.autoencoder.seed}")
        make_autoencoder(unforced, dependency.autoencoder, dataset, latest=False)
    if dependency.classifier.distilled:
        answers = f"a {dependency.classifier.model} on the answers of {dependency.classifier.distilled}"
        workspace.tell(f"training {dependency.id}, {answers}: a surrogate, whose gradients the attack uses")
    else:
        workspace.tell(f"training {dependency.id}, seed {dependency.classifier.seed}")
    return make_classifier(unforced, dependency.classifier, dataset, latest=False).manifest


def find_counterpart_of(
    registry: Registry, classifier: Manifest, undefended: PipelineRecipes, *, on_demand: bool
) -> str:
    """Return the undefended classifier of the same recipe, else the newest of that kind and data.

    on_demand: where there is none, that of the same recipe will be made. Raises NotFoundError.
    """
    recipe = undefended.classifier
    if registry.find_made(undefended.classifier):
        return undefended.id
    for entry in registry.entries("clf"):
        if _is_undefended(entry.as_classifier()[0], like=recipe):
            return entry.id
    if on_demand:
        return undefended.id
    dataset = recipe.dataset.name if recipe.dataset.name in DATASETS else str(classifier.source)
    resize = recipe.dataset.resize
    size = ["--resize", f"{resize[0]},{resize[1]}"] if resize else []
    kept = ["--classes", recipe.dataset.classes_option] if recipe.dataset.classes_option else []
    command = join_command(["advae", "train-clf", "--model", recipe.model, "--dataset", dataset, *size, *kept])
    raise NotFoundError(
        f"{classifier.id} has no undefended counterpart, which the oblivious attacker needs; `{command}` makes one"
    )


def _is_undefended(other: ClassifierRecipe, *, like: ClassifierRecipe) -> bool:
    """Whether a classifier is undefended, not retrained, and of the same kind and data."""
    bare = other.autoencoder is None and other.retrained is None
    return bare and other.model == like.model and other.dataset.digest == like.dataset.digest
