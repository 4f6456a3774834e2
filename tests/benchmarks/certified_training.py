"""Train the certified kind at full size, and others beside it; certify and attack them, and record accuracies and cost.

    python -m tests.benchmarks.certified_training --data-dir DIR --home DIR [--only "NAME;NAME"] [--limit N]

Hours on two cores. The registry in --home makes it resumable. Each case's record replaces the one of before. An image
with a proof is not attacked: nothing can break it, and tests/intervals and interval_soundness.py look whether it does.
The JSON goes to tests/benchmarks/results/certified_training.json; ``render`` makes a table of it.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from advae import evaluate, open_registry
from advae.datasets.load import load_dataset
from advae.metrics import wilson_interval
from advae.records import PROVED, Manifest
from advae.registry import Registry
from advae.requests import AutoencoderRequest, CertificateRequest, ClassifierRequest, NetworkRequest
from advae.workflows import Workspace, certify_classifier, train_autoencoder, train_classifier
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.robust import ROBUST_FASHION, ROBUST_MNIST

RESULTS = Path(__file__).parent / "results" / "certified_training.json"

ATTACKS: dict[str, dict[str, Any]] = {"pgd": {"restarts": 5, "steps": 40}, "square": {"queries": 5_000}}
"""The attacks and their options; ``square`` needs no gradient."""


@dataclass(frozen=True)
class CertifiedCase:
    """A training, and the radius at which it is certified and attacked."""

    dataset: str
    """Name of the dataset."""
    eps: float
    """L-infinity radius, in units of a pixel's range."""
    purifier: AutoencoderRequest
    """What the autoencoder is trained with."""
    protects: str | None = None
    """The model that the purifier is trained in front of; None for the classifier that is trained with it."""
    behind: str | None = None
    """The model that is trained behind the purifier; None for the one that the purifier is trained with."""
    wanted: tuple[float, float, float] | None = None
    """Least clean, certified and robust accuracy, in [0, 1]; None for a pipeline that is there for comparison."""


def _ask(epochs: int | None = None, **options: Any) -> AutoencoderRequest:
    return AutoencoderRequest(type="certified", network=NetworkRequest(epochs=epochs), options=options)


# With the default 20 epochs robust.json has 87.5 % clean and 76.5 % under attack, at more than twice the cost.
ROBUST_SHORT = ROBUST_FASHION.model_copy(update={"network": NetworkRequest(epochs=8)})

CASES = {
    "mnist, 0.1": CertifiedCase(
        "mnist", 0.1, _ask(24, train_eps=0.13, kappa=0.5, slope=2.0), wanted=(0.985, 0.965, 0.975)
    ),
    "mnist, 0.3": CertifiedCase("mnist", 0.3, _ask(30), wanted=(0.965, 0.88, 0.91)),
    "fashion, 0.1": CertifiedCase("fashion-mnist", 0.1, _ask(9, train_eps=0.12, slope=2.0), wanted=(0.80, 0.70, 0.72)),
    "mnist, 0.3, conv": CertifiedCase("mnist", 0.3, _ask(body="conv")),
    "mnist, 0.3, dense": CertifiedCase("mnist", 0.3, _ask(body="dense")),
    "mnist, 0.3, none": CertifiedCase("mnist", 0.3, _ask(body="none")),
    "mnist, 0.3, for nn": CertifiedCase("mnist", 0.3, _ask(body="conv"), protects="nn"),
    "mnist, vanilla": CertifiedCase("mnist", 0.1, AutoencoderRequest(type="vanilla"), behind="nn"),
    "fashion, vanilla": CertifiedCase("fashion-mnist", 0.1, AutoencoderRequest(type="vanilla"), behind="nn"),
    "mnist, robust": CertifiedCase("mnist", 0.3, ROBUST_MNIST),
    "fashion, robust": CertifiedCase("fashion-mnist", 0.1, ROBUST_SHORT),
}

SHOWN = (
    *("mnist, vanilla", "mnist, 0.1", "mnist, robust", "mnist, 0.3"),
    *("fashion, vanilla", "fashion, robust", "fashion, 0.1"),
)
"""The cases of the README's table."""


def train(workspace: Workspace, case: CertifiedCase) -> tuple[Manifest, Manifest]:
    """Return the purifier of a case and the classifier behind it."""
    protected = None
    if case.protects:
        request = ClassifierRequest(model=case.protects)
        protected = train_classifier(workspace, case.dataset, request, None).manifest.id
    made, companion = train_autoencoder(workspace, case.dataset, case.purifier, protected)
    if case.behind:
        companion = train_classifier(workspace, None, ClassifierRequest(model=case.behind), made.manifest.id)
    assert companion
    return made.manifest, companion.manifest


