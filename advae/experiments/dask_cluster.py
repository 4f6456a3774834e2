"""Computation of cells on several machines, by the workers of a running dask scheduler.

Only recipes and paths are sent. Workers read from the registry's folder, which all of them share, and publish into it.
Therefore each worker is first asked whether it can access that folder and runs the same program.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.arrayfiles import explain
from advae.deadlines import call_within
from advae.errors import DiskError, KilledError, UsageError
from advae.experiments.processes import Pool, ResultT, TaskT
from advae.registry import Registry, library_versions

if TYPE_CHECKING:
    from distributed import Client, Future

SCHEDULER_SECONDS = 10
"""Seconds in which a scheduler must answer the first request."""

WORKERS_SECONDS = 60
"""Seconds in which workers, and a busy scheduler, must answer: they may be importing libraries or computing."""

SILENCE_SECONDS = 60
"""Seconds without a result after which the scheduler is asked whether it still runs."""

POLL_SECONDS = 0.05

NO_TLS = "tls:// needs a certificate and a key in dask's configuration (distributed.comm.tls)"

INSTALL = 'pip install "advae[dask]"'


@dataclass(frozen=True)
class Site:
    """The folders, files and program that a worker must have on its machine."""

    home: Path
    """The registry's folder, absolute."""
    mark: Path
    """A folder in the registry that exists for the time of one command."""
    files: tuple[Path, ...]
    """Other files and folders that are read; absolute paths."""
    program: str
    """SHA-256 of the source of this package."""
    versions: dict[str, str]
    """Versions of the libraries that determine a result, by name."""


@contextmanager
def open_cluster(
    address: str, registry: Registry, files: Iterable[Path | None], tell: Callable[[str], None]
) -> Iterator[Pool]:
    """Give a pool of all workers of the scheduler at ``address``, also of those that join it later.

    files: what is read beside the registry; all paths must be absolute. Raises UsageError where dask is not installed,
    the scheduler does not answer, or a worker does not fit; KilledError for a task whose workers died several times,
    and where the scheduler is gone or silent.
    """
    with registry.folders.writing(), registry.folders.draft("dask") as mark, _connect(address) as client:
        present = tuple(path for path in files if path)
        site = Site(registry.home, mark, present, digest_program(), library_versions())
        _inspect(client, address, site, tell)
        yield partial(_run, client, address, site)


def digest_program() -> str:
    """Return the SHA-256 of the source of this package: two copies of one version may differ."""
    root, digest = Path(__file__).parent.parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


# ---------------------------------------------------------------- the scheduler


