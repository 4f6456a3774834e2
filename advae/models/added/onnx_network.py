"""Networks that came from an ``.onnx`` file: operations as JSON, weights as arrays, and the function that they are.

The JSON: ``shape`` of an image, ``nodes`` as [operation, attributes, inputs], ``output``. An input is the number of a
value, 0 the images and k the result of node k - 1, or the name of an array.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from advae.arrayfiles import DAMAGED, explain
from advae.batching import Tensor
from advae.errors import CorruptError
from advae.models.added.onnx_operations import ONNX_OPERATIONS, OperationOfOnnx
from advae.models.added.setting_checks import MAX_WINDOW, require_setting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advae.models.layers import Arrays

LARGEST_VALUE = 1 << 26
"""Most numbers that an operation may compute for one image."""

LONGEST_GRAPH = 20_000

GRAPH_KEYS = ("nodes", "output", "shape")


class MixedBatchError(ValueError):
    """An operation whose result for an image depends on the other images of a batch."""


class OnnxTrace:
    """Operations written one after the other into a graph of TensorFlow, which computes shapes and no values."""

    def __init__(self, shape: Sequence[int]) -> None:
        import tensorflow as tf

        self._graph = tf.Graph()
        with self._graph.as_default():
            self._values: list[Tensor] = [tf.compat.v1.placeholder(tf.float32, (None, *shape))]

    def shape_of(self, value: int) -> tuple[int, ...]:
        """Return the shape of a value for one image."""
        return tuple(self._values[value].shape[1:])

    def add(self, op: str, attributes: dict[str, Any], inputs: Sequence[int | NDArray[Any]]) -> int:
        """Return the number of the value of a new node. Raises ValueError, or one of DAMAGED, if it is not allowed."""
        row = check_node(op, attributes, [isinstance(one, int) for one in inputs])
        self._check_windows(op, attributes, inputs)
        with self._graph.as_default():
            taken = [
                self._values[one] if isinstance(one, int) else one for one in prepare_inputs(row, attributes, inputs)
            ]
            found = row.run(attributes, *taken)
        shape = tuple(found.shape)
        if shape[0] is not None or None in shape[1:]:
            raise MixedBatchError(f"its {op} mixes the images of a batch")
        if math.prod(shape[1:]) > LARGEST_VALUE or 0 in shape[1:]:
            raise ValueError(f"its {op} makes {' x '.join(map(str, shape[1:]))} numbers of an image")
        self._values.append(found)
        return len(self._values) - 1

    def _check_windows(self, op: str, attributes: dict[str, Any], inputs: Sequence[int | NDArray[Any]]) -> None:
        """Raise ValueError for padding and dilation that would take much memory on the way to a small result."""
        if "pads" not in attributes or not isinstance(inputs[0], int):
            return
        channels, *sides = self.shape_of(inputs[0])
        axes, pads = len(sides), attributes["pads"]
        lists = [attributes[name] for name in ("strides", "dilations", "kernel_shape", "extra") if name in attributes]
        if len(pads) != 2 * axes or any(len(one) != axes for one in lists):
            raise ValueError(f"its {op} has settings for another number of axes")
        extra = attributes.get("extra", [0] * axes)
        kernel = inputs[1].shape if len(inputs) > 1 and not isinstance(inputs[1], int) else ()
        takes = (
            (kernel[0] if op == "ConvTranspose" else kernel[1] * attributes["group"]) if len(kernel) > 1 else channels
        )
        if kernel and (len(kernel) != axes + 2 or takes != channels):
            raise ValueError(f"its {op} has a kernel for other images")
        wide = [(size - 1) * one + 1 for size, one in zip(kernel[2:], attributes.get("dilations", ()), strict=True)]
        if max(wide, default=1) > MAX_WINDOW or math.prod([*kernel[:2], *wide]) > LARGEST_VALUE:
            raise ValueError(f"its {op} has a dilation that is too large")
        if op == "ConvTranspose":
            channels = kernel[1]
            sides = [(side - 1) * attributes["strides"][n] + wide[n] for n, side in enumerate(sides)]
        padded = [side + pads[n] + pads[n + axes] + extra[n] for n, side in enumerate(sides)]
        if channels * math.prod(padded) > LARGEST_VALUE:
            raise ValueError(f"its {op} has padding that is too large")


def _count_channels(op: str, kernel: tuple[int, ...], attributes: dict[str, Any]) -> int:
    """Return how many channels an image must have for a kernel."""
    return kernel[0] if op == "ConvTranspose" else kernel[1] * int(attributes["group"])


def check_node(op: str, attributes: dict[str, Any], live: list[bool]) -> OperationOfOnnx:
    """Return the row of an operation. Raises ValueError unless its attributes and inputs fit.

    live: which inputs are values; the others are arrays.
    """
    row = ONNX_OPERATIONS.get(op)
    if row is None:
        raise ValueError(f"its graph has the operation {op[:40]!r}, which this advae does not know")
    if set(attributes) != set(row.attributes) or (row.inputs and len(live) not in row.inputs) or not any(live):
        raise ValueError(f"its {op} has other attributes or inputs than it should")
    if row.prepare and (not live[0] or any(live[1:])):
        raise ValueError(f"its {op} takes weights that depend on the image")
    for key, check in row.attributes.items():
        require_setting(op, key, attributes[key], check)
    return row


def prepare_inputs(row: OperationOfOnnx, attributes: dict[str, Any], inputs: Sequence[Any]) -> list[Any]:
    """Return the inputs of a node with its arrays as the operation takes them."""
    return list(inputs) if row.prepare is None else [inputs[0], *row.prepare(attributes, *inputs[1:])]


def restore_onnx(graph: dict[str, Any], arrays: Arrays) -> Callable[[Tensor], Tensor]:
    """Return the function that a stored graph and its arrays are: float32 (n, *takes) -> (n, *gives).

    Neither is trusted: each operation and the shape of what it makes are checked before an image comes. Raises
    CorruptError.
    """
    try:
        trace_graph(graph, arrays)
    except DAMAGED as error:
        raise CorruptError(f"the stored network is damaged: {explain(error)}") from None

    steps = [_bind_node(op, attributes, inputs, arrays) for op, attributes, inputs in graph["nodes"]]

    def run(x: Tensor) -> Tensor:
        values = [x]
        for step in steps:
            values.append(step(values))
        return values[graph["output"]]

    return run


def _bind_node(
    op: str, attributes: dict[str, Any], inputs: list[int | str], arrays: Arrays
) -> Callable[[list[Tensor]], Tensor]:
    """Return values -> value of one node; its arrays are tensors, which no traced function copies."""
    import tensorflow as tf

    row = ONNX_OPERATIONS[op]
    taken = prepare_inputs(row, attributes, [arrays[one] if isinstance(one, str) else one for one in inputs])
    kept = [one if isinstance(one, int) else tf.constant(one) for one in taken]
    return lambda values: row.run(attributes, *(values[one] if isinstance(one, int) else one for one in kept))


def trace_graph(graph: dict[str, Any], arrays: Arrays) -> tuple[int, ...]:
    """Return the shape of a graph's output for one image. Raises ValueError, or another of DAMAGED."""
    import numpy as np

    if tuple(sorted(graph)) != GRAPH_KEYS or len(graph["nodes"]) > LONGEST_GRAPH:
        raise ValueError("its graph has other keys than it should, or is too long")
    if not 1 <= len(graph["shape"]) <= 4 or not all(type(one) is int and 0 < one < 1 << 24 for one in graph["shape"]):
        raise ValueError("its input has an impossible shape")
    if any(array.dtype != np.float32 for array in arrays.values()):
        raise ValueError("its weights are not float32")
    trace, used = OnnxTrace(graph["shape"]), set[str]()
    for position, (op, attributes, inputs) in enumerate(graph["nodes"]):
        names = {one for one in inputs if isinstance(one, str)}
        numbers = [one for one in inputs if not isinstance(one, str)]
        if not all(type(one) is int and 0 <= one <= position for one in numbers) or not names <= set(arrays):
            raise ValueError("its graph takes what is not there")
        trace.add(op, attributes, [arrays[one] if isinstance(one, str) else one for one in inputs])
        used |= names
    if type(graph["output"]) is not int or not 0 <= graph["output"] <= len(graph["nodes"]):
        raise ValueError("its graph returns what is not there")
    if used != set(arrays):
        raise ValueError("it has weights that its graph does not use")
    return trace.shape_of(graph["output"])


def is_affine_graph(graph: dict[str, Any]) -> bool:
    """Return whether every operation of a graph is affine in its values."""
    return all(
        ONNX_OPERATIONS[op].affine([not isinstance(one, str) for one in inputs]) for op, _, inputs in graph["nodes"]
    )
