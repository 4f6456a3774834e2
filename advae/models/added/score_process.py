"""A process of its own for a model that gives scores only: opened once, asked many times, never trusted.

Both sides speak in frames over pipes: a header of JSON, and bytes whose number the header's reader checks. Nothing is
unpickled on either side.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from advae.batching import Tensor
from advae.errors import AdvaeError, CorruptError, KilledError, UsageError, hold_failure, printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import FloatArray

MAGIC = b"adv1"
FRAME = struct.Struct("<4sIQ")
"""The beginning of a frame: magic, bytes of the header, bytes of the payload."""

MAX_FRAME_HEADER = 1 << 20
MAX_PAYLOAD = 1 << 32

MAX_ROWS = 10_000
"""Rows of one question; more are asked in turns."""

OPENING_SECONDS = 300.0
ANSWERING_SECONDS = 600.0
"""Time limits; scikit-learn's import takes seconds, a question to many neighbours a minute."""

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT"), "1")
"""Variables by which the process computes in one thread, so that sums have one order."""

WORKER = "advae.models.added.score_worker"

ERRORS: dict[str, type[AdvaeError]] = {"usage": UsageError, "corrupt": CorruptError}
"""Kinds of errors that the process answers."""


def send(stream: IO[bytes], header: dict[str, Any], payload: bytes = b"") -> None:
    """Write a frame."""
    text = json.dumps(header).encode()
    stream.write(FRAME.pack(MAGIC, len(text), len(payload)))
    stream.write(text)
    stream.write(payload)
    stream.flush()


def receive(stream: IO[bytes], longest: int) -> tuple[dict[str, Any], bytes]:
    """Return header and payload of a frame. Raises EOFError at the end; ValueError for what is no frame."""
    magic, header_size, size = FRAME.unpack(_read(stream, FRAME.size))
    if magic != MAGIC or header_size > MAX_FRAME_HEADER or size > longest:
        raise ValueError("it is no frame, or longer than expected")
    header = json.loads(_read(stream, header_size))
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    return header, _read(stream, size)


