"""Small models of ONNX with every operator that is converted, as exporters write them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

SHAPE = (4, 6, 8)


def drawn(*shape: int) -> np.ndarray:
    """Return weights, the same for the same shape, none of them small."""
    rng = np.random.default_rng(sum(shape) + len(shape))
    return (rng.uniform(0.2, 0.8, shape) * rng.choice([-1, 1], shape)).astype(np.float32)


def whole(*values: int) -> np.ndarray:
    """Return whole numbers, as sizes and axes are given."""
    return np.array(values, np.int64)


@dataclass(frozen=True)
class Model:
    """A model: its operations, constants, and the shape of an image."""

    nodes: list[Any]
    """Operations; the input is x, the last one's output the model's."""
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    """Weights by name."""
    shape: tuple[int, ...] = SHAPE
    """Shape of an image."""
    opset: int = 20
    """Version of the operators."""
    batch: int | str = "n"
    """Images of one call; a text for any number."""

    def build(self) -> onnx.ModelProto:
        """Return the message."""
        image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [self.batch, *self.shape])
        output = helper.make_tensor_value_info(self.nodes[-1].output[0], TensorProto.FLOAT, None)
        weights = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph(self.nodes, "graph", [image], [output], weights)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=9)
        return shape_inference.infer_shapes(made, data_prop=True)


def node(op: str, inputs: str, output: str, **attributes: Any) -> Any:
    """Return an operation. inputs: names with spaces between them, ``_`` for one that is left out."""
    return helper.make_node(op, ["" if one == "_" else one for one in inputs.split()], output.split(), **attributes)


def chain(*operators: tuple[str, dict[str, Any]], **constants: np.ndarray) -> Model:
    """Return operations one after the other, each of one input. The attribute ``also`` names further inputs."""
    nodes = []
    for number, (op, attributes) in enumerate(operators):
        also = attributes.pop("also", "")
        nodes.append(node(op, f"{f'v{number - 1}' if number else 'x'} {also}", f"v{number}", **attributes))
    return Model(nodes, constants)


def _view(batch: int | str = "n") -> Model:
    """``x.view(x.size(0), -1)`` as PyTorch's classic exporter writes it."""
    nodes = [
        node("Shape", "x", "s"),
        node("Constant", "", "zero", value=numpy_helper.from_array(np.array(0))),
        node("Gather", "s zero", "size", axis=0),
        node("Unsqueeze", "size first", "sized"),
        node("Constant", "", "rest", value_ints=[-1]),
        node("Concat", "sized rest", "target", axis=0),
        node("Reshape", "x target", "flat"),
        node("MatMul", "flat w", "y"),
    ]
    return Model(nodes, {"first": whole(0), "w": drawn(192, 3)}, batch=batch)


def _sizes() -> Model:
    """A view whose sizes are computed: of a slice of the shape, cast and divided."""
    nodes = [
        node("Shape", "x", "s"),
        node("Slice", "s one two", "c"),
        node("Slice", "s two four", "hw"),
        node("Cast", "c", "f", to=TensorProto.FLOAT),
        node("Div", "f half", "g"),
        node("Mul", "g half", "m"),
        node("Cast", "m", "d", to=TensorProto.INT64),
        node("Concat", "minus d hw", "t", axis=0),
        node("Reshape", "x t", "r"),
        node("Transpose", "r", "p", perm=[0, 2, 1, 3]),
        node("Flatten", "p", "y"),
    ]
    constants = {"one": whole(1), "two": whole(2), "four": whole(4), "minus": whole(-1)}
    return Model(nodes, {**constants, "half": np.array([2.0], np.float32)}, shape=(4, 2, 8))


def _residual() -> Model:
    nodes = [
        node("Conv", "x k b", "c", pads=[1, 1, 1, 1]),
        node("BatchNormalization", "c scale shift mean var", "n", epsilon=1e-3),
        node("Relu", "n", "r"),
        node("Add", "r x", "a"),
        node("GlobalAveragePool", "a", "g"),
        node("Flatten", "g", "f"),
        node("Gemm", "f w", "l", transB=1),
        node("Softmax", "l", "y"),
    ]
    constants = {"k": drawn(4, 4, 3, 3), "b": drawn(4), "scale": drawn(4), "shift": drawn(4), "mean": drawn(4)}
    return Model(nodes, {**constants, "var": abs(drawn(4)), "w": drawn(3, 4)})


