"""Work done past one machine, by the workers of a dask scheduler that somebody has started.

What travels is recipes and paths. Workers read what they need from the registry's folder, which all of them share, and
publish into it. So before anything is made each is asked whether it sees that folder, and runs this very program.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.arrayfiles import explain
from advae.deadlines import call_within
from advae.errors import DiskError, KilledError, UsageError
from advae.experiments.processes import Pool, R, T
from advae.registry import Registry, library_versions

if TYPE_CHECKING:
    from distributed import Client

PATIENCE = 10
"""Seconds in which a scheduler must answer."""

WORKERS_PATIENCE = 60
"""Seconds in which its workers must: they import what they need first, and may be at work."""

NO_TLS = "tls:// needs a certificate and a key in dask's configuration (distributed.comm.tls)"

INSTALL = 'pip install "advae[dask]"'


@dataclass(frozen=True)
class Site:
    """What a worker must find where it runs.

    mark: a folder in the registry, there for the time of one command; files: what else is read; program: a digest of
    the source of this package; versions: of the libraries that decide a result.
    """

    home: Path
    mark: Path
    files: tuple[Path, ...]
    program: str
    versions: dict[str, str]


@contextmanager
def open_cluster(
    address: str, registry: Registry, files: Iterable[Path | None], tell: Callable[[str], None]
) -> Iterator[Pool]:
    """Give a pool of all workers of the scheduler at ``address``, also of those that join it later.

    files: what is read beside the registry; all paths must be absolute. Raises UsageError where dask is not installed,
    nobody answers, or a worker is not what it must be, KilledError for a task whose workers died again and again, and
    where the scheduler is gone.
    """
    with registry.folders.writing(), registry.folders.draft("dask") as mark, _connect(address) as client:
        present = tuple(path for path in files if path)
        site = Site(registry.home, mark, present, digest_program(), library_versions())
        _inspect(client, address, site, tell)
        yield partial(_run, client, address, site)


def digest_program() -> str:
    """Return the SHA-256 of the source of this package: two of one version number may still not be the same."""
    root, digest = Path(__file__).parent.parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


# ---------------------------------------------------------------- the scheduler


@contextmanager
def _connect(address: str) -> Iterator[Client]:
    """Give a client of a scheduler, whose own messages never reach the user."""
    import warnings

    try:
        import distributed  # noqa: F401
    except ImportError:
        raise UsageError(f"--backend dask needs dask and distributed: {INSTALL}") from None
    # What they say of lost workers and connections would go to stderr.
    for name in ("distributed", "distributed.client", "tornado", "tornado.application", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        # It warns of versions, which we compare ourselves.
        warnings.simplefilter("ignore")
        try:
            # Its own limit, which tells more where it holds, begins anew with each step.
            client = call_within(PATIENCE + 2, partial(_open_client, address))
        except Exception as error:
            # Whatever it is that answers there, dask does not expect it.
            why = NO_TLS if isinstance(error, TypeError) and address.startswith("tls:") else explain(error)
            raise UsageError(f"no dask scheduler answers at {address!r} (such as tcp://HOST:8786): {why}") from None
    try:
        yield client
    finally:
        # Whatever ends this, the scheduler drops what nobody waits for any more.
        with suppress(Exception):
            call_within(PATIENCE + 2, partial(client.close, timeout=PATIENCE))


def _open_client(address: str) -> Client:
    from distributed import Client

    class Quiet(Client):  # type: ignore[misc]
        def __del__(self) -> None:
            """Do nothing: dask's own waits for a scheduler that has not answered, and shows a traceback."""

    return Quiet(address, timeout=PATIENCE, set_as_default=False)


# ---------------------------------------------------------------- the workers


