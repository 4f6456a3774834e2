"""Lines of progress: what they say, how long is left, and that they fit every terminal."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from advae.cli import experiment_progress, progress_line, work_progress
from advae.cli.experiment_progress import Forecast
from advae.cli.progress_line import LineProgress, ProgressLine
from advae.cli.repeated_lines import RepeatedLines
from advae.cli.work_progress import Pace, WorkProgress
from advae.experiments.runner import Finished
from advae.models.fitting import Epoch


class Clock:
    """The time that the modules read, which tests set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        for module in (work_progress, experiment_progress):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def open_at(columns: int, **settings: Any) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=columns, height=24, **settings)


LINE = ProgressLine("train vanilla: epoch 3 of 35", 2 / 35, 12.0, 75.0, "loss 0.1, validation 0.2", "epoch 3 of 35")


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (120, "⠋ train vanilla: epoch 3 of 35 ━┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ 1:15 left  loss 0.1, validation 0.2"),
        (80, "⠋ train vanilla: epoch 3 of 35 ┄┄┄┄┄┄┄┄┄┄┄┄ 1:15 left  loss 0.1, validation 0.2"),
        (60, "⠋ train vanilla: epoch 3 of 35 ━┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ 1:15 left"),
        (40, "⠋ epoch 3 of 35 ┄┄┄┄┄┄┄┄┄┄┄┄┄ 1:15 left"),
        (20, "⠋ epoch … 1:15 left"),
    ],
)
def test_a_line_shows_what_its_terminal_has_room_for(columns: int, shown: str) -> None:
    text = LINE.compose(open_at(columns))
    assert re.sub("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", "⠋", text.plain) == shown
    assert text.cell_len < columns


def test_without_a_known_share_there_is_no_empty_bar_but_a_clock() -> None:
    line = ProgressLine("train vanilla: loading TensorFlow", None, 3.0, None)
    assert line.compose(open_at(80)).plain.endswith("train vanilla: loading TensorFlow 0:03")


def test_an_epoch_that_includes_the_compilation_does_not_tell_how_long_the_next_ones_take(clock: Clock) -> None:
    pace = Pace()
    clock.now += 9
    assert pace.estimate_end(1, 11) is None
    for done in range(2, 11):
        clock.now += 2
        assert pace.estimate_end(done, 11) == pytest.approx(clock.now + 2 * (11 - done))
    slow = Pace()
    clock.now += 100
    assert slow.estimate_end(1, 3) == pytest.approx(clock.now + 200)


def test_the_stages_of_a_training_are_shown_in_turn(clock: Clock) -> None:
    progress = LineProgress(console=open_at(80), auto_refresh=False)
    work = WorkProgress(progress, "train nn")

    def read() -> str:
        return progress_line.read_line(progress.tasks[0]).what

    assert read() == "train nn"
    work.show_stage("loading TensorFlow")
    assert read() == "train nn: loading TensorFlow"
    work.show_epoch(Epoch(1, 3, 0.5, 0.6, 2.0))
    assert read() == "train nn: epoch 2 of 3"
    work.begin("attack 2 of 5: pgd, adaptive")
    work.show_batch(1, 4)
    assert read() == "attack 2 of 5: pgd, adaptive: 25%"
    clock.now += 3
    work.show_batch(2, 4)
    assert progress_line.read_line(progress.tasks[0]).left == pytest.approx(6)
    work.show_time_left(20)
    clock.now += 21
    assert progress_line.read_line(progress.tasks[0]).left == 0
    clock.now += 21
    assert progress_line.read_line(progress.tasks[0]).left is None


@pytest.mark.parametrize(("terminal", "rows"), [("TMUX", 2), ("XTERM_VERSION", 0)])
def test_rows_that_a_narrower_terminal_made_of_a_line_are_cleared(
    terminal: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in progress_line.REWRAPPING:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(terminal, "1")
    console = open_at(120)
    progress = LineProgress(console=console, auto_refresh=False)
    progress.add_task("x" * 100, share=None)
    console.print(progress.get_renderable())
    console.width, console.file = 40, io.StringIO()
    console.print(progress.get_renderable())
    # One of 3 rows is cleared by Rich itself.
    assert console.file.getvalue().count("\x1b[1A\x1b[2K") == rows
    assert max(map(len, re.sub(r"\x1b\[[\d;?]*\w", "", console.file.getvalue()).splitlines())) < 40


def make_survey(levels: dict[str, int]) -> Any:
    """Return what the forecast reads of a survey: cells of 10 seconds each; the first attack needs the first model."""
    cells = [
        SimpleNamespace(id=f"{level} {n}", level=level, name=f"{level} {n}", recipe=SimpleNamespace(parents=()))
        for level, count in levels.items()
        for n in range(count)
    ]
    for cell in cells:
        if cell.id == "attacks 0":
            cell.recipe.parents = ("autoencoders 0",)
    return SimpleNamespace(
        cells=cells,
        cached=frozenset(),
        list_missing=lambda level: [cell for cell in cells if cell.level == level],
        estimate_cell=lambda cell: 10.0,
    )


@pytest.mark.parametrize("slower", [0.2, 1.0, 6.0])
def test_the_first_cells_correct_the_estimate_to_a_factor_of_two(slower: float, clock: Clock) -> None:
    survey = make_survey({"autoencoders": 4, "attacks": 40})
    forecast = Forecast(survey, 1)
    assert forecast.estimate_seconds() == pytest.approx(440)
    for number, cell in enumerate(survey.cells[:40]):
        clock.now += 10 * slower
        forecast.finish(Finished(cell, 10 * slower))
        if number >= 3:
            left = 10 * slower * (len(survey.cells) - number - 1)
            assert left / 2 < forecast.estimate_seconds() < 2 * left, number


def test_a_cell_that_takes_longer_than_expected_raises_the_estimate_meanwhile(clock: Clock) -> None:
    forecast = Forecast(make_survey({"autoencoders": 2}), 1)
    assert forecast.estimate_seconds() == pytest.approx(20)
    clock.now += 8
    assert forecast.estimate_seconds() == pytest.approx(12)
    clock.now += 42
    assert 10 < forecast.estimate_seconds() < 100


def test_cells_that_run_are_named_and_those_that_cannot_are_left_out() -> None:
    survey = make_survey({"autoencoders": 3, "attacks": 2})
    forecast = Forecast(survey, 2)
    assert [cell.id for cell in forecast.list_running()] == ["autoencoders 0", "autoencoders 1"]
    forecast.finish(Finished(survey.cells[0], 1.0, diverged="training diverged"))
    assert [cell.id for cell in forecast.list_running()] == ["autoencoders 1", "autoencoders 2"]
    for cell in survey.cells[1:3]:
        forecast.finish(Finished(cell, 1.0))
    assert [cell.id for cell in forecast.list_running()] == ["attacks 1"]
    assert (forecast.done, forecast.total) == (4, 5)


def test_a_line_that_is_told_again_is_counted() -> None:
    shown = list[str]()
    lines = RepeatedLines(shown.append)
    for number in range(3):
        lines.tell(f"clf-00000000000{number}: lbfgs had not converged")
    for _ in range(2):
        lines.tell("the pixels range from 0 to 0.5")
    lines.tell("something else")
    assert len(shown) == 3
    lines.finish()
    assert shown[3:] == [
        "2 more times (clf-000000000001, clf-000000000002): clf-000000000000: lbfgs had not converged",
        "once more: the pixels range from 0 to 0.5",
    ]
