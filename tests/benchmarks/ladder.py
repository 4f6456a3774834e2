"""Climb the ladder of threat models on MNIST behind the vanilla autoencoder, and record what is left at every rung.

    python -m tests.benchmarks.ladder --data-dir DIR --home DIR [--out FILE]

Half an hour on two cores. The registry in --home makes it resumable. The JSON goes to
tests/benchmarks/results/ladder.json, from which ``results_table`` makes the README's table.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advae.records import Manifest
from advae.registry import Registry
from advae.requests import AttackRequest, AutoencoderRequest, ClassifierRequest
from advae.threats import THREATS_BY_KNOWLEDGE
from advae.workflows import Plan, Workspace, attack, train_autoencoder, train_classifier
from tests.benchmarks.machine import describe_machine

RESULTS = Path(__file__).parent / "results" / "ladder.json"
DATASET = "mnist"
EPS = (0.1, 0.2, 0.3)


@dataclass(frozen=True)
class Climb:
    """purifier: what it is asked for, None for no purifier; threats: the rungs to climb."""

    purifier: dict[str, Any] | None
    threats: tuple[str, ...]


PIPELINES = {
    "none": Climb(None, ("adaptive",)),
    "vanilla": Climb({"type": "vanilla"}, THREATS_BY_KNOWLEDGE),
    "vanilla, raw output": Climb({"type": "vanilla", "rescale": "none"}, ("oblivious", "encoded", "adaptive")),
}
"""Name -> what is climbed; the last is the paper's own pipeline."""


def train(workspace: Workspace, purifier: dict[str, Any] | None) -> Manifest:
    """Return the network, behind its purifier where there is one."""
    made = train_autoencoder(workspace, DATASET, AutoencoderRequest(**purifier)).manifest if purifier else None
    return train_classifier(workspace, DATASET, ClassifierRequest(model="nn"), made.id if made else None).manifest


def list_requests(threats: tuple[str, ...]) -> list[AttackRequest]:
    """Return BIM on every rung, and the strongest attack that there is on the adaptive one."""
    rungs = [AttackRequest(method="bim", threat=threat, eps=EPS) for threat in threats]
    return [*rungs, AttackRequest(method="worst", threat="adaptive", eps=EPS)]


def climb(workspace: Workspace, name: str) -> Iterator[dict[str, Any]]:
    """Train a pipeline and yield a row for every run at every eps."""
    asked = PIPELINES[name]
    classifier = train(workspace, asked.purifier)
    for made in attack(workspace, classifier.id, None, Plan(list_requests(asked.threats))).requested:
        recipe, metrics = made.manifest.as_run()
        failed = [verdict.check for verdict in metrics.verdicts if verdict.status == "FAIL"]
        for result in metrics.results:
            yield {
                "autoencoder": name,
                "threat": recipe.threat,
                "method": recipe.method,
                "eps": result.eps,
                "n": metrics.n,
                "clean_accuracy": metrics.clean_accuracy,
                "accuracy": result.accuracy,
                "interval": result.accuracy_interval,
                "accuracy_8bit": result.accuracy_8bit,
                "start_range": metrics.start_range,
                "failed": failed,
                "id": made.manifest.id,
            }


def main() -> None:
    """Parse the options, climb with each pipeline, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("ADVAE_DATA_DIR"))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    workspace = Workspace(Registry(options.home), options.data_dir, tell=lambda line: print(line, flush=True))
    rows: list[dict[str, Any]] = []
    for name in PIPELINES:
        for row in climb(workspace, name):
            rows.append(row)
            print(json.dumps(row), flush=True)
        options.out.write_text(json.dumps(describe_machine() | {"dataset": DATASET, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
