"""One's own images in an .npz, whose every claim is checked before memory is taken for it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.arrayfiles import (
    DAMAGED,
    PACKINGS,
    clip_rounding,
    explain,
    read_header,
    read_member,
    require_regular,
    show_range,
)
from advae.datasets.decoded import Decoded, check_counts, show_shape
from advae.datasets.reading import refuse_unreadable
from advae.errors import DatasetError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
NPZ_MAX_BYTES = 4 << 30
NPZ_FREE_BYTES = 64 << 20
NPZ_MAX_RATIO = 200
"""Over NPZ_FREE_BYTES, an archive that unpacks to more than this multiple of itself is taken for a bomb."""


def read_npz(path: Path) -> Decoded:
    """Return the arrays of one's own dataset: x_train, y_train, x_test, y_test.

    Images n x side x side, one trailing axis of length 1 allowed, uint8 or float in [0, 1], but for rounding, which is
    cut off; labels integers
    0 to k - 1, k >= 2, each of them in y_train. Raises DatasetError if any of this does not hold, and before memory is
    taken if the arrays would not fit what the archive holds. Objects are refused, never unpickled.
    """
    import numpy as np

    with _open_npz(path) as archive:
        x_train, y_train, x_test, y_test = (_read_array(archive, key, path) for key in NPZ_KEYS)
    x_train, x_test = _check_images(f"{path}: x_train", x_train), _check_images(f"{path}: x_test", x_test)
    if x_train.shape[1:] != x_test.shape[1:]:
        sides = f"{show_shape(x_train.shape[1:])} and {show_shape(x_test.shape[1:])}"
        raise DatasetError(f"{path}: x_train and x_test are {sides} pixels, expected the same")
    _check_labels(f"{path}: y_train", x_train, y_train)
    _check_labels(f"{path}: y_test", x_test, y_test)
    _check_classes(path, y_train, y_test)
    return Decoded(x_train, y_train.astype(np.int64), x_test, y_test.astype(np.int64))


def count_npz(path: Path) -> tuple[int, int]:
    """Return how many training and test images the headers claim. Raises DatasetError for a bad archive or header."""
    with _open_npz(path) as archive:
        train, test = (_read_shape(archive, key, path) for key in ("x_train", "x_test"))
    return (train[0] if train else 0), (test[0] if test else 0)


@contextmanager
def _open_npz(path: Path) -> Iterator[zipfile.ZipFile]:
    """Give an archive that has all keys and unpacks to a size that its own size makes believable."""
    with refuse_unreadable(path, DAMAGED):
        require_regular(path)
    with refuse_unreadable(path, DAMAGED), zipfile.ZipFile(path) as archive:
        missing = [key for key in NPZ_KEYS if f"{key}.npy" not in archive.NameToInfo]
        if missing:
            raise DatasetError(f"{path}: no {', '.join(missing)}; expected {', '.join(NPZ_KEYS)}")
        members = [archive.getinfo(f"{key}.npy") for key in NPZ_KEYS]
        if any(member.compress_type not in PACKINGS for member in members):
            raise DatasetError(f"{path}: packed in a way that numpy.savez does not use; expected stored or deflated")
        # Against the file's size, not the members' packed ones: those may overlap, or lie.
        unpacked, packed = sum(member.file_size for member in members), path.stat().st_size
        if unpacked > min(NPZ_MAX_BYTES, max(NPZ_FREE_BYTES, NPZ_MAX_RATIO * packed)):
            raise DatasetError(
                f"{path}: {packed} bytes claim to unpack to {unpacked}; allowed are {NPZ_MAX_RATIO} times as many, "
                f"and {NPZ_MAX_BYTES} at most"
            )
        yield archive


def _read_shape(archive: zipfile.ZipFile, key: str, path: Path) -> tuple[int, ...]:
    """Return the shape that a header claims. Raises DatasetError unless it is of numbers and fills its member."""
    member, where = archive.getinfo(f"{key}.npy"), f"{path}: {key}"
    try:
        with archive.open(member) as stream:
            shape, _ = read_header(stream, member.file_size)
    except ValueError as error:
        raise DatasetError(f"{where}: {explain(error)}") from None
    if any(n < 1 for n in shape):
        raise DatasetError(f"{where} is empty: its shape is {show_shape(shape)}")
    return shape


def _read_array(archive: zipfile.ZipFile, key: str, path: Path) -> NDArray[Any]:
    _read_shape(archive, key, path)  # It says what is wrong, and where.
    return read_member(archive, key)


def _check_images(where: str, images: NDArray[Any]) -> NDArray[Any]:
    """Return the images in range, without a trailing axis. Raises DatasetError if shape, dtype or range is another."""
    shape = images.shape[:3] if images.ndim == 4 and images.shape[3] == 1 else images.shape
    if len(shape) != 3 or shape[1] != shape[2]:
        raise DatasetError(f"{where} has shape {show_shape(images.shape)}, expected n x side x side")
    if images.dtype.kind == "f":
        clipped = clip_rounding(images)
        if clipped is None:
            raise DatasetError(f"{where} ranges from {show_range(images)}, expected float in [0, 1]")
        images = clipped
    elif images.dtype.name != "uint8":
        raise DatasetError(f"{where} holds {images.dtype} values, expected uint8, or float in [0, 1]")
    return images.reshape(shape)


def _check_labels(where: str, images: NDArray[Any], labels: NDArray[Any]) -> None:
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DatasetError(f"{where} holds {show_shape(labels.shape)} {labels.dtype} values, expected n integers")
    check_counts(where, images, labels)
    if labels.min() < 0:
        raise DatasetError(f"{where} has label {labels.min()}, expected 0 or more")


def _check_classes(path: Path, y_train: NDArray[Any], y_test: NDArray[Any]) -> None:
    import numpy as np

    present = np.unique(y_train).tolist()
    classes = max(present[-1], int(y_test.max())) + 1
    # Not by a set of all classes: one wrong label may claim 2 ** 63 of them.
    absent = next((i for i, label in enumerate(present) if i != label), len(present))
    if absent < classes:
        raise DatasetError(f"{path}: y_train has no example of label {absent}, expected each of 0 to {classes - 1}")
    if classes < 2:
        raise DatasetError(f"{path}: all labels are 0, expected at least 2 classes")