def _parts() -> Model:
    nodes = [
        node("Slice", "x start stop axes steps", "s"),
        node("Gather", "s picked", "g", axis=1),
        node("Unsqueeze", "g axis", "u"),
        node("Squeeze", "u axis", "q"),
        node("Concat", "q s", "c", axis=1),
        node("Gather", "c one", "o", axis=2),
        node("ReduceMean", "o back", "y", keepdims=0),
    ]
    constants = {"start": whole(0, -1, 1), "stop": whole(2**63 - 1, -9999, 5), "axes": whole(0, 3, -2)}
    more = {
        "steps": whole(1, -3, 2),
        "picked": whole(-1, 0, 2),
        "axis": whole(2),
        "one": np.array(1),
        "back": whole(-1),
    }
    return Model(nodes, {**constants, **more})


def _unary(*names: str) -> Model:
    return chain(*((name, {}) for name in names))


FLOOR = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
"""How PyTorch enlarges images."""

ONE_TWO_THREE = np.array([1, 1, 2, 3], np.float32)

MODELS: dict[str, Model] = {
    "smooth": _unary("Sigmoid", "Tanh", "Softplus", "Erf", "Neg", "Exp", "Softsign", "Mish"),
    "numbers": _unary("Abs", "Sqrt", "Exp", "Log", "HardSwish"),
    "bends": chain(
        *(("Relu", {}), ("LeakyRelu", {"alpha": 0.2}), ("Elu", {"alpha": 0.7}), ("Selu", {}), ("HardSigmoid", {})),
        *(("LeakyRelu", {}), ("PRelu", {"also": "slope"}), ("Identity", {}), ("Dropout", {})),
        slope=drawn(4, 1, 1),
    ),
    "gelu": chain(("Gelu", {}), ("Gelu", {"approximate": "tanh"}), ("Cast", {"to": TensorProto.FLOAT})),
    "clip": chain(
        ("Clip", {"also": "low high"}), ("Clip", {"also": "_ low"}), low=np.float32(0.2), high=np.float32(0.6)
    ),
    "old clip": Model([node("Clip", "x", "y", min=0.1, max=0.4)], opset=7),
    "arithmetic": chain(
        *(("Add", {"also": "a"}), ("Mul", {"also": "b"}), ("Sub", {"also": "c"}), ("Div", {"also": "a"})),
        *(("Pow", {"also": "two"}), ("Max", {"also": "c"}), ("Min", {"also": "a b"}), ("Sum", {"also": "a c"})),
        **{"a": drawn(1, 4, 1, 1), "b": drawn(6, 8), "c": np.float32(0.3), "two": np.float32(2)},
    ),
    "of two": Model([node("Mul", "x x", "a"), node("Sub", "c a", "b"), node("Div", "b x", "y")], {"c": drawn(4, 1, 1)}),
    "softmax": chain(("Softmax", {"axis": 1}), ("LogSoftmax", {})),
    "old softmax": Model([node("Flatten", "x", "f"), node("Softmax", "f", "y")], opset=9),
    "conv": chain(
        ("Conv", {"also": "k b", "pads": [1, 0, 2, 3], "strides": [2, 1], "dilations": [2, 2]}),
        ("Conv", {"also": "g", "group": 2, "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
        ("Conv", {"also": "d", "group": 6, "auto_pad": "SAME_LOWER"}),
        ("Conv", {"also": "o", "auto_pad": "VALID"}),
        **{
            "k": drawn(4, 4, 2, 3),
            "b": drawn(4),
            "g": drawn(6, 2, 3, 3),
            "d": drawn(12, 1, 2, 2),
            "o": drawn(3, 12, 1, 1),
        },
    ),
    "one axis": Model(
        [
            node("Conv", "x k b", "c", pads=[2, 1], strides=[2]),
            node("MaxPool", "c", "m", kernel_shape=[3], pads=[1, 1], strides=[2]),
            node("AveragePool", "m", "y", kernel_shape=[2]),
        ],
        {"k": drawn(5, 3, 3), "b": drawn(5)},
        shape=(3, 20),
    ),
    "max pool": chain(
        ("MaxPool", {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}),
        ("MaxPool", {"kernel_shape": [2, 3], "strides": [2, 3], "ceil_mode": 1}),
    ),
    "average pool": chain(
        ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [1, 2]}),
        ("AveragePool", {"kernel_shape": [2, 2], "pads": [1, 1, 0, 0], "count_include_pad": 1}),
        ("AveragePool", {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"}),
    ),
    "pool rounded up": chain(
        ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "pads": [1, 1, 1, 1]}),
    ),
    "pool rounded up with padding": chain(
        (
            "AveragePool",
            {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "pads": [1, 1, 1, 1], "count_include_pad": 1},
        ),
    ),
    "global pool": chain(("GlobalMaxPool", {})),
    "pad": chain(
        ("Pad", {"also": "pads"}),
        ("Pad", {"also": "pads two"}),
        ("Pad", {"also": "side _ axis", "mode": "reflect"}),
        pads=whole(0, 0, 1, 2, 0, 1, 0, 3),
        two=np.float32(0.5),
        side=whole(1, 2),
        axis=whole(-1),
    ),
    "old pad": Model([node("Pad", "x", "y", pads=[0, 0, 1, 2, 0, 1, 0, 3], value=0.3)], opset=7),
    "reductions": chain(
        ("ReduceMean", {"also": "axes"}), ("ReduceMax", {"also": "last", "keepdims": 0}), axes=whole(2), last=whole(1)
    ),
    "old reduction": Model([node("ReduceMean", "x", "y", axes=[-1, 2], keepdims=0)], opset=11),
    "last channels": chain(
        ("Transpose", {"perm": [0, 2, 3, 1]}),
        ("MatMul", {"also": "w"}),
        ("Add", {"also": "b"}),
        w=drawn(4, 3),
        b=drawn(3),
    ),
    "folded weights": Model(
        [node("Transpose", "w", "t"), node("Mul", "t two", "u"), node("Flatten", "x", "f"), node("MatMul", "f u", "y")],
        {"w": drawn(3, 192), "two": np.float32(2)},
    ),
    "gemm": Model(
        [node("Flatten", "x", "f"), node("Gemm", "f w b", "y", alpha=0.5, beta=2.0)],
        {"w": drawn(192, 3), "b": drawn(3)},
    ),
    "view": _view(),
    "view of one": _view(1),
    "sizes": _sizes(),
    "fixed sizes": Model(
        [node("Reshape", "x t", "r"), node("Gemm", "r w", "y", transB=1)],
        {"t": whole(1, 192), "w": drawn(3, 192)},
        batch=1,
    ),
    "copied sizes": chain(
        ("Reshape", {"also": "t"}),
        t=whole(0, 2, -1, 0),
    ),
    "residual": _residual(),
    "parts": _parts(),
    "old slice": Model(
        [node("Slice", "x", "s", axes=[2, 3], starts=[1, -6], ends=[-1, 7]), node("Neg", "s", "y")], opset=9
    ),
    "transposed conv": chain(
        ("ConvTranspose", {"also": "k b", "strides": [2, 1], "pads": [1, 0, 0, 2], "output_padding": [1, 0]}),
        (
            "ConvTranspose",
            {"also": "d", "strides": [2, 2], "dilations": [2, 1], "pads": [0, 0, 1, 0], "output_padding": [1, 1]},
        ),
        **{"k": drawn(4, 3, 3, 2), "b": drawn(3), "d": drawn(3, 2, 2, 2)},
    ),
    "layer normalisation": chain(
        ("LayerNormalization", {"also": "s b"}),
        ("LayerNormalization", {"also": "t", "axis": 2}),
        s=drawn(8),
        b=drawn(8),
        t=drawn(6, 8),
    ),
    "enlarged": chain(
        ("Resize", {"also": "_ times", "mode": "nearest", **FLOOR}),
        ("Resize", {"also": "_ times", "mode": "nearest"}),
        times=ONE_TWO_THREE,
    ),
    "enlarged to sizes": Model(
        [node("Resize", "x _ _ sizes", "y", mode="nearest")], {"sizes": whole(1, 4, 12, 24)}, batch=1
    ),
    "old enlarged": Model([node("Upsample", "x times", "y", mode="nearest")], {"times": ONE_TWO_THREE}, opset=9),
    "score": Model(
        [
            node("Flatten", "x", "f"),
            node("MatMul", "f w", "m"),
            node("Sigmoid", "m", "s"),
            node("Squeeze", "s axis", "y"),
        ],
        {"w": drawn(192, 1), "axis": whole(1)},
    ),
}
"""Models that become differentiable functions: together they have every operator that is converted."""

SCORES: dict[str, Model] = {
    "unknown operator": chain(("LRN", {"size": 3}), ("Relu", {})),
    "cast to whole numbers": chain(("Cast", {"to": TensorProto.INT32}), ("Cast", {"to": TensorProto.FLOAT})),
    "padding of an unusual mode": chain(("Pad", {"also": "pads", "mode": "edge"}), pads=whole(0, 0, 1, 1, 0, 0, 1, 1)),
    "dilated pool": chain(("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 2]})),
    "smoothly enlarged": chain(
        ("Resize", {"also": "_ times", "mode": "linear"}), times=np.array([1, 1, 2, 2], np.float32)
    ),
    "sort": Model([node("TopK", "x k", "y places", axis=1)], {"k": whole(2)}),
}
"""Models that give scores only."""


def write_model(model: Model, path: Path) -> Path:
    """Return the file of a model."""
    path.write_bytes(model.build().SerializeToString())
    return path
