"""Hostile .keras files are refused before Keras sees them: one line, nothing executed, no memory for claims."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from advae.backend import start_tensorflow
from advae.errors import CorruptError
from advae.models.added.keras_network import restore_keras
from advae.models.added.keras_reader import read_keras
from tests.canaries import plant
from tests.entries import Canary
from tests.hostile.executed import build_lambda_model
from tests.models.added.keras_models import change_config, read_members, write_members
from tests.models.added.refusals import refuse

WEIGHTS = "model.weights.h5"
KERNEL = "layers/dense/vars/0"

Change = Callable[[bytes, Path], bytes]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small good file."""
    start_tensorflow()
    import keras

    layers = [keras.Input((4, 4, 2)), keras.layers.Flatten(), keras.layers.Dense(6, activation="relu")]
    path = tmp_path_factory.mktemp("good") / "good.keras"
    keras.Sequential([*layers, keras.layers.Dense(3, activation="softmax")]).save(path)
    return path.read_bytes()


def config_row(change: Callable[[Any], Any]) -> Change:
    """Return a row whose configuration is changed in place, or replaced."""
    return lambda content, folder: change_config(content, change)


def layer_row(number: int, **settings: Any) -> Change:
    """Return a row in which a layer has other settings."""
    return config_row(lambda config: config["config"]["layers"][number]["config"].update(settings))


def class_row(**named: Any) -> Change:
    """Return a row in which the second layer has another class, module or registered name."""
    return config_row(lambda config: config["config"]["layers"][1].update(named))


def member_row(**members: bytes | None) -> Change:
    """Return a row with other members; None removes one. ``__`` in a name stands for its dot."""

    def change(content: bytes, folder: Path) -> bytes:
        found = read_members(content) | {name.replace("__", "."): one for name, one in members.items()}
        return write_members({name: one for name, one in found.items() if one is not None})

    return change


def weights_row(change: Callable[[h5py.File, Path], Any]) -> Change:
    """Return a row whose HDF5 part is changed in place; the first kernel has been removed."""

    def make(content: bytes, folder: Path) -> bytes:
        members = read_members(content)
        stream = io.BytesIO(members[WEIGHTS])
        with h5py.File(stream, "r+") as file:
            del file[KERNEL]
            change(file, folder)
        return write_members(members | {WEIGHTS: stream.getvalue()})

    return make


def link_outside(file: h5py.File, folder: Path) -> None:
    with h5py.File(folder / "outside.h5", "w") as other:
        other["kernel"] = np.zeros((32, 6), "f4")
    file[KERNEL] = h5py.ExternalLink(str(folder / "outside.h5"), "kernel")


def store_outside(file: h5py.File, folder: Path) -> None:
    (folder / "outside.bin").write_bytes(bytes(32 * 6 * 4))
    external = [(str(folder / "outside.bin"), 0, 32 * 6 * 4)]
    file.create_dataset(KERNEL, (32, 6), "f4", external=external)


def join_outside(file: h5py.File, folder: Path) -> None:
    with h5py.File(folder / "outside.h5", "w") as other:
        other["kernel"] = np.zeros((32, 6), "f4")
    layout = h5py.VirtualLayout((32, 6), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "outside.h5"), "kernel", (32, 6))
    file.create_virtual_dataset(KERNEL, layout)


def claim_without_data(file: h5py.File, folder: Path) -> None:
    """A shape of 4 TiB for which nothing is stored."""
    space, plist = h5py.h5s.create_simple((1 << 20, 1 << 20)), h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    h5py.h5d.create(file["layers/dense/vars"].id, b"0", h5py.h5t.IEEE_F32LE, space, plist)


def chunk_hugely(file: h5py.File, folder: Path) -> None:
    file.create_dataset(KERNEL, (1 << 20, 1 << 8), "f4", chunks=(1 << 16, 1 << 8), compression="gzip")


def add_weights(file: h5py.File, folder: Path) -> None:
    for number in (0, 2):
        file.create_dataset(f"layers/dense/vars/{number}", data=np.zeros((32, 6), "f4"))


def claim_zip_bomb(content: bytes, folder: Path) -> bytes:
    return write_members(read_members(content) | {"config.json": b" " * (200 << 20)}, zipfile.ZIP_DEFLATED)


def traverse(content: bytes, folder: Path) -> bytes:
    return write_members(read_members(content) | {"../outside.py": b"raise SystemExit"})


def repeat_member(content: bytes, folder: Path) -> bytes:
    with zipfile.ZipFile(stream := io.BytesIO(content), "a") as archive:
        info = zipfile.ZipInfo("config.json")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr(info, b"{}")
    return stream.getvalue()


