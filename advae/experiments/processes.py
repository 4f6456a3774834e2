"""Cells made one after the other, or by several processes on this machine, with bit-equal numbers.

The number of threads that share a sum decides its last bits. So each process uses as many threads as a single one
would, and the system divides the cores. Giving each process cores of its own was measured: the bits are the same, and
on two cores it takes a fifth longer, because cores that one process leaves idle stay unused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from advae import backend
from advae.errors import KilledError

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")

THREADS = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    *("NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS"),
)
"""Variables that joblib sets in its processes, unless they are set already. TensorFlow reads none of them."""


class Pool(Protocol):
    """A callable that applies a module-level function to every task and yields each result as soon as it is there."""

    def __call__(self, make: Callable[[TaskT], ResultT], tasks: Sequence[TaskT], /) -> Iterable[ResultT]: ...


def find_default_jobs() -> int:
    """Return how many cells to make at a time: one for each core that affinity and container allow, 4 at most."""
    from joblib import cpu_count

    return min(int(cpu_count()), 4)


@contextmanager
def open_pool(jobs: int) -> Iterator[Pool]:
    """Give a pool of ``jobs`` processes; one job is done in this process, in order.

    Raises KilledError where the system ended a process before its task was done.
    """
    if jobs == 1:
        yield map
        return
    from concurrent.futures.process import BrokenProcessPool

    from joblib import Parallel, delayed, parallel_config

    try:
        with (
            _same_threads(),
            parallel_config(backend="loky"),
            Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1) as parallel,
        ):
            yield lambda make, tasks: parallel(delayed(make)(task) for task in tasks)
    except BrokenProcessPool:
        raise KilledError(
            "a process was killed, probably for lack of memory; try a smaller --jobs; finished cells are kept"
        ) from None


@contextmanager
def _same_threads() -> Iterator[None]:
    """Give processes that start meanwhile as many threads as this one has; joblib would give each a share of them."""
    # As TensorFlow and OpenBLAS count: cores that the process may use, whatever its container's share of their time.
    threads = str(backend.count_usable_cores())
    added = [name for name in THREADS if name not in os.environ]
    # A library without a variable of its own reads OpenMP's.
    os.environ.update(dict.fromkeys(added, os.environ.get("OMP_NUM_THREADS", threads)))
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
