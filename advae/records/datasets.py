"""Datasets in memory, and the reference to a dataset that recipes store."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from advae.records.base import MAX_CLASSES, Digest, Interval, Name, Record, absent_unless_given

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    IntArray = NDArray[np.int64]

MAX_SIDE = 4096
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]


class ImageShape(NamedTuple):
    """The shape of an image; everything but models, pictures and export sees it flat, row by row, channels last."""

    height: int
    """Rows of pixels."""
    width: int
    """Pixels in a row."""
    channels: int
    """1 for grey, 3 for red, green and blue."""

    @property
    def size(self) -> int:
        """Values of an image: height * width * channels."""
        return self.height * self.width * self.channels

    @property
    def diameter(self) -> float:
        """The largest L2 distance between two images, from black to white."""
        return math.sqrt(self.size)

    @property
    def is_grey(self) -> bool:
        """Whether there is one channel."""
        return self.channels == 1

    @property
    def suits_convolutions(self) -> bool:
        """Whether autoencoders are convolutional by default: for colour, and from 32 x 32 pixels on."""
        return not self.is_grey or self.height * self.width >= 32 * 32

    @property
    def stored(self) -> tuple[int, ...]:
        """The shape of an image in a file: (height, width) where it is grey, else (height, width, channels)."""
        return self[:2] if self.is_grey else tuple(self)

    def __str__(self) -> str:
        return " x ".join(map(str, self.stored))


class DatasetRef(Record):
    """The reference to a dataset in a recipe; it is enough to find the dataset and to rebuild a network without it."""

    name: Name
    """The dataset's name; for a user's own file, the name of the file."""
    digest: Digest
    """SHA-256 over the decoded arrays, in hexadecimal digits."""
    side: Side | None = absent_unless_given()
    """Images are grey, side x side pixels; None where they are not, and ``image`` has their shape."""
    image: tuple[Side, Side, Literal[1, 3]] | None = absent_unless_given()
    """Height, width and channels; None for grey squares, whose recipes always had ``side``."""
    resize: tuple[Side, Side] | None = absent_unless_given()
    """Height and width to which the files of a folder were resized; None where they were not."""
    classes: Annotated[tuple[Name, ...], Field(fail_fast=True, min_length=2, max_length=MAX_CLASSES)]
    """One name for each label, from label 0 on."""

    @classmethod
    def make(
        cls,
        name: str,
        digest: str,
        shape: ImageShape,
        classes: tuple[str, ...],
        resize: tuple[int, int] | None = None,
    ) -> DatasetRef:
        """Return the reference to images of a shape, which decides the field that it is stored in."""
        square = shape.is_grey and shape.height == shape.width
        stored: dict[str, Any] = {"side": shape.height} if square else {"image": tuple(shape)}
        return cls(name=name, digest=digest, classes=classes, resize=resize, **stored)

    @model_validator(mode="after")
    def _require_one_shape(self) -> DatasetRef:
        if (self.side is None) == (self.image is None):
            raise ValueError("it has either a side or an image's height, width and channels")
        if self.image and self.image[0] == self.image[1] and self.image[2] == 1:
            raise ValueError("the shape of a grey square is its side")
        return self

    @property
    def shape(self) -> ImageShape:
        """Height, width and channels of an image."""
        return ImageShape(self.side, self.side, 1) if self.side else ImageShape(*self.image or (0, 0, 0))

    @property
    def key(self) -> tuple[str, ImageShape, int]:
        """Digest and shape of the images, and the number of classes; equal for all entries of one pipeline."""
        return self.digest, self.shape, len(self.classes)


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
    """Training images, float32 (n, d) in [0, 1], d = height * width * channels."""
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
