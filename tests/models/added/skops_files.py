"""Small models of scikit-learn saved by skops, and the same files with changed nodes or members."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIXELS = 6


@cache
def make_images(classes: int = 3, count: int = 90) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return images (n, PIXELS) in [0, 1] around one point for each class, and their labels."""
    random = np.random.default_rng(classes)
    y = np.arange(count) % classes
    x = random.random((classes, PIXELS))[y] + 0.2 * random.normal(size=(count, PIXELS))
    # As images are float32 here; the same values in float64 for scikit-learn.
    return np.clip(x, 0, 1).astype(np.float32).astype(np.float64), y


def save(model: Any) -> bytes:
    """Return the .skops file of a model."""
    from skops.io import dumps

    content: bytes = dumps(model)
    return content


def fit(model: Any, classes: int = 3) -> Any:
    """Return a model, fitted on the images."""
    return model.fit(*make_images(classes))


Nodes = dict[str, Any]
Members = dict[str, bytes]


def edit(content: bytes, change: Callable[[Nodes, Members], Any], packing: int = zipfile.ZIP_STORED) -> bytes:
    """Return a .skops file after a change of its schema and its other members."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members.pop("schema.json"))
    change(schema, members)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", packing) as archive:
        for name, member in {**members, "schema.json": json.dumps(schema).encode()}.items():
            archive.writestr(name, member)
    return written.getvalue()


def attributes(node: Nodes) -> Nodes:
    """Return the attributes of an object's node: name -> node."""
    return node["content"]["content"]


def find_nodes(node: Any, name: str) -> list[Nodes]:
    """Return all nodes of a class in a schema."""
    inner = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
    found = [one for part in inner for one in find_nodes(part, name)]
    return [node, *found] if isinstance(node, dict) and node.get("__class__") == name else found


def change_array(members: Members, node: Nodes, change: Callable[[NDArray[Any]], Any]) -> None:
    """Replace the array of a node by what ``change`` returns of it, or by itself where it changes it in place."""
    array = np.load(io.BytesIO(members[node["file"]]), allow_pickle=False)
    changed = change(array)
    written = io.BytesIO()
    np.save(written, array if changed is None else changed, allow_pickle=False)
    members[node["file"]] = written.getvalue()


def json_node(value: Any) -> Nodes:
    """Return the node of a plain value."""
    return {
        "__class__": "str",
        "__module__": "builtins",
        "__loader__": "JsonNode",
        "content": json.dumps(value),
        "is_json": True,
    }
