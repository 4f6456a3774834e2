"""What is trained and attacked together: the plan of an experiment, and what the paper published of its own."""

from advae.experiments.plan import AttackPlan, Experiment, read_experiment
from advae.experiments.published import PUBLISHED, Published, list_published

__all__ = ["PUBLISHED", "AttackPlan", "Experiment", "Published", "list_published", "read_experiment"]
