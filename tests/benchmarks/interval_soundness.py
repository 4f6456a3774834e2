"""Sample points of balls for 10,000 random networks, and count those that leave their sound interval bounds.

    python -m tests.benchmarks.interval_soundness [--networks 10000] [--seed 0]

A quarter of an hour on two idle cores. The JSON goes to tests/benchmarks/results/interval_soundness.json, from which
``results_table`` makes a sentence of results/README.md; its ``outside`` and ``broken`` must be 0.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from advae.backend import start_tensorflow
from tests.benchmarks.machine import describe_machine
from tests.intervals.random_networks import IMAGES, build_network, compile_bounds, draw_weights, sample_network

RESULTS = Path(__file__).parent / "results" / "interval_soundness.json"

WEIGHTS = 250
"""Networks of one architecture, each with its own weights."""


def count(networks: int, seed: int) -> dict[str, float]:
    """Return the sums over all networks."""
    import keras

    generator, start = np.random.default_rng(seed), time.monotonic()
    total = dict.fromkeys(("points", "outside", "broken", "certified", "bounded"), 0)
    for done in range(networks):
        if done % WEIGHTS == 0:
            keras.utils.clear_session()
            network = build_network(generator)
            find_bounds, evaluate = compile_bounds(network)
        draw_weights(network, generator)
        found = sample_network(find_bounds, evaluate, generator)
        total = {name: number + getattr(found, name) for name, number in total.items()}
        if (done + 1) % WEIGHTS == 0:
            sys.stderr.write(f"{done + 1} networks, {time.monotonic() - start:.0f} s: {total}\n")
    seconds = round(time.monotonic() - start, 1)
    return {"networks": networks, "seed": seed, "images": networks * IMAGES, **total, "seconds": seconds}


def render(record: dict[str, Any]) -> str:
    """Return the sentence of the results that says what was found."""
    found = record["counts"]
    return (
        f"{found['networks']:,} random networks, {found['images']:,} balls, {found['points']:,} points: "
        f"{found['outside']:,} outside their bounds; {found['certified']:,} certified images, "
        f"{found['broken']:,} points of their balls with another class."
    )


def main() -> None:
    """Parse the options, sample, and write the record; exit 1 where a point is outside its bounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    start_tensorflow()
    found = count(options.networks, options.seed)
    options.out.write_text(json.dumps(describe_machine() | {"counts": found}, indent=1) + "\n")
    sys.exit(1 if found["outside"] or found["broken"] else 0)


if __name__ == "__main__":
    main()
