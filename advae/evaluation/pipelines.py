"""Trained pipelines, loaded from the registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from advae.batching import Tensor
from advae.errors import CorruptError
from advae.evaluation.retraining_attack import require_possible
from advae.models.autoencoders import AUTOENCODERS
from advae.models.classifiers import CLASSIFIERS, PERCEPTRON, restore_classifier
from advae.models.contracts import Classifier, Purifier
from advae.models.layers import Weights, require_weights
from advae.models.model_kinds import refuse_impossible
from advae.models.purifiers import count_code, restore_purifier
from advae.records import AutoencoderRecipe, ClassifierRecipe, Manifest, entry_id
from advae.registry import Registry
from advae.settings import FLOAT32
from advae.threats import Pipeline

if TYPE_CHECKING:
    from advae.models.layers import Arrays

WEIGHTS = "weights.npz"
"""The artifact that holds the arrays of an autoencoder or a classifier."""

HEAD = "head.npz"
"""The artifact of an autoencoder that holds the arrays of the classifier that was trained along with it."""


def list_weights(recipe: AutoencoderRecipe | ClassifierRecipe) -> Weights | None:
    """Return the arrays that follow from a recipe, by name; None for an added model, whose digest identifies them.

    Raises CorruptError for an unknown kind.
    """
    if recipe.added:
        return None
    if isinstance(recipe, AutoencoderRecipe):
        if recipe.type not in AUTOENCODERS:
            raise CorruptError(f"{entry_id(recipe)} is of type {recipe.type!r}, which this advae does not know")
        return AUTOENCODERS[recipe.type].weights(recipe)
    with refuse_impossible():
        require_possible(recipe)
    if recipe.model not in CLASSIFIERS:
        raise CorruptError(f"{entry_id(recipe)} is of model {recipe.model!r}, which this advae does not know")
    if recipe.code is not None and (
        recipe.model != PERCEPTRON or recipe.autoencoder is None or recipe.origin or recipe.retrained
    ):
        raise CorruptError(f"{entry_id(recipe)} is a {recipe.model} and cannot classify a code")
    return CLASSIFIERS[recipe.model].weights(recipe)


def read_weights(
    registry: Registry, manifest: Manifest, recipe: AutoencoderRecipe | ClassifierRecipe, name: str = WEIGHTS
) -> Arrays:
    """Return the arrays of a recipe from an entry; those of an added model are checked when it is restored.

    Of others nothing is read before all names and shapes fit the recipe.

    Raises CorruptError where they do not, or cannot be read.
    """
    expected = list_weights(recipe)
    if expected is None:
        return registry.read_arrays(manifest, name)
    return registry.read_arrays(manifest, name, lambda headers: require_weights(expected, headers))


def check_pipeline(registry: Registry, classifier: Manifest) -> None:
    """Raise CorruptError where the weights of a classifier or its purifier do not fit the recipe; builds nothing."""
    purifier = find_purifier(registry, classifier)
    for manifest in (purifier, classifier):
        if manifest and isinstance(manifest.recipe, AutoencoderRecipe | ClassifierRecipe):
            read_weights(registry, manifest, manifest.recipe)
    if purifier:
        require_code(purifier.as_autoencoder()[0], classifier.as_classifier()[0])


def load_purifier(registry: Registry, manifest: Manifest, precision: str = FLOAT32) -> Purifier:
    """Return the purifier of an ``ae`` entry. Raises CorruptError where its weights cannot be read or do not fit."""
    recipe, _ = manifest.as_autoencoder()
    return restore_purifier(recipe, read_weights(registry, manifest, recipe), precision)


def load_view(
    registry: Registry, manifest: Manifest, classifier: ClassifierRecipe, precision: str = FLOAT32
) -> Purifier:
    """Return what a classifier is shown of images, as a Purifier: purified images, or their code.

    manifest: the ``ae`` entry of its purifier. Raises CorruptError where that has not the code of the recipe.
    """
    purifier = load_purifier(registry, manifest, precision)
    if classifier.code is None:
        return purifier
    require_code(manifest.as_autoencoder()[0], classifier)
    if purifier.encode is None:
        raise CorruptError(f"{manifest.id} has no code")
    return Purifier(purifier.encode)


def require_code(autoencoder: AutoencoderRecipe, classifier: ClassifierRecipe) -> None:
    """Raise CorruptError where a classifier of a code takes another number of values than its purifier's code has."""
    if classifier.code not in (None, count_code(autoencoder)):
        raise CorruptError(
            f"{entry_id(classifier)} classifies a code of {classifier.code} numbers, and the code of "
            f"{entry_id(autoencoder)} has {count_code(autoencoder)}"
        )


def load_classifier(registry: Registry, manifest: Manifest, precision: str = FLOAT32) -> Classifier:
    """Return the bare classifier of a ``clf`` entry, without its purifier. Raises CorruptError likewise."""
    recipe, _ = manifest.as_classifier()
    return restore_classifier(recipe, read_weights(registry, manifest, recipe), precision)


def find_purifier(registry: Registry, classifier: Manifest) -> Manifest | None:
    """Return the ``ae`` entry of the purifier in front of a ``clf`` entry, None for an undefended one.

    Raises CorruptError where it is on another dataset.
    """
    purifier = classifier.as_classifier()[0].autoencoder
    return _open_same(registry.open_parent(classifier, purifier), classifier) if purifier else None


def _open_same(other: Manifest, classifier: Manifest) -> Manifest:
    if other.recipe.dataset.key != classifier.recipe.dataset.key:
        raise CorruptError(f"{other.id} is on another dataset than {classifier.id}: they do not fit")
    return other


def load_pipeline(
    registry: Registry,
    classifier: Manifest,
    *,
    undefended: Manifest | None = None,
    surrogate: Manifest | None = None,
    precision: str = FLOAT32,
) -> Pipeline:
    """Return the classifier behind its purifier, with its undefended counterpart and surrogate where given.

    A classifier of a code is one classifier of images, encoder included. precision: of all wide matrix products.
    """
    found, recipe = find_purifier(registry, classifier), classifier.as_classifier()[0]
    view = load_view(registry, found, recipe, precision) if found else None
    behind = load_pipeline(registry, _open_same(surrogate, classifier), precision=precision) if surrogate else None
    loaded = load_classifier(registry, classifier, precision)
    on_code = view is not None and recipe.code is not None
    # Encoder and classifier of a code are one classifier of images: there is no purified image.
    purify = None if on_code else view
    bare = Pipeline(
        classify=follow(view.mean, loaded.logits) if view and on_code else loaded.logits,
        undefended=load_classifier(registry, _open_same(undefended, classifier), precision) if undefended else None,
        surrogate=behind.differentiate if behind else None,
        linear=loaded.linear and not on_code,
        scores_only=not loaded.differentiable,
    )
    return place_behind(bare, purify, unit_range=found is None or found.as_autoencoder()[1].unit_range)


def place_behind(bare: Pipeline, purify: Purifier | None, *, unit_range: bool = True) -> Pipeline:
    """Return a classifier behind a purifier, with all that attackers have to know of the purifier; None: as it is.

    unit_range: whether purified images lie in [0, 1].
    """
    if purify is None:
        return bare
    return replace(
        bare,
        purify=purify,
        differentiable=purify.differentiable,
        stand_in=purify.stand_in,
        clips=purify.clips,
        samples=purify.samples,
        unit_range=unit_range,
    )


def follow(first: Callable[[Tensor], Tensor], then: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return x -> then(first(x))."""
    return lambda x: then(first(x))
