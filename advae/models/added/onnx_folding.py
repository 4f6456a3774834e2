"""Constants of an ``.onnx`` file that operations make of other constants, as exporters write shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advae.models.added.onnx_file import OnnxNode

BATCH_MARK = 2**31 - 1
"""Stands for the number of images in shapes: a prime that no size reaches."""

LARGEST_CONSTANT = 1 << 24
"""Most values of one constant that is made of others."""

MOST_FOLDED = 1 << 27
"""Most values of all of them together."""

TENSOR_TYPES = {1: "float32", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64"}
"""Numbers of the types that ``Cast`` makes."""

Constants = Sequence[Any]
"""Arrays, and None for an absent input."""


class UnknownOperationError(Exception):
    """An operation that has no differentiable counterpart here: the model falls back to its scores."""


def read_axes(node: OnnxNode, constants: Constants, *, place: int = 1) -> list[int] | None:
    """Return the axes of a node, which newer versions take as an input; None where they are left out."""
    if len(constants) > place and constants[place] is not None:
        return read_list(constants[place])
    axes = node.attributes.get("axes")
    return None if axes is None else list(axes)


def read_list(array: Any) -> list[int]:
    """Return a constant as whole numbers. Raises ValueError for too many, or for others."""
    if array is None or array.size > 4096 or array.dtype.kind not in "iub":
        raise ValueError("it has a list of sizes that are no whole numbers, or too many")
    return [int(one) for one in array.reshape(-1)]


def place_axis(axis: int, rank: int) -> int:
    """Return an axis counted from 0. Raises ValueError for one that an array of this rank has not."""
    if not -rank <= axis < rank:
        raise ValueError(f"it has axis {axis} of an array of {rank} axes")
    return axis % rank


def list_slices(node: OnnxNode, constants: Constants, shape: Sequence[int], opset: int) -> list[tuple[int, ...]]:
    """Return (axis, start, stop, step) of a ``Slice``, each counted from 0, and the stop -1 before the first."""
    if opset < 10:
        starts, ends, axes = (node.attributes.get(name) for name in ("starts", "ends", "axes"))
        steps = None
    else:
        starts, ends, axes, steps = [
            read_list(constants[n]) if n < len(constants) and constants[n] is not None else None for n in range(1, 5)
        ]
    if starts is None or ends is None:
        raise ValueError("it has a Slice without a start or an end")
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    found: list[tuple[int, ...]] = []
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        place = place_axis(axis, len(shape))
        size = shape[place]
        if step == 0:
            raise ValueError("it has a Slice of step 0")
        low, high = (0, size) if step > 0 else (-1, size - 1)
        first, last = (min(max(one + size if one < 0 else one, low), high) for one in (start, end))
        found.append((place, max(first, 0) if step > 0 else first, last, step))
    return found


def fold(node: OnnxNode, constants: Constants, opset: int) -> NDArray[Any]:
    """Return the constant that an operation makes of constants.

    Raises UnknownOperationError for an operation that is not folded; ValueError, or another of DAMAGED.
    """
    import numpy as np

    if node.op not in FOLDS or len([one for one in node.outputs if one]) != 1:
        raise UnknownOperationError(node.op)
    _limit_result(node, constants)
    with np.errstate(all="ignore"):
        found = np.asarray(FOLDS[node.op](node, constants, opset))
    if found.size > LARGEST_CONSTANT or found.dtype.kind not in "fiub":
        raise ValueError(f"its {node.op} makes a constant of {found.size} values")
    return found


def _limit_result(node: OnnxNode, constants: Constants) -> None:
    """Raise ValueError where arrays, broadcast against each other, or a claimed shape would be large."""
    import numpy as np

    if node.op in ("Add", "Sub", "Mul", "Div", "Pow"):
        size = math.prod(np.broadcast_shapes(*(one.shape for one in constants if one is not None)))
    elif node.op == "ConstantOfShape":
        size = math.prod(max(one, 0) for one in read_list(constants[0]))
    elif node.op == "Gather" and constants[0] is not None and constants[1] is not None:
        size = constants[0].size * max(constants[1].size, 1)
    else:
        return
    if size > LARGEST_CONSTANT:
        raise ValueError(f"its {node.op} makes a constant of {size} values")


def _gather_constant(node: OnnxNode, constants: Constants, opset: int) -> Any:
    import numpy as np

    data, indices = constants[0], constants[1]
    if data is None or indices is None or indices.dtype.kind not in "iu":
        raise ValueError("it has a Gather without numbers of what to take")
    axis = place_axis(node.attributes.get("axis", 0), data.ndim)
    if indices.size and not (-data.shape[axis] <= indices.min() and indices.max() < data.shape[axis]):
        raise ValueError("it has a Gather of what is not there")
    return np.take(data, indices, axis)


def _slice_constant(node: OnnxNode, constants: Constants, opset: int) -> Any:
    data = constants[0]
    if data is None:
        raise ValueError("it has a Slice of nothing")
    cuts: list[Any] = [slice(None)] * data.ndim
    for axis, start, stop, step in list_slices(node, constants, data.shape, opset):
        cuts[axis] = slice(start, stop if stop >= 0 else None, step)
    return data[tuple(cuts)].copy()


def _unsqueeze_constant(node: OnnxNode, constants: Constants, opset: int) -> Any:
    import numpy as np

    axes = read_axes(node, constants) or []
    return np.expand_dims(constants[0], tuple(axes))


def _squeeze_constant(node: OnnxNode, constants: Constants, opset: int) -> Any:
    import numpy as np

    axes = read_axes(node, constants)
    return np.squeeze(constants[0], None if axes is None else tuple(axes))


def _reshape_constant(node: OnnxNode, constants: Constants, opset: int) -> Any:
    data, target = constants[0], read_list(constants[1])
    if data is None:
        raise ValueError("it has a Reshape of nothing")
    kept = node.attributes.get("allowzero", 0)
    return data.reshape([data.shape[n] if size == 0 and not kept else size for n, size in enumerate(target)])


def _cast_constant(node: OnnxNode, constants: Constants, opset: int) -> Any:
    return constants[0].astype(TENSOR_TYPES[node.attributes["to"]])


def _divide_constants(node: OnnxNode, constants: Constants, opset: int) -> Any:
    import numpy as np

    a, b = constants
    if a is None or b is None:
        raise ValueError("it has a Div of nothing")
    # Whole numbers are divided towards zero.
    return np.trunc(np.divide(a, b)).astype(a.dtype) if a.dtype.kind in "iu" else np.divide(a, b)


def _constant(node: OnnxNode, constants: Constants, opset: int) -> Any:
    import numpy as np

    kinds = {"value": None, "value_float": "f4", "value_floats": "f4", "value_int": "i8", "value_ints": "i8"}
    (name, value), *more = node.attributes.items()
    if name not in kinds or more:
        raise UnknownOperationError(node.op)
    return value if name == "value" else np.array(value, kinds[name])


def _filled(node: OnnxNode, constants: Constants, opset: int) -> Any:
    import numpy as np

    value = node.attributes.get("value")
    return np.full(read_list(constants[0]), np.float32(0) if value is None else value.reshape(-1)[0])


def _numpy(name: str) -> Callable[[OnnxNode, Constants, int], Any]:
    def run(node: OnnxNode, constants: Constants, opset: int) -> Any:
        import numpy as np

        return getattr(np, name)(*constants)

    return run


def _concatenate_constants(node: OnnxNode, constants: Constants, opset: int) -> Any:
    import numpy as np

    return np.concatenate(constants, node.attributes["axis"])


def _transpose_constant(node: OnnxNode, constants: Constants, opset: int) -> Any:
    import numpy as np

    return np.ascontiguousarray(np.transpose(constants[0], node.attributes.get("perm")))


FOLDS: dict[str, Callable[[OnnxNode, Constants, int], Any]] = {
    **{"Add": _numpy("add"), "Sub": _numpy("subtract"), "Mul": _numpy("multiply"), "Pow": _numpy("power")},
    **{"Sqrt": _numpy("sqrt"), "Neg": _numpy("negative"), "Exp": _numpy("exp"), "Abs": _numpy("absolute")},
    **{"Identity": lambda node, constants, opset: constants[0], "Cast": _cast_constant, "Constant": _constant},
    **{"Concat": _concatenate_constants, "ConstantOfShape": _filled, "Div": _divide_constants},
    **{"Gather": _gather_constant, "Reshape": _reshape_constant, "Slice": _slice_constant},
    **{"Squeeze": _squeeze_constant, "Transpose": _transpose_constant, "Unsqueeze": _unsqueeze_constant},
    "Shape": lambda node, constants, opset: read_shape(node, constants[0].shape),
}
"""Operations of constants: (node, constants, version of the operators) -> constant."""


def read_shape(node: OnnxNode, shape: Sequence[int]) -> NDArray[Any]:
    """Return what ``Shape`` gives of an array of a shape."""
    import numpy as np

    return np.array(shape[node.attributes.get("start", 0) : node.attributes.get("end")], np.int64)
