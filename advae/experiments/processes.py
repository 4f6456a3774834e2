"""Computation of cells one after the other, or by several processes on this machine, with bit-equal numbers.

The last bits of a sum depend on the number of threads. Therefore each process uses as many threads as a single one
would, and the system divides the cores. The alternative of separate cores for each process was measured: the bits are
the same, and on two cores it takes a fifth longer, because idle cores of one process cannot be used by another.
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
"""Environment variables that joblib sets in its processes unless they are set; TensorFlow does not read them."""


class Pool(Protocol):
    """A callable that applies a module-level function to every task and yields each result as soon as it is ready."""

    def __call__(self, make: Callable[[TaskT], ResultT], tasks: Sequence[TaskT], /) -> Iterable[ResultT]: ...


def find_default_jobs() -> int:
    """Return the number of cells to compute in parallel: one for each core that the process may use, at most 4."""
    from joblib import cpu_count

    return min(int(cpu_count()), 4)


@contextmanager
def open_pool(jobs: int) -> Iterator[Pool]:
    """Give a pool of ``jobs`` processes; for one job, the tasks run in this process, in order.

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
    """Let child processes use as many threads as this one; joblib would divide the threads among them."""
    # TensorFlow and OpenBLAS count the cores that the process may use, also where a container limits its time on them.
    threads = str(backend.count_usable_cores())
    added = [name for name in THREADS if name not in os.environ]
    # Libraries without an own variable read that of OpenMP.
    os.environ.update(dict.fromkeys(added, os.environ.get("OMP_NUM_THREADS", threads)))
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
