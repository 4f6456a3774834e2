"""The work of the commands: find an entry by its recipe, compute it where it is missing, publish it."""

from advae.workflows.adding import add_classifier, add_purifier
from advae.workflows.applying import Prediction, predict_images, purify_images
from advae.workflows.attack_estimates import AttackEstimate, estimate_attacks
from advae.workflows.attacking import AttackCommand, Attacks, run_attacks
from advae.workflows.certifying import Estimate, certify_classifier, estimate_certificate
from advae.workflows.code_attacking import steer_codes
from advae.workflows.comparing import compare_entries
from advae.workflows.drawing_surfaces import compute_surfaces
from advae.workflows.reporting import choose_runs
from advae.workflows.training import put_classifier, train_autoencoder, train_classifier
from advae.workflows.workspace import DEFAULT_DATASET, Made, Workspace, identify_dataset, refuse_inside

__all__ = [
    "DEFAULT_DATASET",
    "AttackCommand",
    "AttackEstimate",
    "Attacks",
    "Estimate",
    "Made",
    "Prediction",
    "Workspace",
    "add_classifier",
    "add_purifier",
    "certify_classifier",
    "choose_runs",
    "compare_entries",
    "compute_surfaces",
    "estimate_attacks",
    "estimate_certificate",
    "identify_dataset",
    "predict_images",
    "purify_images",
    "put_classifier",
    "refuse_inside",
    "run_attacks",
    "steer_codes",
    "train_autoencoder",
    "train_classifier",
]
