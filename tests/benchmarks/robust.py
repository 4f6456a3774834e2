"""Train the robust kind at full size, run the strongest attack, and record its robust accuracy and its cost.

    python -m tests.benchmarks.robust --data-dir DIR --home DIR [--only "NAME;NAME"] [--limit N] [--checks] [--out FILE]

Hours on two cores. The registry in --home makes it resumable. --limit attacks the first N images only. Each
pipeline's record replaces the one of before. The JSON goes to tests/benchmarks/results/robust.json; ``render`` makes a
table of it.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from advae.records import Manifest
from advae.registry import Registry
from advae.requests import AttackRequest, AutoencoderRequest, ClassifierRequest, NetworkRequest
from advae.workflows import AttackCommand, Workspace, put_classifier, run_attacks, train_autoencoder, train_classifier
from tests.benchmarks.machine import describe_machine
from tests.report_fixtures import check_classifier

RESULTS = Path(__file__).parent / "results" / "robust.json"
SUBSAMPLE = 1_000
"""Images that are attacked where robust accuracy is near 0, and for the checks."""

ROBUST_MNIST = AutoencoderRequest(type="robust", network=NetworkRequest(epochs=30), options={"train_eps": 0.35})
ROBUST_FASHION = AutoencoderRequest(type="robust", options={"train_eps": 0.1})
ROBUST_DEFAULT = AutoencoderRequest(type="robust")
ROBUST_WIDE = AutoencoderRequest(type="robust", network=NetworkRequest(hidden=64, batch_size=128))
VANILLA = AutoencoderRequest(type="vanilla")


@dataclass(frozen=True)
class Case:
    """A pipeline and the budget at which it is attacked."""

    dataset: str
    """Name of the dataset."""

    eps: float
    """L-infinity radius, in units of a pixel's range."""

    purifier: AutoencoderRequest | None
    """What the autoencoder is trained with; None for the undefended classifier."""

    protects: str | None = None
    """The model that the purifier is trained in front of; None for a classifier trained with it."""

    classifier: str | None = None
    """The model that is put behind the purifier as it is; ``trained`` for one trained behind it; None for the one
    trained with it."""

    wanted: tuple[float, float] | None = None
    """Least clean accuracy and least robust accuracy, in [0, 1]; None for a pipeline that is there for comparison."""

    limit: int | None = SUBSAMPLE
    """Images attacked; None for the whole test set."""


CASES = {
    "mnist": Case("mnist", 0.3, ROBUST_MNIST, wanted=(0.98, 0.92), limit=None),
    "fashion": Case("fashion-mnist", 0.1, ROBUST_FASHION, wanted=(0.84, 0.72), limit=None),
    "lr": Case("mnist", 0.3, ROBUST_DEFAULT, protects="lr", wanted=(0.90, 0.70), limit=None),
    "nn, seen by none": Case("mnist", 0.3, ROBUST_MNIST, classifier="nn"),
    "lr, seen by none": Case("mnist", 0.3, ROBUST_MNIST, classifier="lr"),
    "nn, seen by lr's": Case("mnist", 0.3, ROBUST_DEFAULT, protects="lr", classifier="nn"),
    "vanilla": Case("mnist", 0.3, VANILLA, classifier="trained"),
    "vanilla, fashion": Case("fashion-mnist", 0.1, VANILLA, classifier="trained"),
    "undefended": Case("mnist", 0.3, None, classifier="trained"),
    "undefended, fashion": Case("fashion-mnist", 0.1, None, classifier="trained"),
    "colour": Case("photo-digits", 8 / 255, ROBUST_DEFAULT, wanted=(0.85, 0.60)),
    "cnn, colour": Case("photo-digits", 8 / 255, ROBUST_WIDE, protects="cnn", wanted=(0.85, 0.60)),
    "undefended, colour": Case("photo-digits", 8 / 255, None, classifier="cnn"),
}


def train(workspace: Workspace, case: Case) -> tuple[Manifest | None, Manifest]:
    """Return the purifier of a case, None where it has none, and the classifier behind it."""
    plain = {model: _train_plain(workspace, case.dataset, model) for model in (case.protects, case.classifier) if model}
    if case.purifier is None:
        return None, plain[case.classifier or "trained"]
    protects = plain[case.protects] if case.protects else None
    made, companion = train_autoencoder(workspace, case.dataset, case.purifier, protects.id if protects else None)
    if case.classifier == "trained":
        request = ClassifierRequest(model="nn")
        return made.manifest, train_classifier(workspace, case.dataset, request, made.manifest.id).manifest
    if case.classifier:
        return made.manifest, put_classifier(
            workspace, case.dataset, made.manifest.id, plain[case.classifier].id
        ).manifest
    assert companion
    return made.manifest, companion.manifest


def _train_plain(workspace: Workspace, dataset: str, model: str) -> Manifest:
    request = ClassifierRequest(model="nn" if model == "trained" else model)
    return train_classifier(workspace, dataset, request, None).manifest


