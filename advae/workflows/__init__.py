"""What the commands do: look an entry up by its recipe, compute it where it is missing, publish it."""

from advae.workflows.applying import Prediction, predict, purify
from advae.workflows.attacking import Attacks, Plan, attack
from advae.workflows.reporting import choose_runs
from advae.workflows.training import put_classifier, train_autoencoder, train_classifier
from advae.workflows.workspace import DEFAULT_DATASET, Made, Workspace, identify_dataset, refuse_inside

__all__ = [
    "DEFAULT_DATASET",
    "Attacks",
    "Made",
    "Plan",
    "Prediction",
    "Workspace",
    "attack",
    "choose_runs",
    "identify_dataset",
    "predict",
    "purify",
    "put_classifier",
    "refuse_inside",
    "train_autoencoder",
    "train_classifier",
]
