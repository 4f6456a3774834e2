"""The plan of an experiment before it runs, and its progress: a line for all cells, and one for the current ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from advae.cli.session import Session
from advae.cli.values import show_seconds
from advae.errors import printable
from advae.experiments.cells import LEVELS, ExperimentCell, Level
from advae.experiments.processes import find_default_jobs
from advae.experiments.runner import Finished, Survey, make_cells
from advae.report.formats.fitted_table import FittedTable
from advae.workflows import Workspace


def put_survey(session: Session, survey: Survey, waiting: Sequence[str], *, print_ids: bool) -> None:
    """Show how many cells an experiment has and how many are missing.

    waiting: names of the attacks whose eps is calibrated first, which are no cells yet.
    print_ids: also print the ids of the missing cells, or with ``--json`` all cells.
    """
    session.tell(_tabulate(survey))
    missing = [cell for level in LEVELS for cell in survey.list_missing(level)]
    for cell in missing:
        session.detail(f"{cell.id}  {cell.name}")
    if waiting:
        session.tell(f"eps is calibrated first; {len(waiting)} attacks at that eps are listed and computed after it")
    if print_ids:
        document = {
            "cells": [_describe(survey, cell) for cell in survey.cells],
            "missing": len(missing),
            "waiting": list(waiting),
            "estimated_seconds": round(sum(map(survey.estimate_seconds, LEVELS)), 1),
        }
        session.put(document, "\n".join(cell.id for cell in missing))


def _tabulate(survey: Survey) -> FittedTable:
    table = FittedTable("", ("level", "cells", "in the registry", "missing", "estimated time"), ("level",))
    for level in filter(survey.list_level, LEVELS):
        total, missing = len(survey.list_level(level)), len(survey.list_missing(level))
        about = show_seconds(survey.estimate_seconds(level)) if missing else ""
        table.add_row(level, str(total), str(total - missing), str(missing), about)
    return table


def _describe(survey: Survey, cell: ExperimentCell) -> dict[str, object]:
    status = "there" if cell.id in survey.cached else "missing"
    return {"id": cell.id, "level": cell.level, "name": cell.name, "status": status}


def run_cells(
    workspace: Workspace,
    session: Session,
    survey: Survey,
    *,
    jobs: int | None,
    scheduler: str | None,
    lost: Sequence[Finished] = (),
) -> list[Finished]:
    """Compute the missing cells, with progress on stderr, and return those whose training diverged.

    lost: cells whose training diverged before; they are not computed again, nor is what needs them.
    """
    jobs = jobs or find_default_jobs()
    with _show_cells(session, survey, 1 if scheduler else jobs) as watch:
        ids = {one.cell.id for one in lost}
        return make_cells(workspace, survey, jobs=jobs, scheduler=scheduler, watch=watch, lost=ids)


ASSUMED = 10.0
"""Seconds of cells that must have been computed before their times count more than the estimate.

The first cells of a process are slower, because it loads TensorFlow.
"""


class Forecast:
    """The cells that are left, and how long they will take; the times of finished ones correct the estimates."""

    def __init__(self, survey: Survey, jobs: int) -> None:
        self.jobs = jobs
        self.levels = {level: survey.list_missing(level) for level in LEVELS}
        self.expected = {cell.id: survey.estimate_cell(cell) for cell in survey.cells if cell.id not in survey.cached}
        self.lost = set[str]()
        self.since: dict[str, float] = {}
        self.times: dict[Level, list[tuple[float, float]]] = {level: [] for level in LEVELS}
        self.total, self.cached = len(survey.cells), len(survey.cached)

    @property
    def done(self) -> int:
        """Cells that are in the registry, or cannot be computed."""
        return self.total - sum(map(len, self.levels.values()))

    def finish(self, finished: Finished) -> None:
        """Take out a cell that is finished, and after a diverged training those that need it."""
        level = finished.cell.level
        self.times[level].append((finished.seconds, self.expected[finished.cell.id]))
        if finished.diverged:
            self.lost.add(finished.cell.id)
        for name, cells in self.levels.items():
            kept = [cell for cell in cells if cell.id != finished.cell.id and not self.lost & set(cell.recipe.parents)]
            self.lost |= {cell.id for cell in cells if self.lost & set(cell.recipe.parents)}
            self.levels[name] = kept

    def list_running(self) -> list[ExperimentCell]:
        """Return the cells that are computed now: the first ones of the level, in order."""
        return next((cells[: self.jobs] for cells in self.levels.values() if cells), [])

    def estimate_seconds(self) -> float:
        """Return the seconds that are left; a cell that takes longer than was expected raises them meanwhile."""
        now, running = time.monotonic(), self.list_running()
        spent = {cell.id: now - self.since.setdefault(cell.id, now) for cell in running}
        late = [(spent[cell.id], self.expected[cell.id]) for cell in running]
        late = [(taken, expected) for taken, expected in late if taken > expected * self._correct()]
        left = sum(self.expected[cell.id] / SURPRISE for cell in running) if late else 0.0
        for level, cells in self.levels.items():
            more = late if running and running[0].level == level else []
            ratio = _correct([*self.times[level], *more], self._correct(late))
            seconds = (max(self.expected[cell.id] * ratio - spent.get(cell.id, 0.0), 0.0) for cell in cells)
            left += sum(seconds) / max(min(self.jobs, len(cells)), 1)
        return left

    def _correct(self, late: Sequence[tuple[float, float]] = ()) -> float:
        """Return how many times longer than expected cells of all levels take."""
        return _correct([*(pair for pairs in self.times.values() for pair in pairs), *late], 1.0)


SURPRISE = 4.0
"""A cell that is late takes at least this part of its expected time more."""


def _correct(times: Sequence[tuple[float, float]], before: float) -> float:
    """Return how many times longer than expected cells take, from (taken, expected) seconds of finished ones.

    before: the ratio that is assumed without them.
    """
    taken, expected = sum(one for one, _ in times), sum(one for _, one in times)
    return (taken + ASSUMED * before) / (expected + ASSUMED)


@contextmanager
def _show_cells(session: Session, survey: Survey, jobs: int) -> Iterator[Callable[[Finished], None]]:
    """Yield a function to call with each finished cell; it advances two lines, or without a terminal prints one.

    The first line is about all cells, the second one about those that are computed now.
    """
    forecast = Forecast(survey, jobs)
    with session.tell_once() as lines, session.show_progress() as progress:
        total = progress.add_task("", share=None)
        current = progress.add_task("", share=None)

        def show() -> None:
            running = forecast.list_running()
            what, share = f"{forecast.done} of {forecast.total} cells", forecast.done / forecast.total
            progress.update(total, description=what, share=share, left=forecast.estimate_seconds if running else None)
            names = [printable(cell.name) for cell in running] or ["writing the report"]
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            progress.reset(current, description="; ".join(names), short=f"{names[0]}{more}")

        def watch(finished: Finished) -> None:
            cell = finished.cell
            forecast.finish(finished)
            show()
            line = f"{cell.id}  {cell.name}, {finished.seconds:.1f} s"
            (session.detail if session.draws_bars else session.tell)(line)
            for told in finished.lines:
                lines.tell(told)
            if finished.diverged:
                session.tell(f"{cell.name}: {finished.diverged}")

        show()
        yield watch
