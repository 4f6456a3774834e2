"""Many processes that want the same entries at once: each is computed once, and right even where no lock works."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.errors import NotFoundError
from advae.records import AutoencoderRecipe, Manifest, entry_id
from advae.registry import Registry, locks
from tests.entries import WEIGHTS, locate, make_arrays, make_autoencoder_recipe, make_metrics, publish
from tests.registry.trials import Outcome, await_all, find_unsound, fork, list_drafts, see

REMIND_AFTER = 0.2
"""Seconds between two lines of a waiting process, in the place of ten."""

TELLINGS = 3
"""Lines of a waiting process before the process that it waits for is killed."""


class Crowd:
    """Processes that obtain entries of one home and write down what they computed, got and were told."""

    def __init__(self, home: Path, seconds: float = REMIND_AFTER / 10) -> None:
        self.home, self.seconds = home, seconds
        self.log = home.parent / f"{home.name}.log"
        self.log.touch()

    def note(self, what: str, **values: Any) -> None:
        """Append a line to the log in one write, which processes do not mix."""
        handle = os.open(self.log, os.O_WRONLY | os.O_APPEND)
        os.write(handle, (json.dumps({"what": what, "pid": os.getpid(), "at": time.time(), **values}) + "\n").encode())
        os.close(handle)

    def read(self, what: str) -> list[dict[str, Any]]:
        """Return the log's lines of one sort, in the order of writing."""
        lines = map(json.loads, self.log.read_text().splitlines())
        return [line for line in lines if line["what"] == what]

    def obtain(self, recipe: AutoencoderRecipe, *, force: bool = False) -> Manifest:
        """Obtain an entry, writing down what comes of it."""
        id_ = entry_id(recipe)

        def compute() -> Any:
            self.note("began", id=id_)
            time.sleep(self.seconds)
            self.note("computed", id=id_)
            return make_metrics(recipe), make_arrays()

        manifest, cached = Registry(self.home).obtain(
            recipe, compute, force=force, tell=lambda line: self.note("told", line=line)
        )
        digest = hashlib.sha256(manifest.model_dump_json().encode()).hexdigest()
        self.note("got", id=manifest.id, asked=id_, digest=digest, cached=cached)
        return manifest

    def run(self, *acts: Callable[[], Any]) -> list[str]:
        """Let a process do each thing, all beginning at once; return which of them failed, and how."""
        gate, go = os.pipe()
        reader, writer = os.pipe()

        def wait_and(act: Callable[[], Any]) -> None:
            os.close(go)
            os.read(gate, 1)
            act()

        pids = [fork(partial(wait_and, act), report=writer) for act in acts]
        for handle in (gate, go, writer):
            os.close(handle)
        statuses = await_all(pids)
        with os.fdopen(reader) as stream:
            text = stream.read()
        failed = [status for status in statuses if status]
        return [f"{len(failed)} of {len(acts)} processes ended with {failed}: {text}"] if failed else []

    def find_wrong(self) -> list[str]:
        """Return what was lost, differs, or is left over."""
        got, lines = self.read("got"), find_unsound(self.home)
        lines += [f"asked for {line['asked']}, got {line['id']}" for line in got if line["asked"] != line["id"]]
        lines += [f"{id_} was obtained and is lost" for id_ in {line["id"] for line in got} - see(self.home).ids]
        lines += [f"{id_} was never asked for" for id_ in see(self.home).ids - {line["asked"] for line in got}]
        return lines + [f"{name} is left in tmp/" for name in list_drafts(self.home)]

    def find_differing(self) -> list[str]:
        """Return the ids of which not all processes got the same manifest."""
        digests: dict[str, set[str]] = {}
        for line in self.read("got"):
            digests.setdefault(line["id"], set()).add(line["digest"])
        return [
            f"{len(found)} different manifests of {id_} were given out"
            for id_, found in digests.items()
            if len(found) > 1
        ]

    def count_computed(self) -> Counter[str]:
        """Return id -> how often it was computed."""
        return Counter(line["id"] for line in self.read("computed"))


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locks, "REMIND_AFTER", seconds)
        yield


def obtain_together(
    folder: Path, *, processes: int = 8, each: int = 200, recipes: int = 40, locked: bool = True, seed: int = 0
) -> Outcome:
    """Let processes obtain the same entries again and again, each in an order of its own after the first round."""
    asked = [make_autoencoder_recipe(seed=number) for number in range(recipes)]
    crowd = Crowd(folder / f"crowd-{locked}")

    def act(number: int) -> None:
        rng = random.Random(seed + number)
        order = asked + rng.choices(asked, k=each - recipes)
        for recipe in order[:each]:
            crowd.obtain(recipe)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locks, "REMIND_AFTER", REMIND_AFTER)
        if not locked:
            patch.setattr(locks, "hold", _hold_nothing)
        wrong = crowd.run(*[partial(act, number) for number in range(processes)])
    outcome = Outcome(len(crowd.read("got")), wrong + crowd.find_wrong() + crowd.find_differing())
    if outcome.count != processes * each:
        outcome.violations.append(f"{outcome.count} of {processes * each} were obtained")
    computed = crowd.count_computed()
    if locked:
        outcome.violations += [f"{id_} was computed {n} times" for id_, n in computed.items() if n != 1]
    outcome.figures = {
        "processes": processes,
        "recipes": len(see(crowd.home).ids),
        "computed": sum(computed.values()),
        "told_to_wait": len(crowd.read("told")),
    }
    return outcome


