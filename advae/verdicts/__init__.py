"""The checks that say whether a number under attack can be believed: PASS, WARN, FAIL or NOT RUN, with a sentence."""

from advae.verdicts.checks import CHECKS, Check, number_of
from advae.verdicts.single import SINGLE, judge_run
from advae.verdicts.together import TOGETHER, Attacked, Case, find_worst, judge_case

__all__ = [
    "CHECKS",
    "SINGLE",
    "TOGETHER",
    "Attacked",
    "Case",
    "Check",
    "find_worst",
    "judge_case",
    "judge_run",
    "number_of",
]
