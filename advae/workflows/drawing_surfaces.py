"""``advae surface``: compute the decision surface of a pipeline around one test image of each class."""

from __future__ import annotations

import time
from collections.abc import Sequence

from advae import metrics
from advae.checks.decision_surfaces import average_planes, describe_planes
from advae.errors import UsageError
from advae.evaluation.decision_surface import PlaneImages, Surfaces, choose_images, measure_surfaces
from advae.evaluation.pipelines import load_pipeline
from advae.models.classifiers import gives_gradients
from advae.records import SURFACES, DatasetRef, Manifest, SurfaceMetrics, SurfaceRecipe, entry_id
from advae.records.surfaces import MOST_ALONGSIDE
from advae.requests import SurfaceRequest
from advae.threats import Pipeline
from advae.workflows.classifier_choice import Target, choose_classifier
from advae.workflows.counterparts import PipelineRecipes, read_recipes
from advae.workflows.workspace import Content, Made, Workspace, make_entry

SURFACE_REV = 1
"""Raised when the same recipe would give other results."""

GREY_RADIUS, COLOUR_RADIUS = 0.3, 8 / 255
"""Default radius of the plane of grey and of colour images, in units of x."""

DEFAULT_POINTS = 41
"""Default number of points along each axis."""

MOST_PLANES = 100
"""Most classes whose images are looked at: the first ones."""


def compute_surfaces(
    workspace: Workspace, refs: Sequence[str], dataset_name: str | None, request: SurfaceRequest
) -> list[Made]:
    """Return the decision surface of each classifier, on images that all of them classify correctly.

    refs: none for the newest classifier (of the dataset, where one is named). Raises UsageError where the classifiers
    do not fit, or where one gives scores only; NotFoundError.
    """
    targets = [choose_classifier(workspace, ref, dataset_name) for ref in refs or (None,)]
    by_id = {target.classifier.id: target for target in targets}
    first, *others = by_id.values()
    for other in others:
        _require_same(first.classifier, other.classifier)
    recipes = [
        prepare_surface(read_recipes(workspace.registry, target.recipe), request, [*by_id]) for target in by_id.values()
    ]
    made = []
    for recipe in recipes:
        target = by_id[recipe.classifier]
        workspace.on_entry(f"surface of {recipe.classifier}")
        with workspace.registry.lease([entry_id(recipe), *recipe.parents]):
            made.append(make_surface(workspace, recipe, target))
    return made


def _require_same(first: Manifest, other: Manifest) -> None:
    """Raise UsageError for classifiers of different datasets: no image belongs to both."""
    here, there = first.recipe.dataset, other.recipe.dataset
    if here.key != there.key:
        raise UsageError(
            f"{first.id} is of dataset {here.title!r}, {other.id} of {there.title!r}: surfaces side by side are of the "
            "same images"
        )


def prepare_surface(recipes: PipelineRecipes, request: SurfaceRequest, together: Sequence[str] = ()) -> SurfaceRecipe:
    """Return the recipe of a request, with every default filled in; the pipeline need not be trained yet.

    together: ids of all classifiers that have to be right on the images. Raises UsageError.
    """
    if not gives_gradients(recipes.classifier):
        raise UsageError(f"a decision surface of {recipes.id} needs its gradient, and it gives scores only")
    points = DEFAULT_POINTS if request.points is None else request.points
    if points % 2 == 0:
        raise UsageError(f"bad --points {points}: an odd number, so that the image itself is one of them")
    others = sorted({*together} - {recipes.id})
    if len(others) > MOST_ALONGSIDE:
        raise UsageError(f"{len(others)} other classifiers side by side; at most {MOST_ALONGSIDE}")
    dataset = recipes.classifier.dataset
    return SurfaceRecipe(
        classifier=recipes.id,
        dataset=dataset,
        radius=find_default_radius(dataset) if request.radius is None else request.radius,
        points=points,
        clip=request.clip,
        seed=request.seed,
        alongside=tuple(others) or None,
        recipe_rev=SURFACE_REV,
    )


def find_default_radius(dataset: DatasetRef) -> float:
    """Return how far a plane reaches along each axis where the user does not say."""
    return GREY_RADIUS if dataset.shape.is_grey else COLOUR_RADIUS


def make_surface(workspace: Workspace, recipe: SurfaceRecipe, target: Target, *, latest: bool = True) -> Made:
    """Return the decision surface of a recipe, computed where it is missing. latest: whether ``latest`` names it."""

    def compute() -> Content:
        start = time.monotonic()
        registry = workspace.registry
        pipeline = load_pipeline(registry, target.classifier)
        others = [load_pipeline(registry, registry.manifest(id_)) for id_ in recipe.alongside or ()]
        classes = range(min(len(recipe.dataset.classes), MOST_PLANES))
        dataset = target.load()
        workspace.on_stage("choosing the images")
        images = choose_images([pipeline, *others], dataset, classes, recipe.seed)
        found = measure_surfaces(pipeline, images, recipe, workspace.on_batch)
        return _describe(recipe, pipeline, images, found, time.monotonic() - start), {
            SURFACES: {
                "sample_ids": images.ids,
                "labels": images.y,
                "margins": found.margins,
                "zero_gradient": found.zero_gradient,
            }
        }

    return make_entry(workspace, recipe, compute, target.classifier.source, latest=latest)


def _describe(
    recipe: SurfaceRecipe, pipeline: Pipeline, images: PlaneImages, found: Surfaces, seconds: float
) -> SurfaceMetrics:
    ids, labels, zero = (array.tolist() for array in (images.ids, images.y, found.zero_gradient))
    each = describe_planes(found.margins, labels, ids, zero)
    return SurfaceMetrics(
        images=each,
        missing=images.missing,
        left_out=max(0, len(recipe.dataset.classes) - MOST_PLANES),
        outside_fraction=found.outside,
        backward=pipeline.backward,
        fixed_draw=pipeline.samples,
        samples_digest=metrics.digest_samples(images.x, images.y),
        seconds=round(seconds, 3),
        **average_planes(each),
    )
