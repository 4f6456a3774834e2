"""An ``.onnx`` file taken apart into plain Python and numpy, after its sizes were checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae.errors import UsageError, printable
from advae.models.added.detect import INSTALL_MODELS
from advae.models.added.onnx_sizes import check_part_sizes

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_NODES = 20_000

OPSETS = range(7, 28)
"""Versions of the standard operators that are read."""

STANDARD = ("", "ai.onnx")
"""Names of the standard operators' domain."""

EXTERNAL = "its weights are in another file; export it in one: torch.onnx.export(..., external_data=False)"


@dataclass(frozen=True)
class OnnxNode:
    """One operation of a file."""

    op: str
    """Name of the standard operator."""
    attributes: dict[str, Any]
    """Numbers, texts, lists of numbers, and arrays, by name."""
    inputs: list[str]
    """Names of the values that it takes; empty for one that is left out."""
    outputs: list[str]
    """Names of the values that it gives."""


@dataclass(frozen=True)
class OnnxFile:
    """A model of one input and one output."""

    opset: int
    """Version of the standard operators."""
    input: str
    """Name of the input."""
    batch: int | None
    """Images of one call that the file asks for; None for any number."""
    shape: tuple[int, ...]
    """Shape of one image."""
    output: str
    """Name of the output."""
    nodes: list[OnnxNode]
    """Operations, each after those that it needs."""
    constants: dict[str, NDArray[Any]]
    """Weights and other constants by name."""


def parse_onnx(content: bytes) -> OnnxFile:
    """Return the model of a file.

    Raises ValueError, or another of arrayfiles.DAMAGED, for what is damaged or not allowed; UsageError where onnx is
    not installed.
    """
    try:
        from onnx import ModelProto, checker
    except ImportError as error:
        raise UsageError(f"an .onnx file needs onnx ({error}): {INSTALL_MODELS}") from None
    from google.protobuf.message import DecodeError

    check_part_sizes(content)
    try:
        model = ModelProto.FromString(content)
    except DecodeError:
        raise ValueError("it is damaged: it is no message of protobuf") from None
    opset = _check_model(model)
    graph = model.graph
    constants = {_text(tensor.name): read_tensor(tensor) for tensor in graph.initializer}
    if len(constants) < len(graph.initializer):
        raise ValueError("it has two weights of one name")
    nodes = [_read_node(node) for node in graph.node]
    (name, batch, shape), output = _read_input(graph, constants), _read_output_name(graph)
    _check_order(nodes, {name, *constants})
    try:
        checker.check_model(model)
    # The checker's own error, and those of its C++ code.
    except Exception as error:
        raise ValueError(f"it is no valid model: {str(error).splitlines()[0]}") from None
    return OnnxFile(opset, name, batch, shape, output, nodes, constants)


def _text(value: Any) -> str:
    """Return a text of the file; protobuf gives bytes where it is not one."""
    if not isinstance(value, str):
        raise ValueError("it is damaged: a name is no text")
    return value


def _check_model(model: Any) -> int:
    """Return the version of the standard operators. Raises ValueError for parts that are not supported."""
    versions = {one.domain: one.version for one in model.opset_import}
    opset = versions.get("", versions.get("ai.onnx"))
    if opset is None or opset not in OPSETS:
        raise ValueError(f"it uses version {opset} of the operators, expected {OPSETS[0]} to {OPSETS[-1]}")
    if len(model.graph.node) > MAX_NODES:
        raise ValueError(f"it has {len(model.graph.node)} operations, expected at most {MAX_NODES}")
    return int(opset)


def _read_input(graph: Any, constants: dict[str, Any]) -> tuple[str, int | None, tuple[int, ...]]:
    """Return name, batch size and shape of the only input."""
    inputs = [one for one in graph.input if one.name not in constants]
    if len(inputs) != 1:
        raise ValueError(f"it has {len(inputs)} inputs, expected one image")
    tensor = inputs[0].type.tensor_type
    if tensor.elem_type != 1:
        raise ValueError("its input is not float32; export the model on an image of float32")
    sizes = [one.dim_value if one.HasField("dim_value") else None for one in tensor.shape.dim]
    shape = [one for one in sizes[1:] if one is not None and 0 < one < 1 << 24]
    if not 2 <= len(sizes) <= 5 or len(shape) < len(sizes) - 1:
        shown = " x ".join("?" if one is None else str(one) for one in sizes)
        raise ValueError(f"its input has the shape {shown}; only the first size may be open: export it on one image")
    return _text(inputs[0].name), sizes[0] or None, tuple(shape)


