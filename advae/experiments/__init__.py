"""Experiments: the plan, its cells and the runner; the paper's own plan and published numbers."""

from advae.experiments.paper.explanations import EXPLANATIONS, explain_difference
from advae.experiments.paper.published import PUBLISHED, Published, list_published
from advae.experiments.plan import NONE, AttackPlan, CertificatePlan, Experiment
from advae.experiments.plan_file import PAPER, find_plan, read_experiment

__all__ = [
    "EXPLANATIONS",
    "NONE",
    "PAPER",
    "PUBLISHED",
    "AttackPlan",
    "CertificatePlan",
    "Experiment",
    "Published",
    "explain_difference",
    "find_plan",
    "list_published",
    "read_experiment",
]
