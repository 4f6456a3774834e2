"""The nodes of a .skops file, read as plain data: nothing is imported, constructed or called.

skops makes objects of the same nodes later, of a score-based model only. What is checked here must be what skops
reads. It takes the first node of an id for all others of that id, so the nodes are read here in the order in which it
reads them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from advae.models.added.skops_archive import SkopsArchive

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_NESTING = 100
"""Nodes inside each other; a pipeline in a stack of ensembles has about 40."""

NAME = re.compile(r"[A-Za-z_]\w{0,99}")
MODULE = re.compile(r"[A-Za-z_][\w.]{0,199}")

SCALARS = frozenset(
    f"numpy.{name}"
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "str_"),
    )
)
"""Types of numpy's scalars, which are stored as arrays without axes, and of their dtypes."""

VALUES = frozenset(f"builtins.{name}" for name in ("int", "float", "str", "bool"))
"""Types of plain values, and of the keys of dictionaries."""

SPARSE = frozenset(f"scipy.sparse._{kind}.{kind}_{form}" for kind in ("csr", "csc") for form in ("matrix", "array"))

LOSS_MODULES = ("sklearn._loss._loss.", "sklearn.linear_model._sgd_fast.")

Node = dict[str, Any]

UNFINISHED = object()
"""The value of a node that is being read."""


@dataclass(frozen=True)
class SkopsObject:
    """An object that is no plain value: its type and attributes."""

    type: str
    """Full name, ``sklearn.svm._classes.SVC``."""
    fields: dict[str, Any] = field(default_factory=dict)
    """Its attributes; the state of an object without attributes is under the name ``state``."""


@dataclass(frozen=True)
class SparseValues:
    """A sparse matrix, in whose arrays all indices are checked."""

    by_row: bool
    """Whether ``indptr`` counts the values of rows, not of columns."""
    shape: tuple[int, int]
    """Rows and columns."""
    data: NDArray[Any]
    """The values, (values,)."""
    indices: NDArray[Any]
    """Column, or row, of each value, (values,)."""
    indptr: NDArray[Any]
    """Position of the first value of each row, or column, and the end, (rows + 1,)."""


