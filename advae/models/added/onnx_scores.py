"""Models of an ``.onnx`` file computed by onnxruntime: for comparison, and for those that give scores only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from advae.arrayfiles import DAMAGED, explain
from advae.errors import CorruptError, UsageError, printable
from advae.models.added.detect import INSTALL_MODELS
from advae.models.added.onnx_file import OnnxFile, parse_onnx
from advae.models.added.onnx_network import LARGEST_VALUE
from advae.models.added.score_process import OpenedModel, ScoredModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import FloatArray

NOT_DETERMINISTIC = frozenset(("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform"))
"""Operators that draw at random; more begin with these names."""


def open_session(content: bytes) -> Any:
    """Return a session of onnxruntime for a checked file: one thread, no libraries of other operators.

    Raises ValueError where onnxruntime does not open it; UsageError where it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError(f"an .onnx file needs onnxruntime ({error}): {INSTALL_MODELS}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Only fatal messages go to stderr.
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    # Its errors have no common class.
    except Exception as error:
        raise ValueError(f"onnxruntime does not open it: {_show(error)}") from None


def run_session(session: Any, file: OnnxFile, x: FloatArray) -> FloatArray:
    """Return the outputs of images, float32 (n, ...), in calls of as many images as the file asks for.

    x: float32 (n, *shape). Raises ValueError.
    """
    import numpy as np

    size = file.batch or len(x)
    found = []
    for first in range(0, len(x), size):
        part = x[first : first + size]
        filled = np.concatenate([part, np.repeat(part[-1:], size - len(part), 0)])
        try:
            (output,) = session.run([file.output], {file.input: filled})
        except Exception as error:
            raise ValueError(f"onnxruntime does not compute it: {_show(error)}") from None
        if not isinstance(output, np.ndarray) or output.dtype.kind != "f" or output.shape[:1] != (size,):
            raise ValueError("its output is not one row of numbers for each image")
        found.append(output[: len(part)].astype(np.float32))
    return np.concatenate(found)


def open_onnx(content: bytes, options: dict[str, Any]) -> OpenedModel:
    """Return a model that answers with the scores that onnxruntime computes; it has no labels of its own.

    For the process of a model: the file is checked again. options: none. Raises CorruptError, UsageError.
    """
    import numpy as np

    try:
        file = parse_onnx(content)
        gives = math.prod(check_scores(content, file))
        session = open_session(content)
    except DAMAGED as error:
        raise CorruptError(f"the stored .onnx file is refused: {explain(error)}") from None

    def ask(x: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        scores = run_session(session, file, x.reshape(len(x), *file.shape)).reshape(len(x), gives)
        return scores, np.zeros(len(x), bool)

    return OpenedModel(ScoredModel(math.prod(file.shape), gives, []), ask)


def _show(error: Exception) -> str:
    return printable(" ".join(str(error).split()))[:160]


def check_scores(content: bytes, file: OnnxFile) -> tuple[int, ...]:
    """Return the shape of the output for one image of a file that only onnxruntime computes.

    Every operation must have a size that follows from the file, within limits, and draw nothing. Raises ValueError.
    """
    from onnx import ModelProto, shape_inference

    for node in file.nodes:
        if node.op in NOT_DETERMINISTIC or node.op.startswith("Random"):
            raise ValueError(f"its {node.op} is random, which is not supported")
    model = ModelProto.FromString(content)
    image = next(one for one in model.graph.input if one.name == file.input)
    image.type.tensor_type.shape.dim[0].dim_value = batch = file.batch or 1
    model.graph.ClearField("value_info")
    model.graph.output[0].type.tensor_type.ClearField("shape")
    try:
        inferred = shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph
    # Its errors have no common class.
    except Exception as error:
        raise ValueError(f"the sizes of its operations do not fit: {_show(error)}") from None
    shapes = {one.name: _read_sizes(one) for one in [*inferred.value_info, *inferred.output]}
    for node in file.nodes:
        for name in filter(None, node.outputs):
            sizes = shapes.get(name)
            if sizes is None or None in sizes:
                raise ValueError(f"its {node.op} has a size that does not follow from the file")
            if math.prod(one or 1 for one in sizes) > LARGEST_VALUE * batch:
                raise ValueError(f"its {node.op} makes {' x '.join(map(str, sizes))} numbers")
    found = shapes[file.output] or [None]
    if found[0] != batch:
        raise ValueError("its output is not one row of numbers for each image")
    return tuple(one or 1 for one in found[1:]) or (1,)


def _read_sizes(value: Any) -> list[int | None] | None:
    """Return the sizes of a tensor, None where it has none."""
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        return None
    return [one.dim_value if one.HasField("dim_value") else None for one in value.type.tensor_type.shape.dim]
