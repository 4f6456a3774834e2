"""The tables of decision surfaces, the same rows of words for the page, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from advae.errors import printable
from advae.report.analysis.surface_shares import (
    PipelineSurface,
    PlaneRecord,
    SurfaceRecord,
    group_surfaces,
    list_planes,
    list_surfaces,
    name_purifiers,
    title_group,
)
from advae.report.analysis.tables import Findings, Table
from advae.report.data.grouping import group_by
from advae.report.data.word_tables import Cell, Grid, Part, show_percentage
from advae.report.wording import NOT_APPLICABLE, mark_imported

SURFACES_HEADING = "Decision surfaces"

SURFACES_EXPLAINED = (
    "How far the true class leads, S = its logit minus the largest other one, on a plane around one test image of each "
    "class: at x + a u + b v, u the sign of the gradient of the cross-entropy through the whole pipeline, v random "
    "signs (Yu et al. 2018). A point is right where S > 0. Unless a title says not clipped, points are clipped to "
    "valid images, so a pixel that is black already cannot become darker, and the plane is bent where pixels reach "
    "their range. "
    "A random direction that harms as much as the gradient's, or a zero gradient, is a sign of gradient masking: the "
    "gradient then does not point to where the pipeline is weak. A surface is a look at two directions of many: what "
    "stays right here may fall elsewhere. It is no attack, and no proof. Only pipelines of one table are compared: "
    "they are shown on the same images and the same random signs."
)

SURFACE_TITLES = (
    "classifier",
    "purifier",
    "plane that stays right",
    "up the gradient",
    "along random signs",
    "harm, random to gradient",
    "check",
    "surface",
)


def _tabulate_surfaces(findings: Findings) -> Iterator[Part]:
    groups = group_surfaces(findings.comparison)
    for number, records in group_by(findings.collect(list_surfaces), lambda one: one.group).items():
        heading = f"{SURFACES_HEADING}, {title_group(groups[number - 1])}"
        grid = Grid(heading, SURFACE_TITLES, tuple(map(_write_surface, records)))
        yield Part(grid, {"group": number}, heading, _explain(groups[number - 1], records))


def _write_surface(record: SurfaceRecord) -> tuple[str, ...]:
    ratio = record.harm_ratio
    return (
        record.classifier,
        record.purifier_name,
        show_percentage(record.right_share),
        show_percentage(record.gradient_share),
        show_percentage(record.random_share),
        Cell(NOT_APPLICABLE if ratio is None else f"{ratio:.2f}", ratio),
        record.check,
        record.surface + mark_imported(record.imported),
    )


def _explain(group: Sequence[PipelineSurface], records: Sequence[SurfaceRecord]) -> str:
    """Return what to know of a group: how its images were chosen, which classes have none, and what is replaced."""
    first = records[0]
    several = "that all of these pipelines classify correctly" if first.alongside else "that the pipeline gets right"
    parts = [f"The first test image of each class {several}."]
    if first.missing:
        parts.append(f"No such image of class {', '.join(map(printable, first.missing))}.")
    if first.left_out:
        parts.append(f"The first classes only; {first.left_out} more are not looked at.")
    replaced = [one.purifier_name for one in records if one.backward != "exact"]
    if replaced:
        parts.append(f"BPDA through {', '.join(replaced)}: u is not the pipeline's own gradient.")
    drawn = [one.purifier_name for one in records if one.fixed_draw]
    if drawn:
        parts.append(f"One fixed draw of {', '.join(drawn)}, the same at every point.")
    if first.clip:
        parts.append(f"{100 * first.outside_fraction:.0f} % of all values were clipped.")
    parts += [
        f"{one.classifier}, {one.purifier_name}: {one.check}, {one.finding}." for one in records if one.check != "PASS"
    ]
    return " ".join(parts)


def _tabulate_planes(findings: Findings) -> Iterator[Part]:
    planes = group_by(findings.collect(list_planes), lambda one: one.surface)
    for number, group in enumerate(group_surfaces(findings.comparison), 1):
        columns = [planes.get(surface.id, []) for _, surface in group]
        names = [
            f"{pipeline.classifier_recipe.model}, {name}"
            for (pipeline, _), name in zip(group, name_purifiers(group), strict=True)
        ]
        rows = tuple(_write_images(images) for images in zip(*columns, strict=True))
        heading = f"Plane that stays right, {title_group(group)}"
        grid = Grid(heading, ("class", "test image", *names), rows)
        if rows:
            yield Part(grid, {"group": number}, heading)


def _write_images(images: Sequence[PlaneRecord]) -> tuple[str, ...]:
    first = images[0]
    return (
        printable(first.class_name),
        Cell(str(first.image), first.image),
        *(show_percentage(one.right_share) for one in images),
    )


SURFACE_TABLES: dict[str, Table] = {
    "surfaces": Table(
        SURFACES_HEADING,
        SURFACES_EXPLAINED,
        "report",
        _tabulate_surfaces,
        SurfaceRecord,
        list_surfaces,
        marks=("surface", "group", "right_share"),
    ),
    "surface_images": Table(
        "Decision surfaces by class",
        "Share of the plane around each image that stays right.",
        "report",
        _tabulate_planes,
        PlaneRecord,
        list_planes,
        marks=("surface", "image", "right_share"),
    ),
}
"""Rows of TABLES about decision surfaces."""
