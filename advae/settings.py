"""Settings of libraries that change numbers, fixed here regardless of the user's files and environment.

A setting that is not in a recipe must not change a result: the same command gives the same id and the same numbers.
Settings of the machine are not touched: devices, memory, number of threads, processor instructions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

DECIDING = ("KERAS_", "TF_", "TF2_", "XLA_", "AUTOGRAPH_", "ONEDNN_", "DNNL_", "SKLEARN_", "SCIPY_", "NPY_PROMOTION")
"""Prefixes of environment variables that libraries read; most change numbers, some break the import."""

NOT_REMOVED = frozenset(
    (
        *("KERAS_HOME", "SKLEARN_DATA", "TF_CPP_MIN_LOG_LEVEL", "TF_CPP_MAX_VLOG_LEVEL", "TF_CPP_VMODULE"),
        *("TF_FORCE_GPU_ALLOW_GROWTH", "TF_FORCE_UNIFIED_MEMORY", "TF_GPU_ALLOCATOR", "TF_GPU_HOST_MEM_LIMIT_IN_MB"),
        *("TF_PER_DEVICE_MEMORY_LIMIT_MB", "TF_DEVICE_MIN_SYS_MEMORY_IN_MB", "TF_CPU_BFC_MEM_LIMIT_IN_MB"),
        *("TF_GPU_THREAD_MODE", "TF_GPU_THREAD_COUNT", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
        *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_VERBOSE", "DNNL_VERBOSE"),
    )
)
"""Variables with one of these prefixes that are not removed: folders, memory, threads, processor, logging."""

XLA_FLAGS = "XLA_FLAGS"
XLA_PATHS = "--xla_gpu_cuda_data_dir="
"""The only flag of XLA that is not removed: without it some installations do not find CUDA."""

PINNED = {
    **{"KERAS_BACKEND": "tensorflow", "TF_USE_LEGACY_KERAS": "0", "NVIDIA_TF32_OVERRIDE": "0"},
    "PYTHONSAFEPATH": "1",
}
"""Variables that are set. TensorFloat-32 has 10 bits where float32 has 23, and is on by default on GPUs that have it.

In safe-path mode a child Python does not import from the current folder, where ``-m`` and ``-c`` look first.
"""

Rescale = Literal["intensity", "none"]
RESCALES: tuple[Rescale, ...] = get_args(Rescale)
"""What happens to a purifier's raw output: it is scaled to the input's sum and clipped to [0, 1], or unchanged."""

IMAGE, CODE = "image", "code"
SHOWN = (IMAGE, CODE)
"""What a classifier is shown: images, purified where it is behind a purifier; or the code of that purifier."""

FLOAT32, BFLOAT16 = "float32", "bfloat16"
PRECISIONS = (FLOAT32, BFLOAT16)
"""The precisions of wide matrix products; every result is scored in float32."""

EPSILON = 1e-7
"""Keras' default; the cross-entropy losses use it."""


def pin_environment() -> None:
    """Remove environment variables that change numbers, for this process and those that it starts.

    Call it before numpy, scikit-learn and TensorFlow are imported, because they read the variables at import, and
    before any process starts.
    """
    paths = [word for word in os.environ.get(XLA_FLAGS, "").split() if word.startswith(XLA_PATHS)]
    for name in [name for name in os.environ if name.startswith(DECIDING) and name not in NOT_REMOVED]:
        del os.environ[name]
    os.environ.update(PINNED)
    if paths:
        os.environ[XLA_FLAGS] = " ".join(paths)


@contextmanager
def ignore_keras_json() -> Iterator[None]:
    """Let an import of Keras in this context neither read nor write keras.json, which may be broken.

    Keras looks for it in KERAS_HOME, which is a device here, so that no file can be in it.
    """
    home = os.environ.get("KERAS_HOME")
    os.environ["KERAS_HOME"] = os.devnull
    try:
        yield
    finally:
        del os.environ["KERAS_HOME"]
        if home is not None:
            os.environ["KERAS_HOME"] = home


def pin_libraries() -> None:
    """Set the imported Keras and TensorFlow to the settings that all results are computed with."""
    import keras
    import tensorflow as tf

    keras.config.set_floatx("float32")
    keras.config.set_epsilon(EPSILON)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy("float32")
    tf.config.experimental.enable_tensor_float_32_execution(False)
    tf.config.optimizer.set_jit(False)
    tf.config.run_functions_eagerly(False)
