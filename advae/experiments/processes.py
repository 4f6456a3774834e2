"""Work done one after the other, or side by side on this machine, with the same numbers to the last bit.

How many threads share a sum decides its last bits, so each process computes with as many as one alone would have, and
the system divides the cores. To confine each to its own share of them has been tried: the bits are the same, and on two
cores it takes a fifth longer, since nobody else may use what a process leaves idle (Python, the last cell of a level).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from advae import backend
from advae.errors import KilledError

T = TypeVar("T")
R = TypeVar("R")

THREADS = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    *("NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS"),
)
"""What joblib sets in its processes, unless it is set already. TensorFlow heeds none of them."""


class Pool(Protocol):
    """What calls a function of the top level of a module on every task and yields each answer when it is there."""

    def __call__(self, make: Callable[[T], R], tasks: Sequence[T], /) -> Iterable[R]: ...


def count_cores() -> int:
    """Return how many cores this process may keep busy: its affinity and its container may leave it fewer than all."""
    from joblib import cpu_count

    return int(cpu_count())


@contextmanager
def open_pool(jobs: int) -> Iterator[Pool]:
    """Give a pool of ``jobs`` processes; with one, the work is done in this one, in order.

    Raises KilledError where a process ends before its task does.
    """
    if jobs == 1:
        yield map
        return
    from concurrent.futures.process import BrokenProcessPool

    from joblib import Parallel, delayed, parallel_config

    try:
        with (
            _threads_told(),
            parallel_config(backend="loky"),
            Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1) as parallel,
        ):
            yield lambda make, tasks: parallel(delayed(make)(task) for task in tasks)
    except BrokenProcessPool:
        raise KilledError(
            "a process was killed, probably for want of memory; try a smaller --jobs; what is finished stays"
        ) from None


@contextmanager
def _threads_told() -> Iterator[None]:
    """Let the processes that start meanwhile have the threads that this one has, or would have by itself.

    joblib would give each a share of them.
    """
    # As TensorFlow and OpenBLAS count: cores that the process may use, whatever time its container gives it on them.
    threads = str(backend.count_cores())
    added = [name for name in THREADS if name not in os.environ]
    # Whose own is not set heeds OpenMP's.
    os.environ.update(dict.fromkeys(added, os.environ.get("OMP_NUM_THREADS", threads)))
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
