"""Conversions of the standard operators of ONNX, one function for each kind."""

from __future__ import annotations

import math

from advae.models.added.onnx_conversion import Inputs, OnnxConverter, OperatorConversion
from advae.models.added.onnx_file import OnnxNode
from advae.models.added.onnx_folding import (
    BATCH_MARK,
    UnknownOperationError,
    list_slices,
    place_axis,
    read_axes,
    read_list,
)
from advae.models.added.onnx_windows import resolve_pads, resolve_pool

MAX_INDICES = 4096
"""Most indices of a Gather or Slice of images."""


def _plain(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    return to.add(node.op, {}, inputs)


def _with(**defaults: float) -> OperatorConversion:
    """Return the conversion of an operation whose attributes are numbers with defaults."""

    def convert(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
        attributes = {name: float(node.attributes.get(name, default)) for name, default in defaults.items()}
        return to.add(node.op, attributes, inputs)

    return convert


def _one_by_one(op: str) -> OperatorConversion:
    """Return the conversion of an operation of any number of inputs to one of two."""

    def convert(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
        found, *rest = inputs
        for one in rest:
            found = to.add(op, {}, [found, one])
        return int(found)

    return convert


def _same(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    trains = to.constant(inputs, 2) if node.op == "Dropout" else None
    if trains is not None and trains.any():
        raise UnknownOperationError("Dropout in training mode")
    if node.op == "Cast" and node.attributes.get("to") not in (1, 10, 11):
        raise UnknownOperationError("Cast to another type than float")
    return int(inputs[0])


def _clip(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    edges = []
    for place, name in enumerate(("min", "max"), 1):
        array = to.constant(inputs, place)
        edge = node.attributes.get(name) if array is None else float(array.reshape(-1)[0])
        edges.append(edge if edge is not None and abs(edge) < 3e38 else None)
    return to.add("Clip", {"min": edges[0], "max": edges[1]}, inputs[:1])


def _softmax(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    rank = len(to.shape(inputs[0])) + 1
    axis = place_axis(node.attributes.get("axis", -1 if to.file.opset >= 13 else 1), rank)
    # Before version 13 all axes from this one on were taken as one.
    if axis == 0 or (to.file.opset < 13 and axis != rank - 1):
        raise UnknownOperationError(f"{node.op} over several axes")
    return to.add(node.op, {"axis": axis}, inputs)


def _gelu(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    return to.add("Gelu", {"approximate": node.attributes.get("approximate", "none") == "tanh"}, inputs)


def _gemm(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    if node.attributes.get("transA") or any(type(one) is int for one in inputs[1:]):
        raise UnknownOperationError("Gemm of two values that depend on the image, or transposed")
    numbers = {name: float(node.attributes.get(name, 1.0)) for name in ("alpha", "beta")}
    return to.add("Gemm", {**numbers, "transB": bool(node.attributes.get("transB", 0))}, inputs)


def _normalise(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    shape = to.shape(inputs[0])
    weights = [to.constant(inputs, place) for place in range(1, 5)]
    if node.attributes.get("training_mode") or any(one is None or one.shape != shape[:1] for one in weights):
        raise UnknownOperationError("BatchNormalization in training mode")
    return to.add(node.op, {"epsilon": float(node.attributes.get("epsilon", 1e-5))}, inputs)


def _convolve(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    kernel = to.constant(inputs, 1)
    to.constant(inputs, 2)
    if kernel is None or kernel.ndim not in (3, 4) or len(to.shape(inputs[0])) != kernel.ndim - 1:
        raise UnknownOperationError("Conv of other than one or two axes")
    settings = resolve_pads(node, to.shape(inputs[0])[1:], kernel.shape[2:])
    group = node.attributes.get("group", 1)
    # TensorFlow's own operation for one group of each channel needs equal strides.
    depthwise = group > 1 and kernel.shape[1] == 1 and kernel.shape[0] % group == 0 and len({*settings["strides"]}) == 1
    return to.add("DepthwiseConv" if depthwise else "Conv", {**settings, "group": group}, inputs)


def _convolve_transposed(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    kernel = to.constant(inputs, 1)
    to.constant(inputs, 2)
    if kernel is None or kernel.ndim not in (3, 4) or len(to.shape(inputs[0])) != kernel.ndim - 1:
        raise UnknownOperationError("ConvTranspose of other than one or two axes")
    words = node.attributes.get("auto_pad", "NOTSET") != "NOTSET" or "output_shape" in node.attributes
    if words or node.attributes.get("group", 1) != 1:
        raise UnknownOperationError("ConvTranspose of groups, or of a given output size")
    settings = resolve_pads(node, to.shape(inputs[0])[1:], kernel.shape[2:])
    extra = list(node.attributes.get("output_padding", [0] * (kernel.ndim - 2)))
    return to.add("ConvTranspose", {**settings, "group": 1, "extra": extra}, inputs)


def _normalise_layer(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    axis = place_axis(node.attributes.get("axis", -1), len(to.shape(inputs[0])) + 1)
    if axis == 0:
        raise UnknownOperationError("LayerNormalization over the images of a batch")
    return to.add(node.op, {"axis": axis, "epsilon": float(node.attributes.get("epsilon", 1e-5))}, inputs)


def _resize(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    """Return images enlarged by whole numbers, each pixel repeated; other ways of resizing are not converted."""
    full = (1, *to.shape(inputs[0]))
    places = (1,) if to.file.opset < 11 else (2, 3)
    scales, sizes = (*(to.constant(inputs, place) for place in places), None)[:2]
    if scales is not None and scales.size:
        times = [float(one) for one in scales.reshape(-1)[:9]]
    elif sizes is not None and sizes.size == len(full):
        batch, *wanted = read_list(sizes)
        times = [float(batch in (BATCH_MARK, to.file.batch)), *(a / b for a, b in zip(wanted, full[1:], strict=True))]
    else:
        times = node.attributes.get("scales", [])
    whole = len(times) == len(full) and times[0] == 1 and all(one.is_integer() and one >= 1 for one in times)
    if node.attributes.get("mode", "nearest") != "nearest" or not whole:
        raise UnknownOperationError(f"{node.op} that interpolates")
    return to.add("Repeat", {"times": [int(one) for one in times[1:]]}, inputs[:1])


def _pool(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    if len(to.shape(inputs[0])) not in (2, 3):
        raise UnknownOperationError(f"{node.op} of other than one or two axes")
    return to.add(node.op, resolve_pool(node, to.shape(inputs[0])[1:]), inputs)


def _global(op: str) -> OperatorConversion:
    def convert(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
        rank = len(to.shape(inputs[0])) + 1
        return to.add(op, {"axes": list(range(2, rank)), "keepdims": True}, inputs)

    return convert


def _reduce(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    rank = len(to.shape(inputs[0])) + 1
    to.constant(inputs, 1)
    axes = read_axes(node, inputs) or []
    if not axes and node.attributes.get("noop_with_empty_axes"):
        return int(inputs[0])
    placed = sorted({place_axis(axis, rank) for axis in axes})
    if not placed or 0 in placed:
        raise UnknownOperationError(f"{node.op} over the images of a batch")
    return to.add(node.op, {"axes": placed, "keepdims": bool(node.attributes.get("keepdims", 1))}, inputs[:1])


def _flatten(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    shape = to.shape(inputs[0])
    if place_axis(node.attributes.get("axis", 1), len(shape) + 2) != 1:
        raise UnknownOperationError("Flatten over the images of a batch")
    return to.add("Reshape", {"shape": [math.prod(shape)]}, inputs)


def _reshape(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    """Return the reshaped value. The first size must mean the batch: -1, 0, its size, or 1."""
    shape, target = to.shape(inputs[0]), read_list(to.constant(inputs, 1))
    keeps = not node.attributes.get("allowzero", 0)
    full = (BATCH_MARK, *shape)
    sizes = [full[n] if one == 0 and keeps and n < len(full) else one for n, one in enumerate(target)]
    if not sizes:
        raise UnknownOperationError("Reshape over the images of a batch")
    first, rest, pixels = sizes[0], sizes[1:], math.prod(shape)
    known = math.prod(one for one in rest if one != -1)
    batched = first in (BATCH_MARK, to.file.batch) or (first in (1, -1) and -1 not in rest)
    if not batched or rest.count(-1) > 1 or known < 1 or pixels % known:
        raise UnknownOperationError("Reshape over the images of a batch")
    rest = [pixels // known if one == -1 else one for one in rest]
    if math.prod(rest) != pixels or min(rest, default=1) < 1:
        raise UnknownOperationError("Reshape over the images of a batch")
    return to.add("Reshape", {"shape": rest}, inputs[:1])


def _squeeze(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    shape = to.shape(inputs[0])
    to.constant(inputs, 1)
    axes = read_axes(node, inputs)
    if axes is None:
        placed = {n for n, size in enumerate(shape, 1) if size == 1} | ({0} if to.file.batch == 1 else set())
    else:
        placed = {place_axis(axis, len(shape) + 1) for axis in axes}
    if 0 in placed or any(shape[axis - 1] != 1 for axis in placed):
        raise UnknownOperationError("Squeeze over the images of a batch")
    return to.add("Reshape", {"shape": [size for n, size in enumerate(shape, 1) if n not in placed]}, inputs[:1])


def _unsqueeze(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    shape = list(to.shape(inputs[0]))
    to.constant(inputs, 1)
    axes = read_axes(node, inputs) or []
    placed = sorted(place_axis(axis, len(shape) + 1 + len(axes)) for axis in axes)
    if 0 in placed:
        raise UnknownOperationError("Unsqueeze over the images of a batch")
    for axis in placed:
        shape.insert(axis - 1, 1)
    return to.add("Reshape", {"shape": shape}, inputs[:1])


def _transpose(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    rank = len(to.shape(inputs[0])) + 1
    order = list(node.attributes.get("perm", range(rank)[::-1]))
    if sorted(order) != list(range(rank)):
        raise ValueError(f"its Transpose has the order {str(order)[:60]} of {rank} axes")
    if order[0] != 0:
        raise UnknownOperationError("Transpose over the images of a batch")
    return to.add("Transpose", {"order": order}, inputs)


def _concatenate(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    rank = next(len(to.shape(one)) + 1 for one in inputs if type(one) is int)
    axis = place_axis(node.attributes["axis"], rank)
    if axis == 0:
        raise UnknownOperationError("Concat over the images of a batch")
    return to.add("Concat", {"axis": axis}, inputs)


def _gather(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    shape, indices = to.shape(inputs[0]), to.constant(inputs, 1)
    axis = place_axis(node.attributes.get("axis", 0), len(shape) + 1)
    if axis == 0 or indices is None or indices.ndim > 2 or indices.size > MAX_INDICES:
        raise UnknownOperationError("Gather over the images of a batch, or of many")
    size = shape[axis - 1]
    if indices.dtype.kind not in "iu" or (indices.size and not (-size <= indices.min() and indices.max() < size)):
        raise ValueError("it has a Gather of what is not there")
    return to.add("Gather", {"axis": axis, "indices": (indices % size).tolist()}, inputs[:1])


def _slice(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    found = int(inputs[0])
    for place in range(1, len(inputs)):
        to.constant(inputs, place)
    full = (BATCH_MARK, *to.shape(found))
    for axis, start, stop, step in list_slices(node, inputs, full, to.file.opset):
        if (start, stop, step) == (0, full[axis], 1):
            continue
        if axis == 0 or (step != 1 and len(range(start, stop, step)) > MAX_INDICES):
            raise UnknownOperationError("Slice over the images of a batch, or of many")
        if step == 1:
            found = to.add("Slice", {"axis": axis, "start": start, "stop": stop}, [found])
        else:
            found = to.add("Gather", {"axis": axis, "indices": list(range(start, stop, step))}, [found])
    return found


def _pad(to: OnnxConverter, node: OnnxNode, inputs: Inputs) -> int:
    rank = len(to.shape(inputs[0])) + 1
    given, value, axes = (to.constant(inputs, place) for place in (1, 2, 3))
    pads = node.attributes.get("pads") if given is None else read_list(given)
    placed = list(range(rank)) if axes is None else [place_axis(axis, rank) for axis in read_list(axes)]
    mode = node.attributes.get("mode", "constant")
    filled = node.attributes.get("value", 0.0) if value is None else value.reshape(-1)[0]
    if pads is None or len(pads) != 2 * len(placed):
        raise ValueError("its Pad has settings for another number of axes")
    sides = {axis: [pads[n], pads[n + len(placed)]] for n, axis in enumerate(placed)}
    if sides.get(0, [0, 0]) != [0, 0] or min(pads) < 0 or mode not in ("constant", "reflect"):
        raise UnknownOperationError("Pad over the images of a batch, that crops, or of an unusual mode")
    attributes = {"sides": [sides.get(axis, [0, 0]) for axis in range(1, rank)], "mode": mode, "value": float(filled)}
    return to.add("Pad", attributes, inputs[:1])


CONVERSIONS: dict[str, OperatorConversion] = {
    **dict.fromkeys(("Abs", "Erf", "Exp", "HardSwish", "Log", "Mish", "Neg", "Relu", "Sigmoid", "Softplus"), _plain),
    **dict.fromkeys(("Softsign", "Sqrt", "Tanh", "Add", "Sub", "Mul", "Div", "Pow", "MatMul", "PRelu"), _plain),
    **{"Sum": _one_by_one("Add"), "Max": _one_by_one("Max"), "Min": _one_by_one("Min")},
    **{"LeakyRelu": _with(alpha=0.01), "Elu": _with(alpha=1.0), "HardSigmoid": _with(alpha=0.2, beta=0.5)},
    "Selu": _with(alpha=1.67326319217681884765625, gamma=1.05070102214813232421875),
    **dict.fromkeys(("Identity", "Dropout", "Cast"), _same),
    **{"Clip": _clip, "Gelu": _gelu, "Softmax": _softmax, "LogSoftmax": _softmax, "Gemm": _gemm, "Conv": _convolve},
    **{"BatchNormalization": _normalise, "MaxPool": _pool, "AveragePool": _pool},
    **{"GlobalAveragePool": _global("ReduceMean"), "GlobalMaxPool": _global("ReduceMax")},
    **{"ReduceMean": _reduce, "ReduceMax": _reduce, "Flatten": _flatten, "Reshape": _reshape, "Squeeze": _squeeze},
    **{"Unsqueeze": _unsqueeze, "Transpose": _transpose, "Concat": _concatenate, "Gather": _gather},
    **{"Slice": _slice, "Pad": _pad, "ConvTranspose": _convolve_transposed, "Resize": _resize, "Upsample": _resize},
    "LayerNormalization": _normalise_layer,
}
"""Standard operators of images; those of constants alone are folded."""
