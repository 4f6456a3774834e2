"""Train the network alone and behind the vanilla autoencoder from several seeds, and record its clean accuracy.

    python -m tests.benchmarks.seeds --data-dir DIR --home DIR [--seeds 3]

Half an hour on two cores. The JSON goes to tests/benchmarks/results/seeds.json, from which ``results_table`` makes a
table of results/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from advae.registry import Registry
from advae.requests import AutoencoderRequest, ClassifierRequest
from advae.workflows import Workspace, train_autoencoder, train_classifier
from tests.benchmarks.machine import describe_machine

RESULTS = Path(__file__).parent / "results" / "seeds.json"
DATASETS = ("mnist", "fashion-mnist")


def train(workspace: Workspace, dataset: str, kind: str, seed: int) -> dict[str, Any]:
    """Return the record of one network. kind: of its autoencoder, or ``none``."""
    purifier = None
    if kind != "none":
        purifier = train_autoencoder(workspace, dataset, AutoencoderRequest(type=kind, seed=seed))[0].manifest.id
    made = train_classifier(workspace, dataset, ClassifierRequest(model="nn", seed=seed), purifier).manifest
    metrics = made.as_classifier()[1]
    row = {"dataset": dataset, "autoencoder": kind, "seed": seed, "id": made.id}
    return row | {"accuracy": metrics.test_accuracy, "classes_predicted": metrics.classes_predicted}


def main() -> None:
    """Parse the options, train, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("ADVAE_DATA_DIR"))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    workspace, rows = Workspace(Registry(options.home), options.data_dir), list[dict[str, Any]]()
    for dataset in DATASETS:
        for kind in ("none", "vanilla"):
            rows += [train(workspace, dataset, kind, seed) for seed in range(options.seeds)]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(describe_machine() | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