def _inspect(client: Client, address: str, site: Site, tell: Callable[[str], None]) -> None:
    """Raise UsageError where there are no workers, or one of them cannot do the work."""
    workers = _ask(address, PATIENCE, partial(client.scheduler_info, n_workers=-1))["workers"]
    if not workers:
        raise UsageError(f"the scheduler at {address} has no workers; start some: dask worker {address} --nthreads 1")
    for name, worker in workers.items():
        if worker["nthreads"] != 1:
            raise UsageError(f"worker {name} has {worker['nthreads']} threads; start it with --nthreads 1")
    answers = _ask(address, WORKERS_PATIENCE, partial(client.run, compare_site, site, on_error="return"))
    for name, answer in sorted(answers.items()):
        if isinstance(answer, BaseException):
            raise UsageError(f"worker {name}: {answer}") from None
        if answer:
            tell(f"worker {name} has {answer}: numbers may differ in their last digits")


def _ask(address: str, seconds: float, question: Callable[[], R]) -> R:
    """Return the answer of a scheduler or its workers. Raises UsageError where none comes."""
    try:
        return call_within(seconds, question)
    except OSError as error:
        raise UsageError(f"the scheduler at {address} or a worker of it does not answer: {explain(error)}") from None


def compare_site(site: Site) -> str:
    """Return where the libraries of this worker differ; raise UsageError where it must not make anything."""
    try:
        # It says that this is the very folder, that one may write there, and keeps `gc` from taking it for dead.
        os.utime(site.mark)
        Registry(site.home).check_writable()
    except (OSError, DiskError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"it does not share the registry {site.home}: {reason}") from None
    for path in site.files:
        if not path.exists():
            raise UsageError(f"it does not see {path}")
    if digest_program() != site.program:
        raise UsageError("its advae is not the one here; install the same there")
    mine = library_versions()
    here = site.versions.items()
    return ", ".join(f"{name} {mine[name]}, not {version}" for name, version in here if mine[name] != version)


_one_at_a_time = threading.Lock()
"""A worker of several threads, which may join later, still computes what one of a single thread does."""


def _make_elsewhere(site: Site, make: Callable[[T], R], task: T) -> R:
    """Call a function in a worker, which may have joined after the others were looked at."""
    with _one_at_a_time:
        try:
            compare_site(site)
        except UsageError as error:
            raise UsageError(f"a worker on {socket.gethostname()}: {error}") from None
        return make(task)


# ---------------------------------------------------------------- the work


class LostError(Exception):
    """A task that the scheduler has given up. Its cause says why."""


def _run(client: Client, address: str, site: Site, make: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
    """Yield each answer when it is there. Raises KilledError for what dask gives up, after some attempts."""
    from distributed import KilledWorker
    from joblib import Parallel, delayed

    if not tasks:
        return
    # All of it is the scheduler's at once, for workers that join later; and no two tasks in one.
    parallel = Parallel(
        backend=_open_backend(client), return_as="generator_unordered", batch_size=1, pre_dispatch="all"
    )
    try:
        yield from parallel(delayed(partial(_make_elsewhere, site, make))(task) for task in tasks)
    except LostError as lost:
        if isinstance(lost.__cause__, KilledWorker):
            why = f"{lost}: every worker that tried it died, probably for want of memory"
        else:
            why = f"the scheduler at {address} is gone ({lost.__cause__})"
        raise KilledError(f"{why}; what is finished stays") from None


def _open_backend(client: Client) -> Any:
    """Return joblib's backend for dask, but for two things that it gets wrong."""
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):  # type: ignore[misc]
        def effective_n_jobs(self, n_jobs: int) -> int:
            # With one worker joblib would do the work in this process.
            return max(2, int(super().effective_n_jobs(n_jobs)))

        def submit(self, func: Any, callback: Any = None) -> Any:
            def report(done: Any) -> None:
                # joblib calls back only for what has succeeded, and waits for ever for what has not.
                if error := done.exception():
                    callback(_blame(func, error))

            future = super().submit(func, callback)
            future.add_done_callback(report)
            return future

        def retrieve_result_callback(self, out: Any) -> Any:
            # What was cancelled comes as an answer.
            if isinstance(out, BaseException):
                raise out if isinstance(out, LostError) else _blame(None, out)
            return super().retrieve_result_callback(out)

    return Backend(client=client)


def _blame(batch: Any, error: BaseException) -> LostError:
    """Return the error for a batch of one task that came to nothing."""
    lost = LostError(str(batch.items[0][1][0]) if batch else "a task")
    lost.__cause__ = error
    return lost
