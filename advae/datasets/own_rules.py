"""Rules for a user's own arrays of images and labels; each error says what to do about the mistake that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advae.arrayfiles import Header, clip_rounding, show_range
from advae.datasets.decoded import show_shape
from advae.errors import DatasetError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advae.records import ImageShape

CHANNEL_COUNTS = (1, 3)
"""Channels of an image: grey, or red, green and blue."""


def check_image_claim(where: str, claim: Header) -> ImageShape:
    """Return the shape of the images. Raises DatasetError if shape or dtype is another, or a side is too long."""
    from advae.records import MAX_SIDE, ImageShape

    shape = (*claim.shape, 1) if len(claim.shape) == 3 else claim.shape
    if len(shape) != 4 or shape[3] not in CHANNEL_COUNTS:
        expected = "expected n x height x width, or n x height x width x 3"
        raise DatasetError(f"{where} has shape {show_shape(claim.shape)}, {expected}{_mend_shape(shape)}")
    if max(shape[1:3]) > MAX_SIDE:
        allowed = show_shape((MAX_SIDE, MAX_SIDE))
        raise DatasetError(f"{where} holds images of {show_shape(shape[1:3])} pixels, expected at most {allowed}")
    if claim.dtype.kind != "f" and claim.dtype.name != "uint8":
        mend = "store them as float32" if claim.dtype.kind == "b" else "store levels from 0 to 255 as uint8"
        raise DatasetError(f"{where} holds {claim.dtype} values, expected uint8, or float in [0, 1]; {mend}")
    return ImageShape(*shape[1:])


def _mend_shape(shape: tuple[int, ...]) -> str:
    """Return what to do about a wrong shape, after a semicolon; empty where that is unknown."""
    if len(shape) == 4 and shape[1] in CHANNEL_COUNTS:
        return "; move the channels last"
    if len(shape) == 4 and shape[3] == 4:
        return "; leave out the fourth channel, which is transparency"
    if len(shape) == 4 and shape[3] == 2:
        return "; leave out the second channel, which is transparency"
    if len(shape) in (4, 5):
        return "; volumes (3-D sets) are not images: choose one slice of each"
    return "; reshape each row to its height and width" if len(shape) == 2 else ""


def check_label_claim(where: str, claim: Header, *, images: int) -> None:
    """Raise DatasetError unless there is one integer for each image, with or without a second axis of 1."""
    shape, dtype = claim
    if len(shape) != 1 and shape[1:] != (1,):
        one_hot = len(shape) == 2 and shape[0] == images
        mend = "; of one-hot labels store argmax(axis=1), and choose one label each in a multi-label set"
        raise DatasetError(
            f"{where} holds {show_shape(shape)} {dtype} values, expected n integers{mend if one_hot else ''}"
        )
    if dtype.kind not in "iu":
        mend = "store the numbers of the classes as integers"
        raise DatasetError(f"{where} holds {show_shape(shape)} {dtype} values, expected n integers; {mend}")


def check_range(where: str, images: NDArray[Any]) -> NDArray[Any]:
    """Return the images in range, grey ones without a trailing axis. Raises DatasetError if they are not."""
    if images.dtype.kind == "f":
        clipped = clip_rounding(images)
        if clipped is None:
            raise DatasetError(f"{where} {_describe_range(images)}")
        images = clipped
    return images.reshape(images.shape[:3]) if images.shape[3:] == (1,) else images


def _describe_range(images: NDArray[Any]) -> str:
    """Return what is wrong with the range of float images, and what to do."""
    import numpy as np

    low, high = float(images.min()), float(images.max())
    if not np.isfinite([low, high]).all():
        whole = np.isfinite(images).reshape(len(images), -1).all(1)
        what = "NaN" if np.isnan(low) else "infinity"
        return (
            f"has {what} in image {int(np.argmin(whole))}, expected float in [0, 1]; repair the image or leave it out"
        )
    mend = ""
    if low >= 0 and 1 < high <= 255:
        mend = "; divide by 255, or store them as uint8"
    elif -1 <= low < 0 and high <= 1:
        mend = "; add 1 and divide by 2" if low < -0.5 else ""
    elif low < 0:
        mend = "; undo the standardization"
    return f"ranges from {show_range(images)}, expected float in [0, 1]{mend}"


def check_classes(where: str, y_train: NDArray[Any], y_test: NDArray[Any]) -> None:
    """Raise DatasetError unless the training labels are all of 0 to k - 1, k >= 2, and the test labels among them.

    where: names the training labels.
    """
    import numpy as np

    from advae.records import MAX_CLASSES

    present = np.unique(y_train).tolist()
    classes = max(present[-1], int(y_test.max())) + 1
    # No set of all classes is built, because one wrong label may be as large as 2 ** 63.
    absent = next((i for i, label in enumerate(present) if i != label), len(present))
    if absent < classes:
        expected = f"expected each of 0 to {classes - 1}"
        mend = "; labels begin at 0: subtract 1 from all" if absent == 0 and present[0] == 1 else ""
        raise DatasetError(f"{where} has no example of label {absent}, {expected}{mend}")
    if classes > MAX_CLASSES:
        raise DatasetError(f"{where} has {classes} classes, expected at most {MAX_CLASSES}")
    if classes < 2:
        raise DatasetError(f"{where}: all labels are 0, expected at least 2 classes")
