"""A user's own images in an .npz; sizes in its headers are checked before memory is allocated."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from advae.arrayfiles import DAMAGED, Header, explain, open_archive, read_member, read_member_header
from advae.datasets.decoded import Decoded, check_counts, show_shape
from advae.datasets.own_rules import check_classes, check_image_claim, check_label_claim, check_range
from advae.datasets.reading import refuse_unreadable
from advae.errors import DatasetError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
NPZ_MAX_BYTES = 4 << 30
"""Most bytes of the four unpacked arrays together. In memory a dataset takes up to eight times as many."""

NPZ_FREE_BYTES = 64 << 20
NPZ_MAX_RATIO = 200
"""Above NPZ_FREE_BYTES, an archive that unpacks to more than this multiple of its size is refused as a zip bomb."""


class ArrayPair(NamedTuple):
    """Two arrays of an .npz that belong together."""

    images: str
    """Name of the array of images."""
    labels: str
    """Name of the array of their labels."""


TRAIN, TEST = ArrayPair("x_train", "y_train"), ArrayPair("x_test", "y_test")
MEDMNIST = (
    ArrayPair("train_images", "train_labels"),
    ArrayPair("val_images", "val_labels"),
    ArrayPair("test_images", "test_labels"),
)
"""The arrays of MedMNIST's files, https://medmnist.com; the validation images join the training images."""


def read_npz(path: Path) -> Decoded:
    """Return the arrays of a user's dataset: x_train, y_train, x_test, y_test, or those of MedMNIST.

    Images: n x height x width, with or without a last axis of 1 (grey) or 3 (colour), uint8 or float in [0, 1] up to
    rounding, which is clipped. Labels: integers 0 to k - 1, k >= 2, each of them in y_train. Raises DatasetError for
    anything else; shapes, types and sizes are checked before memory is allocated, and objects are refused.
    """
    import numpy as np

    with _open_npz(path) as (archive, parts):
        _check_claims(path, parts, {name: _read_claim(archive, name, path) for part in parts for name in part})
        read = [_read_part(archive, part, path) for part in parts]
    *train, (x_test, y_test) = read
    x_train, y_train = train[0] if len(train) == 1 else (np.concatenate(arrays) for arrays in zip(*train, strict=True))
    check_classes(f"{path}: {parts[0].labels}", y_train, y_test)
    return Decoded(x_train, y_train.astype(np.int64), x_test, y_test.astype(np.int64))


def count_npz(path: Path) -> tuple[int, int]:
    """Return how many training and test images the headers claim. Raises DatasetError for a bad archive or header."""
    with _open_npz(path) as (archive, parts):
        shapes = [_read_claim(archive, part.images, path).shape for part in parts]
    counts = [shape[0] if shape else 0 for shape in shapes]
    return sum(counts[:-1]), counts[-1]


@contextmanager
def _open_npz(path: Path) -> Iterator[tuple[zipfile.ZipFile, tuple[ArrayPair, ...]]]:
    """Give an archive that has all arrays and unpacks to a plausible multiple of its own size, and its parts."""
    with refuse_unreadable(path, DAMAGED), open_archive(path) as archive:
        parts = MEDMNIST if f"{MEDMNIST[0].images}.npy" in archive.NameToInfo else (TRAIN, TEST)
        names = [name for part in parts for name in part]
        missing = [name for name in names if f"{name}.npy" not in archive.NameToInfo]
        if missing:
            raise DatasetError(f"{path}: no {', '.join(missing)}; expected {', '.join(names)}")
        # Compared with the size of the file, because the packed sizes of members may overlap or be wrong.
        unpacked = sum(archive.getinfo(f"{name}.npy").file_size for name in names)
        packed = path.stat().st_size
        if unpacked > min(NPZ_MAX_BYTES, max(NPZ_FREE_BYTES, NPZ_MAX_RATIO * packed)):
            raise DatasetError(
                f"{path}: {packed} bytes claim to unpack to {unpacked}; allowed are {NPZ_MAX_RATIO} times as many, "
                f"and {NPZ_MAX_BYTES} at most"
            )
        yield archive, parts


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


def _check_claims(path: Path, parts: tuple[ArrayPair, ...], claims: Mapping[str, Header]) -> None:
    """Raise DatasetError unless the arrays claim to be images of one shape and their labels."""
    first = parts[0].images
    shape = check_image_claim(f"{path}: {first}", claims[first])
    for part in parts:
        other = check_image_claim(f"{path}: {part.images}", claims[part.images])
        if other != shape:
            raise DatasetError(f"{path}: {first} and {part.images} are {shape} and {other} pixels, expected the same")
        dtypes = claims[first].dtype, claims[part.images].dtype
        # Joined, the levels 0 to 255 and 0 to 1 would become one array.
        if part in parts[1:-1] and dtypes[0] != dtypes[1]:
            raise DatasetError(f"{path}: {first} and {part.images} hold {dtypes[0]} and {dtypes[1]}, expected the same")
        where, images = f"{path}: {part.labels}", claims[part.images].shape[0]
        check_label_claim(where, claims[part.labels], images=images)
        check_counts(where, images=images, labels=claims[part.labels].shape[0])


def _read_part(archive: zipfile.ZipFile, part: ArrayPair, path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return images in range, and labels that are not negative, (n,). Raises DatasetError for others."""
    images = check_range(f"{path}: {part.images}", read_member(archive, part.images))
    labels = read_member(archive, part.labels).reshape(-1)
    if labels.min() < 0:
        raise DatasetError(f"{path}: {part.labels} has label {labels.min()}, expected 0 or more")
    return images, labels
