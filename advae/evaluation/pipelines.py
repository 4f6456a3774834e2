"""Trained pipelines, loaded from the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.errors import CorruptError
from advae.evaluation.retraining_attack import require_possible
from advae.models.autoencoders import AUTOENCODERS
from advae.models.classifiers import CLASSIFIERS, restore_classifier
from advae.models.contracts import Classifier, Purifier
from advae.models.layers import Weights, require_weights
from advae.models.model_kinds import refuse_impossible
from advae.models.purifiers import restore_purifier
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
    for manifest in (find_purifier(registry, classifier), classifier):
        if manifest and isinstance(manifest.recipe, AutoencoderRecipe | ClassifierRecipe):
            read_weights(registry, manifest, manifest.recipe)


def load_purifier(registry: Registry, manifest: Manifest, precision: str = FLOAT32) -> Purifier:
    """Return the purifier of an ``ae`` entry. Raises CorruptError where its weights cannot be read or do not fit."""
    recipe, _ = manifest.as_autoencoder()
    return restore_purifier(recipe, read_weights(registry, manifest, recipe), precision)


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

    precision: of all wide matrix products.
    """
    found = find_purifier(registry, classifier)
    purify = load_purifier(registry, found, precision) if found else None
    behind = load_pipeline(registry, _open_same(surrogate, classifier), precision=precision) if surrogate else None
    loaded = load_classifier(registry, classifier, precision)
    return Pipeline(
        classify=loaded.logits,
        purify=purify,
        differentiable=purify is None or purify.differentiable,
        clips=purify is not None and purify.clips,
        samples=purify is not None and purify.samples,
        undefended=load_classifier(registry, _open_same(undefended, classifier), precision) if undefended else None,
        surrogate=behind.differentiate if behind else None,
        unit_range=found is None or found.as_autoencoder()[1].unit_range,
        linear=loaded.linear,
        scores_only=not loaded.differentiable,
    )
