"""Certify pipelines by randomised smoothing on MNIST, and record certified accuracies and times.

    python -m tests.benchmarks.smoothing --data-dir DIR --home DIR [--only "NAME;NAME"] [--out FILE]

An hour on two cores. The registry in --home and its checkpoints make it resumable. Each pipeline's record replaces the
one of before. The JSON goes to tests/benchmarks/results/smoothing.json.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advae.certificates.smoothing import find_largest_radius, read_smoothing
from advae.records import AutoencoderMetrics, ClassifierMetrics, Manifest
from advae.registry import Registry
from advae.report.data.commands import describe_command
from advae.requests import AutoencoderRequest, CertificateRequest, ClassifierRequest, NetworkRequest
from advae.workflows import Workspace, certify_classifier, train_autoencoder, train_classifier
from tests.benchmarks.machine import describe_machine

RESULTS = Path(__file__).parent / "results" / "smoothing.json"
DATASET = "mnist"
SIGMA = 0.5
Trained = AutoencoderMetrics | ClassifierMetrics
RADII = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
WANTED = {0.0: 0.97, 0.5: 0.91, 1.0: 0.75}
"""Least certified accuracy of the pipeline that noise was shown to, by radius."""

WIDE = {"hidden": 1_024, "code": 256}
FREE = {"noise_level": SIGMA, "no_noise_clip": True}

DENOISING = AutoencoderRequest(
    type="denoising",
    network=NetworkRequest(activations=("relu", "relu", "relu", "sigmoid"), epochs=20, **WIDE),
    loss="squared-error",
    rescale="none",
    options=FREE,
)
SHOWN_NOISE = ClassifierRequest(
    model="nn",
    network=NetworkRequest(activations=("relu", "relu", "relu", "relu"), epochs=12, **WIDE),
    noise_level=SIGMA,
)
PLAIN = ClassifierRequest(model="nn")


@dataclass(frozen=True)
class Case:
    """A pipeline, and how much of it is certified."""

    purifier: AutoencoderRequest | None
    """What the autoencoder is trained with; None for the undefended classifier."""

    classifier: ClassifierRequest
    """What the classifier is trained with."""

    limit: int = 200
    """The first images of the test set, as many as this, are certified."""

    samples: int = 2_000
    """Noisy copies that bound a probability."""

    wanted: bool = False
    """Whether the pipeline is held to WANTED; the others are there for comparison."""


CASES = {
    "denoising": Case(DENOISING, SHOWN_NOISE, limit=1_000, samples=10_000, wanted=True),
    "denoising, rescaled": Case(DENOISING.model_copy(update={"rescale": "intensity"}), SHOWN_NOISE),
    "denoising, classifier never shown noise": Case(DENOISING, PLAIN),
    "undefended, shown noise": Case(None, SHOWN_NOISE),
    "undefended, never shown noise": Case(None, PLAIN),
    "vanilla, never shown noise": Case(AutoencoderRequest(type="vanilla"), PLAIN),
}


def train(workspace: Workspace, case: Case) -> list[Manifest]:
    """Return the entries of a case, the classifier last."""
    if case.purifier is None:
        return [train_classifier(workspace, DATASET, case.classifier, None).manifest]
    purifier, _ = train_autoencoder(workspace, DATASET, case.purifier)
    made = train_classifier(workspace, DATASET, case.classifier, purifier.manifest.id)
    return [purifier.manifest, made.manifest]


def measure(workspace: Workspace, name: str) -> dict[str, Any]:
    """Return the record of one case."""
    case = CASES[name]
    entries = train(workspace, case)
    request = CertificateRequest(
        method="smoothing", norm="l2", eps=RADII, sigma=SIGMA, samples=case.samples, limit=case.limit
    )
    made = certify_classifier(workspace, entries[-1].id, None, request).manifest
    recipe, found = made.as_certificate()
    histories = [entry.metrics.history for entry in entries if isinstance(entry.metrics, Trained)]
    return {
        "name": name,
        "commands": [describe_command(entry) for entry in entries],
        "ids": [entry.id for entry in (*entries, made)],
        "training_seconds": sum(history.seconds for history in histories if history),
        "accuracy_without_noise": entries[-1].as_classifier()[1].test_accuracy,
        **{option: getattr(recipe, option) for option in ("sigma", "samples", "select", "alpha", "seed")},
        "n": found.n,
        "largest_radius": find_largest_radius(read_smoothing(recipe)),
        "certified": {str(one.eps): one.certified_accuracy for one in found.results},
        "intervals": {str(one.eps): one.certified_accuracy_interval for one in found.results},
        "abstained": found.abstained,
        "seconds": found.seconds,
        "seconds_an_image": found.seconds / found.n,
        "wanted": {str(radius): least for radius, least in WANTED.items()} if case.wanted else None,
    }


def render(record: dict[str, Any]) -> str:
    """Return the table of results/README.md."""
    radii = list(record["pipelines"][0]["certified"])
    head = ("pipeline", "n", "samples", "abstained", *(f"{float(radius):g}" for radius in radii), "s an image")
    lines = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    for one in record["pipelines"]:
        shares = [f"{100 * one['certified'][radius]:.1f}" for radius in radii]
        cells = (one["name"], f"{one['n']:,}", f"{one['samples']:,}", str(one["abstained"]), *shares)
        lines.append(f"| {' | '.join(cells)} | {one['seconds_an_image']:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Parse the options, measure the cases, and record each at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--only", default=";".join(CASES))
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    workspace = Workspace(Registry(given.home), data_dir=given.data_dir, tell=print)
    for name in given.only.split(";"):
        record = measure(workspace, name)
        kept = json.loads(given.out.read_text())["pipelines"] if given.out.exists() else []
        pipelines = [one for one in kept if one["name"] != name] + [record]
        written = {"machine": describe_machine(), "pipelines": pipelines}
        draft = given.out.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(written, indent=1) + "\n")
        draft.replace(given.out)
        print(json.dumps(record["certified"]), flush=True)


if __name__ == "__main__":
    main()
