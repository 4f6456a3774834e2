"""What the README shows is what is recorded, and what it names exists."""

from __future__ import annotations

import json
import re

from advae.attacks import ATTACKS
from advae.autoencoders import AUTOENCODERS
from advae.cli.app import COMMANDS
from advae.threats import THREATS
from tests.benchmarks.ladder import RESULTS as LADDER_RESULTS
from tests.benchmarks.paper_numbers import RESULTS, TARGETS, find_accuracy
from tests.benchmarks.results_table import LADDER_BEGIN, LADDER_END, README, find_block, render, render_ladder


def test_the_results_tables_are_made_from_the_record() -> None:
    assert find_block(README.read_text()) == render(json.loads(RESULTS.read_text())), (
        "run tests.benchmarks.results_table"
    )


def test_the_ladder_is_made_from_the_record() -> None:
    found = find_block(README.read_text(), LADDER_BEGIN, LADDER_END)
    assert found == render_ladder(json.loads(LADDER_RESULTS.read_text())), "run tests.benchmarks.results_table"


def test_the_ladder_holds_what_it_is_there_to_show() -> None:
    """Whoever knows of the defence breaks it; the paper's own protocol fails for its scale."""
    rows = json.loads(LADDER_RESULTS.read_text())["rows"]
    (adaptive,) = (
        row["accuracy"]
        for row in rows
        if (row["autoencoder"], row["threat"], row["method"], row["eps"]) == ("vanilla", "adaptive", "bim", 0.3)
    )
    assert adaptive <= 0.01
    raw = [row for row in rows if row["autoencoder"] == "vanilla, raw output" and row["threat"] == "encoded"]
    assert raw
    assert all("proportion" in row["failed"] for row in raw)


def test_every_target_was_run() -> None:
    rows = json.loads(RESULTS.read_text())["rows"]
    assert [target for target in TARGETS if find_accuracy(rows, target) is None] == []


def test_every_table_row_and_command_is_named() -> None:
    text = README.read_text()
    for name in (*AUTOENCODERS, *ATTACKS, *THREATS, *COMMANDS):
        assert f"`{name}" in text or f" {name}" in text, name


def test_there_is_one_block_for_each_set_up() -> None:
    for name in ("run", "test"):
        assert len(re.findall(rf"<!-- setup: {name} -->\s*```sh\n.*?```", README.read_text(), re.DOTALL)) == 1
