"""The checks that say whether a number under attack can be believed: PASS, WARN, FAIL or NOT RUN, with a sentence."""

from advae.checks.across_runs import MANY_STARTS, TOGETHER, find_worst
from advae.checks.check_table import CHECKS, NOT_VALID, Check, not_run, number_of, show_points
from advae.checks.combining import judge_case
from advae.checks.evidence import Attacked, Case, find_full_budget
from advae.checks.sample_checks import judge_collapse, show_size
from advae.checks.single_run import IMAGES, SINGLE, judge_alone, judge_run
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
    "IMAGES",
    "MANY_STARTS",
    "NOT_VALID",
    "SINGLE",
    "TOGETHER",
    "Attacked",
    "Case",
    "Check",
    "find_full_budget",
    "find_strongest",
    "find_worst",
    "group_by_samples",
    "identify_samples",
    "is_iterative",
    "judge_alone",
    "judge_case",
    "judge_collapse",
    "judge_run",
    "not_run",
    "number_of",
    "pick_strongest",
    "rank_strength",
    "show_points",
    "show_size",
]