class NodeReader:
    """Reader of the nodes of one archive; ``untrusted`` has the types that are not among the known ones."""

    def __init__(self, archive: SkopsArchive, known: frozenset[str], trust: frozenset[str]) -> None:
        self._archive, self._known, self._trust = archive, known, trust
        self._depth = 0
        self._done: dict[int, Any] = {}
        self.untrusted: set[str] = set()
        self.trusted: set[str] = set()
        """The types of ``trust`` that the file has."""
        self.sparse = False
        """Whether it has a sparse matrix."""

    def read(self, node: object) -> Any:
        """Return what a node stands for. Raises ValueError or one of DAMAGED."""
        if not isinstance(node, dict) or not isinstance(node.get("__loader__"), str):
            raise ValueError("its schema.json has an entry that is no node")
        own = node.get("__id__")
        if own is not None and (type(own) is not int or own <= 0):
            raise ValueError("its schema.json has an id that is no number")
        if own in self._done:
            value = self._done[own]
            if value is UNFINISHED:
                raise ValueError("its schema.json has an object that contains itself")
            return value
        if own is not None:
            self._done[own] = UNFINISHED
        read = READERS.get(node["__loader__"])
        if read is None:
            raise ValueError(
                f"it has a {node['__loader__'][:40]!r}, which is never opened: functions and calls are not data"
            )
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise ValueError(f"its schema.json has more than {MAX_NESTING} nodes inside each other")
        value = read(self, node)
        self._depth -= 1
        if own is not None:
            self._done[own] = value
        return value

    # ------------------------------------------------------------ plain values

    def _read_json(self, node: Node) -> Any:
        value = json.loads(_take(node, "content", str))
        if not isinstance(value, str | int | float | bool | None):
            raise ValueError("its schema.json has a value that is neither a number nor a text")
        return value

    def _read_list(self, node: Node) -> list[Any]:
        _require_type(node, "builtins.list")
        return [self.read(inner) for inner in _take(node, "content", list)]

    def _read_set(self, node: Node) -> list[Any]:
        _require_type(node, "builtins.set")
        return [self.read(inner) for inner in _take(node, "content", list)]

    def _read_tuple(self, node: Node) -> tuple[Any, ...]:
        _require_type(node, "builtins.tuple")
        return tuple(self.read(inner) for inner in _take(node, "content", list))

    def _read_dict(self, node: Node) -> dict[Any, Any]:
        _require_type(node, "builtins.dict", "sklearn.utils._bunch.Bunch")
        content, types = _take(node, "content", dict), self.read(node.get("key_types"))
        # skops would drop what has no type.
        if not isinstance(types, list) or len(types) != len(content):
            raise ValueError("its schema.json has a dictionary whose keys do not fit their types")
        if any(not isinstance(kind, SkopsObject) or kind.fields["name"] not in VALUES | SCALARS for kind in types):
            raise ValueError("its schema.json has a dictionary with keys that are neither numbers nor texts")
        return {key: self.read(inner) for key, inner in content.items()}

    def _read_type(self, node: Node) -> SkopsObject:
        name = _name_type(node)
        if name not in VALUES | SCALARS:
            self._require_trust(name)
        return SkopsObject("type", {"name": name})

    # ------------------------------------------------------------ arrays

    def _read_array(self, node: Node) -> Any:
        name = _name_type(node)
        if node.get("type") == "json":
            _require_type(node, "numpy.ndarray")
            items = [self.read(inner) for inner in _take(node, "content", list)]
            self.read(node.get("shape"))
            return items
        array = self._archive.unpack_array(node.get("file"))
        if node.get("type") != "numpy" or (name != "numpy.ndarray" and (name not in SCALARS or array.shape)):
            raise ValueError(f"it has an array of type {name!r}, which numpy does not store so")
        return array if name == "numpy.ndarray" else array[()].item()

    def _read_masked(self, node: Node) -> SkopsObject:
        _require_type(node, "numpy.ma.MaskedArray")
        content = _take(node, "content", dict)
        return SkopsObject("masked", {name: self.read(content.get(name)) for name in ("data", "mask")})

    def _read_sparse(self, node: Node) -> SparseValues:
        _require_type(node, *SPARSE)
        if node.get("type") != "scipy":
            raise ValueError("it has a sparse matrix that scipy did not write")
        self.sparse = True
        return _check_sparse(self._archive.unpack_sparse(node.get("file")))

    # ------------------------------------------------------------ objects

    def _read_object(self, node: Node) -> SkopsObject:
        name = _name_type(node)
        if name not in self._known:
            self._require_trust(name)
        state = None if node.get("content") is None else self.read(node["content"])
        if not isinstance(state, dict):
            return SkopsObject(name, {"state": state})
        if any(not isinstance(key, str) or not NAME.fullmatch(key) or key.startswith("__") for key in state):
            raise ValueError(f"{name} has an attribute of a name that is none")
        return SkopsObject(name, state)

    def _read_tree(self, node: Node) -> SkopsObject:
        # skops makes a tree of it, whatever type it names.
        _require_type(node, "sklearn.tree._tree.Tree")
        return self._read_reduced(node)

    def _read_loss(self, node: Node) -> SkopsObject:
        if not _name_type(node).startswith(LOSS_MODULES):
            raise ValueError(f"it has a LossNode of type {_name_type(node)!r}, which is no loss")
        return self._read_reduced(node)

    def _read_reduced(self, node: Node) -> SkopsObject:
        name, reduced = _name_type(node), _take(node, "__reduce__", dict)
        if name not in self._known:
            self._require_trust(name)
        state = self.read(node.get("content"))
        return SkopsObject(name, {"args": self.read(reduced.get("args")), "state": state})

    def _read_random_state(self, node: Node) -> SkopsObject:
        _require_type(node, "numpy.random.mtrand.RandomState")
        return SkopsObject("RandomState", {"state": self.read(node.get("content"))})

    def _read_generator(self, node: Node) -> SkopsObject:
        _require_type(node, "numpy.random._generator.Generator")
        content = _take(node, "content", dict)
        return SkopsObject("Generator", {name: self.read(content.get(name)) for name in ("bit_generator", "seed_seq")})

    def _read_function(self, node: Node) -> SkopsObject:
        name = _name_type(node)
        self._require_trust(name)
        return SkopsObject("function", {"name": name})

    def _require_trust(self, name: str) -> None:
        (self.trusted if name in self._trust else self.untrusted).add(name)


