"""Time ten eps in one call against ten calls of one eps, of attacks that do not attack again what is broken.

    python -m tests.benchmarks.rising_eps --data-dir DIR --home DIR [--clf NAME=REF ...] [--methods M,M] [--limit N]

Without --clf the undefended network is trained, if it is missing, and attacked. Each pipeline's record replaces the one
of before. A call is a whole attack on the first N test images, 1,000 by default: tracing, crafting, scoring, measuring
its progress. The JSON goes to tests/benchmarks/results/rising_eps.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from advae.registry import Registry
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.measurements import Measured, Section, Target, list_missed
from tests.benchmarks.workload import LoadedClassifier, Workload

RESULTS = Path(__file__).parent / "results" / "rising_eps.json"
EPS = tuple(round(0.03 * k, 2) for k in range(1, 11))
UNDEFENDED, BOUND = "undefended", 0.35


def measure(loaded: LoadedClassifier, method: str, *, name: str, n: int = 1000, rounds: int = 1) -> Section:
    """Return the times of one call at all EPS and of a call at each, in turns, and what both found."""
    from advae.evaluation.evaluate import evaluate
    from advae.threats import THREATS

    surface = THREATS["adaptive"].view(loaded.pipeline)
    x, y = loaded.data.x_test[:n], loaded.data.y_test[:n]

    def attack(*eps: float) -> list[Any]:
        return list(evaluate(surface, loaded.describe_attack(method, eps), x, y).metrics.results)

    works = {"one call": lambda: attack(*EPS), "ten calls": lambda: [attack(eps)[0] for eps in EPS]}
    attack(EPS[0])
    wall: dict[str, list[float]] = {what: [] for what in works}
    processor: dict[str, list[float]] = {what: [] for what in works}
    found = {}
    for _ in range(rounds):
        for what, work in works.items():
            found[what], *seconds = time_once(work)
            for kept, value in zip((wall, processor), seconds, strict=True):
                kept[what].append(value)
    ratios = [median(kept["one call"]) / median(kept["ten calls"]) for kept in (wall, processor)]
    held = BOUND if name == UNDEFENDED else 1.0
    return Section(
        f"{name}, {method}",
        f"{method} at ten eps from {EPS[0]:g} to {EPS[-1]:g}, {n} images",
        tuple(Measured(what, tuple(wall[what]), None, describe(found[what])) for what in works),
        (
            Target("one call's time / ten calls'", ratios[0], "at most", held),
            Target("one call's processor time / ten calls'", ratios[1], "at most", held),
            Target("largest gain of a call alone", find_gain(found), "at most", 0.0),
        ),
        {"processor seconds": processor, "carried": [result.carried for result in found["one call"]]},
    )


def time_once(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return the result of some work, its wall-clock seconds and its processor seconds."""
    start, spent = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - start, time.process_time() - spent


def describe(results: list[Any]) -> dict[str, float]:
    """Return the robust accuracy at each eps."""
    return {f"accuracy at {result.eps:g}": result.accuracy for result in results}


def find_gain(found: dict[str, list[Any]]) -> float:
    """Return by how much a call at one eps is stronger than the call at all, at most; below 0 where it never is."""
    pairs = zip(found["one call"], found["ten calls"], strict=True)
    return max(swept.accuracy - alone.accuracy for swept, alone in pairs)


def load(workload: Workload, ref: str | None) -> LoadedClassifier:
    """Return a classifier of the registry, None for the undefended network, and the images."""
    if ref is None:
        return workload.load("nn")
    from advae.backend import start_tensorflow
    from advae.evaluation.pipelines import load_pipeline

    start_tensorflow()
    registry = Registry(workload.home)
    manifest = registry.resolve(ref, "clf")
    return LoadedClassifier(manifest, load_pipeline(registry, manifest), workload.data)


def main() -> int:
    """Parse the options, measure, record; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("ADVAE_DATA_DIR"))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--clf", action="append", default=[], metavar="NAME=REF")
    parser.add_argument("--methods", default="pgd,worst")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    workload = Workload(options.home, Path(options.data_dir) if options.data_dir else None)
    named = dict(one.split("=", 1) for one in options.clf) or {UNDEFENDED: None}
    sections = json.loads(options.out.read_text())["sections"] if options.out.exists() else {}
    measured = []
    for name, ref in named.items():
        loaded = load(workload, ref)
        for method in options.methods.split(","):
            section = measure(loaded, method, name=name, n=options.limit, rounds=options.rounds)
            measured.append(section)
            sections[section.name] = section.describe()
            print(json.dumps(sections[section.name], indent=1), flush=True)
            options.out.write_text(json.dumps({**describe_machine(), "sections": sections}, indent=1) + "\n")
    missed = list_missed(measured)
    print(f"{len(missed)} targets missed", *missed, sep="\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
