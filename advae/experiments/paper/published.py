"""The accuracies that the paper prints, one for each of its confusion matrices.

Sivaslioglu, Catak, Sahinbas, A Generative Model Based Adversarial Security of Deep Learning and Linear Classifier
Models, Informatica: figures 7 to 120.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from advae.records import Record

PUBLISHED = Path(__file__).parent / "results.csv"

PAPER_EPS = {"nn": 0.3, "lr": 50 / 255}
"""The budget of the paper's attacks on either classifier, in units of x (sections 5.2.1 and 5.2.2)."""


PAPER_TARGETS = {"tfgsm": 5, "one-target": 7}
"""Target class of the paper's attacks that have one."""

DRAWN: dict[str, tuple[int, ...]] = {
    "accuracy": (13, 34, 47, 60, 80, 91, 103, 112),
    "targeted": (23, 37, 50, 63, 81, 92, 104, 113),
    "details": (14, 24, 82, 93, 105, 114),
    "targets": (16,),
    "activations": (5,),
    "losses": (6, 33, 46, 59),
    "purified": (3, 102),
    "planes": (64, 65, 74, 75, 121, 122),
    "strips": (83, 84),
    "changes": (11, 12, 35, 36, 48, 49, 61, 62, 76),
    "mistakes": (15, 77),
}
"""Name of a row of FIGURES -> the paper's figures of results that correspond to it."""


class Published(Record):
    """One confusion matrix of the paper."""

    figure: int
    """Its number in the paper."""
    dataset: str
    """Name of the dataset."""
    classifier: str
    """Kind of the classifier: nn or lr."""
    autoencoder: str
    """Kind of the autoencoder in front of it; ``none``: undefended."""
    twin_of: str
    """Kind of the autoencoder in whose section the paper prints it."""
    attack: str
    """The attack; ``none``: the clean images."""
    accuracy: float
    """Trace of the matrix over its sum, 0 to 1."""
    n: int
    """Sum of the matrix: the number of test images."""

    @property
    def eps(self) -> float | None:
        """The budget, None for the clean images."""
        return None if self.attack == "none" else PAPER_EPS[self.classifier]

    @property
    def target(self) -> int | None:
        """The target class; None for untargeted attacks, and for those with a target for each class."""
        return PAPER_TARGETS.get(self.attack)


@cache
def list_published() -> tuple[Published, ...]:
    """Return every accuracy that the paper prints, by figure."""
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        return tuple(Published.model_validate(row) for row in csv.DictReader(file))
