"""Datasets in memory, and the reference to a dataset that recipes store."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from advae.records.base import MAX_CLASSES, Digest, Interval, Name, Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    IntArray = NDArray[np.int64]

MAX_SIDE = 4096


class DatasetRef(Record):
    """The reference to a dataset in a recipe; it is enough to find the dataset and to rebuild a network without it."""

    name: Name
    """The dataset's name; for a user's own file, the name of the file."""
    digest: Digest
    """SHA-256 over the decoded arrays, in hexadecimal digits."""
    side: Annotated[int, Field(ge=1, le=MAX_SIDE)]
    """Images are side x side pixels."""
    classes: Annotated[tuple[Name, ...], Field(fail_fast=True, min_length=2, max_length=MAX_CLASSES)]
    """One name for each label, from label 0 on."""

    @property
    def key(self) -> tuple[str, int, int]:
        """Digest and side of the images, and the number of classes; equal for all entries of one pipeline."""
        return self.digest, self.side, len(self.classes)


class ImageRanges(Record):
    """Smallest and largest pixel of a dataset, in [0, 1]."""

    train: Interval
    """Smallest and largest pixel of all training images."""
    test: Interval
    """Smallest and largest pixel of all test images."""


@dataclass(frozen=True)
class Dataset:
    """Images and labels in memory."""

    ref: DatasetRef
    """The reference that recipes store."""
    x_train: FloatArray
    """Training images, float32 (n, side * side) in [0, 1]."""
    y_train: IntArray
    """Training labels, int64 (n,), 0 <= y < len(ref.classes)."""
    x_test: FloatArray
    """Test images, like the training images."""
    y_test: IntArray
    """Test labels, like the training labels."""
    source: str | None = None
    """Path that it was read from; None for the bundled dataset."""

    @cached_property
    def ranges(self) -> ImageRanges:
        """Smallest and largest pixel, measured."""
        train, test = ((float(x.min()), float(x.max())) for x in (self.x_train, self.x_test))
        return ImageRanges(train=train, test=test)
