"""Search for a dataset's files: in the data folder, in the cache, then in Keras' cache."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from advae.datasets.cifar import count_cifar, find_cifar, find_pickled
from advae.datasets.idx import count_idx_folder, find_idx, holds_idx
from advae.datasets.image_folder import count_image_folder
from advae.datasets.npz import count_npz
from advae.datasets.reading import exists, list_contents, refuse_unreadable
from advae.datasets.table import DatasetRow, find_row, is_npz
from advae.errors import DatasetError
from advae.paths import to_path

Origin = Literal["bundled", "data-dir", "cache", "keras", "file"]


@dataclass(frozen=True)
class FoundDataset:
    """The place that a dataset would be read from, by names and headers of files."""

    name: str
    """Name in the table, or path of an .npz or a folder of images."""
    origin: Origin | None = None
    """Kind of place; None where the dataset was not found."""
    path: str | None = None
    """Path of a folder or an .npz; None for a bundled dataset and where none was found."""
    train: int | None = None
    """Number of training images; None where unknown."""
    test: int | None = None
    """Number of test images; None where unknown."""
    problem: str | None = None
    """Why the dataset cannot be read; None where it can."""


def find_dataset(name: str, *, data_dir: Path | None = None, cache_dir: Path | None = None) -> FoundDataset:
    """Return the place that ``load_dataset`` would read, by file headers alone; Keras' copy is not checked.

    For a missing or unreadable dataset ``problem`` gives the reason. Raises UsageError if the name is unknown.
    """
    row = find_row(name)
    if row and row.read_bundled:
        return FoundDataset(name, "bundled", None, *row.counts)
    if row and row.made_from:
        return replace(find_dataset(row.made_from, data_dir=data_dir, cache_dir=cache_dir), name=name)
    origin, path = None, None
    try:
        origin, path = locate(row, data_dir, cache_dir) if row else ("file", to_path(name))
        train, test = _count(row, path)
    except DatasetError as error:
        return FoundDataset(name, origin, str(path.absolute()) if path else None, problem=str(error))
    return FoundDataset(name, origin, str(path.absolute()), train, test)


def _count(row: DatasetRow | None, path: Path) -> tuple[int | None, int | None]:
    """Return how many training and test images the files' headers or lengths say."""
    if is_npz(path.name):
        return count_npz(path)
    if row is None:
        return count_image_folder(path)
    return count_cifar(path, row.archive) if row.archive else count_idx_folder(path, row.files)


def locate(row: DatasetRow, data_dir: Path | None, cache_dir: Path | None) -> tuple[Origin, Path]:
    """Return the first place that has the dataset; only file names and headers are read.

    An incomplete dataset in ``data_dir`` is returned, so that reading it gives an error; an incomplete one in the cache
    is skipped, because it is an interrupted fetch. Raises DatasetError if ``data_dir`` is no folder, or if no place has
    the dataset.
    """
    if data_dir:
        _require_folder(data_dir)
        if found := _search_data_dir(row, data_dir):
            return "data-dir", found
    for origin, path in _list_places(row, cache_dir).items():
        if exists(path) and (origin != "cache" or all(find_idx(path, file) for file in row.files)):
            return origin, path
    raise describe_missing(row, data_dir, cache_dir)


def _search_data_dir(row: DatasetRow, data_dir: Path) -> Path | None:
    """Return the folder in ``data_dir`` that has the dataset: the first with all its files, else the first that exists.

    The files of both datasets have the same names. Files in ``data_dir`` itself are therefore taken only if the labels
    of the test images are the published ones.
    """
    if row.archive:
        return find_cifar(data_dir, row.archive, (row.folder, row.torchvision))
    made = f"{row.torchvision}/raw"
    named = [data_dir / name for name in (row.folder, made, row.name, f"{row.folder}/{made}", f"{row.folder}/raw")]
    there = [path for path in named if exists(path)]
    whole = (path for path in there if all(find_idx(path, file) for file in row.files))
    own = (path for path in (data_dir, data_dir / "raw") if holds_idx(path, row.files[-1]))
    return next(itertools.chain(whole, own, there), None)


def describe_missing(row: DatasetRow, data_dir: Path | None, cache_dir: Path | None, note: str = "") -> DatasetError:
    """Return the error that lists the places searched, what they contain and what to do. note: on Keras' copy."""
    places = _list_places(row, cache_dir)
    notes = {"cache": " (incomplete)" if exists(places["cache"]) else "", "keras": note}
    searched = [f"{path}{notes.get(origin, '')}" for origin, path in places.items()]
    if data_dir:
        searched.insert(0, f"{data_dir / row.folder} ({_describe_data_dir(row, data_dir)})")
    wanted = f"{row.folder}/ or torchvision's {row.torchvision}/raw"
    if row.archive:
        wanted = f"{row.archive.folder}/ or {row.archive.name}"
    return DatasetError(
        f"{row.name} not found in {', '.join(searched)}; point --data-dir or ADVAE_DATA_DIR at a folder that has "
        f"{wanted}, or run: advae data fetch {row.name}"
    )


def _describe_data_dir(row: DatasetRow, data_dir: Path) -> str:
    """Return a phrase on the contents of a data folder without the dataset."""
    if row.archive and (pickled := find_pickled(data_dir, row.archive, (row.folder, row.torchvision))):
        return f"{pickled} is pickled and never read: take the binary version, {row.archive.name}"
    if any(find_idx(data_dir, file) for file in row.files):
        return f"the IDX files in {data_dir} are not {row.name}'s"
    return f"{data_dir} holds {list_contents(data_dir)}"


def choose_cache(row: DatasetRow, cache_dir: Path | None) -> Path:
    """Return the folder of fetched files. cache_dir: default the user's cache folder."""
    from platformdirs import user_cache_dir

    return (cache_dir or Path(user_cache_dir("advae")) / "datasets") / row.folder


def _list_places(row: DatasetRow, cache_dir: Path | None) -> dict[Origin, Path]:
    """Return the places in the order in which they are searched, after the data folder.

    Keras' copy of CIFAR-10 is pickled.
    """
    if row.archive:
        return {"cache": choose_cache(row, cache_dir) / row.archive.name}
    keras = to_path(os.environ.get("KERAS_HOME") or "~/.keras")
    return {"cache": choose_cache(row, cache_dir), "keras": keras / "datasets" / row.keras}


def _require_folder(data_dir: Path) -> None:
    with refuse_unreadable(data_dir):
        if not data_dir.is_dir():
            raise DatasetError(f"data folder {data_dir} {'is not a folder' if data_dir.exists() else 'does not exist'}")
