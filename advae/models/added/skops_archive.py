"""The archive of a .skops file: its size, members and headers are checked before anything is unpacked."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from advae.arrayfiles import read_header
from advae.models.added.zip_members import open_zip, read_zip_member

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_SCHEMA = 1 << 26
"""Bytes of ``schema.json``: 64 MiB, for about 4,000 trees."""

MAX_ARRAY = 1 << 31
"""Bytes of one array."""

SCHEMA = "schema.json"

PROTOCOL = 2
"""The only version of the format that is read: that of skops 0.16."""

SPARSE_MEMBERS = ("data", "indices", "indptr", "shape", "format")
"""The arrays that scipy.sparse.save_npz writes of a matrix by rows or by columns."""


class SkopsArchive:
    """The checked archive of a .skops file. Each member is read at most once."""

    def __init__(self, content: bytes) -> None:
        """Check the directory. Raises ValueError or one of DAMAGED."""
        self._archive = open_zip(content, writer="skops.io.dump")
        self._unread = set(self._archive.namelist())

    def read_schema(self) -> dict[str, Any]:
        """Return the tree of nodes as JSON. Raises ValueError or one of DAMAGED."""
        if SCHEMA not in self._unread:
            raise ValueError("it has no schema.json; expected a file that skops.io.dump wrote")
        self._unread.remove(SCHEMA)
        schema = json.loads(read_zip_member(self._archive, SCHEMA, longest=MAX_SCHEMA))
        if not isinstance(schema, dict):
            raise ValueError("its schema.json is no object")
        protocol = schema.get("protocol")
        if type(protocol) is not int or protocol != PROTOCOL:
            raise ValueError(
                f"it has protocol {str(protocol)[:20]!r}, expected {PROTOCOL}: save it with a current skops"
            )
        return schema

    def unpack_array(self, name: object) -> NDArray[Any]:
        """Return the array of a member: numbers, texts, or the nodes of a tree. Raises ValueError or one of DAMAGED."""
        return _parse_array(self._take(name))

    def unpack_sparse(self, name: object) -> dict[str, NDArray[Any]]:
        """Return the arrays of a member that scipy.sparse.save_npz wrote. Raises ValueError or one of DAMAGED."""
        with open_zip(self._take(name), writer="scipy.sparse.save_npz") as inner:
            found = [member for member in SPARSE_MEMBERS if f"{member}.npy" in inner.namelist()]
            return {
                member: _parse_array(read_zip_member(inner, f"{member}.npy", longest=MAX_ARRAY)) for member in found
            }

    def _take(self, name: object) -> bytes:
        """Return the bytes of a member. Raises ValueError where it is missing, or was read before."""
        if not isinstance(name, str) or name not in self._unread:
            raise ValueError("it names an array that it does not have, or names it twice")
        # A member of which skops makes several arrays would take memory several times.
        self._unread.remove(name)
        return read_zip_member(self._archive, name, longest=MAX_ARRAY)


def _parse_array(content: bytes) -> NDArray[Any]:
    from numpy.lib import format as npy

    stream = io.BytesIO(content)
    read_header(stream, len(content), _accepts)
    stream.seek(0)
    array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
    return array


def _accepts(dtype: np.dtype[Any]) -> bool:
    """Return whether an array's values are numbers of usual size, texts, or records of such numbers."""
    if dtype.names is not None:
        return all(dtype[name].kind in "uif" and dtype[name].itemsize <= 8 for name in dtype.names)
    return dtype.kind in "US" or (dtype.kind in "buif" and dtype.itemsize <= 8)
