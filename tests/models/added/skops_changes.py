"""Changes that make a .skops file hostile: of nodes, of arrays and of what they claim."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.models.added.skops_files import Members, Nodes, attributes, change_array, find_nodes, json_node


def call_node(loader: str, module: str, name: str, **more: Any) -> Nodes:
    """Return a node that names something to be called."""
    return {"__class__": name, "__module__": module, "__loader__": loader, **more}


def put(name: str, node: Nodes) -> Callable[[Nodes, Members], None]:
    """Return a change that puts a node in the place of an attribute of the model."""

    def change(schema: Nodes, members: Members) -> None:
        attributes(schema)[name] = node

    return change


def alter(name: str, change: Callable[[Any], Any], kind: str = "") -> Callable[[Nodes, Members], None]:
    """Return a change of an array, an attribute of the model or of the first object of class ``kind``."""

    def apply(schema: Nodes, members: Members) -> None:
        owner = find_nodes(schema, kind)[0] if kind else schema
        node = owner["content"]["content"][name]
        change_array(members, node, change)

    return apply


def set_value(name: str, value: Any, kind: str = "") -> Callable[[Nodes, Members], None]:
    """Return a change that sets a plain value of the model or of the first object of class ``kind``."""

    def apply(schema: Nodes, members: Members) -> None:
        owner = find_nodes(schema, kind)[0] if kind else schema
        owner["content"]["content"][name] = json_node(value)

    return apply


def at(column: str, place: int, value: int) -> Callable[[Any], None]:
    """Return a change of one number of a tree's nodes."""

    def change(nodes: Any) -> None:
        nodes[column][place] = value

    return change


def nest(schema: Nodes, members: Members) -> None:
    """Put two hundred lists inside each other."""
    inner = json_node(None)
    for _ in range(200):
        inner = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": [inner]}
    attributes(schema)["C"] = inner


def contain_itself(schema: Nodes, members: Members) -> None:
    attributes(schema)["C"] = {**schema, "content": None}


def name_twice(schema: Nodes, members: Members) -> None:
    attributes(schema)["intercept_"]["file"] = attributes(schema)["coef_"]["file"]


def claim(shape: tuple[int, ...]) -> Callable[[Nodes, Members], None]:
    """Return a change by which an array claims a shape of which it has no values."""

    def change(schema: Nodes, members: Members) -> None:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
        members[attributes(schema)["coef_"]["file"]] = header.getvalue()

    return change


def store_objects(schema: Nodes, members: Members) -> None:
    """Replace an array by one of objects, which numpy stores as a pickle."""
    written = io.BytesIO()
    np.save(written, np.array([{}], object), allow_pickle=True)
    members[attributes(schema)["coef_"]["file"]] = written.getvalue()


def swap_counts(schema: Nodes, members: Members) -> None:
    tree = find_nodes(schema, "Tree")[0]
    tree["content"]["content"]["node_count"] = json_node(10**6)


def give_outputs(schema: Nodes, members: Members) -> None:
    tree = find_nodes(schema, "Tree")[0]
    tree["__reduce__"]["args"]["content"][2] = json_node(5000)


def move_random_state(schema: Nodes, members: Members) -> None:
    state = find_nodes(schema, "RandomState")[0]["content"]["content"]["state"]
    state["content"]["pos"] = json_node(10**6)


def drop_key_types(schema: Nodes, members: Members) -> None:
    schema["content"]["key_types"]["content"].pop()


def narrow_stages(schema: Nodes, members: Members) -> None:
    """Leave the prior of one class only, so that the scores have fewer columns than there are trees."""
    node = find_nodes(schema, "DummyClassifier")[0]["content"]["content"]["class_prior_"]
    change_array(members, node, lambda prior: prior[:1])


def break_sparse(schema: Nodes, members: Members) -> None:
    name = attributes(schema)["coef_"]["file"]
    with np.load(io.BytesIO(members[name]), allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays["indices"][0] = 10**6
    written = io.BytesIO()
    np.savez(written, **arrays)
    members[name] = written.getvalue()
