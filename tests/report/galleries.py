"""A registry from which every figure has something to draw, and PNGs read back."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

from advae.datasets.table import DATASETS
from advae.records import DatasetRef, Manifest
from tests.report.planted_surfaces import add_surface
from tests.report.steered_codes import add_code_attack
from tests.report_fixtures import HISTORY, RETRAINED, ROUNDS, Lab, make_views

LINEAR: tuple[dict[str, Any], ...] = (
    {"method": "non-targeted"},
    {"method": "natural"},
    {"method": "non-natural"},
    {"method": "one-target", "target": 7},
)
"""The paper's four attacks on the linear model."""

FASHION = DatasetRef(
    name="fashion-mnist",
    digest=DATASETS["fashion-mnist"].digest,
    side=8,
    classes=(
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
)


def attack_linear(lab: Lab, purifier: Manifest | None, **changes: Any) -> list[Manifest]:
    """Publish the paper's four attacks on a linear model behind a purifier, or on one without."""
    classifier = lab.add_classifier(purifier, model="lr", history=None)
    fields = {"steps": None, "loss": None} | changes
    return [lab.add_run(classifier, **(fields | attack)) for attack in LINEAR]


def fill_gallery(lab: Lab) -> tuple[list[Manifest], list[Manifest]]:
    """Publish runs, and autoencoders that no run rests on; return both."""
    plane = lab.add_autoencoder("variational", loss="binary_crossentropy", views=make_views(plane=True))
    runs = attack_linear(lab, None, keep=(0.3, 0.0))
    runs += attack_linear(lab, lab.add_autoencoder(views=make_views()), keep=(0.9, 0.8))
    runs += attack_linear(lab, plane, keep=(0.9, 0.5))
    runs += [lab.add_run(lab.add_classifier(), method="fgsm", steps=None)]
    runs += [lab.add_run(lab.add_classifier(model="mlp", retrained=RETRAINED, retraining=ROUNDS))]
    lab.add_certificate(lab.registry.manifest(runs[-2].parents[0]), radii=(0.0, 0.4, 0.9), eps=(0.5,))
    add_surface(lab, lab.registry.manifest(runs[0].parents[0]))
    add_code_attack(lab, plane)
    compared = [lab.add_autoencoder(activations=(name,) * 3 + ("softplus",)) for name in ("tanh", "elu")]
    accuracies = {"clean_accuracy": (0.6, 0.9), "attacked_accuracy": (0.1, 0.7)}
    robust = lab.add_autoencoder("robust", loss="squared-error", history=HISTORY.model_copy(update=accuracies))
    proved = {"clean_accuracy": (0.7, 0.8), "certified_accuracy": (0.0, 0.6), "unstable_relus": (0.4, 0.1)}
    certified = lab.add_autoencoder("certified", loss="squared-error", history=HISTORY.model_copy(update=proved))
    return runs, [*compared, robust, certified]


def decode_png(uri: str) -> np.ndarray[Any, Any]:
    """Return the values of a PNG data URI, uint8."""
    from matplotlib.image import imread

    content = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    return np.rint(imread(io.BytesIO(content)) * 255).astype(np.uint8)