def double_nested(config: Any) -> None:
    """Models in models, each called twice by the next: 2 ** 40 calls of a layer from a few kilobytes."""
    inner = config["config"]["layers"][1]
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": ["i", 0, 0]}}
    first = {"class_name": "InputLayer", "module": "keras.layers", "config": {"batch_shape": [None, 4, 4, 2]}}
    for depth in range(12):
        after = {"class_name": "__keras_tensor__", "config": {"keras_history": ["m", 0, 0]}}
        calls = [{"args": [tensor], "kwargs": {}}, {"args": [after], "kwargs": {}}]
        layers = [{**first, "name": "i", "inbound_nodes": []}, {**inner, "name": "m", "inbound_nodes": calls * 10}]
        body = {"layers": layers, "output_layers": ["m", 19 + (depth > 0), 0]}
        inner = {"class_name": "Functional", "module": "keras", "config": body}
    config["config"]["layers"][1] = inner


def circle(config: Any) -> Any:
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": ["m", 0, 0]}}
    first, *_ = layers = config["config"]["layers"]
    looped = {**layers[1], "name": "m", "inbound_nodes": [{"args": [tensor], "kwargs": {}}]}
    body = {"layers": [{**first, "name": "i", "inbound_nodes": []}, looped], "output_layers": ["m", 0, 0]}
    return {"class_name": "Functional", "module": "keras", "config": body}


CUSTOM = {"module": "os", "class_name": "function", "config": "system", "registered_name": "function"}
FILE_READER = {"vocabulary": "/etc/passwd"}


@dataclass(frozen=True)
class Row:
    """A hostile file, and words of the line that refuses it."""

    make: Change
    says: str


def replace_kernel(array: np.ndarray, **options: Any) -> Change:
    return weights_row(lambda file, folder: file.create_dataset(KERNEL, data=array, **options))


def pad_layers(**padding: Any) -> Callable[[Any], Any]:
    """Return a change that adds layers of zeros before the first."""
    layer = {"class_name": "ZeroPadding2D", "module": "keras.layers", "config": padding}
    return lambda config: config["config"]["layers"].insert(1, layer)


