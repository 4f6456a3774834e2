"""The plan of an experiment before it runs, and a progress bar for each of its levels while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.box import SIMPLE
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from advae.cli.session import Session
from advae.cli.values import show_seconds
from advae.errors import printable
from advae.experiments.cells import LEVELS, ExperimentCell, Level
from advae.experiments.processes import find_default_jobs
from advae.experiments.runner import Finished, Survey, make_cells
from advae.workflows import Workspace


def put_survey(session: Session, survey: Survey, *, print_ids: bool) -> None:
    """Show how many cells an experiment has and how many are missing.

    print_ids: also print the ids of the missing cells, or with ``--json`` all cells.
    """
    session.tell(_tabulate(survey))
    missing = [cell for level in LEVELS for cell in survey.list_missing(level)]
    for cell in missing:
        session.detail(f"{cell.id}  {cell.name}")
    if print_ids:
        document = {
            "cells": [_describe(survey, cell) for cell in survey.cells],
            "missing": len(missing),
            "estimated_seconds": round(sum(map(survey.estimate_seconds, LEVELS)), 1),
        }
        session.put(document, "\n".join(cell.id for cell in missing))


def _tabulate(survey: Survey) -> Table:
    table = Table(box=SIMPLE)
    table.add_column("")
    for title in ("cells", "in the registry", "missing", "estimated time"):
        table.add_column(title, justify="right")
    for level in filter(survey.list_level, LEVELS):
        total, missing = len(survey.list_level(level)), len(survey.list_missing(level))
        about = show_seconds(survey.estimate_seconds(level)) if missing else ""
        table.add_row(level, str(total), str(total - missing), str(missing), about)
    return table


def _describe(survey: Survey, cell: ExperimentCell) -> dict[str, object]:
    status = "there" if cell.id in survey.cached else "missing"
    return {"id": cell.id, "level": cell.level, "name": cell.name, "status": status}


def run_cells(
    workspace: Workspace, session: Session, survey: Survey, *, jobs: int | None, scheduler: str | None
) -> list[Finished]:
    """Compute the missing cells, with progress on stderr, and return those whose training diverged."""
    with _show_levels(session, survey) as watch:
        return make_cells(workspace, survey, jobs=jobs or find_default_jobs(), scheduler=scheduler, watch=watch)


@contextmanager
def _show_levels(session: Session, survey: Survey) -> Iterator[Callable[[Finished], None]]:
    """Yield a function to call with each finished cell; it advances a bar, or without a terminal prints a line."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with session.show_progress(*columns, transient=False) as progress:
        bars = {level: _add_bar(progress, survey, level) for level in filter(survey.list_level, LEVELS)}

        def watch(finished: Finished) -> None:
            cell = finished.cell
            progress.update(bars[cell.level], advance=1, note=printable(cell.name))
            line = f"{cell.id}  {cell.name}, {finished.seconds:.1f} s"
            (session.detail if session.draws_bars else session.tell)(line)
            for told in finished.lines:
                session.tell(told)
            if finished.diverged:
                session.tell(f"{cell.name}: {finished.diverged}")

        yield watch


def _add_bar(progress: Progress, survey: Survey, level: Level) -> TaskID:
    total = len(survey.list_level(level))
    return progress.add_task(level, total=total, completed=total - len(survey.list_missing(level)), note="")
