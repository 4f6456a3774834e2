"""Every experiment on the registry at full length: what a stop, a kill, a bad disk or a crowd does to it.

    python -m tests.registry.torture [--kills 2000] [--damages 10000] [--only NAME ...] [--seed 0] [--out FILE]

A few minutes on two cores. How many trials there were, what they found and how long they took goes as JSON to
tests/registry/results/torture.json, unless only some are asked for. The suite runs the same code, shorter.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.machine import describe_machine
from tests.registry.ancestry import walk_lineages
from tests.registry.collecting import collect_beside_commands, meet_collection, meet_strangers
from tests.registry.crowds import force_together, kill_the_holder, obtain_together, read_while_written
from tests.registry.damages import damage_often
from tests.registry.full_disks import fill_disk, limit_file_size, read_only_home
from tests.registry.kills import kill_often
from tests.registry.lineages import mix_weights
from tests.registry.planted import PLANTED
from tests.registry.stops import fail_everywhere, list_steps, meet_everywhere, stop_everywhere, trace_syncs
from tests.registry.thousands import time_lists
from tests.registry.trials import Outcome, get_ready, scratch

RESULTS = Path(__file__).parent / "results" / "torture.json"


@dataclass(frozen=True)
class Experiment:
    """in_memory: whether a disk would only make it slower, since what it looks for does not hang on time."""

    run: Callable[[Path, argparse.Namespace], Outcome]
    in_memory: bool = True


def notice_planted(folder: Path) -> Outcome:
    """Plant each defect and see whether its experiment notices it."""
    outcome = Outcome(len(PLANTED))
    for name, planted in PLANTED.items():
        (folder / name).mkdir()
        found = planted.run(folder / name).violations
        noticed = sum(planted.word in line for line in found)
        outcome.figures[name] = noticed
        outcome.violations += [] if noticed else [f"{name} was not noticed: {found[:3]}"]
    return outcome


def call_among_canaries() -> Outcome:
    """Call every command, and processes side by side, in a folder of modules; it starts TensorFlow, so elsewhere."""
    tests = [
        "tests/test_canaries.py",
        "tests/experiments/test_processes.py::test_side_by_side_gives_what_one_after_the_other_gives",
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1000, cwd=Path(__file__).parents[2])
    return Outcome(len(tests), [] if done.returncode == 0 else done.stdout.splitlines()[-20:])


EXPERIMENTS: dict[str, Experiment] = {
    "killed": Experiment(lambda folder, asked: kill_often(folder, asked.kills, asked.seed), in_memory=False),
    "stopped": Experiment(lambda folder, asked: stop_everywhere(folder)),
    "failed": Experiment(lambda folder, asked: fail_everywhere(folder, thorough=True)),
    "synced": Experiment(lambda folder, asked: trace_syncs(folder)),
    "met": Experiment(lambda folder, asked: meet_everywhere(folder)),
    "obtained": Experiment(lambda folder, asked: obtain_together(folder, seed=asked.seed), in_memory=False),
    "obtained-without-locks": Experiment(
        lambda folder, asked: obtain_together(folder, locked=False, seed=asked.seed), in_memory=False
    ),
    "forced": Experiment(lambda folder, asked: force_together(folder), in_memory=False),
    "holder-killed": Experiment(lambda folder, asked: kill_the_holder(folder, rounds=10), in_memory=False),
    "read-while-written": Experiment(lambda folder, asked: read_while_written(folder, rounds=1000), in_memory=False),
    "names-and-parents": Experiment(lambda folder, asked: mix_weights(folder, rounds=100, bundles=10, seed=asked.seed)),
    "lineages": Experiment(lambda folder, asked: walk_lineages(folder, chain=10_000, depth=1000)),
    "file-size": Experiment(lambda folder, asked: limit_file_size(folder)),
    "read-only": Experiment(lambda folder, asked: read_only_home(folder), in_memory=False),
    "full": Experiment(lambda folder, asked: fill_disk(folder), in_memory=False),
    "strangers": Experiment(lambda folder, asked: meet_strangers(folder)),
    "leased": Experiment(lambda folder, asked: collect_beside_commands(folder, rounds=100)),
    "collection-met": Experiment(lambda folder, asked: meet_collection(folder)),
    "damaged": Experiment(lambda folder, asked: damage_often(folder, asked.damages, asked.seed)),
    "lists": Experiment(lambda folder, asked: time_lists(folder), in_memory=False),
    "canaries": Experiment(lambda folder, asked: call_among_canaries(), in_memory=False),
    "planted": Experiment(lambda folder, asked: notice_planted(folder)),
}


def main() -> None:
    """Run the experiments that are asked for, print a line on each, and record them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--damages", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS), metavar="NAME")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    out = asked.out or (RESULTS if len(asked.only) == len(EXPERIMENTS) else None)
    get_ready()
    with scratch(in_memory=True) as folder:
        names = sorted({step for steps in list_steps(folder).values() for step in steps})
    document: dict[str, Any] = describe_machine() | {"seed": asked.seed, "step_names": names, "experiments": {}}
    broken = 0
    for name in asked.only:
        with scratch(in_memory=EXPERIMENTS[name].in_memory) as folder:
            start = time.perf_counter()
            outcome = EXPERIMENTS[name].run(folder, asked)
        seconds = round(time.perf_counter() - start, 1)
        broken += len(outcome.violations)
        print(f"{name}: {outcome.count} trials, {len(outcome.violations)} violations, {seconds} s", flush=True)
        print(*(f"  {line}" for line in outcome.violations[:20]), sep="\n", end="\n" * bool(outcome.violations))
        document["experiments"][name] = {"seconds": seconds, **vars(outcome)}
        if out:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(document, indent=1) + "\n")
    sys.exit(7 if broken else 0)


if __name__ == "__main__":
    main()
