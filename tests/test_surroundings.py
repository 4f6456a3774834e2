"""What decides a number is in the recipe: no setting of the user's libraries, and no variable, changes a result."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from advae.settings import XLA_FLAGS, ignore_keras_json, pin_environment
from tests.surroundings import run_commands

ROOT = Path(__file__).parent.parent

KERAS_JSON = {"floatx": "float64", "epsilon": 0.01, "backend": "torch", "image_data_format": "channels_first"}

HOSTILE = {
    **{"KERAS_BACKEND": "jax", "KERAS_MAX_EPOCHS": "all", "KERAS_NNX_ENABLED": "1", "TF_USE_LEGACY_KERAS": "1"},
    # Each of these three has been seen to change last bits.
    **{"TF_ENABLE_ONEDNN_OPTS": "0", "TF_FUNCTION_JIT_COMPILE_DEFAULT": "1"},
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit",
    # XLA ends a process that names a flag it does not know.
    **{"XLA_FLAGS": "--no_such_flag", "TF_DETERMINISTIC_OPS": "1", "TF_SET_ONEDNN_FPMATH_MODE": "BF16"},
    **{"SKLEARN_WORKING_MEMORY": "much", "SCIPY_ARRAY_API": "1", "NPY_PROMOTION_STATE": "legacy"},
    **{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "TZ": "Asia/Kathmandu"},
    **{"PYTHONHASHSEED": "7", "PYTHONWARNINGS": "error"},
}


SIDE = 8

VARYING = re.compile(r"_\d+|\b\d{6,}\b")
"""The numbers that Keras gives layers, which count all of the process, and objects, which are addresses."""


def write_inputs(folder: Path) -> Path:
    """Write images of three classes that a network tells apart after few steps."""
    random, arrays = np.random.default_rng(5), {}
    for part, n in (("train", 80), ("test", 20)):
        labels, images = np.arange(n) % 3, random.random((n, SIDE, SIDE), np.float32) / 2
        for one in range(3):
            images[labels == one, 2 * one : 2 * one + 3] += np.float32(0.5)
        arrays |= {f"x_{part}": images, f"y_{part}": labels}
    folder.mkdir()
    np.savez(folder / "tiny.npz", **arrays)
    np.save(folder / "images.npy", arrays["x_test"])
    return folder


def digest_outputs(folder: Path) -> dict[str, str]:
    """Return the digest of each array that was made, and the configuration of the export."""
    found = {}
    for path in sorted((*folder.glob("home/entries/**/*.npz"), folder / "purified.npy")):
        loaded = np.load(path)
        for name, array in (dict(loaded) if path.suffix == ".npz" else {"": loaded}).items():
            key = f"{path.relative_to(folder)} {name} {array.dtype} {array.shape}"
            found[key] = hashlib.sha256(array.tobytes()).hexdigest()
    with zipfile.ZipFile(folder / "whole.keras") as whole:
        found["the export's layers"] = VARYING.sub("", whole.read("config.json").decode())
    return found


def test_hostile_settings_change_no_number(tmp_path: Path) -> None:
    """One process has all of them at once, the other none: ids, arrays, answers and an export are the same."""
    homes = [tmp_path / "keras", tmp_path / "user" / ".keras"]
    for home in homes:
        home.mkdir(parents=True)
        (home / "keras.json").write_text(json.dumps(KERAS_JSON))
    hostile, clean = write_inputs(tmp_path / "hostile"), write_inputs(tmp_path / "clean")
    places = {"KERAS_HOME": str(homes[0]), "HOME": str(homes[1].parent)}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.surroundings", str(hostile)],
        cwd=ROOT,
        env=os.environ | places | HOSTILE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    expected = run_commands(clean) | digest_outputs(clean)
    out, err = process.communicate()
    assert process.returncode == 0, err
    found = json.loads(out) | digest_outputs(hostile)
    assert {name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)} == set()
    # It is not ours, so it is as it was.
    assert [json.loads((home / "keras.json").read_text()) for home in homes] == [KERAS_JSON] * 2


def test_keras_looks_for_its_file_where_none_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    for home in ("/elsewhere", None):
        monkeypatch.setenv("KERAS_HOME", home) if home else monkeypatch.delenv("KERAS_HOME")
        with ignore_keras_json():
            path = Path(os.environ["KERAS_HOME"], "keras.json")
            assert not path.exists()
            with pytest.raises(OSError, match="Not a directory"):
                path.write_text("")
        assert os.environ.get("KERAS_HOME") == home


def test_settings_of_the_machine_are_not_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"KERAS_HOME": "k", "TF_NUM_INTRAOP_THREADS": "2", "TF_GPU_ALLOCATOR": "x", "OMP_NUM_THREADS": "1"}
    for name, value in {**kept, "TF_ENABLE_ONEDNN_OPTS": "0", "SCIPY_ARRAY_API": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(XLA_FLAGS, "--xla_cpu_enable_fast_math=true --xla_gpu_cuda_data_dir=/opt/cuda")
    pin_environment()
    assert {name: os.environ.get(name) for name in kept} == kept
    assert os.environ[XLA_FLAGS] == "--xla_gpu_cuda_data_dir=/opt/cuda"
    assert not {"TF_ENABLE_ONEDNN_OPTS", "SCIPY_ARRAY_API"} & os.environ.keys()
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"


def test_libraries_that_were_imported_before_are_set_too(trained: object) -> None:
    """A program that has its own settings and calls us; ``trained`` has started TensorFlow."""
    import keras
    import tensorflow as tf

    from advae.backend import start_tensorflow

    keras.config.set_floatx("float64")
    keras.config.set_epsilon(0.01)
    keras.config.set_image_data_format("channels_first")
    keras.config.set_dtype_policy("mixed_bfloat16")
    tf.config.experimental.enable_tensor_float_32_execution(True)
    tf.config.run_functions_eagerly(True)
    start_tensorflow()
    config = keras.config
    assert (config.floatx(), config.epsilon(), config.image_data_format()) == ("float32", 1e-7, "channels_last")
    assert config.dtype_policy().name == "float32"
    assert not tf.config.experimental.tensor_float_32_execution_enabled()
    assert not tf.config.functions_run_eagerly()
