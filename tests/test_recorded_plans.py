"""What is recorded of a plan's report, and the table of all purifiers that is made of it."""

from __future__ import annotations

from typing import Any

import pytest

from advae.named_plans import PLANS
from tests.benchmarks.recorded_plans import RECORDED, render_defences, take_section

PAGE = "# Title\n\n## One (a)\n\nwords\n\n| a |\n| --- |\n\n### Below\n\nmore\n\n## Two\n\nlast\n"


def describe(purifier: str, dataset: str, robust: float, **other: Any) -> dict[str, Any]:
    return {
        "purifier_name": purifier,
        "classifier": "nn",
        "dataset": dataset,
        "clean_accuracy": 0.98,
        "oblivious": {"robust_accuracy": 0.7},
        "white_box": {"robust_accuracy": robust, "robust_accuracy_interval": [robust - 0.01, robust + 0.01]},
        "certified": None,
        "reliability": {"result": "reliable"},
    } | other


def test_every_recorded_plan_comes_with_advae() -> None:
    assert {*RECORDED} <= {*PLANS}


def test_a_section_ends_where_the_next_begins() -> None:
    assert take_section(PAGE, "One (a)") == "words\n\n| a |\n| --- |\n\n### Below\n\nmore"
    assert take_section(PAGE, "Two") == "last"
    with pytest.raises(ValueError, match="no section 'Three'"):
        take_section(PAGE, "Three")


def test_the_table_has_a_row_for_each_purifier_and_columns_for_each_dataset() -> None:
    numbers = [
        describe("weak", "mnist", 0.05, reliability={"result": "not reliable"}),
        describe("undefended", "mnist", 0.02, oblivious=None),
        describe("strong, for clf-0123456789ab", "mnist", 0.9, certified={"accuracy": 0.8}),
        describe("strong, for clf-ba9876543210", "fashion-mnist", 0.7),
    ]
    record = {"about": "What it is.", "datasets": ["mnist", "fashion-mnist"], "numbers": numbers}
    about, _, titles, _, *rows = render_defences(record).splitlines()
    assert about == "What it is."
    assert titles.count("certified") == 2
    assert rows == [
        "| strong | `nn` | 98.0 | 70.0 | 90.0 [89.0, 91.0] | 80.0 | 98.0 | 70.0 | 70.0 [69.0, 71.0] |  |",
        "| weak | `nn` | 98.0 | 70.0 | 5.0 [4.0, 6.0] * |  |  |  |  |  |",
        "| undefended | `nn` | 98.0 |  | 2.0 [1.0, 3.0] |  |  |  |  |  |",
    ]
