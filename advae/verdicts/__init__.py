"""The checks that say whether a number under attack can be believed: PASS, WARN, FAIL or NOT RUN, with a sentence."""

from advae.verdicts.cases import Attacked, Case, find_full_budget, is_iterative
from advae.verdicts.checks import CHECKS, NOT_VALID, UNJUDGED, Check, not_run, number_of
from advae.verdicts.single import SINGLE, judge_run
from advae.verdicts.together import MANY_STARTS, TOGETHER, find_worst, judge_case

__all__ = [
    "CHECKS",
    "MANY_STARTS",
    "NOT_VALID",
    "SINGLE",
    "TOGETHER",
    "UNJUDGED",
    "Attacked",
    "Case",
    "Check",
    "find_full_budget",
    "find_worst",
    "is_iterative",
    "judge_case",
    "judge_run",
    "not_run",
    "number_of",
]
