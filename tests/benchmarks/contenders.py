"""Contenders in processes of their own that work in turns, so that a slow minute of the machine slows all alike."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

from tests.benchmarks.measurements import Measured

WARM_UP_SECONDS = 3.0
"""Seconds of work after which a process counts as warm."""


@dataclass(frozen=True)
class Contender:
    """One implementation of the work that is timed."""

    name: str
    """What the tables show it under."""

    prepare: Callable[..., tuple[Callable[[], Any], Callable[[Any], dict[str, float]]]]
    """Called once in the contender's own process; returns the timed work, and what measures the quality of its result.

    It must be importable by name.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of ``prepare``."""


def take_turns(contenders: Sequence[Contender], *, rounds: int, warm_up: float = WARM_UP_SECONDS) -> list[Measured]:
    """Return what each contender measured over so many rounds, after one that does not count.

    In a round each works once, while the others wait: their times may be compared pair by pair. warm_up: seconds for
    which short work is repeated in a turn; the median counts.
    """
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        workers = [stack.enter_context(_Worker(context, contender, warm_up)) for contender in contenders]
        seconds = [[worker.work() for worker in workers] for _ in range(rounds)]
        ends = [worker.finish() for worker in workers]
    return [
        Measured(contender.name, times, peak, quality)
        for contender, times, (peak, quality) in zip(contenders, zip(*seconds, strict=True), ends, strict=True)
    ]


def compare(slower: Measured, faster: Measured) -> float:
    """Return the ratio of their times, slower / faster: the median over rounds, pair by pair."""
    return median(a / b for a, b in zip(slower.seconds, faster.seconds, strict=True))


class _Worker:
    """A contender's process, which works when it is asked to."""

    def __init__(self, context: Any, contender: Contender, warm_up: float) -> None:
        self.name = contender.name
        self.ours, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, contender, warm_up), daemon=True)
        self.process.start()
        theirs.close()
        self._receive()

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.ours.close()
        self.process.join(timeout=30)
        if self.process.is_alive():
            self.process.kill()

    def work(self) -> float:
        self.ours.send("work")
        return float(self._receive())

    def finish(self) -> tuple[int, dict[str, float]]:
        """Return the peak memory in bytes, and the quality of the last round's result."""
        self.ours.send("finish")
        peak, quality = self._receive()
        return peak, quality

    def _receive(self) -> Any:
        try:
            return self.ours.recv()
        except EOFError:
            raise RuntimeError(f"{self.name} ended before its work was done") from None


def _serve(pipe: Connection, contender: Contender, warm_up: float = WARM_UP_SECONDS) -> None:
    work, measure_quality = contender.prepare(**contender.options)
    outcome = work()
    pipe.send(None)
    try:
        while pipe.recv() == "work":
            seconds = []
            # Again where it is short: a process that has waited finds its caches cold and some of its memory paged out.
            while sum(seconds) < warm_up:
                start = time.perf_counter()
                outcome = work()
                seconds.append(time.perf_counter() - start)
            pipe.send(median(seconds[1:] or seconds))
        # Before the quality is measured, which may take more memory than the work. Linux counts in KiB.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        pipe.send((peak, measure_quality(outcome)))
    except EOFError:
        return
