"""A dask scheduler and its workers on this machine, started and ended by tests; and what they are given to do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass
class Cluster:
    """A scheduler at ``address``, and processes that end when the test does."""

    folder: Path
    address: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, program: str, *arguments: object, **environment: str) -> subprocess.Popen[bytes]:
        """Start a program of dask, its log in the folder."""
        log = (self.folder / f"log-{len(self.processes)}").open("wb")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{program}", *map(str, arguments), "--no-dashboard"],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        return process

    def start_worker(self, *, threads: int = 1) -> subprocess.Popen[bytes]:
        """Start a worker of one process, which is not restarted."""
        return self.start("dask_worker", self.address, "--nthreads", threads, "--no-nanny")


@contextmanager
def open_test_cluster(folder: Path, *, workers: int, failures: int = 3) -> Iterator[Cluster]:
    """Give a scheduler with some workers that have joined it. failures: after how many a task is given up."""
    from distributed import Client

    cluster, place = Cluster(folder), folder / "scheduler.json"
    settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(failures)}
    try:
        cluster.start("dask_scheduler", "--host", "127.0.0.1", "--port", 0, "--scheduler-file", place, **settings)
        wait_for(lambda: place.exists() and bool(place.read_text()))
        cluster.address = json.loads(place.read_text())["address"]
        for _ in range(workers):
            cluster.start_worker()
        if workers:
            with Client(cluster.address, set_as_default=False) as client:
                client.wait_for_workers(workers, timeout=240)
        yield cluster
    finally:
        for process in cluster.processes:
            process.kill()
            process.wait()


def wait_for(happened: Callable[[], bool]) -> None:
    """Return once something has happened; fail where it does not for very long."""
    deadline = time.monotonic() + 400
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ---------------------------------------------------------------- what workers do


def die(task: object) -> str:
    """Kill the own process, as the system does when a cell takes more memory than there is."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a killed process does nothing more")


def take_memory(task: object) -> object:
    """Ask for more than any machine has."""
    import numpy as np

    return np.empty(1 << 56)


def name_process(task: object) -> int:
    """Return which process does the work."""
    return os.getpid()


def begin_and_wait(begun: Path) -> None:
    """Say that the work has begun, and never come to its end."""
    begun.touch()
    time.sleep(300)
