"""The format of a model's file is found by its content; a file that is no model is refused with the mend."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from advae.errors import CorruptError, UsageError
from advae.models.added.detect import detect_format, is_onnx, read_model_file
from tests.models.added.keras_models import write_members
from tests.models.added.refusals import refuse


def write_h5() -> bytes:
    with h5py.File(stream := io.BytesIO(), "w") as file:
        file["a"] = np.zeros(3)
    return stream.getvalue()


def write_npz() -> bytes:
    np.savez(stream := io.BytesIO(), a=np.zeros(3))
    return stream.getvalue()


def write_npy() -> bytes:
    np.save(stream := io.BytesIO(), np.zeros(3))
    return stream.getvalue()


SAFETENSORS = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()

MISTAKES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "it is empty"),
    "HDF5": (write_h5, 'model.save("model.keras")'),
    "pickle": (lambda: pickle.dumps([1, 2]), "skops.io.dump"),
    "old pickle": (lambda: pickle.dumps([1, 2], 0), "skops.io.dump"),
    "packed joblib": (lambda: b"\x78\x9c\x63\x60", "skops.io.dump"),
    "PyTorch zip": (
        lambda: write_members({"model/data.pkl": b"\x80\x02.", "model/version": b"3"}),
        "external_data=False",
    ),
    "TorchScript": (lambda: write_members({"m/data.pkl": b"", "m/constants.pkl": b""}), "external_data=False"),
    "old PyTorch": (lambda: b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M", "external_data=False"),
    "npz": (write_npz, "says nothing of the layers"),
    "npy": (write_npy, "one array"),
    "TensorFlow Lite": (lambda: b"\x1c\0\0\0TFL3" + bytes(40), "TensorFlow Lite"),
    "safetensors": (lambda: len(SAFETENSORS).to_bytes(8, "little") + SAFETENSORS + bytes(4), "safetensors"),
    "text": (lambda: b"import torch\nmodel = 1\n", "text file"),
    "pointer": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "other zip": (lambda: write_members({"a.txt": b"a"}), "unknown kind"),
    "Keras without weights": (lambda: write_members({"config.json": b"{}"}), "damaged"),
    "broken zip": (lambda: write_npz()[:-8], "damaged"),
    "picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(99), "unknown"),
    "saved model": (lambda: b"\x08\x01\x12\x02\x0a\x00", "unknown"),
    "onnx cut off": (lambda: b"\x08\x09\x3a\x99\x01", "unknown"),
    "zip bomb": (
        lambda: write_members({"config.json": bytes(200 << 20), "model.weights.h5": b""}, zipfile.ZIP_DEFLATED),
        "unpacks to",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_its_mend(name: str, tmp_path: Path) -> None:
    make, says = MISTAKES[name]
    content, path = make(), tmp_path / "model.keras"
    assert says in refuse(lambda: detect_format(content, path))


FORMATS = {
    "keras": lambda: write_members({"config.json": b"{}", "model.weights.h5": b"", "metadata.json": b"{}"}),
    "skops": lambda: write_members({"schema.json": b"{}", "1.npy": b""}),
    "onnx": lambda: b"\x08\x09\x3a\x02\x0a\x00",
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_found_whatever_the_suffix(name: str) -> None:
    assert detect_format(FORMATS[name](), Path("model.txt")) == name


def test_shared_files_are_found(shared_models: Path) -> None:
    for path in [*shared_models.glob("*.keras"), *shared_models.glob("*.skops"), *shared_models.glob("*.onnx")]:
        assert detect_format(read_model_file(path), Path("model")) == path.suffix[1:]


def test_a_long_number_ends() -> None:
    assert not is_onnx(b"\xff" * 1000)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        read_model_file(tmp_path / "missing.keras")
    (folder := tmp_path / "saved").mkdir()
    with pytest.raises(CorruptError, match="it is a folder"):
        read_model_file(folder)
    (folder / "saved_model.pb").touch()
    with pytest.raises(CorruptError, match="SavedModel"):
        read_model_file(folder)


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    with (path := tmp_path / "long.onnx").open("wb") as file:
        file.truncate(1 << 40)
    assert "longer than" in refuse(lambda: read_model_file(path))
