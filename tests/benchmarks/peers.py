"""Attack exported pipelines with foolbox, the Adversarial Robustness Toolbox (ART) and our attacks, and compare.

    python -m tests.benchmarks.peers --data-dir DIR --home DIR

All three attack the same images, and the same code scores their adversarial examples: by the predictions of the
exported ``.keras`` model, loaded in plain Keras. Networks are kept in --home, attacks are run anew. Every number and
every broken bound goes to tests/benchmarks/results/peers.json; exit code 1 where a bound is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.datasets.load import load_dataset
from advae.metrics import decide
from advae.records import ADVERSARIAL, Dataset, Manifest
from advae.registry import Registry, library_versions
from advae.requests import AttackRequest, AutoencoderRequest, ClassifierRequest
from advae.workflows import AttackCommand, Workspace, run_attacks, train_autoencoder, train_classifier
from advae.workflows.exporting import export_keras
from tests.benchmarks.peer_attacks import PEERS, Peer, Subject, import_peers

if TYPE_CHECKING:
    from advae.records import FloatArray

RESULTS = Path(__file__).parent / "results" / "peers.json"
LIBRARIES = {"foolbox": "foolbox", "art": "adversarial-robustness-toolbox", "eagerpy": "eagerpy", "scipy": "scipy"}
DATASETS = ("digits", "mnist")
LIMIT = 1000
SEED = 0
EPS: dict[str, tuple[float, ...]] = {"linf": (0.1, 0.3), "l2": (1.5,)}
TOLERANCE = 1e-6
"""What float32 rounding may add to a perturbation, or to the range."""

SHARED_ATTACKS = ("fgsm", "bim")
"""The attacks that all three libraries have."""

STRONGEST = ("worst",)
"""Our attacks that no attack of a peer may beat."""

SHARED_TOLERANCE, STRONGEST_TOLERANCE = 0.005, 0.01
"""Allowed difference in robust accuracy of the same attack, and of our strongest attack above any peer's."""


# ---------------------------------------------------------------- scoring


@dataclass(frozen=True)
class Score:
    """Robust accuracy and longest perturbation of an attack on n images."""

    dataset: str
    """Name of the dataset."""

    behind: str
    """Kind of the pipeline's purifier, or ``none``."""

    library: str
    """``advae``, ``foolbox`` or ``art``."""

    attack: str
    """Our name of the attack."""

    loss: str | None
    """Of our attack; None for a peer's."""

    norm: str
    """Of eps: ``linf`` or ``l2``."""

    eps: float
    """Radius of the ball."""

    n: int
    """Images attacked."""

    accuracy: float
    """Robust accuracy, in [0, 1]."""

    longest: float
    """Largest norm of a perturbation."""

    seconds: float
    """Duration of the attack."""

    @property
    def name(self) -> str:
        return f"{self.library} {self.attack}" + (f" --loss {self.loss}" if self.loss else "")


def measure_accuracy(subject: Subject, images: FloatArray) -> float:
    """Return the accuracy of the exported model on some images."""
    import tensorflow as tf

    return float((decide(subject.model(tf.constant(images)).numpy()) == subject.labels).mean())


def measure_longest(subject: Subject, images: FloatArray, norm: str, eps: float) -> float:
    """Return the longest perturbation. Raises ValueError for images outside the budget or the range."""
    import numpy as np

    delta = (images.astype(np.float64) - subject.images).reshape(len(images), -1)
    longest = float(np.linalg.norm(delta, {"linf": np.inf, "l2": 2}[norm], axis=1).max())
    lowest, highest = float(images.min()), float(images.max())
    if not (longest <= eps + TOLERANCE and lowest >= -TOLERANCE and highest <= 1 + TOLERANCE):
        raise ValueError(f"{norm} {longest:.9g} at eps {eps}, pixels from {lowest:.9g} to {highest:.9g}")
    return longest


