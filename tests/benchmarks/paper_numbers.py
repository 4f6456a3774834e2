"""Train and attack what the README's results table shows, at full size, and record it as JSON.

    python -m tests.benchmarks.paper_numbers --data-dir DIR --home DIR [--seeds 3] [--datasets mnist,fashion-mnist]

An hour on two cores. The registry in --home makes it resumable: what is there is not computed again. The JSON goes to
tests/benchmarks/results/paper_numbers.json, from which ``render`` makes the README's table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from advae.errors import DivergedError
from advae.records import Manifest
from advae.registry import Registry, library_versions
from advae.requests import AttackRequest, AutoencoderRequest, ClassifierRequest
from advae.workflows import Plan, Workspace, attack, train_autoencoder, train_classifier

RESULTS = Path(__file__).parent / "results" / "paper_numbers.json"
KINDS = ("vanilla", "sparse", "denoising", "variational")
LINEAR = ("non-targeted", "natural", "non-natural", "one-target")
PAPER_EPS = 50 / 255
LONG, LONG_STEP = 100, 0.01
"""Steps and step size of the attack that shows whether ten steps were enough."""

THREATS = ("adaptive", "gray-box", "oblivious", "encoded")


@dataclass(frozen=True)
class Target:
    """What the paper reached: ``bound`` is met from below by attacked accuracy, from above by clean accuracy."""

    dataset: str
    classifier: str
    autoencoder: str
    attack: str
    bound: float

    @property
    def at_least(self) -> bool:
        return self.attack == "none"

    def is_met_by(self, accuracy: float) -> bool:
        return accuracy >= self.bound if self.at_least else accuracy <= self.bound


def _clean(dataset: str, bounds: dict[tuple[str, str], float]) -> list[Target]:
    return [Target(dataset, clf, ae, "none", bound) for (clf, ae), bound in bounds.items()]


TARGETS = [
    *_clean(
        "mnist",
        {
            ("nn", "none"): 0.980,
            ("nn", "vanilla"): 0.9755,
            ("nn", "sparse"): 0.968,
            ("nn", "denoising"): 0.9634,
            ("nn", "variational"): 0.70,
            ("lr", "none"): 0.920,
            ("lr", "vanilla"): 0.935,
        },
    ),
    *_clean(
        "fashion-mnist",
        {
            ("nn", "none"): 0.884,
            ("nn", "vanilla"): 0.857,
            ("nn", "sparse"): 0.860,
            ("nn", "denoising"): 0.860,
            ("nn", "variational"): 0.63,
            ("lr", "none"): 0.835,
            ("lr", "vanilla"): 0.82,
        },
    ),
    Target("mnist", "nn", "none", "bim", 0.0142),
    Target("mnist", "nn", "none", "fgsm", 0.0545),
    Target("fashion-mnist", "nn", "none", "bim", 0.08),
    Target("fashion-mnist", "nn", "none", "fgsm", 0.08),
    Target("mnist", "lr", "none", "non-targeted", 0.045),
    Target("mnist", "lr", "none", "natural", 0.11),
    Target("mnist", "lr", "none", "non-natural", 0.20),
    Target("mnist", "lr", "none", "one-target", 0.19),
    Target("fashion-mnist", "lr", "none", "non-targeted", 0.16),
]


class Recorder:
    """Runs workflows and keeps a row of each."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.rows = workspace, list[dict[str, Any]]()

    def train_purifier(self, dataset: str, kind: str, seed: int) -> Manifest | None:
        request = AutoencoderRequest(type=kind, seed=seed)
        try:
            made = train_autoencoder(self.workspace, dataset, request).manifest
        except DivergedError as error:
            self._note({"dataset": dataset, "autoencoder": kind, "seed": seed, "diverged": str(error)})
            return None
        metrics = made.as_autoencoder()[1]
        row = {"dataset": dataset, "autoencoder": kind, "seed": seed, "id": made.id}
        self._note(row | {"test_mse": metrics.test_mse, "seconds": metrics.history.seconds})
        return made

    def train_defended(self, dataset: str, model: str, purifier: Manifest | None, kind: str, seed: int) -> Manifest:
        request = ClassifierRequest(model=model, seed=seed)
        made = train_classifier(self.workspace, dataset, request, purifier.id if purifier else None).manifest
        metrics = made.as_classifier()[1]
        self._note(
            {
                "dataset": dataset,
                "classifier": model,
                "autoencoder": kind,
                "attack": "none",
                "seed": seed,
                "id": made.id,
                "accuracy": metrics.test_accuracy,
                "interval": metrics.test_accuracy_interval,
                "classes_predicted": metrics.classes_predicted,
                "seconds": metrics.history.seconds if metrics.history else None,
            }
        )
        return made

    def attack(
        self,
        classifier: Manifest,
        kind: str,
        method: str,
        threat: str,
        eps: float,
        *,
        clip: bool,
        steps: int | None = None,
        step_size: float | None = None,
    ) -> None:
        request = AttackRequest(method=method, threat=threat, eps=(eps,), clip=clip, steps=steps, step_size=step_size)
        made = attack(self.workspace, classifier.id, None, Plan([request])).requested[0].manifest
        metrics = made.as_run()[1]
        result = metrics.results[0]
        self._note(
            {
                "dataset": classifier.recipe.dataset.name,
                "classifier": classifier.as_classifier()[0].model,
                "autoencoder": kind,
                "attack": method,
                "threat": threat,
                "eps": eps,
                "clip": clip,
                "steps": steps,
                "seed": classifier.recipe.seed,
                "id": made.id,
                "accuracy": result.accuracy,
                "interval": result.accuracy_interval,
                "linf_max": result.linf_max,
                "zero_gradient_fraction": result.zero_gradient_fraction,
            }
        )

    def _note(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        print(json.dumps(row), flush=True)


def run_seed(recorder: Recorder, dataset: str, seed: int, kinds: tuple[str, ...]) -> None:
    """Train everything of one seed, and attack it."""
    undefended = recorder.train_defended(dataset, "nn", None, "none", seed)
    for method in ("fgsm", "tfgsm", "bim"):
        recorder.attack(undefended, "none", method, "adaptive", 0.3, clip=True)
    for kind in kinds:
        purifier = recorder.train_purifier(dataset, kind, seed)
        if purifier is None:
            continue
        defended = recorder.train_defended(dataset, "nn", purifier, kind, seed)
        for threat in THREATS:
            recorder.attack(defended, kind, "bim", threat, 0.3, clip=True)
        if seed == 0:
            recorder.attack(defended, kind, "bim", "adaptive", 0.3, clip=True, steps=LONG, step_size=LONG_STEP)
        if seed == 0 and kind == "vanilla":
            run_linear(recorder, dataset, purifier)


def run_linear(recorder: Recorder, dataset: str, purifier: Manifest) -> None:
    """Logistic regression without and behind the vanilla autoencoder: it has no seed of its own."""
    undefended = recorder.train_defended(dataset, "lr", None, "none", 0)
    defended = recorder.train_defended(dataset, "lr", purifier, "vanilla", 0)
    for method in LINEAR:
        for clip in (False, True):
            recorder.attack(undefended, "none", method, "adaptive", PAPER_EPS, clip=clip)
    for threat in THREATS:
        recorder.attack(defended, "vanilla", "non-targeted", threat, PAPER_EPS, clip=True)
    recorder.attack(undefended, "none", "bim", "adaptive", PAPER_EPS, clip=True)
    recorder.attack(defended, "vanilla", "bim", "adaptive", PAPER_EPS, clip=True)
    recorder.attack(defended, "vanilla", "non-targeted", "encoded", PAPER_EPS, clip=False)


def describe_machine() -> dict[str, Any]:
    """Return what a reader needs to compare numbers."""
    return {"versions": library_versions(), "machine": platform.machine(), "cores": os.cpu_count()}


def find_accuracy(rows: list[dict[str, Any]], target: Target, seed: int = 0) -> float | None:
    """Return the recorded accuracy that a target speaks of, None where it was not run."""
    for row in rows:
        same = all(row.get(key) == value for key, value in asdict(target).items() if key != "bound")
        paper = row.get("threat", "adaptive") == "adaptive" and row.get("clip", True) is (target.attack not in LINEAR)
        if same and paper and not row.get("steps") and row["seed"] == seed and "accuracy" in row:
            return float(row["accuracy"])
    return None


def main() -> None:
    """Parse the options, run seed 0 of every dataset first, then the headline networks with more seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("ADVAE_DATA_DIR"))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--datasets", default="mnist,fashion-mnist")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    recorder = Recorder(Workspace(Registry(options.home), options.data_dir))
    for seed in range(options.seeds):
        for dataset in options.datasets.split(","):
            run_seed(recorder, dataset, seed, KINDS if seed == 0 else KINDS[:1])
            document = describe_machine() | {"rows": recorder.rows}
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
