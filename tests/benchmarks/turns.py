"""Contenders in processes of their own that work in turns, so that a slow minute of the machine hits all alike."""

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

from tests.benchmarks.rows import Measured

WARM = 3.0
"""Seconds of work after which a process is taken to be warm."""


@dataclass(frozen=True)
class Contender:
    """prepare: called once in the contender's own process, returns what is timed. Both must be importable by name.

    prepare(**options) -> (do the work once -> outcome, judge the outcome -> quality by name).
    """

    name: str
    prepare: Callable[..., tuple[Callable[[], Any], Callable[[Any], dict[str, float]]]]
    options: Mapping[str, Any] = field(default_factory=dict)


def take_turns(contenders: Sequence[Contender], *, rounds: int, warm: float = WARM) -> list[Measured]:
    """Return what each contender measured over so many rounds, after one that does not count.

    In a round each works once, while the others wait: their times may be compared pair by pair. warm: seconds for which
    short work is done again and again in a turn, of which the median counts.
    """
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        seats = [stack.enter_context(_Seat(context, contender, warm)) for contender in contenders]
        seconds = [[seat.work() for seat in seats] for _ in range(rounds)]
        ends = [seat.finish() for seat in seats]
    return [
        Measured(contender.name, times, peak, quality)
        for contender, times, (peak, quality) in zip(contenders, zip(*seconds, strict=True), ends, strict=True)
    ]


def compare(slower: Measured, faster: Measured) -> float:
    """Return how many times as long the one takes: the median over rounds, pair by pair."""
    return median(a / b for a, b in zip(slower.seconds, faster.seconds, strict=True))


class _Seat:
    """A contender's process, which works when it is asked to."""

    def __init__(self, context: Any, contender: Contender, warm: float) -> None:
        self.name = contender.name
        self.ours, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, contender, warm), daemon=True)
        self.process.start()
        theirs.close()
        self._receive()

    def __enter__(self) -> _Seat:
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
        """Return the peak memory in bytes and what the last round came to."""
        self.ours.send("finish")
        peak, quality = self._receive()
        return peak, quality

    def _receive(self) -> Any:
        try:
            return self.ours.recv()
        except EOFError:
            raise RuntimeError(f"{self.name} ended before its work was done") from None


def _serve(pipe: Connection, contender: Contender, warm: float = WARM) -> None:
    work, judge = contender.prepare(**contender.options)
    outcome = work()
    pipe.send(None)
    try:
        while pipe.recv() == "work":
            seconds = []
            # Again where it is short: a process that has waited finds its caches cold and some of its memory paged out.
            while sum(seconds) < warm:
                start = time.perf_counter()
                outcome = work()
                seconds.append(time.perf_counter() - start)
            pipe.send(median(seconds[1:] or seconds))
        # Before judging, which may take more memory than the work. Linux counts in KiB.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        pipe.send((peak, judge(outcome)))
    except EOFError:
        return
