"""What a terminal on stderr changes: what people see there, and not a byte of what is written to stdout."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from advae.cli import data, main
from advae.cli.app import build_app
from tests.calls import Outcome, list_commands
from tests.cli.terminal import call_at, lead_away, open_terminal
from tests.conftest import Trained
from tests.scenes import LINES, set_scene

WIDTHS = (80, 40, 120)

COLOR, CURSOR = re.compile(r"\x1b\[[\d;]*m"), re.compile(r"\x1b\[[?\d;]*[A-Za-ln-z]|\r")
BAR = "\x1b[?25l"
"""A terminal's cursor is hidden while a bar is drawn."""


def test_every_command_is_tried_at_a_terminal() -> None:
    assert sorted(LINES) == sorted(list_commands(get_command(build_app())))


@pytest.fixture(scope="module")
def scene(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A folder with all that the lines name, to be copied for each of them, and the ids of its registry."""
    folder = tmp_path_factory.mktemp("terminal") / "scene"
    return {"folder": folder, **set_scene(folder, trained)}


Try = Callable[[int | None, str], Outcome]


@pytest.fixture
def tries(scene: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Try:
    """What runs a line at a terminal of so many columns, or at none, each time in a copy of the same folder."""
    monkeypatch.setattr(data, "fetch_dataset", pretend_to_fetch)
    monkeypatch.setenv("TERM", "xterm")
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "folder"
    monkeypatch.setenv("ADVAE_HOME", str(folder / "home"))

    def run(columns: int | None, line: str) -> Outcome:
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(scene["folder"], folder)
        monkeypatch.chdir(folder)
        return call_at(columns, *line.format(**scene).split())

    return run


def pretend_to_fetch(name: str, *, on_progress: Callable[[str, int, int | None], None]) -> Path:
    for done in range(3):
        on_progress(f"{name}.gz", done, 3)
    return Path(name)


@pytest.mark.parametrize("path", LINES, ids=" ".join)
def test_a_terminal_on_stderr_changes_nothing_on_stdout(path: tuple[str, ...], tries: Try) -> None:
    for line in LINES[path]:
        for form in ("", "--json"):
            words = " ".join([*path, line, form])
            alone = tries(None, words)
            assert alone.code == 0, alone.err
            assert "\x1b" not in alone.out + alone.err
            # What --json writes is not laid out; where it were, it would be at the narrowest.
            for columns in (min(WIDTHS),) if form else WIDTHS:
                seen = tries(columns, words)
                assert (seen.code, forget_times(seen.out)) == (0, forget_times(alone.out)), (words, seen.err)


@pytest.mark.parametrize(
    "line",
    [
        "train-clf --model nn --epochs 2 --json",
        "attack --method noise --eps 0.1 --limit 20 --clf {lr} --json",
        "predict --clf {nn} in.npy",
        "data fetch mnist",
    ],
)
def test_a_bar_is_drawn_at_work_and_not_on_stdout(line: str, tries: Try) -> None:
    seen, alone = tries(80, line), tries(None, line)
    assert BAR in seen.err
    assert "\x1b" not in alone.err
    assert (seen.code, forget_times(seen.out)) == (0, forget_times(alone.out))
    assert seen.out
    if line.startswith("train"):
        for stage in ("reading digits", "loading TensorFlow", "compiling, epoch 1", "epoch 2 of 2"):
            assert f"train nn: {stage}" in seen.err


def test_a_bar_is_gone_before_data_is_written_beside_it(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where both streams are one terminal, the cursor is back at the line's beginning when the answer comes."""
    monkeypatch.setenv("TERM", "xterm")
    with (
        open_terminal(80) as terminal,
        lead_away(1, "stdout", terminal.descriptor),
        lead_away(2, "stderr", terminal.descriptor),
    ):
        assert main(["train-clf", "--model", "lr", "--home", str(trained.home)]) == 0
    before, after = terminal.screen.split(f"{trained.lr}\n")[-2:]
    assert "train lr" in before
    assert before.endswith(("\x1b[2K", "\x1b[?25h\r\x1b[1A\x1b[2K"))
    assert BAR not in after


# ---------------------------------------------------------------- colours


def call_report(tries: Try, columns: int | None) -> Outcome:
    outcome = tries(columns, "report {run} --out out")
    assert outcome.code == 0, outcome.err
    assert "\x1b" not in outcome.out
    return outcome


def test_colours_are_the_users_choice(tries: Try, monkeypatch: pytest.MonkeyPatch) -> None:
    assert COLOR.search(call_report(tries, 80).err)
    assert not COLOR.search(tries(80, "report {run} --out out --no-color").err)
    for value, colored in (("1", False), ("", True)):
        monkeypatch.setenv("NO_COLOR", value)
        assert bool(COLOR.search(call_report(tries, 80).err)) is colored


@pytest.mark.parametrize("name", ["FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"])
def test_what_is_asked_of_a_log_draws_no_bar_into_it(name: str, tries: Try, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert not CURSOR.search(call_report(tries, None).err)
    said = tries(None, "train-clf --model lr").err
    assert not CURSOR.search(said)
    assert "%" not in said.partition("clean test accuracy")[0]
    assert bool(COLOR.search(call_report(tries, None).err)) is ("COLOR" in name)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in call_report(tries, None).err


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(tries: Try, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    seen, alone = call_report(tries, 120), call_report(tries, None)
    assert "\x1b" not in seen.err
    assert seen.out == alone.out
    assert "\x1b" not in tries(80, "reproduce --plan plan.toml --out out").err


def forget_times(text: str) -> str:
    """Return an answer without how long something took and when it was made."""
    return re.sub(r'("(?:estimated_)?seconds"|"created"): ("[^"]*"|[\d.e-]+)', r"\1: 0", text)
