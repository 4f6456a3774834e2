"""Purifiers: recipes made from requests, fitted weights, and purifiers restored from both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.errors import UsageError, unknown
from advae.models.autoencoder_networks import rescale_to_intensity
from advae.models.autoencoders import AUTOENCODERS
from advae.models.baselines import BASELINES
from advae.models.cascade_stages import list_stages, name_stages
from advae.models.certified_kind import CertifiedKind
from advae.models.certified_networks import find_certified_body
from advae.models.contracts import Purifier
from advae.models.held_out import needs_each_class
from advae.models.model_kinds import Behind, TrainingData
from advae.models.purified_examples import collect_examples
from advae.models.reconstruction import RECONSTRUCTION_LOSSES
from advae.settings import FLOAT32

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import AutoencoderRecipe, Dataset, History
    from advae.requests import AutoencoderRequest

__all__ = [
    "AUTOENCODERS",
    "RECONSTRUCTION_LOSSES",
    "Behind",
    "Purifier",
    "TrainingData",
    "collect_examples",
    "count_code",
    "count_passes",
    "count_products",
    "explain_no_code",
    "fit_autoencoder",
    "is_affine_purifier",
    "is_outside_graph",
    "list_stages",
    "make_autoencoder_recipe",
    "name_stages",
    "needs_classifier",
    "rescale_to_intensity",
    "restore_purifier",
    "samples",
    "trains_classifier",
]


def make_autoencoder_recipe(
    request: AutoencoderRequest, dataset: Dataset, protects: str | None = None
) -> AutoencoderRecipe:
    """Return the request with every default filled in.

    protects: id of the frozen classifier that it is trained in front of, None where there is none. Raises UsageError
    for an unknown kind or name, an option that the kind does not have, a value out of range.
    """
    from advae.records import AutoencoderRecipe

    if request.type not in AUTOENCODERS:
        raise UsageError(unknown("autoencoder", request.type, AUTOENCODERS))
    _refuse_foreign_options(request)
    row = AUTOENCODERS[request.type]
    choices = row.choose(request, dataset)
    needed = row.needs_protected(choices.options)
    _check_protected(request, protects, needed=needed, possible=needed or row.choose_head is not None)
    made = AutoencoderRecipe(
        type=request.type,
        dataset=dataset.ref,
        network=choices.network,
        loss=choices.loss,
        rescale=choices.rescale,
        options=choices.options,
        seed=request.seed,
        recipe_rev=row.recipe_rev,
        protects=protects,
        each_class=needs_each_class(dataset.y_train, request.seed) if choices.network else None,
    )
    return name_stages(made)


def _check_protected(request: AutoencoderRequest, protects: str | None, *, needed: bool, possible: bool) -> None:
    """Raise UsageError where ``--protect`` is missing or does not fit."""
    more = f" --stages {request.options['stages']}" if "stages" in request.options else ""
    if needed and not protects:
        raise UsageError(
            f"--type {request.type}{more} needs --protect REF, the trained classifier in front of which it is trained; "
            "`advae train-clf` trains one"
        )
    if protects and not possible:
        raise UsageError(f"--protect does not fit --type {request.type}{more}, which is trained without a classifier")


def _refuse_foreign_options(request: AutoencoderRequest) -> None:
    """Raise UsageError for an option that only other kinds have."""
    for name in request.options:
        if name not in AUTOENCODERS[request.type].options:
            owners = [other for other, row in AUTOENCODERS.items() if name in row.options]
            option = name.replace("_", "-")
            raise UsageError(f"--{option} does not fit --type {request.type}; it is for {', '.join(owners) or 'none'}")


def fit_autoencoder(recipe: AutoencoderRecipe, data: TrainingData) -> tuple[Arrays, History | None]:
    """Return the fitted arrays of an autoencoder or a baseline, and its loss history, None for a baseline.

    Raises DivergedError, and UsageError for a recipe of an older revision: this code would give another autoencoder
    than the one that has the recipe's id.
    """
    from advae.records import entry_id

    row = AUTOENCODERS[recipe.type]
    if recipe.recipe_rev < row.recipe_rev:
        raise UsageError(
            f"{entry_id(recipe)} cannot be trained: its recipe has revision {recipe.recipe_rev} of --type "
            f"{recipe.type}, this advae trains revision {row.recipe_rev}; `advae train-ae --type {recipe.type}` does"
        )
    return row.fit(recipe, data)


def needs_classifier(recipe: AutoencoderRecipe) -> bool:
    """Return whether an autoencoder is trained in front of a classifier."""
    if recipe.added or recipe.type not in AUTOENCODERS:
        return False
    row = AUTOENCODERS[recipe.type]
    return row.choose_head is not None or row.needs_protected(recipe.options)


def trains_classifier(recipe: AutoencoderRecipe) -> bool:
    """Return whether a kind of autoencoder can be trained along with a classifier."""
    if not needs_classifier(recipe):
        return False
    return not AUTOENCODERS[recipe.type].needs_protected(recipe.options)


def count_code(recipe: AutoencoderRecipe) -> int | None:
    """Return how many numbers a purifier's code has for an image; None where it has no code."""
    return None if recipe.added else AUTOENCODERS[recipe.type].count_code(recipe)


def count_products(recipe: AutoencoderRecipe) -> float:
    """Return how many multiplications it takes to purify one image, roughly."""
    if recipe.added:
        return float(recipe.dataset.shape.size * len(recipe.dataset.classes))
    return AUTOENCODERS[recipe.type].count_products(recipe)


def count_passes(recipe: AutoencoderRecipe) -> float:
    """Return how often a training step computes a forward and a backward pass of one image, roughly."""
    return 0.0 if recipe.added else AUTOENCODERS[recipe.type].count_passes(recipe)


def samples(recipe: AutoencoderRecipe) -> bool:
    """Return whether the purifier of a recipe is random."""
    return recipe.samples


def explain_no_code(recipe: AutoencoderRecipe) -> str | None:
    """Return why a purifier has no code that is known, None where it has one."""
    if recipe.added:
        return "another program trained it, and its layers are not known as an encoder and a decoder"
    if recipe.is_baseline:
        return f"--type {recipe.type} is a baseline"
    if isinstance(AUTOENCODERS.get(recipe.type), CertifiedKind) and not find_certified_body(recipe).has_code:
        return "its body maps images to images of the same size; --body conv and dense have a code"
    return None


def is_affine_purifier(recipe: AutoencoderRecipe) -> bool:
    """Return whether the purifier's output is affine in the image."""
    if recipe.added:
        return recipe.added.affine
    return recipe.type in BASELINES and BASELINES[recipe.type].affine


def is_outside_graph(recipe: AutoencoderRecipe) -> bool:
    """Return whether a baseline is computed by another library than Keras, which can then not export or bound it."""
    return recipe.added is None and recipe.type in BASELINES and not BASELINES[recipe.type].in_graph


def restore_purifier(recipe: AutoencoderRecipe, arrays: Arrays, precision: str = FLOAT32) -> Purifier:
    """Return the purifier that the recipe and the arrays of ``fit_autoencoder`` describe, rescaling included.

    precision: of its wide matrix products. Raises CorruptError where the arrays do not fit, or the recipe is
    impossible.
    """
    if recipe.added:
        # Not imported when a command starts.
        from advae.models.added.stored import restore_model

        purify = restore_model(recipe.added, recipe.dataset.shape, arrays)
        return Purifier(purify, differentiable=recipe.added.differentiable)
    return AUTOENCODERS[recipe.type].restore(recipe, arrays, precision)
