"""What is evaluated: a pipeline in memory, with the recipes from which the defaults of an attack follow."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae.batching import apply, find_output_range
from advae.errors import UsageError
from advae.evaluation.pipelines import place_behind
from advae.identity import canonical_json
from advae.models.contracts import Classifier, Purifier
from advae.notebooks.image_arrays import GivenImages
from advae.notebooks.loaded import LoadedPipeline, LoadedPurifier
from advae.notebooks.own_models import read_classifier, read_purifier
from advae.records import AddedOptions, AutoencoderRecipe, ClassifierRecipe, DatasetRef, entry_id
from advae.threats import Pipeline
from advae.workflows.counterparts import PipelineRecipes

if TYPE_CHECKING:
    from advae.records import FloatArray

IDENTIFYING = 64
"""Images whose logits identify a model that has no recipe."""

IN_PROCESS = "python"
"""Name of the format of a model that exists in this process only."""


@dataclass(frozen=True)
class Subject:
    """A classifier, behind a purifier or not, and the recipes of both on the images that are attacked."""

    recipes: PipelineRecipes
    """Recipes, whose dataset is the given images."""
    function: Pipeline
    """The pipeline as functions of tensors."""
    purifier: Purifier | None = None
    """The purifier; None for an undefended classifier."""


def describe_images(images: GivenImages, digest: str, classes: int) -> DatasetRef:
    """Return the reference to given images. digest: SHA-256 over images and labels."""
    return DatasetRef.make("images", digest, images.shape, tuple(map(str, range(classes))))


@dataclass(frozen=True)
class _Front:
    """A purifier and its recipe."""

    purifier: Purifier
    """The purifier as a function of tensors."""
    recipe: AutoencoderRecipe
    """Its recipe, whose dataset is the given images."""


def count_classes_of(model: Any, images: GivenImages) -> tuple[int, Classifier | None]:
    """Return how many classes a model has, and the classifier that was read of an object that is not loaded."""
    if isinstance(model, LoadedPipeline):
        model.require()
        return len(model.classes), None
    classifier = read_classifier(model, images.shape, images.x)
    return classifier.classes, classifier


def build_subject(
    model: Any, classifier: Classifier | None, purifier: Any, images: GivenImages, ref: DatasetRef
) -> Subject:
    """Return a model as a subject. classifier: as ``count_classes_of`` returned it; purifier: None for none.

    Raises UsageError where a loaded pipeline has a purifier of its own, or the purifier takes other images.
    """
    if isinstance(model, LoadedPipeline):
        own = model.purifier
        if own and purifier is not None and purifier is not own:
            raise UsageError(f"{model.id} is behind {own.id} already; leave purifier= out, or take another classifier")
        front = _read_front(own or purifier, images, ref)
        recipe, function = _rebase(model, ref, front), model.require()
        if front and recipe.code is not None:
            # The encoder is part of the loaded function.
            return Subject(PipelineRecipes(recipe, front.recipe), function, front.purifier)
        return _place(recipe, function, front, images)
    if classifier is None:
        raise UsageError("a purifier alone cannot be evaluated; load a classifier")
    front = _read_front(purifier, images, ref)
    options = _describe(classifier, images, classifier.linear)
    recipe = ClassifierRecipe(
        model=IN_PROCESS,
        dataset=ref,
        autoencoder=entry_id(front.recipe) if front else None,
        options=options,
        seed=0,
        recipe_rev=1,
    )
    bare = Pipeline(classify=classifier.logits, linear=classifier.linear, scores_only=not classifier.differentiable)
    return _place(recipe, bare, front, images)


def _place(recipe: ClassifierRecipe, bare: Pipeline, front: _Front | None, images: GivenImages) -> Subject:
    """Return a classifier behind a purifier."""
    if front is None:
        return Subject(PipelineRecipes(recipe), bare)
    low, high = find_output_range(front.purifier, images.x)
    function = place_behind(bare, front.purifier, unit_range=low >= 0 and high <= 1)
    return Subject(PipelineRecipes(recipe, front.recipe), function, front.purifier)


def _rebase(model: LoadedPipeline, ref: DatasetRef, front: _Front | None) -> ClassifierRecipe:
    """Return the recipe of a loaded classifier on other images, without entries that it was made from."""
    changes = {"autoencoder": entry_id(front.recipe) if front else None, "origin": None, "distilled": None}
    return model.manifest.as_classifier()[0].model_copy(update={"dataset": ref, **changes})


def _read_front(purifier: Any, images: GivenImages, ref: DatasetRef) -> _Front | None:
    """Return a purifier that a user handed over, and its recipe on the images; None for none."""
    if isinstance(purifier, LoadedPipeline):
        if purifier.function is not None or purifier.purifier is None:
            raise UsageError(f"{purifier.id} is a classifier; as purifier= take its .purifier, or load an autoencoder")
        purifier = purifier.purifier
    if purifier is None:
        return None
    if isinstance(purifier, LoadedPurifier):
        _require_shape(purifier.shape, images)
        recipe = purifier.manifest.as_autoencoder()[0]
        alone = dict.fromkeys(("protects", "denoiser", "reduction"))
        return _Front(purifier.function, recipe.model_copy(update={"dataset": ref, **alone}))
    fitted = getattr(purifier, "recipe_", None)
    if isinstance(fitted, AutoencoderRecipe):
        _require_shape(fitted.dataset.shape, images)
        return _Front(purifier.restore(), fitted.model_copy(update={"dataset": ref}))
    found = read_purifier(purifier, images.shape, images.x)
    options = _describe(found, images, affine=False)
    own = AutoencoderRecipe(
        type=IN_PROCESS,
        dataset=ref,
        network=None,
        loss=None,
        rescale="none",
        options={},
        seed=0,
        recipe_rev=1,
        added=options,
    )
    return _Front(found, own)


def _require_shape(shape: tuple[int, ...], images: GivenImages) -> None:
    if shape != images.shape:
        raise UsageError(f"x holds images of {images.shape} pixels, the purifier takes {shape}")


def _describe(model: Classifier | Purifier, images: GivenImages, affine: bool) -> AddedOptions:
    """Return the options of a model of this process, identified by its answers to some of the images."""
    few = images.x[:IDENTIFYING]
    answers: FloatArray = (
        apply(lambda x, draw: model.logits(x), few) if isinstance(model, Classifier) else apply(model, few)
    )
    told = canonical_json([list(answers.shape), model.differentiable]).encode()
    return AddedOptions(
        format=IN_PROCESS,
        digest=hashlib.sha256(told + answers.tobytes()).hexdigest(),
        takes=tuple(images.shape),
        channels="last",
        input_range=(0.0, 1.0),
        outputs="logits" if isinstance(model, Classifier) else "images",
        affine=affine,
        differentiable=model.differentiable,
    )
