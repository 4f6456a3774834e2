"""Start of TensorFlow without its messages on stderr, and the devices and cores that it uses."""

import atexit
import gc
import logging
import os
import platform
import secrets
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from advae.errors import is_memory_error
from advae.interrupts import delay_interrupts
from advae.settings import ignore_keras_json, pin_environment, pin_libraries
from advae.tracing import trace

UNUSED = ("matplotlib", "sklearn")
"""Libraries that Keras imports if they are there, for plots and wrappers not used here: a third of its start."""


def start_tensorflow(scratch: Path | None = None) -> None:
    """Import TensorFlow and Keras and start their devices, silently. scratch: as for ``offer_scratch``.

    Their libraries write to file descriptor 2 at any log level. The descriptor is therefore redirected, and what was
    written is shown only if the import fails. Every setting of theirs that changes a number is pinned, also if they are
    imported already.
    """
    if scratch:
        offer_scratch(scratch)
    if "tensorflow" in sys.modules:
        pin_libraries()
        return
    pin_environment()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with (
        delay_interrupts(),
        _redirect_stderr(),
        _leave_to_the_end(),
        ignore_keras_json(),
        hide_libraries(UNUSED),
        warnings.catch_warnings(),
    ):
        # The libraries warn about each other's versions; where warnings are errors, that would end the process.
        warnings.simplefilter("ignore")
        pin_libraries()
        import tensorflow as tf

        # TensorFlow warns about retracing when one process trains or attacks several models.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        # The devices and XLA each write a line at their first use, which is here.
        trace(lambda x: x + 1.0, xla=True)(tf.zeros(()))


def offer_scratch(parent: Path) -> None:
    """Put temporary files into a new folder in ``parent`` if the system has no writable folder for them.

    TensorFlow and joblib write such files, here and in worker processes. The folder is removed at exit.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        folder = parent / f"temporary-{secrets.token_hex(8)}"
        folder.mkdir(mode=0o700, parents=True)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)


def compare_precisions(*, rounds: int = 7) -> float:
    """Return the speed of bfloat16 divided by that of float32, for a matrix product of an attack's size.

    Median of alternating rounds. It is measured because a processor's name does not tell it.
    """
    from statistics import median

    import tensorflow as tf

    multiply = trace(tf.matmul)
    pairs = [
        [tf.cast(tf.random.stateless_uniform(shape, (0, 0)), kind) for shape in ((2500, 784), (784, 512))]
        for kind in (tf.float32, tf.bfloat16)
    ]
    ratios = []
    for _ in range(rounds + 1):
        seconds = []
        for pair in pairs:
            start = time.perf_counter()
            # Fetching the result waits for a GPU.
            multiply(*pair)[0, 0].numpy()
            seconds.append(time.perf_counter() - start)
        ratios.append(seconds[0] / seconds[1])
    # The first one traces.
    return median(ratios[1:])


def list_devices() -> list[str]:
    """Return a line for each device that TensorFlow computes on: its GPUs, or else the processor."""
    start_tensorflow()
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    lines = [f"GPU: {found.get('device_name', gpu.name)}" for gpu, found in zip(gpus, details, strict=True)]
    return lines or [f"CPU only: {_name_processor()}, {count_usable_cores()} cores"]


def count_usable_cores() -> int:
    """Return how many cores this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _name_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


@contextmanager
def hide_libraries(libraries: Sequence[str]) -> Iterator[None]:
    """Let imports in this context not find the libraries, except those that are imported already.

    What is imported here stays without them to the end of the process.
    """
    hidden = [name for name in libraries if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # as the import system marks what it must not find
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def _leave_to_the_end() -> Iterator[None]:
    """Leave what is imported in this context out of the search for garbage, now and later: it stays, and it is a lot.

    Garbage of before is collected first. Otherwise the search takes a fifth of the time of a small command.
    """
    gc.collect()
    searching = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if searching:
            gc.enable()


def _open_aside() -> IO[bytes]:
    """Return a file in memory for redirected output; it needs no writable folder.

    The null device on systems without such files: the output is then lost.
    """
    try:
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    except (AttributeError, OSError):
        return Path(os.devnull).open("w+b")


@contextmanager
def _redirect_stderr() -> Iterator[None]:
    """Redirect file descriptor 2 to memory; show what was written to it only after an error."""
    sys.stderr.flush()
    original = os.dup(2)
    with _open_aside() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        # Any error of an import; it is raised again.
        except Exception as error:
            if not is_memory_error(error):
                aside.seek(0)
                os.write(original, aside.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
