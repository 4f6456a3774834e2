"""Experiments: the plan, its cells and the runner; the paper's own plan and published numbers."""

from advae.experiments.paper.explanations import EXPLANATIONS, explain_difference
from advae.experiments.paper.published import PUBLISHED, Published, list_published
from advae.experiments.plan import AUTOENCODER_OPTIONS, NONE, AttackPlan, Experiment
from advae.experiments.plan_file import PAPER, read_experiment

__all__ = [
    "AUTOENCODER_OPTIONS",
    "EXPLANATIONS",
    "NONE",
    "PAPER",
    "PUBLISHED",
    "AttackPlan",
    "Experiment",
    "Published",
    "explain_difference",
    "list_published",
    "read_experiment",
]