def measure(workspace: Workspace, name: str, limit: int | None) -> dict[str, Any]:
    """Return the record of one case. limit: images that are attacked, None for all; all are certified."""
    case = CASES[name]
    purifier, classifier = train(workspace, case)
    proof = certify_classifier(
        workspace, classifier.id, None, CertificateRequest(method="ibp", eps=(case.eps,))
    ).manifest
    recipe, metrics = purifier.as_autoencoder()
    behind, found = classifier.as_classifier()
    (certified,) = proof.as_certificate()[1].results
    history = metrics.history
    assert history
    return {
        "name": name,
        "dataset": case.dataset,
        "purifier": recipe.model_dump(mode="json"),
        "protects": case.protects,
        "classifier": behind.model,
        "ids": [entry.id for entry in (purifier, classifier, proof)],
        "seconds": history.seconds,
        "test_mse": metrics.test_mse,
        "unstable_relus": history.unstable_relus[-1] if history.unstable_relus else None,
        "clean_accuracy": found.test_accuracy,
        "eps": case.eps,
        "certified_accuracy": certified.certified_accuracy,
        "certified_interval": certified.certified_accuracy_interval,
        "attacks": [attack_unproved(workspace, proof, method, case.eps, limit) for method in ATTACKS],
        "wanted": case.wanted,
    }


def attack_unproved(
    workspace: Workspace, proof: Manifest, method: str, eps: float, limit: int | None
) -> dict[str, Any]:
    """Return the robust accuracy under a method that attacks the images without a proof among the first ``limit``."""
    recipe = proof.as_certificate()[0]
    certified = workspace.registry.read_arrays(proof, PROVED)["certified"][0][:limit]
    data = load_dataset(recipe.dataset.name, data_dir=workspace.data_dir)
    rows = np.flatnonzero(~certified)
    x, y = data.x_test[rows], data.y_test[rows]
    pipeline = open_registry(workspace.registry.home).load(recipe.classifier)
    found = evaluate(pipeline, x, y, methods=[method], eps=eps, **ATTACKS[method])
    (result,) = found.runs[0].metrics.results
    robust = int(certified.sum()) + round(result.accuracy * len(rows))
    return {
        "method": method,
        "n": len(certified),
        "attacked": len(rows),
        "accuracy": robust / len(certified),
        "interval": wilson_interval(robust, len(certified)),
        "zero_gradient_fraction": result.zero_gradient_fraction,
    }


# ---------------------------------------------------------------- shown


def render(record: dict[str, Any]) -> str:
    """Return the block of results/README.md."""
    head = (
        "purifier",
        "dataset",
        "eps",
        "trained in, min",
        "clean, %",
        "certified, %",
        "n",
        "PGD, %",
        "square, %",
        "wanted, %",
    )
    lines = [f"| {' | '.join(head)} |", f"| --- | --- |{' ---: |' * (len(head) - 2)}"]
    return "\n".join([*lines, *map(_render_row, record["rows"])])


def render_overview(record: dict[str, Any]) -> str:
    """Return the README's table: certified accuracy beside the strongest attack."""
    rows = {row["name"]: row for row in record["rows"]}
    head = ("pipeline", "dataset", "eps", "clean", "certified", "strongest attack")
    lines = [f"| {' | '.join(head)} |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    return "\n".join([*lines, *(_render_shown(rows[name]) for name in SHOWN if name in rows)])


def _render_shown(row: dict[str, Any]) -> str:
    strongest = min(row["attacks"], key=lambda one: one["accuracy"])
    low, high = row["certified_interval"]
    cells = (
        f"`{row['classifier']}` behind {row['purifier']['type']}",
        row["dataset"],
        f"{row['eps']:g}",
        f"{100 * row['clean_accuracy']:.2f}",
        f"{100 * row['certified_accuracy']:.2f} [{100 * low:.2f}, {100 * high:.2f}]",
        f"{100 * strongest['accuracy']:.2f} ({strongest['method']}, n = {strongest['n']:,})",
    )
    return f"| {' | '.join(cells)} |"


def _render_row(row: dict[str, Any]) -> str:
    kind, body = row["purifier"]["type"], row["purifier"]["options"].get("body")
    name = (f"`--body {body}`" if kind == "certified" else f"{kind}, with `{row['classifier']}`") + (
        f", for `{row['protects']}`" if row["protects"] else ""
    )
    attacked = {one["method"]: f"{100 * one['accuracy']:.2f}" for one in row["attacks"]}
    cells = (
        *(name, row["dataset"], f"{row['eps']:.3g}", f"{row['seconds'] / 60:.1f}"),
        *(f"{100 * row[key]:.2f}" for key in ("clean_accuracy", "certified_accuracy")),
        f"{row['attacks'][0]['n']:,}",
        *(attacked.get(method, "") for method in ("pgd", "square")),
        ", ".join(f"{100 * value:.1f}" for value in row["wanted"] or ()),
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Parse the options, measure each case, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("ADVAE_DATA_DIR"))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--only", default=";".join(CASES), help="cases, with semicolons")
    parser.add_argument("--limit", type=int, default=None, help="images that are attacked, default all")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    workspace = Workspace(Registry(options.home), options.data_dir, tell=lambda line: print(line, flush=True))
    for name in options.only.split(";"):
        row = measure(workspace, name, options.limit)
        print(json.dumps(row), flush=True)
        rows = _read(options.out) | {name: row}
        ordered = [rows[one] for one in CASES if one in rows]
        options.out.write_text(json.dumps(describe_machine() | {"rows": ordered}, indent=1) + "\n")


def _read(path: Path) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(path.read_text())["rows"]} if path.exists() else {}


if __name__ == "__main__":
    main()
