"""Reader of an ``.onnx`` file: a differentiable function that onnxruntime agrees with, or else scores only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.arrayfiles import DAMAGED, explain
from advae.errors import CorruptError, printable
from advae.models.added.foreign import Ending, ForeignModel
from advae.models.added.onnx_conversion import OnnxConverter
from advae.models.added.onnx_file import OnnxFile, parse_onnx
from advae.models.added.onnx_folding import UnknownOperationError
from advae.models.added.onnx_network import is_affine_graph, restore_onnx, trace_graph
from advae.models.added.onnx_operators import CONVERSIONS
from advae.models.added.onnx_scores import check_scores, open_session, run_session
from advae.models.added.score_process import ScoreProcess
from advae.tracing import trace

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import FloatArray

PROBES = 6
"""Images of each range on which both functions are compared."""

TOLERANCE = 1e-4
"""Largest difference, relative to the largest output where that is above 1."""

ENDING_OPERATIONS: dict[str, Ending] = {"Softmax": "softmax", "LogSoftmax": "log-softmax", "Sigmoid": "sigmoid"}


def read_onnx(content: bytes, path: Path, *, cut: bool) -> ForeignModel:
    """Return the model of an ``.onnx`` file.

    path: for the error; cut: whether a last softmax, or a sigmoid of one output, is cut off. A model with an operation
    that has no differentiable counterpart, or that differs from onnxruntime, gives scores only. Raises CorruptError,
    with one line; UsageError where onnx and onnxruntime are not installed.
    """
    try:
        file = parse_onnx(content)
        try:
            return _convert(content, file, cut=cut)
        except UnknownOperationError as error:
            return _fall_back(content, file, str(error))
    except DAMAGED as error:
        raise CorruptError(f"{printable(str(path))} is refused: {explain(error)}") from None
    except CorruptError as error:
        raise CorruptError(f"{printable(str(path))} is refused: {error}") from None


def _convert(content: bytes, file: OnnxFile, *, cut: bool) -> ForeignModel:
    """Return the differentiable model. Raises UnknownOperationError where there is none."""
    graph, arrays, gives = OnnxConverter(file, CONVERSIONS).convert()
    graph, arrays = _keep_used_nodes(graph, arrays)
    difference = _compare(content, file, graph, arrays)
    if not difference <= TOLERANCE:
        raise UnknownOperationError(f"combination of operations, which differs by {difference:.2g} from onnxruntime,")
    ending = _cut_ending(graph, gives) if cut else None
    if ending:
        graph, arrays = _keep_used_nodes(graph, arrays)
    return ForeignModel(
        *("onnx", graph, arrays),
        takes=file.shape,
        gives=trace_graph(graph, arrays),
        ending=ending,
        affine=is_affine_graph(graph),
        notes=(f"the last operation, {ending}, was cut off",) if ending else (),
    )


def _fall_back(content: bytes, file: OnnxFile, unknown: str) -> ForeignModel:
    """Return the model as its checked file, for scores only."""
    gives = check_scores(content, file)
    process = ScoreProcess("onnx-scores", content, {})
    try:
        for x in _draw_probes(file):
            process.scores(x.reshape(len(x), -1))
    finally:
        process.close()
    note = f"the {unknown} has no differentiable counterpart: the model gives scores only, computed by onnxruntime"
    graph = {"shape": list(file.shape)}
    return ForeignModel(
        *("onnx-scores", graph, {}),
        takes=file.shape,
        gives=gives,
        differentiable=False,
        file=content,
        notes=(printable(note),),
    )


def _draw_probes(file: OnnxFile) -> list[FloatArray]:
    """Return images of the ranges that models take: [0, 1], standardised, 0 to 255, and black."""
    import numpy as np

    draw = np.random.default_rng(0)
    shape = (PROBES, *file.shape)
    uniform = draw.random(shape, dtype=np.float32)
    normal = draw.standard_normal(shape, dtype=np.float32)
    return [uniform, 2 * normal, 255 * draw.random(shape, dtype=np.float32), np.zeros(shape, np.float32)]


def _compare(content: bytes, file: OnnxFile, graph: dict[str, Any], arrays: Arrays) -> float:
    """Return the largest difference from onnxruntime on probe images, relative where outputs are above 1."""
    import numpy as np
    import tensorflow as tf

    session, function = open_session(content), trace(restore_onnx(graph, arrays))
    largest = 0.0
    for x in _draw_probes(file):
        expected = run_session(session, file, x)
        found = function(tf.constant(x)).numpy().reshape(expected.shape)
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        # A value that is not a number on both sides is the same.
        same = np.isnan(expected) & np.isnan(found)
        largest = max(largest, float(np.where(same, 0, np.abs(found - expected)).max(initial=0)) / scale)
    return largest


def _cut_ending(graph: dict[str, Any], gives: tuple[int, ...]) -> Ending | None:
    """Return the last operation, and take it out, if it makes probabilities of logits; reshaping may follow it."""
    last, nodes = graph["output"], graph["nodes"]
    while last and nodes[last - 1][0] == "Reshape":
        last = nodes[last - 1][2][0]
    if not last:
        return None
    op, attributes, inputs = nodes[last - 1]
    ending = ENDING_OPERATIONS.get(op)
    one_axis = last == graph["output"] and len(gives) == 1 and attributes.get("axis") == 1
    if ending is None or not (gives == (1,) if ending == "sigmoid" else one_axis):
        return None
    # Its shape is that of its input, which takes its place.
    for node in nodes:
        node[2] = [inputs[0] if one == last and not isinstance(one, str) else one for one in node[2]]
    if graph["output"] == last:
        graph["output"] = inputs[0]
    return ending


def _keep_used_nodes(graph: dict[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
    """Return a graph and its arrays without what the output does not need, numbered in the order of use."""
    used, nodes = {graph["output"]}, graph["nodes"]
    for value in range(len(nodes), 0, -1):
        if value in used:
            used |= {one for one in nodes[value - 1][2] if not isinstance(one, str)}
    kept = sorted(used - {0})
    values = {value: n for n, value in enumerate([0, *kept])}
    names: dict[str, str] = {}
    found = []
    for op, attributes, inputs in (nodes[value - 1] for value in kept):
        for one in inputs:
            if isinstance(one, str):
                names.setdefault(one, str(len(names)))
        found.append([op, attributes, [names[one] if isinstance(one, str) else values[one] for one in inputs]])
    pruned = {"shape": graph["shape"], "nodes": found, "output": values[graph["output"]]}
    return pruned, {new: arrays[old] for old, new in names.items()}
