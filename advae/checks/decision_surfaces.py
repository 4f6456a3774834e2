"""What decision surfaces say: the share of each plane that stays right, and whether the gradient points to weakness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae.checks.check_table import not_run, say, show_share
from advae.records import SurfaceImage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import CheckResult, SurfaceMetrics, SurfaceRecipe

SURFACE = "surface"
"""The name of the check."""


@dataclass(frozen=True)
class DrawnSurface:
    """A stored decision surface, as it is drawn and compared."""

    id: str
    """Id of the entry."""
    recipe: SurfaceRecipe
    """What it is of."""
    metrics: SurfaceMetrics
    """Its shares."""
    margins: NDArray[np.float32]
    """S by image, step along v and step along u, float32 (m, points, points), both steps ascending."""
    imported: str | None = None
    """When it was imported from a bundle; None where it was made here."""

    @property
    def key(self) -> tuple[Any, ...]:
        """What surfaces that are shown side by side have in common: images, planes and their random directions."""
        recipe = self.recipe
        ids = tuple((image.label, image.sample_id) for image in self.metrics.images)
        return recipe.dataset.key, recipe.radius, recipe.points, recipe.clip, recipe.seed, ids


def describe_planes(
    margins: NDArray[np.float32], labels: Sequence[int], ids: Sequence[int], zero: Sequence[bool]
) -> tuple[SurfaceImage, ...]:
    """Return the shares of each image's plane, S > 0 being right. margins: as in ``DrawnSurface``."""
    right = margins > 0
    middle = margins.shape[1] // 2
    upward, across = right[:, middle, middle + 1 :], right[:, :, middle]
    return tuple(
        SurfaceImage(
            label=label,
            sample_id=id_,
            right_share=float(right[place].mean()),
            gradient_share=float(upward[place].mean()),
            # The image itself is on the line, too, and says nothing of the direction.
            random_share=float((across[place].sum() - across[place, middle]) / (2 * middle)),
            zero_gradient=stuck,
        )
        for place, (label, id_, stuck) in enumerate(zip(labels, ids, zero, strict=True))
    )


def average_planes(images: Sequence[SurfaceImage]) -> dict[str, Any]:
    """Return the numbers of a surface's metrics that follow from those of its images."""
    n = len(images)
    shares = ("right_share", "gradient_share", "random_share")
    means = {name: sum(getattr(one, name) for one in images) / n if n else None for name in shares}
    return means | {"n": n, "zero_gradients": sum(one.zero_gradient for one in images)}


def find_harm_ratio(metrics: SurfaceMetrics) -> float | None:
    """Return the share that the random direction breaks, divided by what the gradient's breaks.

    Below 1 the gradient is the more harmful direction, as it should be; None where the gradient breaks nothing,
    or where there is no image.
    """
    if metrics.gradient_share is None or metrics.random_share is None or metrics.gradient_share == 1:
        return None
    return (1 - metrics.random_share) / (1 - metrics.gradient_share)


def check_surface(recipe: SurfaceRecipe, metrics: SurfaceMetrics) -> CheckResult:
    """Return whether the gradient points to weakness: PASS where it is more harmful than a random direction.

    WARN where it is not, or where an image has no gradient; NOT RUN where neither direction changes a class.
    """
    up, across = metrics.gradient_share, metrics.random_share
    if up is None or across is None:
        return not_run(SURFACE, "no test image is classified correctly")
    ratio = find_harm_ratio(metrics)
    if metrics.zero_gradients:
        stuck = f"{metrics.zero_gradients} of {metrics.n} images have a zero gradient: gradient masking"
        return say(SURFACE, "WARN", stuck, metrics.zero_gradients / metrics.n)
    shares = f"{show_share(up)} of the points up the gradient stay right, {show_share(across)} along random signs"
    if up == across == 1:
        return not_run(SURFACE, f"neither direction changes a class within {recipe.radius:.4g}; take a larger --radius")
    if up >= across:
        return say(SURFACE, "WARN", f"{shares}: the gradient does not point to the weakness, a sign of masking", ratio)
    return say(SURFACE, "PASS", shares, ratio)
