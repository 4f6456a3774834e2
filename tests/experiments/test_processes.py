"""Experiments made by several processes here and by dask workers: the same numbers, also when processes die."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from advae.errors import KilledError, UsageError
from advae.experiments import dask_cluster
from advae.experiments.dask_cluster import Site, compare_site, digest_program, open_cluster
from advae.experiments.processes import THREADS, open_pool
from advae.registry import Registry, library_versions
from tests.calls import Outcome, call, succeed
from tests.experiments.clusters import (
    Cluster,
    begin_and_wait,
    die,
    name_process,
    open_test_cluster,
    take_memory,
    wait_for,
)
from tests.experiments.stored import find_differences, read_results


def place(home: Path, plan: Path) -> list[str]:
    return ["--home", str(home), "--plan", str(plan), "--out", str(home.parent / "report"), "--format", "json"]


def command(home: Path, plan: Path, *options: str) -> list[str]:
    """Return the command that makes a plan in a process of its own."""
    return [sys.executable, "-m", "advae", "reproduce", *place(home, plan), *options]


def read_threads(task: object) -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in THREADS}


def test_the_processes_have_the_threads_that_one_alone_would_have(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    cores = str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    with open_pool(2) as run:
        assert list(run(read_threads, ["task"])) == [dict.fromkeys(THREADS, cores)]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "5")
    with open_pool(2) as run:
        assert list(run(read_threads, ["task"])) == [{**dict.fromkeys(THREADS, "3"), "OPENBLAS_NUM_THREADS": "5"}]
    assert "MKL_NUM_THREADS" not in os.environ


def test_too_little_memory_in_a_process_is_the_same_error_as_here() -> None:
    with pytest.raises(MemoryError, match="Unable to allocate 512"), open_pool(2) as run:
        list(run(take_memory, ["task"]))


# ---------------------------------------------------------------- on a cluster


def find_maker(home: Path, pids: list[int]) -> int | None:
    """Return which of some processes is making an entry right now."""
    for lock in (home / "locks").glob("*.lock"):
        try:
            pid = int(json.loads(lock.read_text())["pid"])
        except (OSError, ValueError):
            continue
        if pid in pids:
            return pid
    return None


def test_the_cell_of_a_killed_worker_is_computed_again(networks: Path, whole: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with open_test_cluster(tmp_path, workers=2) as cluster:
        workers = [process.pid for process in cluster.processes[1:]]
        process = subprocess.Popen(
            command(home, networks, "--backend", "dask", "--scheduler", cluster.address, "-q"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        wait_for(lambda: process.poll() is not None or find_maker(home, workers) is not None)
        victim = find_maker(home, workers)
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        out, err = process.communicate(timeout=200)
        assert (process.returncode, err) == (0, b"")
        assert out.decode() == f"{tmp_path / 'report' / 'report.json'}\n"
        assert [worker.poll() for worker in cluster.processes[1:]].count(None) == 1
    made, expected = read_results(home), read_results(whole / "home")
    assert Counter(entry.kind for entry in Registry(home).entries()) == {"ae": 1, "clf": 2, "run": 3}
    assert find_differences(made, {name: expected.get(name) for name in made}) == []
    succeed("registry", "verify", "--home", home)
    assert list((home / "tmp").iterdir()) == []


def test_an_interrupt_cancels_the_tasks_of_the_scheduler(plan: Path, tmp_path: Path) -> None:
    from distributed import Client

    home = tmp_path / "home"
    with open_test_cluster(tmp_path, workers=1) as cluster:
        process = subprocess.Popen(
            command(home, plan, "--backend", "dask", "--scheduler", cluster.address, "-q"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        worker = cluster.processes[1].pid
        wait_for(lambda: process.poll() is not None or find_maker(home, [worker]) is not None)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=240)
        assert (process.returncode, out) == (130, b"")
        assert err == b"advae: interrupted; no partial result was stored\n"
        with Client(cluster.address, set_as_default=False) as client:
            wait_for(lambda: client.run_on_scheduler(count_tasks) == 0)


def count_tasks(dask_scheduler: Any) -> int:
    return len(dask_scheduler.tasks)


Open = Callable[[Cluster], Any]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """What opens a pool of a test cluster over an empty registry."""
    return lambda cluster: open_cluster(cluster.address, Registry(tmp_path / "home"), [], lambda line: None)


def test_one_worker_does_the_work_and_not_this_process(opened: Open, tmp_path: Path) -> None:
    with open_test_cluster(tmp_path, workers=1) as cluster, opened(cluster) as run:
        assert list(run(name_process, ["a", "b", "c"])) == [cluster.processes[1].pid] * 3
        assert list(run(name_process, [])) == []


def test_a_task_that_kills_its_workers_is_given_up(opened: Open, tmp_path: Path) -> None:
    with open_test_cluster(tmp_path, workers=2, failures=1) as cluster:
        with pytest.raises(KilledError, match=r"^the cell: every worker that tried it died, "), opened(cluster) as run:
            list(run(die, ["the cell"]))
        assert [worker.wait() for worker in cluster.processes[1:]] == [-signal.SIGKILL] * 2


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP])
def test_a_scheduler_that_ends_or_stops_answering_is_an_error(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals
) -> None:
    for name, seconds in (("SCHEDULER_SECONDS", 3), ("WORKERS_SECONDS", 20), ("SILENCE_SECONDS", 0.5)):
        monkeypatch.setattr(dask_cluster, name, seconds)
    begun = tmp_path / "begun"
    with open_test_cluster(tmp_path, workers=1) as cluster:

        def end_scheduler() -> None:
            wait_for(begun.exists)
            if sent == signal.SIGSTOP:
                monkeypatch.setattr(dask_cluster, "WORKERS_SECONDS", 1)
            cluster.processes[0].send_signal(sent)

        other = threading.Thread(target=end_scheduler)
        other.start()
        gone = f"^the scheduler at {cluster.address} is gone"
        with pytest.raises(KilledError, match=gone), opened(cluster) as run:
            list(run(begin_and_wait, [begun]))
        other.join()


def reproduce_by_dask(address: str, home: Path, *options: object) -> Outcome:
    return call("reproduce", "--home", home, "--backend", "dask", "--scheduler", address, *options)


def test_a_scheduler_without_workers_or_with_wide_ones(tmp_path: Path, plan: Path) -> None:
    with open_test_cluster(tmp_path, workers=0) as cluster:
        outcome = reproduce_by_dask(cluster.address, tmp_path / "home", "--plan", plan, "-q")
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith(f"advae: the scheduler at {cluster.address} has no workers; start some: ")
        cluster.start_worker(threads=2)

        def refuses_the_worker() -> bool:
            outcome = reproduce_by_dask(cluster.address, tmp_path / "home", "--plan", plan, "-q")
            assert outcome.code == 2
            return "has 2 threads; start it with --nthreads 1" in outcome.err

        wait_for(refuses_the_worker)
    assert Registry(tmp_path / "home").ids() == []


@pytest.fixture(scope="module")
def silent() -> Iterator[str]:
    """The address of what accepts every connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("tcp://127.0.0.1:1", "Timed out"),
        ("nonsense", "missing port"),
        ("udp://127.0.0.1:1", "unknown address scheme"),
        ("tcp://{silent}", "no answer within 3 seconds"),
        ("tls://{silent}", "tls:// needs a certificate and a key"),
        ("inproc://192.0.2.1/1/1", "inproc address"),
    ],
)
def test_an_address_without_a_scheduler_is_a_usage_error(
    address: str, why: str, silent: str, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_cluster, "SCHEDULER_SECONDS", 1)
    address, started = address.format(silent=silent), time.monotonic()
    outcome = reproduce_by_dask(address, tmp_path / "home", "--plan", plan, "-q")
    gc.collect()
    assert time.monotonic() - started < 20
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"advae: no dask scheduler answers at '{address}' (such as tcp://HOST:8786): {why}")
    assert outcome.err.count("\n") == 1