@contextmanager
def _hold_nothing(*_: Any) -> Iterator[None]:
    yield


def force_together(folder: Path, *, processes: int = 8) -> Outcome:
    """Let processes that all began with the same entry there, whole, damaged or none, compute it anew at once."""
    outcome, recipe = Outcome(), make_autoencoder_recipe()
    for state in ("none", "whole", "damaged"):
        crowd = Crowd(folder / f"forced-{state}", seconds=0.3)
        if state != "none":
            entry = publish(Registry(crowd.home), recipe)
            if state == "damaged":
                locate(Registry(crowd.home), entry, WEIGHTS).write_bytes(b"")
        with _patience(REMIND_AFTER):
            lines = crowd.run(*[partial(crowd.obtain, recipe, force=True)] * processes)
        lines += crowd.find_wrong() + crowd.find_differing()
        computed = sum(crowd.count_computed().values())
        lines += [] if computed == 1 else [f"it was computed {computed} times"]
        outcome.count += processes
        outcome.violations += [f"{state}: {line}" for line in lines]
    return outcome


def _kill_when_told(crowd: Crowd, holder: int) -> None:
    """Kill a process once another has told that it waits for it; so a busy machine does not matter."""
    _await(lambda: len(crowd.read("told")) >= TELLINGS or crowd.read("got"))
    os.kill(holder, signal.SIGKILL)


def kill_the_holder(folder: Path, *, rounds: int = 3) -> Outcome:
    """Kill the process that computes, once another has said three times that it waits for it, and then computes."""
    outcome, gaps = Outcome(), list[float]()
    for number in range(rounds):
        crowd, recipe = Crowd(folder / f"holder-{number}"), make_autoencoder_recipe(seed=number)
        slow = Crowd(crowd.home, seconds=600)
        holder = fork(partial(slow.obtain, recipe), report=2)
        _await(partial(crowd.read, "began"))
        killer = threading.Thread(target=_kill_when_told, args=(crowd, holder))
        killer.start()
        with _patience(REMIND_AFTER):
            lines = crowd.run(partial(crowd.obtain, recipe))
        killer.join()
        await_all([holder])
        told = crowd.read("told")
        expected = f"process {holder} on "
        lines += [f"it said {line['line']!r}" for line in told if expected not in line["line"]]
        found = [later["at"] - earlier["at"] for earlier, later in pairwise(told)]
        gaps += found
        if len(told) < TELLINGS or min(found, default=0) < 0.9 * REMIND_AFTER:
            lines.append(f"it spoke {len(told)} times, {found} seconds apart: {[line['line'] for line in told]}")
        lines += crowd.find_wrong()
        if len(crowd.read("computed")) != 1:
            lines.append("the one that waited did not compute")
        outcome.count += 1
        outcome.violations += [f"round {number}: {line}" for line in lines]
    outcome.figures = {"seconds_between_two_lines": [round(gap, 3) for gap in gaps]}
    return outcome


def read_while_written(folder: Path, *, rounds: int = 100, readers: int = 2) -> Outcome:
    """Let processes read an entry that others publish, replace and remove: they find it whole, or not at all."""
    crowd, recipe = Crowd(folder / "read"), make_autoencoder_recipe()
    id_, end = entry_id(recipe), folder / "end"
    Registry(crowd.home).check_writable()

    def write() -> None:
        registry = Registry(crowd.home)
        try:
            for number in range(rounds):
                arrays = {WEIGHTS: {"0.0": np.full(number + 1, number)}}
                registry.publish(recipe, make_metrics(recipe), arrays, replace=bool(number % 3))
                if number % 3 == 2:
                    registry.remove(id_)
            publish(registry, recipe)
        finally:
            end.touch()

    def read() -> None:
        registry, counts = Registry(crowd.home), Counter[str](found=0, absent=0, overtaken=0)
        while not end.exists():
            manifest = registry.find(id_)
            try:
                counts["found" if manifest and registry.read_arrays(manifest, WEIGHTS) else "absent"] += 1
            except NotFoundError:
                # It was read in two parts: removed, or another one, since.
                counts["overtaken"] += 1
        crowd.note("read", **counts)

    wrong = crowd.run(write, *[read] * readers)
    counts = crowd.read("read")
    figures = {name: sum(line[name] for line in counts) for name in ("found", "absent", "overtaken")}
    return Outcome(sum(figures.values()), wrong + find_unsound(crowd.home), figures)


def _await(happens: Callable[[], Any], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > end:
            raise TimeoutError("it did not happen")
        time.sleep(0.005)