@contextmanager
def _connect(address: str) -> Iterator[Client]:
    """Give a client of a scheduler; dask's own messages do not reach the user."""
    import warnings

    open_client = _find_client()
    # Their messages about lost workers and connections would go to stderr.
    for name in ("distributed", "distributed.client", "tornado", "tornado.application", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        # dask warns about different versions, which compare_site compares.
        warnings.simplefilter("ignore")
        try:
            # dask's own time limit gives a better message, but starts again with each step.
            client = call_within(SCHEDULER_SECONDS + 2, partial(open_client, address))
        except Exception as error:
            # Any kind of server may answer at the address, so dask may raise any error.
            why = NO_TLS if isinstance(error, TypeError) and address.startswith("tls:") else explain(error)
            raise UsageError(f"no dask scheduler answers at {address!r} (such as tcp://HOST:8786): {why}") from None
    try:
        yield client
    finally:
        # The scheduler then drops the tasks that no client waits for. A scheduler that is gone raises any error.
        with suppress(Exception):
            call_within(SCHEDULER_SECONDS + 2, partial(client.close, timeout=SCHEDULER_SECONDS))


def _find_client() -> Callable[[str], Client]:
    """Return a function that connects a client to an address. Raises UsageError where dask is not installed."""
    try:
        from distributed import Client
    except ImportError:
        raise UsageError(f"--backend dask needs dask and distributed: {INSTALL}") from None
    # dask's own __del__ waits for a scheduler that did not answer, and shows a traceback.
    quiet = type("QuietClient", (Client,), {"__del__": lambda client: None})
    return partial(quiet, timeout=SCHEDULER_SECONDS, set_as_default=False)


# ---------------------------------------------------------------- the workers


def _inspect(client: Client, address: str, site: Site, tell: Callable[[str], None]) -> None:
    """Raise UsageError where there are no workers, or one of them cannot do the work."""
    workers = _ask(address, SCHEDULER_SECONDS, partial(client.scheduler_info, n_workers=-1))["workers"]
    if not workers:
        raise UsageError(f"the scheduler at {address} has no workers; start some: dask worker {address} --nthreads 1")
    for name, worker in workers.items():
        if worker["nthreads"] != 1:
            raise UsageError(f"worker {name} has {worker['nthreads']} threads; start it with --nthreads 1")
    answers = _ask(address, WORKERS_SECONDS, partial(client.run, compare_site, site, on_error="return"))
    for name, answer in sorted(answers.items()):
        if isinstance(answer, BaseException):
            raise UsageError(f"worker {name}: {answer}") from None
        if answer:
            tell(f"worker {name} has {answer}: numbers may differ in their last digits")


def _ask(address: str, seconds: float, question: Callable[[], ResultT]) -> ResultT:
    """Return the answer of a scheduler or its workers. Raises UsageError where there is none in time."""
    try:
        return call_within(seconds, question)
    except OSError as error:
        raise UsageError(f"the scheduler at {address} or a worker of it does not answer: {explain(error)}") from None


def compare_site(site: Site) -> str:
    """Return which libraries of this worker differ. Raises UsageError where this worker must not compute cells."""
    try:
        # This tests that the folder is the same and writable; with the new time `gc` does not remove the mark.
        os.utime(site.mark)
        Registry(site.home).check_writable()
    except (OSError, DiskError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"it does not share the registry {site.home}: {reason}") from None
    for path in site.files:
        if not path.exists():
            raise UsageError(f"it cannot find {path}")
    if digest_program() != site.program:
        raise UsageError("its advae differs from the one here; install the same one there")
    mine = library_versions()
    here = site.versions.items()
    return ", ".join(f"{name} {mine[name]}, not {version}" for name, version in here if mine[name] != version)


_one_at_a_time = threading.Lock()
"""Held during a task: a worker with several threads may join later, and must give the results of a single thread."""


def _make_elsewhere(site: Site, make: Callable[[TaskT], ResultT], task: TaskT) -> ResultT:
    """Return the result of a task in a worker. The worker is checked first, because it may have joined later."""
    with _one_at_a_time:
        try:
            compare_site(site)
        except UsageError as error:
            raise UsageError(f"a worker on {socket.gethostname()}: {error}") from None
        return make(task)


# ---------------------------------------------------------------- the work


def _run(
    client: Client, address: str, site: Site, make: Callable[[TaskT], ResultT], tasks: Sequence[TaskT]
) -> Iterator[ResultT]:
    """Yield each result as soon as it is available.

    Raises KilledError for a task that dask gives up after several workers died, and for a scheduler that is lost or
    does not answer; otherwise the error of a task.
    """
    from distributed import KilledWorker

    # All tasks are submitted at once, for workers that join later. Closing the client cancels the unfinished ones.
    work = partial(_make_elsewhere, site, make)
    submitted = {client.submit(partial(work, task), pure=False): task for task in tasks}
    for future, result in _collect(client, address, submitted):
        if isinstance(result, BaseException):
            # Dask cancels all futures when the connection is lost.
            raise _lose_scheduler(address, result)
        if future.status != "error":
            yield result
        elif isinstance(error := result[1], KilledWorker):
            why = f"{submitted[future]}: every worker that tried it died, probably for lack of memory"
            raise KilledError(f"{why}; finished cells are kept")
        else:
            raise error


def _collect(client: Client, address: str, futures: Collection[Future[Any]]) -> Iterator[tuple[Future[Any], Any]]:
    """Yield each future with its result once it is done, and ask regularly whether the scheduler still runs."""
    from distributed import as_completed

    done = as_completed(futures, loop=client.loop, with_results=True, raise_errors=False)
    asked = time.monotonic()
    while not done.is_empty():
        if done.has_ready():
            yield next(done)
        elif time.monotonic() - asked < SILENCE_SECONDS:
            time.sleep(POLL_SECONDS)
        else:
            try:
                call_within(WORKERS_SECONDS, client.nthreads)
            except OSError as error:
                raise _lose_scheduler(address, error) from None
            asked = time.monotonic()


def _lose_scheduler(address: str, why: object) -> KilledError:
    return KilledError(f"the scheduler at {address} is gone ({why}); finished cells are kept")