def _read_output_name(graph: Any) -> str:
    if len(graph.output) != 1:
        raise ValueError(f"it has {len(graph.output)} outputs, expected one")
    return _text(graph.output[0].name)


def _check_order(nodes: list[OnnxNode], known: set[str]) -> None:
    """Raise ValueError for a circle, an operation before what it needs, or two values of one name."""
    known = known | {""}
    for node in nodes:
        for name in node.inputs:
            if name not in known:
                raise ValueError(f"its {node.op} takes {printable(name[:60])!r}, which is not there before it")
        for name in filter(None, node.outputs):
            if name in known:
                raise ValueError(f"it has two values of the name {printable(name[:60])!r}")
            known.add(name)


def _read_node(node: Any) -> OnnxNode:
    op, domain = _text(node.op_type)[:60], _text(node.domain)[:60]
    if domain not in STANDARD:
        shown = printable(f"{domain}.{op}")
        raise ValueError(f"it has the operator {shown!r}, which is not a standard one; export the model without it")
    attributes = {_text(one.name): _read_attribute(op, one) for one in node.attribute}
    inputs, outputs = ([_text(one) for one in names] for names in (node.input, node.output))
    return OnnxNode(printable(op), attributes, inputs, outputs)


def _read_attribute(op: str, attribute: Any) -> Any:
    from onnx import AttributeProto

    readers = {
        AttributeProto.FLOAT: lambda one: one.f,
        AttributeProto.INT: lambda one: one.i,
        AttributeProto.STRING: lambda one: one.s.decode("utf-8"),
        AttributeProto.FLOATS: lambda one: list(one.floats),
        AttributeProto.INTS: lambda one: list(one.ints),
        AttributeProto.TENSOR: lambda one: read_tensor(one.t),
    }
    if attribute.type not in readers or attribute.ref_attr_name:
        raise ValueError(f"its {printable(op[:60])} has an attribute that is neither numbers nor text")
    read: Callable[[Any], Any] = readers[attribute.type]
    return read(attribute)


def read_tensor(tensor: Any) -> NDArray[Any]:
    """Return an array that owns its memory. Raises ValueError unless it has exactly the bytes that its shape claims."""
    import numpy as np
    from onnx import TensorProto

    kinds = {
        **{TensorProto.FLOAT: ("<f4", "float_data"), TensorProto.DOUBLE: ("<f8", "double_data")},
        **{TensorProto.INT64: ("<i8", "int64_data"), TensorProto.INT32: ("<i4", "int32_data")},
        **{TensorProto.UINT8: ("u1", "int32_data"), TensorProto.INT8: ("i1", "int32_data")},
        **{TensorProto.BOOL: ("?", "int32_data"), TensorProto.FLOAT16: ("<f2", None)},
    }
    shown = printable(_text(tensor.name)[:60])
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise ValueError(EXTERNAL)
    if tensor.data_type not in kinds:
        raise ValueError(f"its weights {shown!r} are of a kind that is not supported; export them as float32")
    (dtype, field), shape = kinds[tensor.data_type], tuple(tensor.dims)
    typed = getattr(tensor, field) if field else ()
    size = math.prod(shape) if all(0 <= one < 1 << 40 for one in shape) and len(shape) <= 8 else -1
    width = np.dtype(dtype).itemsize
    if not (len(tensor.raw_data) == size * width if tensor.HasField("raw_data") else len(typed) == size):
        raise ValueError(f"its weights {shown!r} claim {shape} values, which are not there")
    if tensor.HasField("raw_data"):
        return np.frombuffer(tensor.raw_data, dtype).reshape(shape).copy()
    return np.array(typed, dtype).reshape(shape)