CORPUS: dict[str, Row] = {
    "Lambda": Row(lambda content, folder: build_lambda_model(folder / "touched"), "Lambda"),
    "module of Python": Row(class_row(module="os", class_name="system"), "os.system"),
    "module of Keras' name": Row(class_row(module="kerasx", class_name="Dense"), "kerasx.Dense"),
    "registered name": Row(class_row(registered_name="Mine>Dense"), "Mine>Dense"),
    "unknown class": Row(class_row(class_name="TFSMLayer"), "TFSMLayer"),
    "layer that reads a file": Row(class_row(class_name="StringLookup", config=FILE_READER), "StringLookup"),
    "wrapper": Row(class_row(class_name="TimeDistributed"), "TimeDistributed"),
    "function as activation": Row(layer_row(2, activation=CUSTOM), "os.function"),
    "Python in an initialiser": Row(layer_row(2, kernel_initializer=CUSTOM), "os.function"),
    "Python in a dtype": Row(layer_row(1, dtype=CUSTOM), "os.function"),
    "unknown setting": Row(layer_row(2, quantization_config={"x": 1}), "quantization_config"),
    "unknown activation": Row(layer_row(2, activation="os.system"), "os.system"),
    "wrong type of a setting": Row(layer_row(2, units="6"), "units"),
    "terabytes of units": Row(layer_row(2, units=1 << 40), "units"),
    "gigabytes of units": Row(layer_row(2, units=1 << 24), "float32 (32, 16777216)"),
    "gigabytes between layers": Row(config_row(pad_layers(padding=[[4096, 4096], [4096, 4096]])), "returns"),
    "huge padding": Row(config_row(pad_layers(padding=[[1 << 40, 0], [0, 0]])), "padding"),
    "huge input": Row(layer_row(0, batch_shape=[None, 1 << 40, 4, 2]), "input"),
    "no input": Row(layer_row(0, batch_shape=None), "input"),
    "input of another size": Row(layer_row(0, batch_shape=[None, 5, 4, 2]), "(40, 6)"),
    "circle": Row(config_row(circle), "circle"),
    "exponential calls": Row(config_row(double_nested), "times"),
    "deep JSON": Row(member_row(config__json=b"[" * 100_000), "recursion"),
    "deep objects": Row(member_row(config__json=b'{"a":' * 300 + b"1" + b"}" * 300), "levels"),
    "infinite numbers": Row(layer_row(0, sparse=float("inf")), "Infinity"),
    "no JSON": Row(member_row(config__json=b"\x80\x04."), "decode"),
    "JSON of another kind": Row(member_row(config__json=b"[1, 2]"), "damaged"),
    "subclassed model": Row(config_row(lambda config: config.update(class_name="Mine", module="mine")), "mine.Mine"),
    "Keras 2": Row(member_row(metadata__json=b'{"keras_version": "2.13.1"}'), "Keras 2.13.1 saved it"),
    "no version": Row(member_row(metadata__json=b"[]"), "no version"),
    "no metadata": Row(member_row(metadata__json=None), "metadata.json"),
    "path traversal": Row(traverse, "../outside.py"),
    "zip bomb": Row(claim_zip_bomb, "unpacks to"),
    "member twice": Row(repeat_member, "same name"),
    "pickle inside": Row(member_row(data__pkl=pickle.dumps(Canary(Path("outside")))), "data.pkl"),
    "assets": Row(member_row(**{"assets/vocabulary__txt": b"a"}), "assets/vocabulary.txt"),
    "no weights": Row(member_row(**{"model__weights__h5": None}), "model.weights.h5"),
    "cut off": Row(lambda content, folder: content[:-50], "archive"),
    "external link": Row(weights_row(link_outside), "ExternalLink"),
    "soft link": Row(weights_row(lambda f, _: f.__setitem__(KERNEL, h5py.SoftLink("/layers"))), "SoftLink"),
    "group in itself": Row(weights_row(lambda f, _: f.__setitem__("layers/again", f["layers"])), "twice"),
    "external storage": Row(weights_row(store_outside), "another file"),
    "virtual dataset": Row(weights_row(join_outside), "virtual"),
    "packed chunks": Row(replace_kernel(np.zeros((32, 6), "f4"), chunks=(32, 6), compression="gzip"), "chunks"),
    "huge chunks": Row(weights_row(chunk_hugely), "chunks"),
    "terabytes without data": Row(weights_row(claim_without_data), "does not have"),
    "objects": Row(weights_row(lambda f, _: f.create_dataset(KERNEL, (32, 6), h5py.string_dtype())), "object"),
    "references": Row(weights_row(lambda f, _: f.create_dataset(KERNEL, (32, 6), h5py.ref_dtype)), "object"),
    "named type": Row(weights_row(lambda f, _: f.__setitem__(KERNEL, np.dtype("f4"))), "neither"),
    "complex numbers": Row(replace_kernel(np.zeros((32, 6), "c8")), "complex64"),
    "wrong shape": Row(replace_kernel(np.zeros((6, 32), "f4")), "(32, 6)"),
    "too many weights": Row(weights_row(add_weights), "should not be there"),
    "weights missing": Row(weights_row(lambda f, _: None), "numbered"),
    "NaN weights": Row(replace_kernel(np.full((32, 6), np.nan, "f4")), "finite"),
    "weights beyond float32": Row(replace_kernel(np.full((32, 6), 1e300)), "finite"),
    "no HDF5": Row(member_row(**{"model__weights__h5": b"\x89HDF\r\n\x1a\n" + b"\xff" * 500}), "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", CORPUS)
def test_a_hostile_file_is_refused_in_one_line(
    name: str, good: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder := tmp_path / "here").mkdir()
    path = folder / "model.keras"
    path.write_bytes(CORPUS[name].make(good, tmp_path))
    monkeypatch.chdir(folder)
    message = refuse(lambda: read_keras(path.read_bytes(), path, cut=True))
    assert CORPUS[name].says in message
    assert message.startswith(f"{path} is refused: ")
    assert not (tmp_path / "touched").exists()


def test_a_good_file_is_read_where_files_are_named_like_modules(
    good: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder := tmp_path / "canaries").mkdir()
    log = plant(folder)
    (path := folder / "model.keras").write_bytes(good)
    monkeypatch.chdir(folder)
    assert read_keras(path.read_bytes(), path, cut=True).gives == (3,)
    assert log.read_text() == ""


def change_graph(**keys: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda graph: graph.update(keys)


STORED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "layer that is not allowed": change_graph(layers=[["Lambda", {}]]),
    "function that is not allowed": change_graph(layers=[["ops.save", {}]]),
    "setting that is not allowed": lambda graph: graph["layers"][1][1].update(kernel_initializer="zeros"),
    "huge layer": lambda graph: graph["layers"][1][1].update(units=1 << 24),
    "value that is not there": change_graph(calls=[[0, [7]]]),
    "value of a later call": change_graph(calls=[[0, [1]]]),
    "layer that is not there": change_graph(calls=[[9, [0]]]),
    "layer of a negative number": change_graph(calls=[[-1, [0]]]),
    "text for a number": change_graph(calls=[["0", [0]]]),
    "output that is not there": change_graph(output=50),
    "other keys": change_graph(more=1),
    "no shape": change_graph(shape="ab"),
    "another shape": change_graph(shape=[4, 4, 3]),
    "settings that are a list": change_graph(layers=[["Flatten", []]] * 5),
    "layers that are a number": change_graph(layers=3),
}


@pytest.mark.parametrize("name", STORED)
def test_a_stored_graph_is_checked_again(name: str, good: bytes, tmp_path: Path) -> None:
    (path := tmp_path / "model.keras").write_bytes(good)
    model = read_keras(path.read_bytes(), path, cut=True)
    graph = json.loads(json.dumps(model.graph))
    STORED[name](graph)
    refuse(lambda: restore_keras(graph, model.arrays))


def test_stored_arrays_are_checked_again(good: bytes, tmp_path: Path) -> None:
    (path := tmp_path / "model.keras").write_bytes(good)
    model = read_keras(path.read_bytes(), path, cut=True)
    for arrays in ({}, {**model.arrays, "1.0": np.zeros((3, 3), "f4")}, {**model.arrays, "9.0": np.zeros(3, "f4")}):
        with pytest.raises(CorruptError):
            restore_keras(model.graph, arrays)
