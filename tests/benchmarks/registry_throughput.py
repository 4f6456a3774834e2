"""How many entries a second several processes publish into one registry, and how long listing many takes."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from advae.records import OUTCOMES
from advae.registry import Registry
from tests.benchmarks.measurements import Section
from tests.entries import make_arrays, make_classifier_recipe, make_metrics, make_run_recipe, publish
from tests.registry.thousands import make_many

SEEDS_EACH = 1_000_000
SIZES = {"tiny": 0, "run": 100_000}
"""Entry -> how many float32 values its outcomes hold; 400 kB are those of 10,000 images at a few eps."""


def measure(
    *,
    writers: int = 16,
    seconds: float = 5.0,
    sizes: Collection[str] = tuple(SIZES),
    counts: tuple[int, ...] = (1_000, 10_000),
) -> Section:
    """Return publishing rates of one and of many writers, and the seconds that lists of many entries take."""
    found = {
        f"{many} writers, {size} entries": _publish_together(many, size, seconds)
        for size in sizes
        for many in (1, writers)
    }
    return Section(
        name="publishing",
        work=f"processes that publish runs into one registry for {seconds:g} s; lists of many entries",
        numbers={
            "entries_per_second": {name: len(latencies) / seconds for name, latencies in found.items()},
            "seconds_of_one": {name: {"median": median(s), "worst": max(s)} for name, s in found.items()},
            "seconds_of_a_list": {str(count): _time_lists(count) for count in counts},
        },
    )


def _publish_together(writers: int, size: str, seconds: float) -> list[float]:
    """Return how long each publishing took, of all writers."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        classifier = publish(Registry(home), make_classifier_recipe()).id
        barrier, queue = context.Barrier(writers), context.SimpleQueue()
        processes = [
            context.Process(target=_write, args=(home, classifier, size, number, seconds, barrier, queue), daemon=True)
            for number in range(writers)
        ]
        for process in processes:
            process.start()
        latencies = [queue.get() for _ in processes]
        for process in processes:
            process.join()
        published, found = sum(map(len, latencies)), len(Registry(home).ids("run"))
        if found != published:
            raise RuntimeError(f"{published} runs were published, {found} are there")
    return [taken for each in latencies for taken in each]


def _write(home: Path, classifier: str, size: str, number: int, seconds: float, barrier: Any, queue: Any) -> None:
    """Publish runs on a classifier until the time is over, at least one."""
    registry, arrays = Registry(home), make_arrays()
    if SIZES[size]:
        arrays = {OUTCOMES: {"values": np.random.default_rng(number).random(SIZES[size], np.float32)}}
    latencies = list[float]()
    barrier.wait(timeout=120)
    end = time.perf_counter() + seconds
    while not latencies or time.perf_counter() < end:
        recipe = make_run_recipe(classifier=classifier, seed=number * SEEDS_EACH + len(latencies))
        latencies.append(_time(partial(registry.publish, recipe, make_metrics(recipe), arrays)))
    queue.put(latencies)


def _time_lists(count: int) -> dict[str, float]:
    """Return the seconds that it takes to list ids, and to summarize every entry as ``registry ls`` does."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        make_many(home, count)
        registry = Registry(home)
        calls: dict[str, Callable[[], Any]] = {"ids": registry.ids, "ls": registry.list_summaries}
        return {name: median(_time(call) for _ in range(3)) for name, call in calls.items()}


def _time(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
