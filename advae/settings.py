"""Every setting of the libraries that decides a number, pinned here whatever the user's files and environment say.

A setting that is not in a recipe must not change a result: the same command gives the same id and the same numbers.
What belongs to the machine is left as it is: its devices, its memory, how many threads share the work, and which
instructions of its processor they use.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

DECIDING = ("KERAS_", "TF_", "TF2_", "XLA_", "AUTOGRAPH_", "ONEDNN_", "DNNL_", "SKLEARN_", "SCIPY_", "NPY_PROMOTION")
"""Beginnings of the names of variables that libraries read, of which most decide a number, and some stop the import."""

LEFT_ALONE = frozenset(
    (
        *("KERAS_HOME", "SKLEARN_DATA", "TF_CPP_MIN_LOG_LEVEL", "TF_CPP_MAX_VLOG_LEVEL", "TF_CPP_VMODULE"),
        *("TF_FORCE_GPU_ALLOW_GROWTH", "TF_FORCE_UNIFIED_MEMORY", "TF_GPU_ALLOCATOR", "TF_GPU_HOST_MEM_LIMIT_IN_MB"),
        *("TF_PER_DEVICE_MEMORY_LIMIT_MB", "TF_DEVICE_MIN_SYS_MEMORY_IN_MB", "TF_CPU_BFC_MEM_LIMIT_IN_MB"),
        *("TF_GPU_THREAD_MODE", "TF_GPU_THREAD_COUNT", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
        *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_VERBOSE", "DNNL_VERBOSE"),
    )
)
"""Variables of such a name that say where, how much and with what, or what is logged."""

XLA_FLAGS = "XLA_FLAGS"
XLA_PATHS = "--xla_gpu_cuda_data_dir="
"""The one of XLA's flags that says where something is: without it some installations find no CUDA."""

PINNED = {
    **{"KERAS_BACKEND": "tensorflow", "TF_USE_LEGACY_KERAS": "0", "NVIDIA_TF32_OVERRIDE": "0"},
    "PYTHONSAFEPATH": "1",
}
"""TensorFloat-32 has 10 bits where float32 has 23; it is on by default where a GPU has it.

In safe-path mode a Python that is started imports nothing from the current folder, where ``-m`` and ``-c`` look first.
"""

FLOAT32, BFLOAT16 = "float32", "bfloat16"
PRECISIONS = (FLOAT32, BFLOAT16)
"""In which precision wide matrix products may be taken; every result is scored in float32."""

EPSILON = 1e-7
"""Keras' own default; it is part of the cross-entropy losses."""


def pin_environment() -> None:
    """Take out of the environment what decides a number, for this process and those that it starts.

    To be called before numpy, scikit-learn and TensorFlow are imported, since they read it then, and before any process
    is started.
    """
    paths = [word for word in os.environ.get(XLA_FLAGS, "").split() if word.startswith(XLA_PATHS)]
    for name in [name for name in os.environ if name.startswith(DECIDING) and name not in LEFT_ALONE]:
        del os.environ[name]
    os.environ.update(PINNED)
    if paths:
        os.environ[XLA_FLAGS] = " ".join(paths)


@contextmanager
def keras_json_left_aside() -> Iterator[None]:
    """Import Keras in here: it reads no keras.json then, which may be broken, and writes none.

    It looks for it in a folder inside a device, where there is none and none can be made.
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
    """Set Keras and TensorFlow, which are imported, to what all results here rest on."""
    import keras
    import tensorflow as tf

    keras.config.set_floatx("float32")
    keras.config.set_epsilon(EPSILON)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy("float32")
    tf.config.experimental.enable_tensor_float_32_execution(False)
    tf.config.optimizer.set_jit(False)
    tf.config.run_functions_eagerly(False)
