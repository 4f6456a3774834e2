"""A folder of images, DIR/train/CLASS/*.png and DIR/test/CLASS/*.png, read through Pillow.

As in torchvision and Keras, classes are numbered in the order of their names, and files are read in that of theirs.
All headers are read before memory is allocated; nothing but PNG and JPEG is decoded.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.arrayfiles import DAMAGED, explain, read_regular, require_regular
from advae.datasets.decoded import Decoded, show_shape
from advae.datasets.npz import NPZ_FREE_BYTES, NPZ_MAX_BYTES, NPZ_MAX_RATIO
from advae.datasets.picture import Picture, describe_picture, open_picture, to_pixels
from advae.datasets.reading import exists, list_contents, refuse_unreadable
from advae.errors import DatasetError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIXES = (".png", ".jpg", ".jpeg")
"""Ends of the names of image files, in any case."""

LONGEST_IMAGE = 1 << 28
"""Most bytes of an image file: more than the largest image takes that is not packed."""

EXPECTED = "expected DIR/train/CLASS/*.png and DIR/test/CLASS/*.png, or .jpg"

Size = tuple[int, int]


@dataclass(frozen=True)
class _ClassFolder:
    """The files of one class in one part of a dataset."""

    path: Path
    """The folder."""
    files: tuple[Path, ...]
    """Its images, sorted by name."""
    ignored: tuple[str, ...]
    """Names of its other files and folders, sorted."""


def read_image_folder(folder: Path, resize: Size | None = None) -> tuple[Decoded, tuple[str, ...]]:
    """Return the images of a folder, uint8, and the names of the classes.

    resize: height and width to which every image is resized; None: all must be of one size. Images are grey if all are,
    else colour. Raises DatasetError, which names the one file that cannot be read.
    """
    train, test = (_list_classes(folder, part) for part in ("train", "test"))
    _check_classes(folder, train, test)
    files = [path for part in (train, test) for each in part.values() for path in each.files]
    shape = _measure(folder, files, resize)
    labels = [[i for i, each in enumerate(part.values()) for _ in each.files] for part in (train, test)]
    n = len(labels[0])
    return Decoded(
        *_read_part(files[:n], labels[0], shape, resize), *_read_part(files[n:], labels[1], shape, resize)
    ), tuple(train)


def count_image_folder(folder: Path) -> tuple[int, int]:
    """Return how many training and test images a folder has, by the names of its files. Raises DatasetError."""
    train, test = (sum(len(one.files) for one in _list_classes(folder, part).values()) for part in ("train", "test"))
    return train, test


def _list_classes(folder: Path, part: str) -> dict[str, _ClassFolder]:
    """Return the classes of a part by name, sorted. Folders whose names begin with a dot are passed over."""
    if not exists(folder / part):
        raise DatasetError(f"{folder}: no {part}/; it holds {list_contents(folder)}; {EXPECTED}")
    with refuse_unreadable(folder / part), os.scandir(folder / part) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        holds = list_contents(folder / part)
        raise DatasetError(f"{folder / part}: no folder of a class; it holds {holds}; {EXPECTED}")
    for name in names:
        if not name.isprintable():
            raise DatasetError(f"{folder / part}: the class {name!r} has unprintable characters; rename its folder")
    return {name: _list_files(folder / part / name) for name in names}


def _list_files(path: Path) -> _ClassFolder:
    with refuse_unreadable(path):
        names = sorted(entry.name for entry in path.iterdir())
    files = tuple(path / name for name in names if name.lower().endswith(SUFFIXES) and not name.startswith("."))
    return _ClassFolder(path, files, tuple(sorted({*names} - {file.name for file in files})))


def _check_classes(folder: Path, train: dict[str, _ClassFolder], test: dict[str, _ClassFolder]) -> None:
    """Raise DatasetError unless both parts have the same classes, two or more, and images."""
    from advae.records import MAX_CLASSES

    if alone := sorted(train.keys() ^ test.keys()):
        has, lacks = ("train", "test") if alone[0] in train else ("test", "train")
        raise DatasetError(f"{folder}: class {alone[0]!r} is in {has}/ and not in {lacks}/, expected it in both")
    if len(train) < 2:
        raise DatasetError(f"{folder}: one class, {next(iter(train))!r}, expected at least 2")
    if len(train) > MAX_CLASSES:
        raise DatasetError(f"{folder}: {len(train)} classes, expected at most {MAX_CLASSES}")
    for part in (*train.values(), *([] if any(each.files for each in test.values()) else test.values())):
        if not part.files:
            others = len(part.ignored)
            held = f"; it holds {others} other file{'s' * (others > 1)}, such as {part.ignored[0]!r}" if others else ""
            raise DatasetError(f"{part.path}: no image ({', '.join(SUFFIXES)}){held}")


@contextmanager
def _name_file(path: Path) -> Iterator[None]:
    """Raise DatasetError, which names the file, for whatever reading a damaged image raises."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except (*DAMAGED, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # The message of Pillow repeats the path.
        unknown = isinstance(error, UnidentifiedImageError)
        reason = "it is neither PNG nor JPEG, or damaged" if unknown else explain(error)
        raise DatasetError(f"{path}: cannot be read as an image: {reason}; repair it or leave it out") from error


