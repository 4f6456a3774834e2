"""The records of an attack on the code of an autoencoder: its recipe and its results."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from advae.records.base import (
    Count,
    Digest,
    Label,
    Magnitude,
    Name,
    Natural,
    Range,
    Real,
    Record,
    Seed,
)
from advae.records.checked import CheckResult
from advae.records.datasets import DatasetRef

MOST_PAIRS, MOST_WEIGHTS = 10_000, 1001
"""Most pairs of images of one attack, and most weights of the perturbation that are tried on each."""


class CodeAttackRecipe(Record):
    """The recipe of an attack on a code: perturb images until their codes are those of other images."""

    kind: Literal["code"] = "code"
    autoencoder: Name
    """Id of the attacked autoencoder."""
    dataset: DatasetRef
    """The images, of whose test set the pairs are drawn."""
    pairs: Annotated[int, Field(ge=1, le=MOST_PAIRS)]
    """Pairs of an original and a target image, of different classes."""
    target: Label | None
    """Class of all target images; None: any class but the original's."""
    limit: Count | None
    """How many first test images the pairs are drawn from; None for all."""
    points: Annotated[int, Field(ge=2, le=MOST_WEIGHTS)]
    """Weights of the perturbation that are tried on each pair, evenly spaced in their logarithm."""
    optimizer: Name
    """What minimises, a name of CODE_OPTIMIZERS."""
    steps: Count
    """Iterations for each weight, of l-bfgs-b at most."""
    seed: Seed
    """Seed of the pairs."""
    recipe_rev: Natural
    """Revision of the code: raised when the same recipe would give other numbers."""

    @property
    def parents(self) -> tuple[str, ...]:
        return (self.autoencoder,)


class CodeAttackMetrics(Record):
    """The results of an attack on a code, over all pairs whose curve exists."""

    kind: Literal["code"] = "code"
    n: Natural
    """Pairs whose curve exists, of which the other numbers are."""
    left_out: Natural
    """Pairs without a curve: the reconstructions of the two images are equally far from the target, or not finite."""
    area: Real | None
    """Mean area under the distortion-distortion curve, over the relative distortion from 0 to 1; None where n is 0."""
    area_deviation: Magnitude | None
    """Standard deviation of the area over the pairs; None where n is below 2."""
    area_interval: Range | None
    """95 % confidence interval of the mean area (Student's t); None where n is below 2."""
    half_distortion: Magnitude | None
    """Mean relative distortion at which half of the way to the target is made, over the pairs that get there; None
    where none does."""
    half_reached: Natural
    """Pairs of which the attack makes half of the way within a relative distortion of 1."""
    pixel_range: Range
    """Smallest and largest pixel of all adversarial examples."""
    pairs_digest: Digest
    """SHA-256 of the images of the pairs and their labels, equal for attacks on the same pairs."""
    checks: Annotated[tuple[CheckResult, ...], Field(fail_fast=True, max_length=1000)]
    """Results of the checks on whether the attack is strong enough for its numbers."""
    seconds: Magnitude
    """Wall-clock time of the attack, in seconds."""