def _read(stream: IO[bytes], size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError("the pipe was closed")
    return content


@dataclass(frozen=True)
class ScoredModel:
    """What a process says of the model that it opened."""

    takes: int
    """Pixels of an image."""
    gives: int
    """Scores of an image."""
    classes: list[Any]
    """The model's labels, in its order; empty where it has none."""
    notes: tuple[str, ...] = ()
    """Sentences for the user."""


class OpenedModel(NamedTuple):
    """A model that was opened, and the function that asks it."""

    found: ScoredModel
    """What it is."""
    ask: Callable[[FloatArray], tuple[FloatArray, NDArray[np.bool_]]]
    """float32 (n, pixels) -> scores, float32 (n, classes), and whether the largest was not the label, bool (n,)."""


class ScoreProcess:
    """A model in a process of its own, which is started at the first question and ends with this object, or at exit.

    Its answers are such that the largest score is the model's own label.
    """

    def __init__(self, name: str, file: bytes, options: dict[str, Any]) -> None:
        """name: of the format, a row of the worker's table; options: what its opener needs, JSON."""
        self._name, self._file, self._options = name, file, options
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._model: ScoredModel | None = None
        self._finalizer: weakref.finalize[Any, Any] | None = None

    def describe(self) -> ScoredModel:
        """Return what the opened model is. Raises CorruptError, UsageError, KilledError."""
        with self._lock:
            return self._open()

    def scores(self, x: FloatArray) -> FloatArray:
        """Return the scores of images: float32 (n, pixels) -> float32 (n, classes). Raises as ``describe`` does."""
        return self.answer(x)[0]

    def answer(self, x: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return the scores, and for which images the model's largest score is not its own label, bool (n,)."""
        import numpy as np

        with self._lock:
            model = self._open()
            parts = [self._ask(x[first : first + MAX_ROWS], model) for first in range(0, len(x), MAX_ROWS)]
        if not parts:
            return np.zeros((0, model.gives), np.float32), np.zeros(0, bool)
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def close(self) -> None:
        """End the process; another question starts it again."""
        with self._lock:
            self._end()

    # ------------------------------------------------------------ inside the lock

    def _open(self) -> ScoredModel:
        if self._process is not None and self._model is not None and self._process.poll() is None:
            return self._model
        self._end()
        self._process = process = subprocess.Popen(
            [sys.executable, "-P", "-m", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD, "PYTHONSAFEPATH": "1"},
        )
        self._finalizer = weakref.finalize(self, _end_process, process)
        header, _ = self._exchange({"format": self._name, "options": self._options}, self._file, 0, OPENING_SECONDS)
        try:
            takes, gives, classes, notes = (header[name] for name in ("takes", "gives", "classes", "notes"))
            fits = type(takes) is type(gives) is int and takes > 0 and gives > 0 and isinstance(classes, list)
        except KeyError:
            fits = False
        if not fits:
            self._end()
            raise CorruptError("the process of a model did not say what it opened")
        self._model = ScoredModel(takes, gives, classes, tuple(printable(str(note))[:300] for note in notes))
        return self._model

    def _ask(self, x: FloatArray, model: ScoredModel) -> tuple[FloatArray, NDArray[np.bool_]]:
        import numpy as np

        if x.ndim != 2 or x.shape[1] != model.takes:
            raise UsageError(f"the model takes images of {model.takes} pixels, got an array of shape {x.shape}")
        asked = np.ascontiguousarray(x, np.float32).tobytes()
        size = len(x) * (4 * model.gives + 1)
        _, payload = self._exchange({"rows": len(x)}, asked, size, ANSWERING_SECONDS)
        if len(payload) != size:
            self._end()
            raise CorruptError(f"the process of a model answered {len(payload)} bytes, expected {size}")
        scores = np.frombuffer(payload, np.float32, len(x) * model.gives).reshape(len(x), model.gives)
        if not np.isfinite(scores).all():
            raise CorruptError("the model gave scores that are not finite numbers")
        return scores, np.frombuffer(payload, np.uint8, offset=scores.nbytes) != 0

    def _exchange(
        self, header: dict[str, Any], payload: bytes, longest: int, seconds: float
    ) -> tuple[dict[str, Any], bytes]:
        """Return the answer to a frame. Raises the error that the process answers, or that its end means."""
        process, questions, answers = self._pipes()
        expired = threading.Event()

        def give_up() -> None:
            expired.set()
            process.kill()

        late = threading.Timer(seconds, give_up)
        late.start()
        try:
            send(questions, header, payload)
            answer, content = receive(answers, longest)
        except (OSError, EOFError, ValueError) as error:
            self._end()
            raise _explain_end(process.returncode, error, seconds if expired.is_set() else None) from None
        finally:
            late.cancel()
        if "error" in answer:
            self._end()
            raise ERRORS.get(str(answer.get("kind")), CorruptError)(printable(str(answer["error"]))[:400])
        return answer, content

    def _pipes(self) -> tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise KilledError("the process of the model has ended")
        return process, process.stdin, process.stdout

    def _end(self) -> None:
        if self._finalizer is not None:
            self._finalizer()
        self._process = self._model = self._finalizer = None


def _end_process(process: subprocess.Popen[bytes]) -> None:
    """End a process, and close its pipes."""
    if process.poll() is None:
        try:
            # What ended by itself, as after a crash, has a code that says why.
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdin, process.stdout):
        try:
            if stream is not None:
                stream.close()
        except OSError:
            # What was not yet written cannot be written any more.
            continue


def _explain_end(code: int | None, error: Exception, expired: float | None) -> AdvaeError:
    """Return the error for a process that did not answer."""
    if expired is not None:
        return KilledError(f"the model did not answer within {expired:.0f} seconds; its process was ended")
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in {*signal.Signals} else f"signal {-code}"
        if name == "SIGKILL":
            return KilledError("the process of the model was killed by the system, usually for lack of memory")
        return CorruptError(f"the process of the model crashed ({name}): its file is damaged, or made to crash")
    return CorruptError(f"the process of the model ended without an answer: {error or type(error).__name__}")


def wrap_numpy(function: Callable[[FloatArray], FloatArray], *gives: int) -> Callable[[Tensor], Tensor]:
    """Return a function of arrays as one of tensors: float32 (n, ...) -> (n, *gives). XLA cannot compile it.

    It has no gradient. An AdvaeError reaches the caller as an error of TensorFlow; ``take_failure`` returns it.
    """

    def ask(x: FloatArray) -> FloatArray:
        try:
            return function(x)
        except AdvaeError as error:
            hold_failure(error)
            raise

    def run(x: Tensor) -> Tensor:
        import tensorflow as tf

        answers = tf.numpy_function(ask, [x], tf.float32)
        answers.set_shape((x.shape[0], *gives))
        return answers

    return run


def measure_disagreement(process: ScoreProcess, x: FloatArray) -> float:
    """Return the share of images, in [0, 1], for which the model's largest score is not its own label."""
    return float(process.answer(x)[1].mean()) if len(x) else 0.0
