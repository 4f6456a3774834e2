"""The operations of an ``.onnx`` file, made into those of a stored graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from advae.models.added.onnx_file import OnnxFile, OnnxNode
from advae.models.added.onnx_folding import (
    BATCH_MARK,
    MOST_FOLDED,
    UnknownOperationError,
    fold,
    read_shape,
)
from advae.models.added.onnx_network import MixedBatchError, OnnxTrace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advae.models.layers import Arrays

Inputs = Sequence[Any]
"""Numbers of values, arrays, and None for an absent input."""


OperatorConversion = Callable[["OnnxConverter", OnnxNode, Inputs], int]
"""(converter, operation, its inputs) -> number of the value that it makes."""


class OnnxConverter:
    """Values of a file: numbers of values that depend on the image, and arrays of constants."""

    def __init__(self, file: OnnxFile, conversions: Mapping[str, OperatorConversion]) -> None:
        """conversions: of operations of images, by the name of the standard operator."""
        self.file = file
        self._conversions = conversions
        self.nodes: list[list[Any]] = []
        self.arrays: Arrays = {}
        self._trace = OnnxTrace(file.shape)
        self._values: dict[str, Any] = {**file.constants, file.input: 0}
        self._names: dict[int, str] = {}
        self._folded = 0

    def convert(self) -> tuple[dict[str, Any], Arrays, tuple[int, ...]]:
        """Return graph, arrays and the shape of the output for one image.

        Raises UnknownOperationError for an operation without a counterpart; ValueError, or another of DAMAGED.
        """
        for node in self.file.nodes:
            if node.outputs and node.outputs[0]:
                self._values[node.outputs[0]] = self._convert(node)
        output = self._values.get(self.file.output)
        if type(output) is not int:
            raise ValueError("its output does not depend on the image")
        if self.shape(output) == ():
            output = self.add("Reshape", {"shape": [1]}, [output])
        graph = {"shape": list(self.file.shape), "nodes": self.nodes, "output": output}
        return graph, self.arrays, self.shape(output)

    def _convert(self, node: OnnxNode) -> Any:
        if any(name and name not in self._values for name in node.inputs):
            # The second output of another operation.
            raise UnknownOperationError(node.op)
        inputs = [self._values[name] if name else None for name in node.inputs]
        if not any(type(one) is int for one in inputs):
            found = fold(node, inputs, self.file.opset)
            self._folded += found.size
            if self._folded > MOST_FOLDED:
                raise ValueError("its constants make others that are too large")
            return found
        if node.op == "Shape":
            return read_shape(node, (BATCH_MARK, *self.shape(inputs[0])))
        if node.op not in self._conversions:
            raise UnknownOperationError(node.op)
        try:
            return self._conversions[node.op](self, node, inputs)
        except MixedBatchError:
            raise UnknownOperationError(node.op) from None

    def shape(self, value: Any) -> tuple[int, ...]:
        """Return the shape of a value for one image."""
        if type(value) is not int:
            raise UnknownOperationError("operation of a constant and an image in this order")
        return self._trace.shape_of(value)

    def add(self, op: str, attributes: dict[str, Any], inputs: Inputs) -> int:
        """Return the number of the value of a new node."""
        kept = list(inputs)
        while kept and kept[-1] is None:
            kept.pop()
        if any(one is None for one in kept):
            raise ValueError(f"its {op} lacks an input")
        taken = [one if type(one) is int else self._keep(op, one) for one in kept]
        found = self._trace.add(op, attributes, [self.arrays[one] if isinstance(one, str) else one for one in taken])
        self.nodes.append([op, attributes, taken])
        return found

    def _keep(self, op: str, array: NDArray[Any]) -> str:
        """Return the name of a stored array."""
        import numpy as np

        if id(array) not in self._names:
            self._names[id(array)] = name = str(len(self.arrays))
            with np.errstate(over="ignore"):
                self.arrays[name] = np.asarray(array, np.float32)
            if not np.isfinite(self.arrays[name]).all():
                raise ValueError(f"its {op} has a weight that is not a finite number")
        return self._names[id(array)]

    def constant(self, inputs: Inputs, place: int) -> Any:
        """Return an input that must be a constant, None where it is left out."""
        found = inputs[place] if place < len(inputs) else None
        if type(found) is int:
            raise UnknownOperationError("sizes that depend on the image")
        return found
