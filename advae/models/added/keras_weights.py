"""Weights of a Keras model, read from an HDF5 file in memory after its structure was checked.

HDF5 can name other files, join datasets, and claim any size. Only plain numbers in one piece of the file are accepted,
as Keras writes them.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from advae.errors import printable

if TYPE_CHECKING:
    from advae.models.layers import Arrays

MAX_OBJECTS = 100_000
"""Groups and datasets of one file."""

MAX_GROUP_DEPTH = 64
"""Groups inside each other."""


def read_keras_weights(content: bytes) -> dict[str, Arrays]:
    """Return the arrays of each group whose name ends in ``vars``: {"layers/dense/": {"0": kernel, "1": bias}}.

    The optimizer's are left out. Arrays are float32. Raises ValueError, or another of arrayfiles.DAMAGED.
    """
    # Keras needs h5py, and is always installed.
    from h5py import File

    try:
        with File(io.BytesIO(content), "r") as file:
            datasets = _Walk(len(content)).collect(file)
            return _read_groups(datasets)
    except OSError as error:
        # h5py gives the reason, with places in HDF5's source, in parentheses.
        raise ValueError(f"its weights are damaged: {str(error).partition(' (')[0]}") from None


class _Walk:
    """A walk over all objects of a file, which refuses what Keras does not write."""

    def __init__(self, size: int) -> None:
        self._size, self._count, self._bytes = size, 0, 0
        self._seen: set[int] = set()

    def collect(self, file: Any) -> dict[str, Any]:
        """Return all datasets by their path."""
        found: dict[str, Any] = {}
        groups = [("", file, 0)]
        while groups:
            path, group, depth = groups.pop()
            for name in group:
                one = self._open(group, name, depth)
                if _is_group(one):
                    groups.append((f"{path}{name}/", one, depth + 1))
                else:
                    found[f"{path}{name}"] = self._check(one, f"{path}{name}")
        return found

    def _open(self, group: Any, name: str, depth: int) -> Any:
        """Return an object of a group. Raises ValueError for a link that is not the object itself, or leads back."""
        from h5py import Dataset, Group, HardLink

        link = type(group.get(name, getlink=True))
        shown = printable(name[:60])
        if link is not HardLink:
            raise ValueError(f"its weights have {shown!r}, which is a link to elsewhere ({link.__name__})")
        one = group[name]
        address = _address(one)
        self._count += 1
        if address in self._seen or self._count > MAX_OBJECTS or depth > MAX_GROUP_DEPTH:
            raise ValueError(f"its weights have {shown!r} twice, or are too many or too deep")
        self._seen.add(address)
        if type(one) not in (Dataset, Group):
            raise ValueError(f"its weights have {shown!r}, which is neither a group nor an array")
        return one

    def _check(self, dataset: Any, path: str) -> Any:
        """Return a dataset. Raises ValueError unless its values are plain numbers, stored whole in this file."""
        from h5py import h5d

        shown, made = printable(path[-60:]), dataset.id.get_create_plist()
        if made.get_layout() not in (h5d.CONTIGUOUS, h5d.COMPACT) or made.get_nfilters():
            raise ValueError(f"its weights {shown!r} are virtual, packed or in chunks, which Keras does not write")
        if made.get_layout() == h5d.CONTIGUOUS and made.get_external_count():
            raise ValueError(f"its weights {shown!r} are stored in another file")
        if dataset.dtype.kind not in "fiub" or dataset.dtype.itemsize > 8 or dataset.shape is None:
            raise ValueError(f"its weights {shown!r} hold {dataset.dtype} values, expected numbers")
        size = math.prod(dataset.shape) * dataset.dtype.itemsize
        self._bytes += size
        if dataset.id.get_storage_size() != size or self._bytes > self._size:
            raise ValueError(f"its weights {shown!r} claim {size} bytes that the file does not have")
        return dataset


def _address(one: Any) -> int:
    """Return where in the file an object begins."""
    from h5py import h5o

    return int(h5o.get_info(one.id).addr)


def _is_group(one: Any) -> bool:
    from h5py import Group

    return isinstance(one, Group)


def _read_groups(datasets: dict[str, Any]) -> dict[str, Arrays]:
    import numpy as np

    found: dict[str, Arrays] = {}
    for path, dataset in datasets.items():
        folder, _, name = path.rpartition("/")
        if folder.rpartition("/")[2] != "vars" or path.startswith("optimizer/"):
            continue
        with np.errstate(over="ignore"):
            array = np.asarray(dataset[()], np.float32)
        if not np.isfinite(array).all():
            raise ValueError(f"its weights {printable(path[-60:])!r} hold a value that is not a finite number")
        found.setdefault(folder.removesuffix("vars"), {})[name] = array
    return found
