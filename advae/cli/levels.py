"""How people see an experiment: the plan before it is run, and a bar for each of its levels while it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.box import SIMPLE
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from advae.cli.session import Session
from advae.errors import printable
from advae.experiments.cells import LEVELS, ExperimentCell, Level
from advae.experiments.runner import Finished, Survey


def put_survey(session: Session, survey: Survey, *, answer: bool) -> None:
    """Show what an experiment comes to. answer: print the ids of what is missing, too, or with ``--json`` all cells."""
    session.tell(_tabulate(survey))
    missing = [cell for level in LEVELS for cell in survey.list_missing(level)]
    for cell in missing:
        session.detail(f"{cell.id}  {cell.name}")
    if answer:
        document = {
            "cells": [_describe(survey, cell) for cell in survey.cells],
            "missing": len(missing),
            "estimated_seconds": round(sum(map(survey.estimate_seconds, LEVELS)), 1),
        }
        session.put(document, "\n".join(cell.id for cell in missing))


def _tabulate(survey: Survey) -> Table:
    table = Table(box=SIMPLE)
    table.add_column("")
    for title in ("cells", "there", "to make", "about"):
        table.add_column(title, justify="right")
    for level in LEVELS:
        total, missing = len(survey.list_level(level)), len(survey.list_missing(level))
        about = _show_seconds(survey.estimate_seconds(level)) if missing else ""
        table.add_row(level, str(total), str(total - missing), str(missing), about)
    return table


def _show_seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else str(timedelta(minutes=round(seconds / 60)))[:-3] + " h"


def _describe(survey: Survey, cell: ExperimentCell) -> dict[str, object]:
    status = "there" if cell.id in survey.cached else "missing"
    return {"id": cell.id, "level": cell.level, "name": cell.name, "status": status}


@contextmanager
def show_levels(session: Session, survey: Survey) -> Iterator[Callable[[Finished], None]]:
    """Give what is to be called for each finished cell: it moves its level's bar, without a terminal it says a line."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with session.show_progress(*columns, transient=False) as progress:
        bars = {level: _add_bar(progress, survey, level) for level in LEVELS}

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
