"""The command that is useful next, at the end of a result: it is there once, it can be run, and it is not data."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.calls import Outcome, succeed
from tests.conftest import Trained


def read_next(outcome: Outcome) -> list[str]:
    (line,) = (line for line in outcome.err.splitlines() if line.startswith("next: "))
    program, *words = shlex.split(line.removeprefix("next: "))
    assert program == "advae"
    assert "next: " not in outcome.out
    return words


def test_each_result_names_the_next_command_which_can_be_run(home: Path, trained: Trained, tmp_path: Path) -> None:
    here = ("--home", str(home))
    train = read_next(succeed("train-ae", "--type", "vanilla", "--epochs", 8, *here))
    assert train == ["train-clf", "--model", "nn", "--ae", trained.ae, *here]
    attack = read_next(succeed("train-clf", "--model", "lr", "--json", *here))
    assert attack == ["attack", "--method", "pgd", "--eps", "0.1", "--clf", trained.lr, *here]
    check = read_next(succeed(*attack, "--limit", 20))
    assert "--check" in check
    assert check[check.index("--limit") + 1] == "20"
    report = read_next(succeed(*check))
    assert report == ["report", trained.lr, *here]
    succeed(*report, "--out", tmp_path / "out")
    certified = succeed("certify", "--eps", "0.01", "--limit", 20, "--clf", trained.lr, *here)
    assert read_next(certified) == report


def test_it_is_not_shown_to_programs_and_needs_no_option_that_a_variable_gives(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert succeed("train-clf", "--model", "lr", "-q", "--home", trained.home).err == ""
    monkeypatch.setenv("ADVAE_HOME", str(trained.home))
    assert read_next(succeed("train-clf", "--model", "lr"))[-2:] == ["--clf", trained.lr]
    elsewhere = succeed("train-clf", "--model", "lr", "--data-dir", "my data")
    assert read_next(elsewhere)[-2:] == ["--data-dir", "my data"]
