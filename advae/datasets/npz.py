"""A user's own images in an .npz; sizes in its headers are checked before memory is allocated."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.arrayfiles import (
    DAMAGED,
    Header,
    clip_rounding,
    explain,
    open_archive,
    read_member,
    read_member_header,
    show_range,
)
from advae.datasets.decoded import Decoded, check_counts, show_shape
from advae.datasets.reading import refuse_unreadable
from advae.errors import DatasetError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advae.records import ImageShape

NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
NPZ_MAX_BYTES = 4 << 30
"""Most bytes of the four unpacked arrays together. In memory a dataset takes up to eight times as many."""

NPZ_FREE_BYTES = 64 << 20
NPZ_MAX_RATIO = 200
"""Above NPZ_FREE_BYTES, an archive that unpacks to more than this multiple of its size is refused as a zip bomb."""


def read_npz(path: Path) -> Decoded:
    """Return the arrays of a user's dataset: x_train, y_train, x_test, y_test.

    Images: n x height x width, with or without a last axis of 1 (grey) or 3 (colour), uint8 or float in [0, 1] up to
    rounding, which is clipped. Labels: integers 0 to k - 1, k >= 2, each of them in y_train. Raises DatasetError for
    anything else; shapes, types and sizes are checked before memory is allocated, and objects are refused.
    """
    import numpy as np

    with _open_npz(path) as archive:
        _check_claims(path, {key: _read_claim(archive, key, path) for key in NPZ_KEYS})
        x_train, y_train, x_test, y_test = (read_member(archive, key) for key in NPZ_KEYS)
    x_train, x_test = _check_range(f"{path}: x_train", x_train), _check_range(f"{path}: x_test", x_test)
    for where, labels in (("y_train", y_train), ("y_test", y_test)):
        if labels.min() < 0:
            raise DatasetError(f"{path}: {where} has label {labels.min()}, expected 0 or more")
    _check_classes(path, y_train, y_test)
    return Decoded(x_train, y_train.astype(np.int64), x_test, y_test.astype(np.int64))


def count_npz(path: Path) -> tuple[int, int]:
    """Return how many training and test images the headers claim. Raises DatasetError for a bad archive or header."""
    with _open_npz(path) as archive:
        train, test = (_read_claim(archive, key, path).shape for key in ("x_train", "x_test"))
    return (train[0] if train else 0), (test[0] if test else 0)


@contextmanager
def _open_npz(path: Path) -> Iterator[zipfile.ZipFile]:
    """Give an archive that has all keys and unpacks to a plausible multiple of its own size."""
    with refuse_unreadable(path, DAMAGED), open_archive(path) as archive:
        missing = [key for key in NPZ_KEYS if f"{key}.npy" not in archive.NameToInfo]
        if missing:
            raise DatasetError(f"{path}: no {', '.join(missing)}; expected {', '.join(NPZ_KEYS)}")
        # Compared with the size of the file, because the packed sizes of members may overlap or be wrong.
        unpacked = sum(archive.getinfo(f"{key}.npy").file_size for key in NPZ_KEYS)
        packed = path.stat().st_size
        if unpacked > min(NPZ_MAX_BYTES, max(NPZ_FREE_BYTES, NPZ_MAX_RATIO * packed)):
            raise DatasetError(
                f"{path}: {packed} bytes claim to unpack to {unpacked}; allowed are {NPZ_MAX_RATIO} times as many, "
                f"and {NPZ_MAX_BYTES} at most"
            )
        yield archive


def _read_claim(archive: zipfile.ZipFile, key: str, path: Path) -> Header:
    """Return the header of an array. Raises DatasetError unless it describes numbers that fill its member."""
    where = f"{path}: {key}"
    try:
        claim = read_member_header(archive, archive.getinfo(f"{key}.npy"))
    except ValueError as error:
        raise DatasetError(f"{where}: {explain(error)}") from None
    if any(n < 1 for n in claim.shape):
        raise DatasetError(f"{where} is empty: its shape is {show_shape(claim.shape)}")
    return claim


def _check_claims(path: Path, claims: dict[str, Header]) -> None:
    """Raise DatasetError unless the arrays claim to be images and their labels."""
    train, test = (_check_images(f"{path}: {key}", claims[key]) for key in ("x_train", "x_test"))
    if train != test:
        raise DatasetError(f"{path}: x_train and x_test are {train} and {test} pixels, expected the same")
    for images, labels in (("x_train", "y_train"), ("x_test", "y_test")):
        where, (shape, dtype) = f"{path}: {labels}", claims[labels]
        if len(shape) != 1 or dtype.kind not in "iu":
            raise DatasetError(f"{where} holds {show_shape(shape)} {dtype} values, expected n integers")
        check_counts(where, images=claims[images].shape[0], labels=shape[0])


def _check_images(where: str, claim: Header) -> ImageShape:
    """Return the shape of the images. Raises DatasetError if shape or dtype is another, or a side is too long."""
    from advae.records import MAX_SIDE, ImageShape

    shape = (*claim.shape, 1) if len(claim.shape) == 3 else claim.shape
    if len(shape) != 4 or shape[3] not in (1, 3):
        hint = "; move the channels last" if len(shape) == 4 and shape[1] in (1, 3) else ""
        raise DatasetError(
            f"{where} has shape {show_shape(claim.shape)}, expected n x height x width, or n x height x width x 3{hint}"
        )
    if max(shape[1:3]) > MAX_SIDE:
        allowed = show_shape((MAX_SIDE, MAX_SIDE))
        raise DatasetError(f"{where} holds images of {show_shape(shape[1:3])} pixels, expected at most {allowed}")
    if claim.dtype.kind != "f" and claim.dtype.name != "uint8":
        raise DatasetError(f"{where} holds {claim.dtype} values, expected uint8, or float in [0, 1]")
    return ImageShape(*shape[1:])


def _check_range(where: str, images: NDArray[Any]) -> NDArray[Any]:
    """Return the images in range, grey ones without a trailing axis. Raises DatasetError if they are not."""
    if images.dtype.kind == "f":
        clipped = clip_rounding(images)
        if clipped is None:
            raise DatasetError(f"{where} ranges from {show_range(images)}, expected float in [0, 1]")
        images = clipped
    return images.reshape(images.shape[:3]) if images.shape[3:] == (1,) else images


def _check_classes(path: Path, y_train: NDArray[Any], y_test: NDArray[Any]) -> None:
    import numpy as np

    from advae.records import MAX_CLASSES

    present = np.unique(y_train).tolist()
    classes = max(present[-1], int(y_test.max())) + 1
    # No set of all classes is built, because one wrong label may be as large as 2 ** 63.
    absent = next((i for i, label in enumerate(present) if i != label), len(present))
    if absent < classes:
        raise DatasetError(f"{path}: y_train has no example of label {absent}, expected each of 0 to {classes - 1}")
    if classes > MAX_CLASSES:
        raise DatasetError(f"{path}: {classes} classes, expected at most {MAX_CLASSES}")
    if classes < 2:
        raise DatasetError(f"{path}: all labels are 0, expected at least 2 classes")
