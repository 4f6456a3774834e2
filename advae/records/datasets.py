"""Datasets in memory, and the reference to a dataset that recipes store."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from advae.class_names import name_restricted
from advae.records.base import MAX_CLASSES, ClassLabels, Digest, Interval, Name, Record, absent_unless_given

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
    kept: ClassLabels | None = absent_unless_given()
    """Label in the whole dataset of each class, ascending, where it is restricted to some; None for a whole dataset."""
    whole: Digest | None = absent_unless_given()
    """SHA-256 over the decoded arrays of the whole dataset, hex digits; None for a whole dataset."""

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

    @model_validator(mode="after")
    def _require_kept_classes(self) -> DatasetRef:
        if (self.kept is None) != (self.whole is None):
            raise ValueError("a restricted dataset has both the labels that it keeps and the whole dataset's digest")
        if self.kept is not None and (list(self.kept) != sorted(set(self.kept)) or len(self.kept) != len(self.classes)):
            raise ValueError("it keeps one label for each class, ascending")
        return self

    @property
    def title(self) -> str:
        """The dataset's name, with its classes where it is restricted to some."""
        return self.name if self.kept is None else name_restricted(self.name, self.classes)

    @property
    def classes_option(self) -> str | None:
        """The classes that are kept, as ``--classes`` takes them; None for a whole dataset."""
        if self.kept is None:
            return None
        # A name is never read as another class's number; one that is split at a comma could be.
        given = zip(self.classes, self.kept, strict=True)
        return ",".join(str(label) if "," in name or name != name.strip() else name for name, label in given)

    @property
    def whole_digest(self) -> str:
        """Digest of the whole dataset, which this is or is a part of."""
        return self.whole or self.digest

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
