"""The accuracies of the cascade's authors, from the result file that they published with their scripts.

Sahay, Mahfuz, El Gamal, arXiv:1812.03087; github.com/rajeevsahay/ae-defenses, fgsm_whitebox_data.csv: FGSM on the
classifier alone, 10,000 test images of MNIST.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from advae.records import Record

CASCADE_RESULTS = Path(__file__).parent / "results.csv"

MEASURED_ON = "mnist"
"""The dataset that they measured on."""

ATTACKED, DENOISED, REDUCED, CASCADED = CASCADE_COLUMNS = ("attacked", "denoised", "reduced", "cascaded")
"""What they measured: the classifier alone; behind the denoiser; a classifier of the reduction's code, of clean images
and of denoised ones."""


class PublishedAccuracy(Record):
    """One accuracy of the authors."""

    column: str
    """One of CASCADE_COLUMNS."""
    code_size: int | None
    """Numbers of the code that is classified; None where images are."""
    eps: float | None
    """Radius of the attack in units of x; None for the clean images, which they measured without a defence only."""
    accuracy: float
    """Share of the images classified correctly, 0 to 1."""


@cache
def list_cascade_accuracies() -> tuple[PublishedAccuracy, ...]:
    """Return every accuracy of the authors, column by column."""
    with CASCADE_RESULTS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return tuple(PublishedAccuracy.model_validate({name: value or None for name, value in row.items()}) for row in rows)