def measure(workspace: Workspace, name: str, limit: int | None = None) -> dict[str, Any]:
    """Return the record of one case without the checks: accuracies and times.

    limit: images attacked, None for the case's own number.
    """
    case = CASES[name]
    limit = limit or case.limit
    purifier, classifier = train(workspace, case)
    recipe, metrics = classifier.as_classifier()
    requests = [AttackRequest(method="worst", threat="adaptive", eps=(case.eps,), limit=limit)]
    if purifier and case.limit is None:
        # What the oblivious attacker differentiates.
        train_classifier(workspace, case.dataset, ClassifierRequest(model=recipe.model), None)
    # The README shows them for what is attacked at full size.
    requests += [
        AttackRequest(method="bim", threat=threat, eps=(case.eps,), limit=limit)
        for threat in ("oblivious", "adaptive")
        if purifier and case.limit is None
    ]
    made, *others = run_attacks(workspace, classifier.id, None, AttackCommand(requests)).requested
    _, found = made.manifest.as_run()
    (strongest,) = found.results
    histories = [entry.metrics.history for entry in (purifier, classifier) if entry]
    return {
        "name": name,
        "dataset": case.dataset,
        "purifier": purifier.as_autoencoder()[0].model_dump(mode="json") if purifier else None,
        "classifier": recipe.model,
        "protects": case.protects,
        "put": case.classifier,
        "ids": [entry.id for entry in (purifier, classifier, made.manifest) if entry],
        "seconds": sum(history.seconds for history in histories if history),
        "clean_accuracy": metrics.test_accuracy,
        "clean_interval": metrics.test_accuracy_interval,
        "eps": case.eps,
        "n": found.n,
        "advae": version("advae"),
        "accuracy": strongest.accuracy,
        "interval": strongest.accuracy_interval,
        "others": [_describe_other(one.manifest) for one in others],
        "wanted": case.wanted,
        "test_mse": purifier.as_autoencoder()[1].test_mse if purifier else None,
    }


def _describe_other(run: Manifest) -> dict[str, Any]:
    """Return threat model, method, images and robust accuracy of a run at one eps."""
    recipe, metrics = run.as_run()
    (result,) = metrics.results
    return {"threat": recipe.threat, "method": recipe.method, "n": metrics.n, "accuracy": result.accuracy}


def run_checks(workspace: Workspace, case: Case) -> dict[str, str]:
    """Return the result of every check, by name, on the first images.

    It takes as long as the training again: the transfer attack needs a surrogate, which is trained in the same way.
    """
    _, classifier = train(workspace, case)
    requests = [
        AttackRequest(method=method, threat="adaptive", eps=eps, limit=SUBSAMPLE)
        for method, eps in (("worst", (case.eps,)), ("pgd", (case.eps / 3, case.eps)))
    ]
    runs = [
        one.manifest for one in run_attacks(workspace, classifier.id, None, AttackCommand(requests, check=True)).all
    ]
    checked = check_classifier(workspace.registry, classifier.id, runs)
    return {result.check: f"{result.status}: {result.sentence}" for result in checked.checks}


# ---------------------------------------------------------------- shown


def render(record: dict[str, Any]) -> str:
    """Return the block of results/README.md."""
    head = ("pipeline", "dataset", "trained in, min", "clean, %", "eps", "images", "`worst`, %", "wanted, %")
    lines = [f"| {' | '.join(head)} |", "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    lines += [_render_row(row) for row in record["rows"]]
    checked = [row for row in record["rows"] if "checks" in row]
    checks = [f"- {_name(row)}, {row['dataset']}: {_render_checks(row['checks'])}" for row in checked]
    weaker = "* By `worst` as it was before version 0.7.0, without `apgd-t` and with fewer queries of `square`."
    marked = ["", weaker] if any(map(_mark, record["rows"])) else []
    return "\n".join([*lines, *marked, "", "Checks that are not PASS:", "", *checks])


def _name(row: dict[str, Any]) -> str:
    model = f"`{row['classifier']}`"
    if row["purifier"] is None:
        return f"{model} undefended"
    kind = row["purifier"]["type"] + (f" trained for `{row['protects']}`" if row["protects"] else "")
    unseen = ", which it has never seen" if row["put"] not in (None, "trained") else ""
    return f"{model} behind {kind}{unseen}"


def _render_row(row: dict[str, Any]) -> str:
    low, high = (f"{100 * value:.2f}" for value in row["interval"])
    wanted = " and ".join(f"{100 * value:.0f}" for value in row["wanted"]) if row["wanted"] else ""
    # The clean accuracy of the networks that are there for comparison is shown in the paper's tables.
    clean = "" if row["put"] == "trained" else f"{100 * row['clean_accuracy']:.2f}"
    cells = (
        *(_name(row), row["dataset"], f"{row['seconds'] / 60:.1f}", clean),
        *(f"{row['eps']:.3g}", f"{row['n']:,}", f"{100 * row['accuracy']:.2f} [{low}, {high}]{_mark(row)}", wanted),
    )
    return f"| {' | '.join(cells)} |"


def _mark(row: dict[str, Any]) -> str:
    """Return the mark of a row that was attacked by a weaker ``worst``."""
    return "" if "advae" in row else " *"


def _render_checks(checks: dict[str, str]) -> str:
    """Return the checks that do not pass, each with its sentence."""
    return (
        "; ".join(f"`{check}` {result}" for check, result in checks.items() if not result.startswith("PASS")) or "none"
    )


def main() -> None:
    """Parse the options, measure each case, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("ADVAE_DATA_DIR"))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--only", default=";".join(CASES), help="cases, with semicolons")
    parser.add_argument("--limit", type=int, help="images attacked, the case's own number by default")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--checks", action="store_true", help="run the checks on those cases, measured before")
    options = parser.parse_args()
    workspace = Workspace(Registry(options.home), options.data_dir, tell=lambda line: print(line, flush=True))
    for name in options.only.split(";"):
        before = _read(options.out).get(name, {})
        row = before if options.checks else before | measure(workspace, name, options.limit)
        if options.checks:
            row["checks"] = run_checks(workspace, CASES[name])
        print(json.dumps(row), flush=True)
        rows = _read(options.out) | {name: row}
        ordered = [rows[one] for one in CASES if one in rows]
        options.out.write_text(json.dumps(describe_machine() | {"rows": ordered}, indent=1) + "\n")


def _read(path: Path) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(path.read_text())["rows"]} if path.exists() else {}


if __name__ == "__main__":
    main()
