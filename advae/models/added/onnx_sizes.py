"""Sizes of an ``.onnx`` file's parts, counted in its bytes before protobuf reads them.

Each part of a message takes a hundred times as much memory as the two bytes that it may have in the file.
"""

from __future__ import annotations

from advae.models.added.detect import read_fields

MAX_STRUCTURE = 1 << 24
"""Bytes of all that is not the values of weights, PART_BYTES more for each part."""

PART_BYTES = 64
"""What a part, of whatever size, takes in memory at least."""

PARTS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "text", 14: "text"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 13: "value", 14: "annotation", 16: "text"},
    "node": {5: "attribute", 9: "text"},
    "attribute": {5: "tensor"},
    "tensor": {13: "text", 16: "text"},
    "value": {2: "type", 4: "text"},
    "type": {1: "sized"},
    "sized": {2: "shape"},
    "shape": {1: "text"},
    "annotation": {2: "text"},
    "text": {},
}
"""Of each kind of message: the numbers of the fields that are messages, and of which kind."""

BRANCHES = "an operation that holds others (a branch or loop)"

NOT_READ: dict[str, dict[int, str]] = {
    "model": {20: "training information", 25: "functions of its own", 26: "a configuration of devices"},
    "graph": {15: "sparse weights"},
    "node": {10: "a configuration of devices"},
    "attribute": {6: BRANCHES, 10: BRANCHES, 11: BRANCHES, 22: "sparse weights", 23: "sparse weights"}
    | dict.fromkeys((14, 15), "an operation that makes other values than tensors"),
    "tensor": {3: "weights in segments"},
    "type": dict.fromkeys((4, 5, 8, 9), "a value that is no tensor"),
}
"""Fields that are refused, with what they are."""

_VALUES = {4, 5, 7, 9, 10, 11}
"""Fields of a tensor that are its values, which take about as much memory as in the file."""


def check_part_sizes(content: bytes) -> None:
    """Raise ValueError where a file has more parts than a model has, or parts that are not supported."""
    left = MAX_STRUCTURE
    waiting = [("model", 0, len(content))]
    while waiting:
        kind, first, last = waiting.pop()
        for field, start, end in read_fields(content, first, last):
            refused = NOT_READ.get(kind, {}).get(field)
            if refused:
                raise ValueError(f"it has {refused}, which is not supported; export the model without it")
            if end >= start and field in PARTS[kind]:
                waiting.append((PARTS[kind][field], start, end))
            elif end >= start and not (kind == "tensor" and field in _VALUES):
                left -= end - start
            left -= PART_BYTES
            if left < 0:
                raise ValueError(f"it has more than {MAX_STRUCTURE} bytes beside its weights")
