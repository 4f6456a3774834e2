"""Datasets in memory, and what a recipe keeps of one."""

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
    """What a recipe keeps of a dataset: enough to find it again and to rebuild a network without it.

    digest: SHA-256 over the decoded arrays; side: images are side x side pixels; classes: one name per label.
    """

    name: Name
    digest: Digest
    side: Annotated[int, Field(ge=1, le=MAX_SIDE)]
    classes: Annotated[tuple[Name, ...], Field(fail_fast=True, min_length=2, max_length=MAX_CLASSES)]

    @property
    def key(self) -> tuple[str, int, int]:
        """What the entries of one pipeline share: the digest of the images, their side, how many classes there are."""
        return self.digest, self.side, len(self.classes)


class ImageRanges(Record):
    """Smallest and largest pixel, in [0, 1], of all training and of all test images."""

    train: Interval
    test: Interval


@dataclass(frozen=True)
class Dataset:
    """Images and labels in memory.

    x_train, x_test: float32 (n, side * side) in [0, 1]; y_train, y_test: int64 (n,), 0 <= y < len(ref.classes).
    source: where it was read from, None for the bundled one.
    """

    ref: DatasetRef
    x_train: FloatArray
    y_train: IntArray
    x_test: FloatArray
    y_test: IntArray
    source: str | None = None

    @cached_property
    def ranges(self) -> ImageRanges:
        """What the pixels range over, measured."""
        train, test = ((float(x.min()), float(x.max())) for x in (self.x_train, self.x_test))
        return ImageRanges(train=train, test=test)
