"""Measure speed, memory and start, beside the peers, in one go; print tables of ratios and record them.

    python -m tests.benchmarks --data-dir DIR --home DIR [--only SECTION[,...]] [--out FILE]

Half an hour on two cores, which should do nothing else meanwhile. With --only, the other sections stay as they were
recorded, each with its own processor and versions. --home keeps the networks that are attacked, trained
where they are missing. The record goes to tests/benchmarks/results/performance.json, from which ``results_table`` makes
the tables of results/README.md, and a figure of the scaling beside it. Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.benchmarks import (
    attack_speed,
    linear_attack_speed,
    memory,
    registry_throughput,
    scaling,
    startup_time,
    training_speed,
)
from tests.benchmarks.machine import describe_machine, describe_processor
from tests.benchmarks.measurements import Section, list_missed
from tests.benchmarks.speed_tables import FIGURE, RESULTS, render_sections
from tests.benchmarks.workload import SEED, Workload, train_all

PEERS = ("foolbox", "adversarial-robustness-toolbox", "cleverhans")


def _measure_memory(workload: Workload) -> Section:
    if workload.data_dir is None:
        raise SystemExit("memory is measured on MNIST: --data-dir is missing")
    return memory.measure(workload.data_dir)


SECTIONS: dict[str, Callable[[Workload], Section]] = {
    "bim": attack_speed.measure_bim,
    "pgd": attack_speed.measure_pgd,
    "one-more": attack_speed.measure_one_more,
    "precision": attack_speed.measure_precision,
    "sweep": attack_speed.measure_sweep,
    "training": training_speed.measure,
    "linear": linear_attack_speed.measure,
    "scaling": scaling.measure,
    "memory": _measure_memory,
    "start": lambda workload: startup_time.measure(),
    "publishing": lambda workload: registry_throughput.measure(),
}


def main() -> int:
    """Parse the options, measure, record; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("ADVAE_DATA_DIR"))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--only", default=",".join(SECTIONS))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    data_dir = Path(options.data_dir) if options.data_dir else None
    workload = Workload(options.home, data_dir)
    # In processes of their own: what this one holds would be counted with each of the contenders.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        processor = pool.submit(describe_processor).result()
        pool.submit(train_all, workload).result()
    versions = {name: metadata.version(name) for name in PEERS}
    setting = {**describe_machine(), "peers": versions, **processor, "seed": SEED}
    record: dict[str, Any] = {"sections": {}}
    if options.out.exists() and options.only != parser.get_default("only"):
        record["sections"] = json.loads(options.out.read_text())["sections"]
    missed = []
    for name in options.only.split(","):
        section = SECTIONS[name](workload)
        missed += list_missed([section])
        record["sections"][name] = {**section.describe(), "setting": setting}
        print("\n".join(render_sections({"sections": {name: record["sections"][name]}})), flush=True)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(record, indent=1) + "\n")
    if "scaling" in record["sections"]:
        curves = record["sections"]["scaling"]["numbers"]["curves"]
        scaling.draw(curves, options.out.with_name(FIGURE.name))
    print(f"\n{len(missed)} targets missed", *missed, sep="\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
