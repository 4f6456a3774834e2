"""Run the paper's whole experiment on MNIST and Fashion-MNIST at full size, and record it as JSON.

    python -m tests.benchmarks.reproduction --data-dir DIR --home DIR [--jobs N] [--datasets mnist,fashion-mnist]

Hours on two cores; ``advae reproduce --dry-run`` estimates how many. It makes the cells of ``advae reproduce`` in the
registry in --home, and so continues where it, or ``advae reproduce``, was stopped. Activations are compared on
MNIST alone, as in the paper. The JSON goes to tests/benchmarks/results/reproduction.json, from which ``results_table``
makes tables of results/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from advae.experiments import Experiment, list_published, read_experiment
from advae.experiments.cells import LEVELS, list_cells
from advae.experiments.paper.section import PAPER_SECTION
from advae.experiments.runner import Finished, Survey, make_cells, survey
from advae.named_plans import PAPER_PLAN
from advae.records import ClassifierRecipe
from advae.registry import Registry
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.tables import Findings
from advae.report.formats.json_document import build_document
from advae.workflows import Workspace
from tests.benchmarks.machine import describe_machine

RESULTS = Path(__file__).parent / "results" / "reproduction.json"
DATASETS = ("mnist", "fashion-mnist")
ACTIVATIONS_ON = ("mnist",)
BIM, PGD = ("bim", 0.3), ("pgd", 0.3)


def plan(dataset: str) -> Experiment:
    """Return the paper's plan on one dataset, without the activations where they are not compared."""
    experiment = read_experiment().model_copy(update={"datasets": (dataset,)})
    if dataset in ACTIVATIONS_ON:
        return experiment
    attacked = {name for part in experiment.attacks for name in part.behind}
    purifiers = {name: options for name, options in experiment.autoencoders.items() if name in attacked}
    return experiment.model_copy(update={"autoencoders": purifiers})


def record(registry: Registry, surveyed: Survey, diverged: list[Finished]) -> dict[str, Any]:
    """Return the record of one dataset: the paper beside ours, threat models beside each other, activations."""
    runs, purifiers = (
        [found for cell in surveyed.list_level(level) if (found := registry.find(cell.id))]
        for level in ("attacks", "autoencoders")
    )
    comparison = compare_runs(registry, runs, purifiers, plan=PAPER_PLAN)
    findings = Findings(comparison, {"paper": PAPER_SECTION})
    document = build_document(findings).model_dump(mode="json", by_alias=True)
    (dataset,) = {run.recipe.dataset.name for run in comparison.runs}
    return {
        "paper": [entry for entry in document["paper"] if entry["dataset"] == dataset],
        "threats": [_describe_row(row) for row in document["accuracy"] if _is_shown(row)],
        "networks": [_describe_network(network) for network in document["networks"]],
        "cells": {level: len(surveyed.list_level(level)) for level in LEVELS},
        "diverged": [_describe_lost(registry, finished) for finished in diverged],
    }


def _is_shown(row: dict[str, Any]) -> bool:
    """Whether a row is one of BIM or PGD at the paper's budget of the network."""
    return row["classifier"] == "nn" and (row["method"], row["eps"]) in (BIM, PGD)


def _describe_row(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: row[name] for name in ("run", "autoencoder", "rescale", "method", "threat", "eps")}
    sides = {"with": row if row["autoencoder_id"] else None, "without": row["undefended_counterpart"]}
    return shown | {name: _describe_side(side) for name, side in sides.items() if side and side["status"] == "measured"}


def _describe_side(side: dict[str, Any]) -> dict[str, Any]:
    robust = {name: side[f"robust_{name}"] for name in ("accuracy", "accuracy_interval")}
    return robust | {name: side[name] for name in ("clean_accuracy", "n", "steps")}


def _describe_network(network: dict[str, Any]) -> dict[str, Any]:
    recipe, history = network["recipe"], network["history"]
    options = recipe.get("network") or recipe.get("options")
    return {
        "id": network["id"],
        "kind": recipe.get("type") or recipe["model"],
        "rescale": recipe.get("rescale"),
        "activations": options["activations"],
        "loss": history["loss"][-1],
        "validation_loss": history["validation_loss"][-1],
        "test_mse": network["test_mse"],
    }


def _describe_lost(registry: Registry, finished: Finished) -> dict[str, Any]:
    recipe = finished.cell.recipe
    assert isinstance(recipe, ClassifierRecipe)
    purifier = registry.manifest(recipe.autoencoder).as_autoencoder()[0] if recipe.autoencoder else None
    kind = {"autoencoder": purifier.type, "rescale": purifier.rescale} if purifier else {"autoencoder": "none"}
    return {"classifier": recipe.model, **kind, "seed": recipe.seed, "why": finished.diverged}


def _show(finished: Finished) -> None:
    print(f"{finished.cell.id}  {finished.cell.name}, {finished.seconds:.1f} s {finished.diverged or ''}", flush=True)


def main() -> None:
    """Parse the options, make what is missing, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("ADVAE_DATA_DIR"))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--datasets", default=",".join(DATASETS))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    workspace, found = Workspace(Registry(options.home), options.data_dir), {}
    for dataset in options.datasets.split(","):
        surveyed = survey(workspace.registry, list_cells(workspace, plan(dataset)))
        diverged = make_cells(workspace, surveyed, jobs=options.jobs, watch=_show)
        found[dataset] = record(workspace.registry, surveyed, diverged)
    assert sum(len(one["paper"]) for one in found.values()) == len(list_published())
    options.out.write_text(json.dumps(describe_machine() | {"datasets": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