READERS: dict[str, Callable[[NodeReader, Node], Any]] = {
    "JsonNode": NodeReader._read_json,
    "ListNode": NodeReader._read_list,
    "SetNode": NodeReader._read_set,
    "TupleNode": NodeReader._read_tuple,
    "DictNode": NodeReader._read_dict,
    "TypeNode": NodeReader._read_type,
    "NdArrayNode": NodeReader._read_array,
    "MaskedArrayNode": NodeReader._read_masked,
    "SparseMatrixNode": NodeReader._read_sparse,
    "ObjectNode": NodeReader._read_object,
    "TreeNode": NodeReader._read_tree,
    "LossNode": NodeReader._read_loss,
    "RandomStateNode": NodeReader._read_random_state,
    "RandomGeneratorNode": NodeReader._read_generator,
    "FunctionNode": NodeReader._read_function,
}
"""The kinds of nodes that are read. All others make calls that the file chooses."""


def _take(node: Node, key: str, kind: type) -> Any:
    value = node.get(key)
    if not isinstance(value, kind):
        raise ValueError(f"its schema.json has a {node['__loader__']} without {key}")
    return value


def _name_type(node: Node) -> str:
    """Return the full name of a node's type. Raises ValueError where it is no name."""
    module, name = node.get("__module__"), node.get("__class__")
    if not (isinstance(module, str) and isinstance(name, str) and MODULE.fullmatch(module) and NAME.fullmatch(name)):
        raise ValueError("its schema.json names a type that has no name in Python")
    return f"{module}.{name}"


def _require_type(node: Node, *allowed: str) -> None:
    if _name_type(node) not in allowed:
        raise ValueError(f"it has a {node['__loader__']} of type {_name_type(node)!r}, expected {allowed[0]}")


def _check_sparse(arrays: dict[str, NDArray[Any]]) -> SparseValues:
    """Return a sparse matrix. Raises ValueError where an index is out of range."""
    import numpy as np

    if arrays.keys() != {"data", "indices", "indptr", "shape", "format"}:
        raise ValueError("it has a sparse matrix that is neither csr nor csc")
    form = bytes(arrays["format"].item()).decode("ascii", "replace")
    shape, data, indices, indptr = (arrays[name] for name in ("shape", "data", "indices", "indptr"))
    if form not in ("csr", "csc") or shape.shape != (2,) or shape.dtype.kind not in "iu":
        raise ValueError("it has a sparse matrix that is neither csr nor csc")
    rows, columns = (int(n) for n in shape)
    lines, places = (rows, columns) if form == "csr" else (columns, rows)
    fits = (
        data.ndim == indices.ndim == indptr.ndim == 1
        and {indices.dtype.kind, indptr.dtype.kind} <= {"i", "u"}
        and len(data) == len(indices)
        and len(indptr) == lines + 1
        and indptr[0] == 0
        and indptr[-1] == len(data)
        and bool((np.diff(indptr) >= 0).all())
        and (not len(indices) or (indices.min() >= 0 and indices.max() < places))
    )
    if not fits:
        raise ValueError("it has a sparse matrix whose indices are out of range")
    return SparseValues(form == "csr", (rows, columns), data, indices, indptr)