def score(
    subject: Subject,
    images: FloatArray,
    *,
    library: str,
    attack: str,
    loss: str | None,
    norm: str,
    eps: float,
    seconds: float,
) -> Score:
    """Return the score of proposed images of any library. Raises ValueError as ``measure_longest`` does."""
    return Score(
        subject.dataset,
        subject.behind,
        library,
        attack,
        loss,
        norm,
        eps,
        n=len(images),
        accuracy=measure_accuracy(subject, images),
        longest=measure_longest(subject, images, norm, eps),
        seconds=round(seconds, 3),
    )


def run_peer(subject: Subject, peer: Peer, eps: float) -> Score:
    """Return the score of a peer's attack. ART draws from NumPy's global state, foolbox from TensorFlow's."""
    start = time.perf_counter()
    images = peer.generate(subject, eps)
    seconds = time.perf_counter() - start
    return score(
        subject, images, library=peer.library, attack=peer.name, loss=None, norm=peer.norm, eps=eps, seconds=seconds
    )


def run_ours(workspace: Workspace, subject: Subject, method: str, loss: str | None, norm: str = "linf") -> list[Score]:
    """Return the scores of an attack of ours at every eps; its seconds are shared out, tracing included."""
    request = AttackRequest(
        method=method,
        threat="adaptive",
        eps=EPS[norm],
        norm=norm,
        loss=loss,
        limit=len(subject.images),
        seed=SEED,
        save_adversarial=True,
    )
    start = time.perf_counter()
    made = run_attacks(replace(workspace, force=True), subject.id, None, AttackCommand([request])).requested[0].manifest
    seconds = (time.perf_counter() - start) / len(EPS[norm])
    proposed = workspace.registry.read_arrays(made, ADVERSARIAL)["x_adv"].reshape(-1, *subject.images.shape)
    loss = made.as_run()[0].loss
    return [
        score(subject, images, library="advae", attack=method, loss=loss, norm=norm, eps=eps, seconds=seconds)
        for eps, images in zip(EPS[norm], proposed, strict=True)
    ]


# ---------------------------------------------------------------- bounds


@dataclass(frozen=True)
class Bound:
    """A bound between a score of ours and one of a peer's, on the same images at the same eps."""

    rule: str
    """``same``: within ``allowed`` of each other; ``never above``: ours is not above the peer's by more."""

    ours: Score
    """The score of our attack."""

    peer: Score
    """The score of the peer's attack."""

    allowed: float
    """Allowed difference in robust accuracy."""

    @property
    def holds(self) -> bool:
        # Accuracies are counts over n: a sum of float64 must not decide.
        above = round(self.ours.accuracy - self.peer.accuracy, 9)
        return (abs(above) if self.rule == "same" else above) <= self.allowed

    def __str__(self) -> str:
        ours, peer = self.ours, self.peer
        where = f"{ours.dataset}, {ours.behind}, {ours.norm} {ours.eps:g}"
        figures = f"{ours.name} {ours.accuracy:.4f}, {peer.name} {peer.accuracy:.4f}"
        return f"{where}: {figures}; {self.rule}, {self.allowed:g} allowed"


def find_bounds(scores: Iterable[Score]) -> list[Bound]:
    """Return every bound between the scores of one subject."""
    scores = list(scores)
    peers = [score for score in scores if score.library != "advae"]
    return [bound for ours in scores if ours.library == "advae" for peer in peers for bound in _bind(ours, peer)]


def _bind(ours: Score, peer: Score) -> Iterator[Bound]:
    if (ours.norm, ours.eps) != (peer.norm, peer.eps):
        return
    if ours.attack in STRONGEST:
        yield Bound("never above", ours, peer, STRONGEST_TOLERANCE)
    elif ours.attack == peer.attack:
        yield (
            Bound("same", ours, peer, SHARED_TOLERANCE) if ours.loss == "ce" else Bound("never above", ours, peer, 0.0)
        )


# ---------------------------------------------------------------- the whole comparison


def train_pipelines(workspace: Workspace, dataset: str) -> dict[str, Manifest]:
    """Return ``nn`` undefended and behind ``vanilla``, by kind of purifier."""
    purifier = train_autoencoder(workspace, dataset, AutoencoderRequest(type="vanilla", seed=SEED))[0].manifest
    request = ClassifierRequest(model="nn", seed=SEED)
    return {
        "none": train_classifier(workspace, dataset, request, None).manifest,
        "vanilla": train_classifier(workspace, dataset, request, purifier.id).manifest,
    }


