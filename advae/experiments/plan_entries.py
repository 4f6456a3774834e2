"""Entries of the registry that a plan names in place of a training; all are checked before anything is trained."""

from __future__ import annotations

from typing import Literal

from advae.errors import UsageError
from advae.evaluation.pipelines import list_weights
from advae.experiments.planned_datasets import PlannedDatasets
from advae.models import classifiers
from advae.models.added.own_function import names_function
from advae.records import AutoencoderRecipe, ClassifierRecipe, Manifest
from advae.registry import Registry

OWN_CODE = "your own code, which only the command that names it can call; a plan takes models from files"


def find_planned_classifier(registry: Registry, ref: str, datasets: PlannedDatasets) -> ClassifierRecipe:
    """Return the recipe of an undefended classifier in the registry.

    Raises NotFoundError; UsageError for one of another dataset, behind a purifier, or of the user's own code;
    CorruptError for an impossible recipe.
    """
    recipe, _ = _find(registry, ref, "clf", datasets).as_classifier()
    list_weights(recipe)
    classifiers.require_undefended(recipe)
    return recipe


def find_planned_autoencoder(
    registry: Registry, ref: str, datasets: PlannedDatasets
) -> tuple[AutoencoderRecipe, ClassifierRecipe | None]:
    """Return the recipes of an autoencoder in the registry and of the classifier that it protects, None without one.

    Raises as ``find_planned_classifier`` does.
    """
    recipe, _ = _find(registry, ref, "ae", datasets).as_autoencoder()
    list_weights(recipe)
    return recipe, registry.manifest(recipe.protects).as_classifier()[0] if recipe.protects else None


def _find(registry: Registry, ref: str, kind: Literal["ae", "clf"], datasets: PlannedDatasets) -> Manifest:
    if names_function(ref):
        raise UsageError(f"{ref} is {OWN_CODE}")
    manifest = registry.resolve(ref, kind)
    if manifest.added and manifest.added.function:
        raise UsageError(f"{manifest.id} is the function {manifest.added.function}, {OWN_CODE}")
    # An entry of a part of the dataset takes that part.
    dataset = datasets.load(manifest.recipe.dataset.kept).ref
    if manifest.recipe.dataset.key != dataset.key:
        raise UsageError(
            f"{manifest.id} is of dataset {manifest.recipe.dataset.title!r}, the plan attacks {dataset.title!r}: "
            "they do not fit"
        )
    return manifest
