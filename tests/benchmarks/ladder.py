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
from pathlib import Path
from typing import Any

from advae.records import Manifest
from advae.registry import Registry
from advae.requests import AttackRequest, AutoencoderRequest, ClassifierRequest
from advae.workflows import Plan, Workspace, attack, train_autoencoder, train_classifier
from tests.benchmarks.paper_numbers import describe_machine

RESULTS = Path(__file__).parent / "results" / "ladder.json"
DATASET = "mnist"
EPS = (0.1, 0.2, 0.3)

PIPELINES: dict[str, dict[str, Any] | None] = {
    "none": None,
    "vanilla": {"type": "vanilla"},
    "vanilla, raw output": {"type": "vanilla", "rescale": "none"},
}
"""Name -> what its purifier is asked for; the last is the paper's own."""


def train(workspace: Workspace, purifier: dict[str, Any] | None) -> Manifest:
    """Return the network, behind its purifier where there is one."""
    made = train_autoencoder(workspace, DATASET, AutoencoderRequest(**purifier)).manifest if purifier else None
    return train_classifier(workspace, DATASET, ClassifierRequest(model="nn"), made.id if made else None).manifest


def list_requests() -> list[AttackRequest]:
    """Return BIM on every rung, and the strongest attack that there is on the adaptive one."""
    return [
        AttackRequest(method="bim", threat="all", eps=EPS),
        AttackRequest(method="worst", threat="adaptive", eps=EPS),
    ]


def climb(workspace: Workspace, name: str, classifier: Manifest) -> Iterator[dict[str, Any]]:
    """Yield a row for every run at every eps."""
    for made in attack(workspace, classifier.id, None, Plan(list_requests())).requested:
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
    for name, purifier in PIPELINES.items():
        for row in climb(workspace, name, train(workspace, purifier)):
            rows.append(row)
            print(json.dumps(row), flush=True)
        options.out.write_text(json.dumps(describe_machine() | {"dataset": DATASET, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
