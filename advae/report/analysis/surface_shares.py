"""Decision surfaces side by side: the shares that stay right, of each pipeline and of each image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal

from advae.checks.decision_surfaces import DrawnSurface, check_surface, find_harm_ratio
from advae.records import Status
from advae.report.analysis.tables import Findings, Ids, PipelineRecord, ShownShare, TableRecord, read_pipeline
from advae.report.data.grouping import group_by
from advae.report.data.runs import StoredPipeline
from advae.report.wording import describe_seeds, format_eps, name_autoencoder, name_pipeline

if TYPE_CHECKING:
    from advae.report.data.contents import Comparison

PipelineSurface = tuple[StoredPipeline, DrawnSurface]
"""A pipeline and its decision surface."""


class SurfaceRecord(PipelineRecord):
    """The decision surface of one pipeline: S(a, b) = z_true - max other at x + a u + b v, u up the gradient, v random
    signs; a point is right where S > 0."""

    pipeline: str
    """The pipeline in words: dataset, classifier, purifier, seeds other than 0."""
    surface: str
    """The surface's id in the registry."""
    group: int
    """Number of the group, from 1: surfaces of one group are of the same images, planes and random directions, and only
    these may be compared."""
    radius: float
    """a and b go from minus this to this, in units of an image's range."""
    points: int
    """Points along each axis."""
    clip: bool
    """Whether points are clipped to the image's range, so that each is a valid image."""
    seed: int
    """Seed of the random signs."""
    n: int
    """Number of images, one of each class."""
    right_share: ShownShare | None
    """Share of the plane that stays right, mean over the images, 0 to 1; null without an image."""
    gradient_share: ShownShare | None
    """Share of the points up the gradient (a > 0, b = 0) that stay right, mean over the images, 0 to 1."""
    random_share: ShownShare | None
    """Share of the points along the random direction (a = 0, b not 0) that stay right, mean over the images, 0 to 1."""
    harm_ratio: float | None
    """Share that the random direction breaks, divided by the share that the gradient's breaks; 1 or more: the gradient
    does not point to the weakness. null where the gradient's breaks nothing."""
    check: Status
    """PASS where the gradient's direction is the more harmful one; WARN where it is not, or where an image has a zero
    gradient; NOT RUN where neither changes a class."""
    finding: str
    """What was found, in a sentence."""
    zero_gradients: int
    """Number of images whose gradient is zero or not finite, so that their plane is a line."""
    outside_fraction: ShownShare
    """Share of the values of all points that were outside the image's range before clipping, 0 to 1."""
    backward: Literal["exact", "identity", "blur"]
    """exact: the gradient is the pipeline's own; identity, blur: BPDA, the purifier's derivative is replaced by that
    of the identity, or of a Gaussian blur."""
    fixed_draw: bool
    """Whether the purifier is random, and every point has the same, fixed draw."""
    missing: tuple[str, ...]
    """Classes of which no test image is classified correctly by all pipelines that had to be right."""
    left_out: int
    """Number of further classes that were not looked at."""
    alongside: Ids
    """Ids of the other classifiers that had to be right on the images."""
    imported: Ids
    """Id of the surface where it came from a bundle; empty where it was made here."""
    purifier_name: str
    """The purifier in words, with seeds other than 0, and with the classifier's id where another pipeline has the same
    name; none where there is none."""


class PlaneRecord(TableRecord):
    """The decision surface of one pipeline around one image."""

    surface: str
    """The surface's id in the registry."""
    classifier_id: str
    """The classifier's id in the registry."""
    dataset: str
    """The dataset's name."""
    label: int
    """Number of the image's true class."""
    class_name: str
    """Name of that class."""
    image: int
    """Number of the image in the test set, from 0."""
    right_share: ShownShare
    """Share of the plane that stays right, 0 to 1."""
    gradient_share: ShownShare
    """Share of the points up the gradient that stay right, 0 to 1."""
    random_share: ShownShare
    """Share of the points along the random direction that stay right, 0 to 1."""
    zero_gradient: bool
    """Whether the gradient is zero or not finite."""


def group_surfaces(comparison: Comparison) -> list[list[PipelineSurface]]:
    """Return the surfaces that may be compared, those of the same images and planes, in groups; in a fixed order."""
    return list(group_by(comparison.surfaces, lambda pair: pair[1].key).values())


def name_purifiers(group: Iterable[PipelineSurface]) -> list[str]:
    """Return the purifier of each pipeline in words, with the classifier's id where another one has the same name."""
    pipelines = [pipeline for pipeline, _ in group]
    shared = Counter(map(name_pipeline, pipelines))
    return [
        name_autoencoder(one)
        + describe_seeds(one)
        + (f" ({one.classifier.id})" if shared[name_pipeline(one)] > 1 else "")
        for one in pipelines
    ]


def title_group(group: list[PipelineSurface]) -> str:
    """Return what a group is of: dataset, radius, points and images, and what is not the default."""
    pipeline, surface = group[0]
    recipe, n = surface.recipe, surface.metrics.n
    plane = f"radius {format_eps(recipe.radius)}, {recipe.points} × {recipe.points} points, {n} images"
    more = ("" if recipe.clip else ", not clipped") + (f", seed {recipe.seed}" if recipe.seed else "")
    return f"{pipeline.dataset}: {plane}{more}"


def list_surfaces(findings: Findings) -> Iterator[SurfaceRecord]:
    """Yield a record for each decision surface, group by group."""
    for number, group in enumerate(group_surfaces(findings.comparison), 1):
        for (pipeline, surface), name in zip(group, name_purifiers(group), strict=True):
            yield _describe(pipeline, surface, number, name)


def _describe(pipeline: StoredPipeline, surface: DrawnSurface, number: int, name: str) -> SurfaceRecord:
    recipe, metrics = surface.recipe, surface.metrics
    result = check_surface(recipe, metrics)
    shares = ("n", "right_share", "gradient_share", "random_share")
    facts = ("zero_gradients", "outside_fraction", "backward", "fixed_draw", "left_out")
    return SurfaceRecord(
        **read_pipeline(pipeline),
        **{name: getattr(metrics, name) for name in (*shares, *facts)},
        **{name: getattr(recipe, name) for name in ("radius", "points", "clip", "seed")},
        pipeline=name_pipeline(pipeline),
        surface=surface.id,
        group=number,
        harm_ratio=find_harm_ratio(metrics),
        check=result.status,
        finding=result.sentence,
        missing=tuple(recipe.dataset.classes[label] for label in metrics.missing),
        alongside=recipe.alongside or (),
        imported=(surface.id,) if surface.imported else (),
        purifier_name=name,
    )


def list_planes(findings: Findings) -> Iterator[PlaneRecord]:
    """Yield a record for each image of each decision surface."""
    for group in group_surfaces(findings.comparison):
        for pipeline, surface in group:
            for one in surface.metrics.images:
                yield PlaneRecord(
                    **one.model_dump(include={"label", "right_share", "gradient_share", "random_share"}),
                    surface=surface.id,
                    classifier_id=pipeline.classifier.id,
                    dataset=pipeline.dataset,
                    class_name=surface.recipe.dataset.classes[one.label],
                    image=one.sample_id,
                    zero_gradient=one.zero_gradient,
                )
