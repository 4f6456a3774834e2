"""Images and labels that a user hands over as arrays: checked, scaled to [0, 1] and made flat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae.arrayfiles import Header
from advae.datasets.decoded import check_counts, show_shape
from advae.datasets.own_rules import check_image_claim, check_label_claim, check_range
from advae.errors import DatasetError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advae.records import FloatArray, ImageShape, IntArray


@dataclass(frozen=True)
class GivenImages:
    """Images of an array that was checked."""

    x: FloatArray
    """float32 (n, d) in [0, 1], d = height * width * channels."""
    shape: ImageShape
    """Height, width and channels of an image."""
    given: tuple[int, ...]
    """Shape of the array that was given."""


def read_images(images: Any, shape: ImageShape | None = None) -> GivenImages:
    """Return the images of an array (n, h, w), (n, h, w, 1 or 3) or flat (n, d), n > 0, unchanged where it can be.

    images: float in [0, 1] up to rounding, or uint8 from 0 to 255. shape: of the images that a model takes, None where
    any will do; flat images are then squares, or 1 x d where d is no square number. Raises DatasetError.
    """
    import numpy as np

    array = np.asarray(images)
    if array.size == 0:
        raise DatasetError(f"x is empty: its shape is {show_shape(array.shape)}")
    if array.ndim == 2 and (shape is None or array.shape[1] == shape.size):
        found = shape or _guess_shape(array.shape[1])
        check_image_claim("x", Header((len(array), *found), array.dtype))
    elif array.ndim in (2, 3) and shape and array.shape in (shape.stored, tuple(shape)):
        raise DatasetError(f"x is one image of {shape} pixels, expected n of them; x[None] is an array of one image")
    else:
        found = check_image_claim("x", Header(array.shape, array.dtype))
    if shape and found != shape:
        raise DatasetError(f"x holds images of {found} pixels, the model takes {shape}")
    flat = check_range("x", array.reshape(len(array), -1))
    return GivenImages(_scale(flat), found, array.shape)


def _guess_shape(pixels: int) -> ImageShape:
    """Return the shape of flat images."""
    from advae.records import ImageShape

    side = math.isqrt(pixels)
    return ImageShape(side, side, 1) if side * side == pixels else ImageShape(1, pixels, 1)


def _scale(images: NDArray[Any]) -> FloatArray:
    """Return float32 in [0, 1], as the reader of datasets makes it."""
    import numpy as np

    scaled = np.ascontiguousarray(images, np.float32)
    return scaled / np.float32(255) if images.dtype == np.uint8 else scaled


def read_labels(labels: Any, *, images: int, classes: int) -> IntArray:
    """Return the labels of an array (n,) or (n, 1) of integers from 0 to ``classes`` - 1, int64 (n,).

    images: how many there are. Raises DatasetError, which says what to do about one-hot labels or labels from 1.
    """
    import numpy as np

    array = np.asarray(labels)
    check_label_claim("y", Header(array.shape, array.dtype), images=images)
    check_counts("y", images=images, labels=len(array))
    flat: IntArray = array.reshape(-1).astype(np.int64)
    low, high = int(flat.min()), int(flat.max())
    if low < 0 or high >= classes:
        mend = "; labels begin at 0: subtract 1 from all" if (low, high) == (1, classes) else ""
        wrong = low if low < 0 else high
        raise DatasetError(f"y has label {wrong}, the model has {classes} classes, 0 to {classes - 1}{mend}")
    return flat
