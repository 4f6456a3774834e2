"""The checks of whether a robust accuracy is reliable. Each result is PASS, WARN, FAIL or NOT RUN, with a sentence."""

from advae.checks.across_runs import MANY_RESTARTS, TOGETHER
from advae.checks.broken_proofs import check_certificates
from advae.checks.certified import AccuracyBounds, ProvedImages, bound_accuracy, measure_bounds
from advae.checks.check_table import (
    CHECKS,
    NOT_VALID,
    Check,
    list_counted,
    list_made_checks,
    not_run,
    number_of,
    show_points,
)
from advae.checks.combining import check_together
from advae.checks.evidence import PipelineRuns, ScoredRun, find_full_budget
from advae.checks.published_sets import describe_departure, find_version
from advae.checks.sample_checks import check_collapse, show_size
from advae.checks.single_run import ON_IMAGES, SINGLE, check_alone, check_run
from advae.checks.strongest import (
    find_strongest,
    group_by_samples,
    identify_samples,
    is_iterative,
    pick_strongest,
    rank_strength,
)

__all__ = [
    "CHECKS",
    "MANY_RESTARTS",
    "NOT_VALID",
    "ON_IMAGES",
    "SINGLE",
    "TOGETHER",
    "AccuracyBounds",
    "Check",
    "PipelineRuns",
    "ProvedImages",
    "ScoredRun",
    "bound_accuracy",
    "check_alone",
    "check_certificates",
    "check_collapse",
    "check_run",
    "check_together",
    "describe_departure",
    "find_full_budget",
    "find_strongest",
    "find_version",
    "group_by_samples",
    "identify_samples",
    "is_iterative",
    "list_counted",
    "list_made_checks",
    "measure_bounds",
    "not_run",
    "number_of",
    "pick_strongest",
    "rank_strength",
    "show_points",
    "show_size",
]