def load_subject(workspace: Workspace, classifier: Manifest, behind: str, data: Dataset) -> Subject:
    """Return a classifier, exported and loaded again, with the first LIMIT test images."""
    import keras

    side = data.ref.side
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pipeline.keras")
        with warnings.catch_warnings():
            # Keras 3.15 saves weights with a call that NumPy 2.4 deprecates.
            warnings.simplefilter("ignore", DeprecationWarning)
            export_keras(workspace, classifier.id, path)
        model = keras.models.load_model(path, safe_mode=True)
    images = data.x_test[:LIMIT].reshape(-1, side, side, 1)
    return Subject(data.ref.name, behind, classifier.id, model, images, data.y_test[:LIMIT])


def compare_shared_attacks(workspace: Workspace, subject: Subject) -> list[Score]:
    """Return the scores of the attacks that all three have; ours with cross-entropy, then with its default loss."""
    ours = [
        score for name in SHARED_ATTACKS for loss in ("ce", None) for score in run_ours(workspace, subject, name, loss)
    ]
    return ours + [
        run_peer(subject, peer, eps) for peer in PEERS if peer.name in SHARED_ATTACKS for eps in EPS[peer.norm]
    ]


def compare_strongest(workspace: Workspace, subject: Subject) -> list[Score]:
    """Return the scores of our strongest attacks, and of the peers' others."""
    import keras

    ours = [score for name in STRONGEST for norm in EPS for score in run_ours(workspace, subject, name, None, norm)]
    keras.utils.set_random_seed(SEED)
    return ours + [
        run_peer(subject, peer, eps) for peer in PEERS if peer.name not in SHARED_ATTACKS for eps in EPS[peer.norm]
    ]


def compare_dataset(workspace: Workspace, name: str) -> Iterator[list[Score]]:
    """Yield the scores of ``nn`` undefended, then behind ``vanilla``, and print them."""
    data = load_dataset(name, data_dir=workspace.data_dir)
    for behind, classifier in train_pipelines(workspace, name).items():
        subject = load_subject(workspace, classifier, behind, data)
        clean = measure_accuracy(subject, subject.images)
        scores = compare_shared_attacks(workspace, subject) + compare_strongest(workspace, subject)
        title = f"{name}, nn, purifier {behind}, {len(subject.images)} images, clean {clean:.4f}"
        print(f"\n{title}\n{render(scores)}", flush=True)
        yield scores


def render(scores: Iterable[Score]) -> str:
    """Return a table for people."""
    ordered = sorted(scores, key=lambda score: (score.norm, score.eps, score.attack, score.library))
    return "\n".join(
        f"  {score.norm:<5}{score.eps:<5g}{score.name:<26}{score.accuracy:>8.4f}{score.seconds:>9.2f} s"
        for score in ordered
    )


def describe(scores: list[Score], bounds: list[Bound]) -> dict[str, Any]:
    """Return the record: what it was measured with, every score, and every bound that is broken."""
    return {
        "versions": library_versions() | {name: metadata.version(package) for name, package in LIBRARIES.items()},
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "seed": SEED,
        "strongest": STRONGEST,
        "bounds": len(bounds),
        "broken": [str(bound) for bound in bounds if not bound.holds],
        "rows": [asdict(score) for score in scores],
    }


def main() -> int:
    """Parse the options, compare, record; 1 where a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("ADVAE_DATA_DIR"))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--datasets", default=",".join(DATASETS))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    workspace = Workspace(Registry(options.home), options.data_dir)
    import_peers()
    scores, bounds = list[Score](), list[Bound]()
    for name in options.datasets.split(","):
        for found in compare_dataset(workspace, name):
            scores, bounds = scores + found, bounds + find_bounds(found)
            record = describe(scores, bounds)
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\n{len(bounds)} bounds, {len(record['broken'])} broken", *record["broken"], sep="\n")
    return 1 if record["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
