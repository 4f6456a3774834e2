"""Padding of convolutions and pools, resolved to numbers: ONNX also has it as a word, and as rounding up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from advae.models.added.onnx_file import OnnxNode
from advae.models.added.onnx_folding import UnknownOperationError


def resolve_pads(node: OnnxNode, sides: Sequence[int], kernel: Sequence[int]) -> dict[str, Any]:
    """Return strides, dilations and pads of a window, each a list of numbers.

    sides: sizes of the image; kernel: of the window. pads: before each axis, then after each. Raises ValueError.
    """
    axes = len(sides)
    strides, dilations = (list(node.attributes.get(name, [1] * axes)) for name in ("strides", "dilations"))
    pads = list(node.attributes.get("pads", [0] * 2 * axes))
    if not len(kernel) == len(strides) == len(dilations) == len(pads) // 2 == axes or min(*strides, *dilations) < 1:
        raise ValueError(f"its {node.op} has settings for another number of axes")
    word = node.attributes.get("auto_pad", "NOTSET")
    if word == "VALID":
        pads = [0] * 2 * axes
    elif word != "NOTSET":
        wide = [(size - 1) * one + 1 for size, one in zip(kernel, dilations, strict=True)]
        whole = [max((-(-side // s) - 1) * s + k - side, 0) for side, s, k in zip(sides, strides, wide, strict=True)]
        less, more = [one // 2 for one in whole], [one - one // 2 for one in whole]
        pads = less + more if word == "SAME_UPPER" else more + less
    return {"strides": strides, "dilations": dilations, "pads": pads}


def resolve_pool(node: OnnxNode, sides: Sequence[int]) -> dict[str, Any]:
    """Return the attributes of a pool: windows that begin inside the image are completed where sizes are rounded up.

    Raises UnknownOperationError for dilated windows; ValueError.
    """
    kernel = list(node.attributes.get("kernel_shape", []))
    found = resolve_pads(node, sides, kernel)
    strides, pads, axes = found["strides"], found["pads"], len(sides)
    if any(one != 1 for one in found["dilations"]):
        raise UnknownOperationError(f"{node.op} with dilations")
    extra = [0] * axes
    if node.attributes.get("ceil_mode", 0):
        for n, side in enumerate(sides):
            padded = side + pads[n] + pads[n + axes]
            count = -(-(padded - kernel[n]) // strides[n]) + 1
            # A window that begins in the padding at the end is left out.
            count -= (count - 1) * strides[n] >= side + pads[n]
            extra[n] = max((count - 1) * strides[n] + kernel[n] - padded, 0)
    settings = {"kernel_shape": kernel, "strides": strides}
    if node.op == "AveragePool":
        return {**settings, "pads": pads, "extra": extra, "include": bool(node.attributes.get("count_include_pad", 0))}
    return {**settings, "pads": [*pads[:axes], *(pads[n + axes] + extra[n] for n in range(axes))]}
