"""Attack the vanilla autoencoder on MNIST under every threat model, and record each robust accuracy.

    python -m tests.benchmarks.threat_models --data-dir DIR --home DIR [--out FILE]

Half an hour on two cores. The registry in --home makes it resumable. The JSON goes to
tests/benchmarks/results/threat_models.json, from which ``results_table`` makes a table of results/README.md.
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
from advae.threats import list_threats
from advae.workflows import AttackCommand, Workspace, run_attacks, train_autoencoder, train_classifier
from tests.benchmarks.machine import describe_machine

RESULTS = Path(__file__).parent / "results" / "threat_models.json"
DATASET = "mnist"
EPS = (0.1, 0.2, 0.3)


@dataclass(frozen=True)
class AttackedPipeline:
    """A pipeline, and the threat models that it is attacked under."""

    purifier: dict[str, Any] | None
    """What the autoencoder is trained with; None for the undefended classifier."""

    threats: tuple[str, ...]
    """Names of the threat models."""


PIPELINES = {
    "none": AttackedPipeline(None, ("adaptive",)),
    "vanilla": AttackedPipeline({"type": "vanilla"}, tuple(list_threats(purified=True))),
    "vanilla, raw output": AttackedPipeline(
        {"type": "vanilla", "rescale": "none"}, ("oblivious", "encoded", "adaptive")
    ),
}
"""Name -> pipeline; the last is the paper's own."""


def train(workspace: Workspace, purifier: dict[str, Any] | None) -> Manifest:
    """Return the network, behind its purifier where there is one."""
    made = train_autoencoder(workspace, DATASET, AutoencoderRequest(**purifier))[0].manifest if purifier else None
    return train_classifier(workspace, DATASET, ClassifierRequest(model="nn"), made.id if made else None).manifest


def list_requests(threats: tuple[str, ...]) -> list[AttackRequest]:
    """Return BIM under every threat model, and the strongest attack under the adaptive one."""
    iterative = [AttackRequest(method="bim", threat=threat, eps=EPS) for threat in threats]
    return [*iterative, AttackRequest(method="worst", threat="adaptive", eps=EPS)]


def measure(workspace: Workspace, name: str) -> Iterator[dict[str, Any]]:
    """Train a pipeline, attack it, and yield a record for every run at every eps."""
    asked = PIPELINES[name]
    classifier = train(workspace, asked.purifier)
    for made in run_attacks(workspace, classifier.id, None, AttackCommand(list_requests(asked.threats))).requested:
        recipe, metrics = made.manifest.as_run()
        failed = [result.check for result in metrics.verdicts if result.status == "FAIL"]
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
    """Parse the options, attack each pipeline, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("ADVAE_DATA_DIR"))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    workspace = Workspace(Registry(options.home), options.data_dir, tell=lambda line: print(line, flush=True))
    rows: list[dict[str, Any]] = []
    for name in PIPELINES:
        for row in measure(workspace, name):
            rows.append(row)
            print(json.dumps(row), flush=True)
        options.out.write_text(json.dumps(describe_machine() | {"dataset": DATASET, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
