"""The program of a process that has opened one model and answers with its scores; see score_process.py.

Started as ``python -m advae.models.added.score_worker``. It ends when its standard input does.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict
from typing import IO, Any

from advae.errors import AdvaeError, UsageError, is_memory_error
from advae.models.added.score_process import MAX_PAYLOAD, OpenedModel, receive, send

MAX_MEMORY = 1 << 34
"""Bytes that the process may allocate, where the system can limit it: 16 GiB. The limit is for memory that is written
to, because OpenBLAS reserves more addresses than it uses."""


def _open_sklearn(content: bytes, options: dict[str, Any]) -> OpenedModel:
    from advae.models.added.sklearn_scores import open_sklearn

    return open_sklearn(content, options)


def _open_onnx(content: bytes, options: dict[str, Any]) -> OpenedModel:
    from advae.models.added.onnx_scores import open_onnx

    return open_onnx(content, options)


OPENERS: dict[str, Callable[[bytes, dict[str, Any]], OpenedModel]] = {
    "sklearn-scores": _open_sklearn,
    "onnx-scores": _open_onnx,
}
"""Format -> (file, options) -> the opened model. Raises AdvaeError."""


def run_worker() -> None:
    """Open the model of the first frame, then answer each further one, until the input ends."""
    questions, answers = _take_pipes()
    _limit()
    warnings.simplefilter("ignore")
    try:
        header, content = receive(questions, MAX_PAYLOAD)
        model = OPENERS[header["format"]](content, header["options"])
        send(answers, asdict(model.found))
        while True:
            header, content = receive(questions, MAX_PAYLOAD)
            _answer(answers, model, header["rows"], content)
    except (EOFError, BrokenPipeError):
        return
    # Any error of a foreign model's code; the other side shows its line.
    except Exception as error:
        send(answers, _describe_error(error))


def _answer(answers: IO[bytes], model: OpenedModel, rows: int, content: bytes) -> None:
    import numpy as np

    x = np.frombuffer(content, np.float32).reshape(rows, model.found.takes)
    scores, disagreed = model.ask(x)
    if scores.shape != (rows, model.found.gives) or disagreed.shape != (rows,):
        raise ValueError(f"the model gave scores of shape {scores.shape}, expected {(rows, model.found.gives)}")
    send(answers, {}, scores.astype(np.float32).tobytes() + disagreed.astype(np.uint8).tobytes())


def _describe_error(error: Exception) -> dict[str, Any]:
    kind = "usage" if isinstance(error, UsageError) else "corrupt"
    line = str(error) if isinstance(error, AdvaeError) else f"the model cannot be used: {type(error).__name__}: {error}"
    if is_memory_error(error):
        line = "the model needs more memory than a process may have"
    return {"error": " ".join(line.split())[:400], "kind": kind}


def _take_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Return the pipes to the other side, and leave nothing of them where libraries print."""
    questions, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    return os.fdopen(questions, "rb"), os.fdopen(answers, "wb")


def _limit() -> None:
    """Leave interrupts to the other side, write no core files, and limit memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        import resource
    except ImportError:
        # Not on Windows.
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = MAX_MEMORY if hard == resource.RLIM_INFINITY else min(MAX_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


if __name__ == "__main__":
    run_worker()
    sys.exit(0)
