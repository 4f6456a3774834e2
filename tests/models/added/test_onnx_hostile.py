"""Hostile .onnx files are refused in one line: nothing executed, no memory for claims."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from advae.backend import start_tensorflow
from advae.errors import CorruptError
from advae.models.added.onnx_network import restore_onnx
from advae.models.added.onnx_reader import read_onnx
from tests.canaries import plant
from tests.entries import Canary
from tests.models.added.onnx_models import MODELS, Model, chain, drawn, node, whole, write_model
from tests.models.added.refusals import refuse

Make = Callable[[Path], bytes]


@pytest.fixture(scope="module", autouse=True)
def _started() -> None:
    start_tensorflow()


def model_row(model: Model) -> Make:
    """Return a row with a model whose sizes the exporter did not infer."""

    def make(folder: Path) -> bytes:
        good = replace(model, nodes=[node("Relu", "x", model.nodes[-1].output[0])], constants={}).build()
        del good.graph.node[:]
        good.graph.node.extend(model.nodes)
        good.graph.initializer.extend(numpy_helper.from_array(one, name) for name, one in model.constants.items())
        return good.SerializeToString()

    return make


def change_row(change: Callable[[onnx.ModelProto, Path], Any], name: str = "residual") -> Make:
    """Return a row with a good model that was changed in place."""

    def make(folder: Path) -> bytes:
        message = MODELS[name].build()
        change(message, folder)
        return message.SerializeToString()

    return make


def store_outside(message: onnx.ModelProto, folder: Path) -> None:
    tensor = message.graph.initializer[0]
    (folder / "outside.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../outside.bin")


def claim_weights(message: onnx.ModelProto, folder: Path) -> None:
    message.graph.initializer[0].dims[:] = [1 << 20, 1 << 20]


def add_function(message: onnx.ModelProto, folder: Path) -> None:
    made = helper.make_function("mine", "F", ["a"], ["b"], [node("F", "a", "b", domain="mine")], message.opset_import)
    message.functions.append(made)
    message.opset_import.append(helper.make_opsetid("mine", 1))


def add_branch(message: onnx.ModelProto, folder: Path) -> None:
    inner = helper.make_graph([node("Identity", "x", "z")], "inner", [], [message.graph.output[0]])
    message.graph.node.insert(0, node("If", "k", "unused", then_branch=inner, else_branch=inner))


def nest_deeply(message: onnx.ModelProto, folder: Path) -> None:
    inner = helper.make_graph([node("Identity", "x", "z")], "inner", [], [])
    for _ in range(20):
        inner = helper.make_graph([node("Loop", "_ _", "z", body=inner)], "inner", [], [])
    message.graph.node.insert(0, node("Loop", "_ _", "unused", body=inner))


def repeat_nodes(message: onnx.ModelProto, folder: Path) -> None:
    message.graph.node.extend([node("Relu", "y", f"more{number}") for number in range(25_000)])


def small_parts(*fields: int) -> Make:
    """Return a row with 4 million parts of two bytes, within parts of these fields, each of which takes a hundred."""

    def make(folder: Path) -> bytes:
        *outer, last = fields
        content = bytes([last << 3 | 2, 0]) * 4_000_000
        for field in reversed(outer):
            content = bytes([field << 3 | 2]) + encode_number(len(content)) + content
        return MODELS["residual"].build().SerializeToString() + content

    return make


def encode_number(number: int) -> bytes:
    """Return a number as protobuf writes it."""
    rest, last = number >> 7, number & 0x7F
    return bytes([last | 0x80]) + encode_number(rest) if rest else bytes([last])


def fill_nan(message: onnx.ModelProto, folder: Path) -> None:
    message.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full((4, 4, 3, 3), np.nan, "f4"), "k"))


def tensor_of(array: np.ndarray) -> Any:
    return numpy_helper.from_array(array)


def set_field(path: str, value: Any) -> Callable[[onnx.ModelProto, Path], None]:
    """Return a change of one field: names and places with dots between them."""

    def change(message: onnx.ModelProto, folder: Path) -> None:
        *inner, last = path.split(".")
        part: Any = message
        for name in inner:
            part = part[int(name)] if name.isdigit() else getattr(part, name)
        if last.isdigit():
            part[int(last)] = value
        else:
            setattr(part, last, value)

    return change


@dataclass(frozen=True)
class Row:
    """A hostile file, and words of the line that refuses it."""

    make: Make
    says: str


HUGE = 1 << 40

CORPUS: dict[str, Row] = {
    "external data": Row(change_row(store_outside), "external_data=False"),
    "terabytes of weights": Row(change_row(claim_weights), "not there"),
    "weights of a negative size": Row(change_row(set_field("graph.initializer.0.dims.0", -4)), "not there"),
    "weights of texts": Row(change_row(set_field("graph.initializer.0.data_type", TensorProto.STRING)), "kind"),
    "weights of bfloat16": Row(change_row(set_field("graph.initializer.0.data_type", TensorProto.BFLOAT16)), "kind"),
    "NaN weights": Row(change_row(fill_nan), "finite"),
    "wrong shape of weights": Row(
        model_row(replace(MODELS["gemm"], constants={"w": drawn(3, 192), "b": drawn(3)})), "refused"
    ),
    "weights twice": Row(change_row(set_field("graph.initializer.1.name", "k")), "one name"),
    "custom operator": Row(change_row(set_field("graph.node.0.domain", "com.evil")), "com.evil.Conv"),
    "trees": Row(change_row(set_field("graph.node.0.domain", "ai.onnx.ml")), "ai.onnx.ml.Conv"),
    "Python operator": Row(change_row(set_field("graph.node.0.domain", "ai.onnx.contrib")), "ai.onnx.contrib"),
    "functions": Row(change_row(add_function), "functions of its own"),
    "branch": Row(change_row(add_branch), "branch or loop"),
    "deep nesting": Row(change_row(nest_deeply), "branch or loop"),
    "many operations": Row(change_row(repeat_nodes), "operations"),
    "many attributes": Row(small_parts(7, 1, 5), "beside its weights"),
    "many sizes": Row(small_parts(7, 13, 2, 1, 2, 1), "beside its weights"),
    "circle": Row(change_row(set_field("graph.node.0.input.0", "y")), "not there before"),
    "value twice": Row(change_row(set_field("graph.node.1.output.0", "c")), "two values"),
    "value that is not there": Row(change_row(set_field("graph.node.0.input.0", "outside")), "not there before"),
    "future version": Row(change_row(set_field("opset_import.0.version", 1000)), "version 1000"),
    "several inputs": Row(change_row(lambda message, _: message.graph.input.add(name="z")), "2 inputs"),
    "several outputs": Row(change_row(lambda message, _: message.graph.output.add(name="l")), "2 outputs"),
    "whole numbers as images": Row(change_row(set_field("graph.input.0.type.tensor_type.elem_type", 2)), "float32"),
    "open sizes": Row(change_row(set_field("graph.input.0.type.tensor_type.shape.dim.2.dim_param", "h")), "open"),
    "huge input": Row(change_row(set_field("graph.input.0.type.tensor_type.shape.dim.2.dim_value", HUGE)), "input"),
    "operator that is not one": Row(change_row(set_field("graph.node.2.op_type", "os.system")), "os.system"),
    "negative axis": Row(model_row(chain(("Softmax", {"axis": -9}))), "axis -9"),
    "indices out of range": Row(
        model_row(chain(("Gather", {"also": "i", "axis": 1}), i=whole(0, 4))), "what is not there"
    ),
    "negative indices": Row(
        model_row(chain(("Gather", {"also": "i", "axis": 1}), i=whole(-HUGE))), "what is not there"
    ),
    "axes out of range": Row(model_row(chain(("ReduceMean", {"also": "a"}), a=whole(7))), "axis 7"),
    "order that is none": Row(model_row(chain(("Transpose", {"perm": [0, 1, 1, 9]}))), "order"),
    "slice of step 0": Row(
        model_row(chain(("Slice", {"also": "s e a z"}), s=whole(0), e=whole(1), a=whole(1), z=whole(0))), "step 0"
    ),
    "slice of too few": Row(
        model_row(chain(("Slice", {"also": "s e a"}), s=whole(0, 1), e=whole(1), a=whole(1))), "refused"
    ),
    "terabytes of padding": Row(model_row(chain(("Pad", {"also": "p"}), p=whole(0, 0, HUGE, 0, 0, 0, 0, 0))), "Pad"),
    "gigabytes of padding": Row(
        model_row(chain(("Pad", {"also": "p"}), p=whole(0, 0, 4096, 4096, 0, 0, 4096, 4096))), "Pad"
    ),
    "huge pads of a convolution": Row(
        model_row(chain(("Conv", {"also": "k", "pads": [HUGE] * 4}), k=drawn(4, 4, 3, 3))), "Conv"
    ),
    "padding on the way": Row(
        model_row(chain(("Conv", {"also": "k", "pads": [4096] * 4, "strides": [4096] * 2}), k=drawn(4, 4, 3, 3))),
        "padding that is too large",
    ),
    "negative pads": Row(model_row(chain(("Conv", {"also": "k", "pads": [-9] * 4}), k=drawn(4, 4, 3, 3))), "pads"),
    "huge dilation": Row(
        model_row(chain(("Conv", {"also": "k", "dilations": [4000] * 2, "pads": [4000] * 4}), k=drawn(4, 4, 3, 3))),
        "too large",
    ),
    "stride 0": Row(model_row(chain(("MaxPool", {"kernel_shape": [2, 2], "strides": [0, 0]}))), "MaxPool"),
    "huge window": Row(model_row(chain(("MaxPool", {"kernel_shape": [HUGE, HUGE]}))), "MaxPool"),
    "group 0": Row(model_row(chain(("Conv", {"also": "k", "group": 0}), k=drawn(4, 4, 3, 3))), "Conv"),
    "kernel for other images": Row(model_row(chain(("Conv", {"also": "k"}), k=drawn(4, 9, 3, 3))), "kernel for other"),
    "constant of a huge shape": Row(
        model_row(Model([node("ConstantOfShape", "t", "c"), node("Add", "x c", "y")], {"t": whole(HUGE)})),
        "ConstantOfShape",
    ),
    "constant that multiplies": Row(
        model_row(
            Model([node("Mul", "a b", "c"), node("Add", "x c", "y")], {"a": drawn(30000, 1), "b": drawn(1, 30000)})
        ),
        "900000000",
    ),
    "gather that multiplies": Row(
        model_row(
            Model(
                [node("Gather", "a i", "c"), node("Add", "x c", "y")],
                {"a": drawn(1, 30000), "i": np.zeros(30000, np.int64)},
            )
        ),
        "900000000",
    ),
    "expansion": Row(model_row(chain(("Expand", {"also": "t"}), t=whole(1, 4, HUGE, 8))), "Expand"),
    "expansion of gigabytes": Row(model_row(chain(("Expand", {"also": "t"}), t=whole(1 << 30, 4, 6, 8))), "refused"),
    "strides of a transposed convolution": Row(
        model_row(
            chain(("ConvTranspose", {"also": "k", "strides": [4096] * 2, "pads": [4096] * 4}), k=drawn(4, 1, 3, 3))
        ),
        "too large",
    ),
    "enlarged": Row(
        model_row(chain(("Resize", {"also": "_ t", "mode": "nearest"}), t=np.array([1, 1, 4096, 4096], np.float32))),
        "Repeat",
    ),
    "tiles": Row(model_row(chain(("Tile", {"also": "t"}), t=whole(1, 1 << 20, 1 << 10, 1))), "Tile"),
    "resized": Row(model_row(chain(("Resize", {"also": "_ _ t"}), t=whole(1, 4, 1 << 20, 1 << 20))), "Resize"),
    "range": Row(
        model_row(
            Model(
                [node("Range", "a b c", "r"), node("Add", "x r", "y")],
                {"a": np.float32(0), "b": np.float32(1e30), "c": np.float32(1)},
            )
        ),
        "refused",
    ),
    "sizes of the image": Row(model_row(Model([node("NonZero", "x", "n"), node("Cast", "n", "y", to=1)])), "refused"),
    "huge reshape": Row(model_row(chain(("Reshape", {"also": "t"}), t=whole(-1, HUGE))), "refused"),
    "random numbers": Row(model_row(chain(("RandomNormalLike", {}))), "random"),
    "no image": Row(model_row(Model([node("Constant", "", "y", value=tensor_of(drawn(3)))])), "does not depend"),
    "other kind of constant": Row(
        model_row(Model([node("Constant", "", "c", value_strings=["a"]), node("Add", "x c", "y")])),
        "neither numbers nor text",
    ),
    "division by zero": Row(model_row(chain(("Div", {"also": "z"}), z=np.float32(np.nan))), "finite"),
    "names that are no text": Row(
        lambda folder: MODELS["residual"].build().SerializeToString().replace(b"shift", b"\xff\xfe\xfd\xfc\xfb"),
        "no text",
    ),
    "operators that are no text": Row(
        lambda folder: MODELS["residual"].build().SerializeToString().replace(b"Relu", b"\xff" * 4), "no text"
    ),
    "names that move the cursor": Row(change_row(set_field("graph.node.0.domain", "\x1b[2J")), "\\x1b"),
    "pickle": Row(lambda folder: pickle.dumps(Canary(folder / "touched")), "refused"),
    "empty": Row(lambda folder: b"", "refused"),
    "cut off": Row(lambda folder: MODELS["residual"].build().SerializeToString()[:-9], "damaged"),
    "wrong bytes": Row(lambda folder: b"\x08\x09\x3a\x06\x0a\x04\xff\xff\xff\xff", "refused"),
    "endless number": Row(lambda folder: b"\xff" * 4000, "damaged"),
}


@pytest.mark.parametrize("name", CORPUS)
def test_a_hostile_file_is_refused_in_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder := tmp_path / "here").mkdir()
    path = folder / "model.onnx"
    path.write_bytes(CORPUS[name].make(tmp_path))
    monkeypatch.chdir(folder)
    message = refuse(lambda: read_onnx(path.read_bytes(), path, cut=True))
    assert message.startswith(f"{path} is refused: ")
    assert CORPUS[name].says in message
    assert not (tmp_path / "touched").exists()


def test_a_good_file_is_read_where_files_are_named_like_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder := tmp_path / "canaries").mkdir()
    log = plant(folder)
    path = write_model(MODELS["residual"], folder / "model.onnx")
    monkeypatch.chdir(folder)
    assert read_onnx(path.read_bytes(), path, cut=True).gives == (3,)
    assert log.read_text() == ""


STORED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "unknown operation": lambda graph: graph["nodes"].append(["If", {}, [0]]),
    "unknown attribute": lambda graph: graph["nodes"][0][1].update(body=1),
    "missing attribute": lambda graph: graph["nodes"][0][1].pop("pads"),
    "huge padding": lambda graph: graph["nodes"][0][1].update(pads=[4096] * 4),
    "text as padding": lambda graph: graph["nodes"][0][1].update(pads="1111"),
    "value of a later node": lambda graph: graph["nodes"][0].__setitem__(2, [5, "0", "1"]),
    "negative value": lambda graph: graph["nodes"][0].__setitem__(2, [-1, "0", "1"]),
    "true as a value": lambda graph: graph["nodes"][0].__setitem__(2, [True, "0", "1"]),
    "array that is not there": lambda graph: graph["nodes"][0].__setitem__(2, [0, "99", "1"]),
    "image as weights": lambda graph: graph["nodes"][0].__setitem__(2, [0, 0, "1"]),
    "no image": lambda graph: graph["nodes"][0].__setitem__(2, ["0", "0", "1"]),
    "output that is not there": lambda graph: graph.update(output=99),
    "other keys": lambda graph: graph.update(more=1),
    "no shape": lambda graph: graph.update(shape=[]),
    "another shape": lambda graph: graph.update(shape=[5, 6, 8]),
    "huge shape": lambda graph: graph.update(shape=[4, 1 << 23, 1 << 23]),
    "nodes that are a number": lambda graph: graph.update(nodes=3),
}


@pytest.mark.parametrize("name", STORED)
def test_a_stored_graph_is_checked_again(name: str, tmp_path: Path) -> None:
    path = write_model(MODELS["residual"], tmp_path / "model.onnx")
    model = read_onnx(path.read_bytes(), path, cut=True)
    graph = json.loads(json.dumps(model.graph))
    STORED[name](graph)
    refuse(lambda: restore_onnx(graph, model.arrays))


def test_stored_arrays_are_checked_again(tmp_path: Path) -> None:
    path = write_model(MODELS["residual"], tmp_path / "model.onnx")
    model = read_onnx(path.read_bytes(), path, cut=True)
    wrong = {**model.arrays, "0": np.zeros((4, 9, 3, 3), "f4")}, {**model.arrays, "99": np.zeros(3, "f4")}
    double = {name: array.astype(float) for name, array in model.arrays.items()}
    for arrays in ({}, double, *wrong):
        with pytest.raises(CorruptError):
            restore_onnx(model.graph, arrays)
