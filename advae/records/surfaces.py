"""Decision surfaces: how far each image's class leads on a plane around the image; recipe and results."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from advae.records.base import (
    MAX_CLASSES,
    ClassLabels,
    Digest,
    Label,
    Magnitude,
    Name,
    Natural,
    Record,
    Seed,
    Share,
    absent_unless_given,
)
from advae.records.datasets import DatasetRef

FEWEST_POINTS, MOST_POINTS = 3, 101
"""Points along each axis of a plane; an odd number, so that one of them is the image."""

MOST_ALONGSIDE = 1000
"""Most other classifiers that have to be right on a surface's images."""


class SurfaceRecipe(Record):
    """The recipe of a decision surface: S(a, b) = z_true - max other at x + a u + b v, for one image of each class.

    u: sign of the gradient of the cross-entropy in x, through the whole pipeline; v: random signs. Yu et al. 2018,
    arXiv:1810.00144.
    """

    kind: Literal["surface"] = "surface"
    classifier: Name
    """Id of the classifier, with its purifier."""
    dataset: DatasetRef
    """The dataset whose test images are looked at."""
    radius: Annotated[float, Field(gt=0, le=1)]
    """a and b go from minus this to this, in units of x."""
    points: Annotated[int, Field(ge=FEWEST_POINTS, le=MOST_POINTS)]
    """Points along each axis, an odd number."""
    clip: bool
    """Whether x + a u + b v is clipped to [0, 1], so that every point is a valid image."""
    seed: Seed
    """Seed of v, and number of the fixed draw of a random purifier."""
    alongside: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MOST_ALONGSIDE)] | None = (
        absent_unless_given()
    )
    """Ids of other classifiers that classify every image correctly, too, in alphabetical order; None: none."""
    recipe_rev: Natural
    """Revision of the code: raised when the same recipe would give other results."""

    @model_validator(mode="after")
    def _check_form(self) -> Self:
        if self.points % 2 == 0:
            raise ValueError("its points are an even number")
        others = self.alongside or ()
        if list(others) != sorted({*others} - {self.classifier}):
            raise ValueError("its other classifiers are not in alphabetical order, each once, without its own")
        return self

    @property
    def parents(self) -> tuple[str, ...]:
        return (self.classifier, *(self.alongside or ()))


class SurfaceImage(Record):
    """What the surface of one image says."""

    label: Label
    """Its true class."""
    sample_id: Natural
    """Its number in the test set, from 0."""
    right_share: Share
    """Share of the plane's points that are classified correctly (S > 0), 0 to 1."""
    gradient_share: Share
    """Share of the points up the gradient (a > 0, b = 0) that are classified correctly, 0 to 1."""
    random_share: Share
    """Share of the points along the random direction (a = 0, b not 0) that are classified correctly, 0 to 1."""
    zero_gradient: bool
    """Whether its gradient is zero or not finite, so that u is zero and the plane a line."""


class SurfaceMetrics(Record):
    """The results of decision surfaces."""

    kind: Literal["surface"] = "surface"
    n: Natural
    """Number of images; 0 where no test image is classified correctly by all of the recipe's classifiers."""
    images: Annotated[tuple[SurfaceImage, ...], Field(fail_fast=True, max_length=MAX_CLASSES)]
    """One for each image, by label."""
    missing: ClassLabels
    """Classes of which no test image is classified correctly, or not by all of the recipe's classifiers."""
    left_out: Natural
    """Number of further classes that were not looked at, because there are too many."""
    right_share: Share | None
    """Mean over the images of their ``right_share``, 0 to 1; None without an image."""
    gradient_share: Share | None
    """Mean over the images of their ``gradient_share``, 0 to 1; None without an image."""
    random_share: Share | None
    """Mean over the images of their ``random_share``, 0 to 1; None without an image."""
    zero_gradients: Natural
    """Number of images whose gradient is zero or not finite."""
    outside_fraction: Share
    """Share of the values of x + a u + b v, over all images and points, that are outside [0, 1] before clipping, 0 to
    1."""
    backward: Literal["exact", "identity", "blur"]
    """exact: u is the gradient of the pipeline itself; identity: BPDA, the derivative of the purifier is replaced by
    the identity's (Athalye et al. 2018, arXiv:1802.00420); blur: by a Gaussian blur's."""
    fixed_draw: bool
    """Whether the purifier is random: then every point has the same, fixed draw."""
    samples_digest: Digest
    """SHA-256 of the images and labels, equal for surfaces of the same images."""
    seconds: Magnitude
    """Wall-clock time, in seconds."""
