"""Processes that force, import, remove and are killed: no entry is read over other weights than it was made from."""

from __future__ import annotations

import io
import itertools
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from advae.errors import AdvaeError
from advae.records import Manifest, Recipe, entry_id
from advae.registry import Registry
from advae.registry.bundles import read_bundle
from tests.entries import (
    WEIGHTS,
    make_autoencoder_recipe,
    make_classifier_recipe,
    make_metrics,
    make_run_recipe,
    pack_bundle,
)
from tests.registry.trials import Outcome, await_all, fork

AE = make_autoencoder_recipe()
CLF = make_classifier_recipe(autoencoder=entry_id(AE))
RUN = make_run_recipe(classifier=entry_id(CLF))
FAMILY: tuple[Recipe, ...] = (AE, CLF, RUN)


def make_one(registry: Registry, recipe: Recipe, number: int, *, force: bool) -> Manifest:
    """Obtain an entry whose weights are a number of its own, beside those of all that it was computed from."""

    def compute() -> Any:
        values = {"own": np.array([number])}
        for parent in recipe.parents:
            values |= {f"of {name}": value for name, value in read_values(registry, registry.manifest(parent)).items()}
        return make_metrics(recipe), {WEIGHTS: values}

    return registry.obtain(recipe, compute, force=force)[0]


def read_values(registry: Registry, manifest: Manifest) -> dict[str, Any]:
    """Return the numbers of an entry, the purifier that a classifier stands behind read as a pipeline reads it."""
    values = {f"{manifest.kind}": registry.read_arrays(manifest, WEIGHTS)["own"]}
    if manifest.kind == "clf":
        purifier = registry.open_parent(manifest, entry_id(AE))
        values["ae"] = registry.read_arrays(purifier, WEIGHTS)["own"]
    return values


def find_mixed(registry: Registry) -> list[str]:
    """Return what is read although its parents have other numbers than it was computed from. Nothing may be written."""
    now, mixed = dict[str, int](), list[str]()
    for recipe in FAMILY:
        manifest = registry.find(entry_id(recipe))
        if manifest is None:
            continue
        try:
            arrays = registry.read_arrays(manifest, WEIGHTS)
        except AdvaeError:
            continue
        mixed += [
            f"{manifest.id} was read with {name} {int(arrays[f'of {name}'][0])} where {value} is"
            for name, value in now.items()
            if f"of {name}" in arrays and int(arrays[f"of {name}"][0]) != value
        ]
        now[manifest.kind] = int(arrays["own"][0])
    return mixed


def write_elsewhere(folder: Path, numbers: Iterator[int]) -> bytes:
    """Return a bundle of a family of other numbers."""
    registry = Registry(folder / f"elsewhere-{next(numbers)}")
    *_, run = [make_one(registry, recipe, next(numbers), force=False) for recipe in FAMILY]
    return pack_bundle(registry, run)


def act_at_random(home: Path, bundles: list[bytes], rng: random.Random, numbers: Iterator[int]) -> None:
    """Force, make, import or remove, whatever comes, until there is nothing left to import."""
    registry = Registry(home)
    acts: list[Callable[[], Any]] = [
        lambda: make_one(registry, AE, next(numbers), force=True),
        lambda: make_one(registry, CLF, next(numbers), force=rng.random() < 0.5),
        lambda: make_one(registry, RUN, next(numbers), force=rng.random() < 0.5),
        lambda: read_bundle(registry, io.BytesIO(bundles.pop()), replace=rng.random() < 0.5),
        lambda: registry.remove(entry_id(rng.choice(FAMILY)), recursive=rng.random() < 0.5),
    ]
    while bundles:
        try:
            rng.choices(acts, weights=(2, 4, 4, 2, 1))[0]()
        except AdvaeError:
            continue


def mix_weights(folder: Path, *, rounds: int = 2, processes: int = 3, bundles: int = 3, seed: int = 0) -> Outcome:
    """Let processes act at random on one home, kill one of them, and look when all have ended, round by round."""
    outcome, home, killed = Outcome(rounds * processes * bundles), folder / "mixed", 0
    for round_ in range(rounds):
        # No number comes twice, so that an entry with it was computed from that one.
        counters = [itertools.count((round_ * processes + number + 1) << 20) for number in range(processes)]
        statuses = _act_together(folder / f"{round_}", home, counters, bundles, f"{seed}-{round_}")
        killed += statuses.count(-signal.SIGKILL)
        lines = [f"a process ended with {status}" for status in statuses if status not in (0, -signal.SIGKILL)]
        outcome.violations += [f"round {round_}: {line}" for line in lines + find_mixed(Registry(home))]
    outcome.figures = {"processes": processes, "killed": killed}
    return outcome


def _act_together(folder: Path, home: Path, counters: list[Iterator[int]], bundles: int, seed: str) -> list[int]:
    """Return how processes ended that each act at random, the first of them killed at a random moment."""

    def start(numbers: Iterator[int]) -> int:
        first = next(numbers)
        taken = [write_elsewhere(folder / f"{first}", numbers) for _ in range(bundles)]
        return fork(lambda: act_at_random(home, taken, random.Random(f"{seed}-{first}"), numbers), report=2)

    pids = [start(numbers) for numbers in counters]
    timer = threading.Timer(random.Random(seed).random() / 2, os.kill, (pids[0], signal.SIGKILL))
    timer.start()
    # Its own end is not waited for before it may be killed: a process that is not waited for keeps its id.
    timer.join()
    return await_all(pids)