def _describe(path: Path) -> Picture:
    with _name_file(path):
        packed = require_regular(path)
        # A file may be long and take no room on the disk.
        if packed > LONGEST_IMAGE:
            raise ValueError(f"it has {packed} bytes, expected at most {LONGEST_IMAGE}")
        return describe_picture(path, packed)


def _check_claim(path: Path, picture: Picture) -> None:
    """Raise DatasetError for an image that claims many more pixels than its file may hold."""
    from advae.records import MAX_SIDE

    if math.prod(picture.size) > max(MAX_SIDE**2, NPZ_MAX_RATIO * picture.packed):
        raise DatasetError(f"{path}: its {picture.packed} bytes claim {show_shape(picture.size)} pixels; leave it out")


def _measure(folder: Path, files: list[Path], resize: Size | None) -> tuple[int, ...]:
    """Return the shape that all images get: (height, width) or (height, width, 3).

    Raises DatasetError for images of several sizes without ``resize``, and for more bytes than any dataset may have.
    """
    from advae.records import MAX_SIDE

    first, grey, packed = None, True, 0
    for path in files:
        picture = _describe(path)
        _check_claim(path, picture)
        first = first or picture
        if not resize and picture.size != first.size:
            sizes = f"{show_shape(picture.size)} pixels, and {files[0]} is {show_shape(first.size)}"
            raise DatasetError(f"{path}: is {sizes}; make all images of one size, or pass --resize HEIGHT,WIDTH")
        grey &= picture.grey
        packed += picture.packed
    size = resize or (first.size if first else (0, 0))
    if max(size) > MAX_SIDE:
        allowed = f"at most {show_shape((MAX_SIDE, MAX_SIDE))}"
        raise DatasetError(f"{files[0]}: is {show_shape(size)} pixels, expected {allowed}; pass --resize HEIGHT,WIDTH")
    shape = size if grey else (*size, 3)
    unpacked = len(files) * math.prod(shape)
    if unpacked > min(NPZ_MAX_BYTES, max(NPZ_FREE_BYTES, NPZ_MAX_RATIO * packed)):
        raise DatasetError(
            f"{folder}: {len(files)} images of {packed} bytes would take {unpacked}; allowed are {NPZ_MAX_RATIO} times "
            f"as many, and {NPZ_MAX_BYTES} at most; pass a smaller --resize HEIGHT,WIDTH"
        )
    return shape


def _read_part(
    files: list[Path], labels: list[int], shape: tuple[int, ...], resize: Size | None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    import numpy as np

    images = np.empty((len(files), *shape), np.uint8)
    for i, path in enumerate(files):
        with _name_file(path), open_picture(io.BytesIO(read_regular(str(path), LONGEST_IMAGE))) as picture:
            pixels = to_pixels(picture, grey=len(shape) == 2, resize=resize)
        if pixels.shape != shape:
            raise DatasetError(f"{path}: is {show_shape(pixels.shape)} pixels, where its header claimed other ones")
        images[i] = pixels
    return images, np.array(labels, np.int64)
