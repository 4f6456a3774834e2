"""Loading a dataset by name, and comparing it with the published one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from advae.batching import allocate
from advae.datasets.cifar import read_cifar, verify_cifar
from advae.datasets.decoded import Decoded
from advae.datasets.idx import read_idx_folder
from advae.datasets.image_folder import read_image_folder
from advae.datasets.npz import read_npz
from advae.datasets.ranges import describe_trouble
from advae.datasets.restriction import WantedClasses, find_labels, restrict
from advae.datasets.search import describe_missing, locate
from advae.datasets.table import DATASETS, DatasetRow, find_row, is_npz
from advae.errors import DatasetError, UsageError
from advae.paths import to_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advae.records import Dataset, FloatArray


class Verified(NamedTuple):
    """A dataset that was read and compared with the published one."""

    source: str | None
    """Path that it was read from; None for a bundled dataset."""
    digest: str
    """SHA-256 of the decoded arrays, hex."""
    trouble: str | None = None
    """One line on a wrong range of its pixels; None for a good range."""


def load_dataset(
    name: str,
    *,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    resize: tuple[int, int] | None = None,
    classes: WantedClasses | None = None,
) -> Dataset:
    """Return a dataset of the table, or of the .npz or folder of images that ``name`` is the path of. Never downloads.

    Files of the table's datasets are searched in ``data_dir``, then in ``cache_dir`` (default: the user's cache
    folder), then in Keras' cache. They may hold fewer images than the published ones. resize: height and width of the
    images of a folder. classes: names or labels of the classes that it is restricted to; None for all. Raises
    UsageError if the name or a class is unknown, or ``resize`` is given for something else; DatasetError if files are
    missing or damaged, or have no image of a class.
    """
    row = find_row(name)
    if resize and (row or is_npz(name)):
        raise UsageError(f"--resize {resize[0]},{resize[1]} is for a folder of images, and {name} is none")
    if row is None:
        return _load_own(name, resize, classes)
    if row.read_bundled:
        return _assemble(name, row.classes, row.read_bundled(), None, wanted=classes)
    decoded, path = _read_files(row, data_dir, cache_dir)
    return _assemble(name, row.classes, decoded, path, wanted=classes)


def _load_own(name: str, resize: tuple[int, int] | None, wanted: WantedClasses | None) -> Dataset:
    """Return the dataset in a user's .npz or folder. Its name has its suffix or a slash, as no published one has."""
    path = to_path(name).absolute()
    if is_npz(name):
        decoded = read_npz(path)
        names = tuple(map(str, range(int(decoded.y_train.max()) + 1)))
        return _assemble(path.name, names, decoded, path, wanted=wanted)
    decoded, classes = read_image_folder(path, resize)
    return _assemble(f"{path.name}/", classes, decoded, path, resize, wanted)


def verify_dataset(
    name: str,
    *,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    resize: tuple[int, int] | None = None,
) -> Verified:
    """Return where a dataset was read from and its digest, after comparison with the published digest.

    CIFAR-10 is compared by the checksums of its files, because no digest of its arrays is known. A user's own
    images have no published digest; they are only read and checked.
    Raises UsageError and DatasetError as ``load_dataset`` does; DatasetError if the digests differ.
    """
    row, dataset = find_row(name), load_dataset(name, data_dir=data_dir, cache_dir=cache_dir, resize=resize)
    source, digest = dataset.source, dataset.ref.digest
    if row and row.archive:
        verify_cifar(Path(str(source)), row.archive)
    elif row and digest != row.digest:
        counts = f"{len(dataset.x_train)} + {len(dataset.x_test)} images"
        where = source or "the bundled copy"
        expected = f"expected {row.digest}{row.caution}"
        raise DatasetError(f"{where}: not the published {name}: {counts} with digest {digest}, {expected}")
    return Verified(source, digest, None if row else describe_trouble(dataset))


def _read_files(row: DatasetRow, data_dir: Path | None, cache_dir: Path | None) -> tuple[Decoded, Path]:
    if row.make:
        base, path = _read_files(DATASETS[row.made_from], data_dir, cache_dir)
        return row.make(base), path
    origin, path = locate(row, data_dir, cache_dir)
    try:
        decoded = _read_found(row, path)
        # The user did not choose Keras' copy, so only the published dataset is accepted.
        if origin == "keras" and decoded.digest != row.digest:
            raise DatasetError(f"{path}: digest {decoded.digest}, expected {row.digest}")
    except DatasetError as error:
        if origin == "cache":
            raise DatasetError(f"{error}; to repair it, run: advae data fetch {row.name}") from error
        if origin == "keras":
            # A damaged copy of Keras is treated as missing; this program does not repair it.
            raise describe_missing(row, data_dir, cache_dir, f" (not used: {error})") from error
        raise
    return decoded, path


def _read_found(row: DatasetRow, path: Path) -> Decoded:
    if path.suffix == ".npz":
        return read_npz(path)
    if row.archive:
        return read_cifar(path, row.archive, classes=len(row.classes))
    return read_idx_folder(path, row.files, classes=len(row.classes))


def _assemble(
    name: str,
    classes: tuple[str, ...],
    decoded: Decoded,
    source: Path | None,
    resize: tuple[int, int] | None = None,
    wanted: WantedClasses | None = None,
) -> Dataset:
    """Return the dataset of some arrays. wanted: the classes that it is restricted to; None for all."""
    from advae.records import Dataset, DatasetRef

    ref = DatasetRef.make(name, decoded.digest, decoded.shape, classes, resize)
    kept = None if wanted is None else find_labels(wanted, name, classes)
    # All classes in their order are the whole dataset, whose ids stay.
    if kept is not None and len(kept) < len(classes):
        decoded = restrict(decoded, kept, str(source or name), classes)
        names = tuple(classes[label] for label in kept)
        changes = {"digest": decoded.digest, "classes": names, "kept": kept, "whole": ref.digest}
        ref = ref.model_copy(update=changes)
    return Dataset(
        ref=ref,
        x_train=_flatten(decoded.x_train),
        y_train=decoded.y_train,
        x_test=_flatten(decoded.x_test),
        y_test=decoded.y_test,
        source=str(source.absolute()) if source else None,
    )


def _flatten(images: NDArray[Any]) -> FloatArray:
    """Return float32 (n, d) in [0, 1]. images: (n, ...), uint8 or float in [0, 1]."""
    import numpy as np

    flat = allocate(len(images), math.prod(images.shape[1:]))
    flat[...] = images.reshape(flat.shape)
    if images.dtype == np.uint8:
        flat /= np.float32(255)
    return flat