class Mute:
    """A client of a scheduler that has answered once, and never again."""

    def scheduler_info(self, n_workers: int) -> object:
        return time.sleep(2)

    def close(self, timeout: float) -> None:
        time.sleep(2)


def test_a_scheduler_that_answers_only_once_is_a_usage_error(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "SCHEDULER_SECONDS", 0.1)
    monkeypatch.setattr(dask_cluster, "_find_client", lambda: lambda address: Mute())
    with (
        pytest.raises(UsageError, match="the scheduler at x or a worker of it does not answer"),
        opened(Cluster(Path(), "x")),
    ):
        raise AssertionError("it was let in")


def test_without_the_extra_its_installation_is_named(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    outcome = reproduce_by_dask("tcp://127.0.0.1:1", tmp_path / "home", "--plan", plan, "-q")
    assert outcome.code == 2
    assert outcome.err == 'advae: --backend dask needs dask and distributed: pip install "advae[dask]"\n'


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--backend", "dask"], "--backend dask needs --scheduler tcp://HOST:PORT"),
        (["--scheduler", "tcp://127.0.0.1:1"], "--scheduler needs --backend dask"),
        (["--backend", "dask", "--scheduler", "tcp://127.0.0.1:1", "--jobs", "2"], "--jobs is for this machine"),
        (["--backend", "ray"], "invalid value for '--backend'"),
    ],
)
def test_options_that_do_not_go_together(options: list[str], said: str, tmp_path: Path) -> None:
    outcome = call("reproduce", "--home", tmp_path / "home", *options)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert said in outcome.err
    assert not (tmp_path / "home").exists()


# ---------------------------------------------------------------- what a worker must be


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    registry = Registry(tmp_path / "home")
    with registry.folders.draft("dask") as mark:
        yield Site(registry.home, mark, (), digest_program(), library_versions())


def test_a_worker_like_this_process_is_welcome(site: Site) -> None:
    os.utime(site.mark, (0, 0))
    assert compare_site(site) == ""
    # Else `gc` would take it for what a dead process has left.
    assert site.mark.stat().st_mtime > 0


def test_a_worker_of_other_libraries_is_named(site: Site) -> None:
    other = replace(site, versions={**site.versions, "keras": "2.0"})
    assert compare_site(other) == f"keras {site.versions['keras']}, not 2.0"


def test_a_worker_that_must_not_compute_gives_the_reason(site: Site, tmp_path: Path) -> None:
    for wrong, why in (
        (replace(site, mark=tmp_path / "elsewhere"), f"it does not share the registry {site.home}: No such file"),
        (replace(site, files=(tmp_path / "images.npz",)), f"it cannot find {tmp_path / 'images.npz'}"),
        (replace(site, program="0" * 64), "its advae differs from the one here"),
    ):
        with pytest.raises(UsageError, match=why):
            compare_site(wrong)


def test_the_worker_that_does_not_fit_is_named(opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "digest_program", lambda: "0" * 64)
    wrong = r"^worker tcp://127\.0\.0\.1:\d+: its advae differs from the one here"
    with open_test_cluster(tmp_path, workers=1) as cluster, pytest.raises(UsageError, match=wrong), opened(cluster):
        raise AssertionError("it was let in")
