"""What the commands do: look an entry up by its recipe, compute it where it is missing, publish it."""

from advae.workflows.applying import Prediction, predict, purify
from advae.workflows.attacking import Attacks, Plan, attack
from advae.workflows.layout import LEVELS, Cell, Level, lay_out
from advae.workflows.pools import count_cores
from advae.workflows.reporting import choose_runs
from advae.workflows.reproducing import Finished, Survey, make_cells, survey
from advae.workflows.training import put_classifier, train_autoencoder, train_classifier
from advae.workflows.workspace import DEFAULT_DATASET, Made, Workspace, identify_dataset, refuse_inside

__all__ = [
    "DEFAULT_DATASET",
    "LEVELS",
    "Attacks",
    "Cell",
    "Finished",
    "Level",
    "Made",
    "Plan",
    "Prediction",
    "Survey",
    "Workspace",
    "attack",
    "choose_runs",
    "count_cores",
    "identify_dataset",
    "lay_out",
    "make_cells",
    "predict",
    "purify",
    "put_classifier",
    "refuse_inside",
    "survey",
    "train_autoencoder",
    "train_classifier",
]
