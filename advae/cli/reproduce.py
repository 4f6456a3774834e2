"""``advae reproduce``: the paper's whole experiment, or a plan of one's own, cell by cell, and a report on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from advae.atomic_files import require_writable
from advae.cli.groups import SESSION, complete_names, grouped
from advae.cli.levels import put_survey, show_levels
from advae.cli.options import DataDirOption, split_names
from advae.cli.report import SECTIONS, check_out, put_report
from advae.cli.report_options import EVERY_FORMAT, FormatOption, OutOption
from advae.cli.session import Session
from advae.datasets import DATASETS
from advae.errors import CorruptError, DivergedError, UsageError
from advae.experiments import PAPER, read_experiment
from advae.experiments.cells import Level, list_cells
from advae.experiments.processes import count_usable_cores
from advae.experiments.runner import Finished, Survey, make_cells, survey
from advae.records import Manifest
from advae.report import compare_runs, describe_left_out, write_comparison


@grouped(session=SESSION)
def reproduce(
    session: Session,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            metavar="NAME|PATH.npz[,...]",
            help=f"{', '.join(DATASETS)}, or an .npz of your own images; default: the plan's, digits.",
            autocompletion=complete_names(DATASETS),
        ),
    ] = None,
    data_dir: DataDirOption = None,
    plan: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="What to train and attack, a TOML file; default: the paper's."),
    ] = None,
    show_plan: Annotated[
        bool, typer.Option("--show-plan", help="Print the paper's plan, to copy and to edit, and stop.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what is missing and about how long it takes, print its ids, and stop."),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", metavar="N", min=1, max=256, help="Cells at a time, each in a process; default: cores, at most 4."
        ),
    ] = None,
    backend: Annotated[
        Literal["loky", "dask"],
        typer.Option("--backend", help="Where cells are made: on this machine, or by a dask scheduler's workers."),
    ] = "loky",
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="tcp://HOST:PORT", help="With --backend dask: the scheduler.")
    ] = None,
    out: OutOption = Path("advae-report"),
    format_: FormatOption = EVERY_FORMAT,
) -> None:
    """Run the paper's whole experiment and report on it; prints the path of its page."""
    if show_plan:
        text = PAPER.read_text("utf-8")
        session.put({"plan": text}, text.removesuffix("\n"))
        return
    _check_backend(backend, scheduler, jobs)
    formats = check_out(session, out, format_)
    experiment = read_experiment(plan)
    if dataset:
        experiment = experiment.model_copy(update={"datasets": tuple(split_names("--dataset", dataset))})
    with session.workspace("reproduce", data_dir=data_dir) as workspace:
        surveyed = survey(session.registry, list_cells(workspace, experiment))
    put_survey(session, surveyed, answer=dry_run)
    if dry_run:
        return
    # The cells may take hours.
    require_writable(out)
    with show_levels(session, surveyed) as watch:
        diverged = make_cells(
            workspace, surveyed, jobs=jobs or min(count_usable_cores(), 4), scheduler=scheduler, watch=watch
        )
    runs, autoencoders = _find(session, surveyed, "attacks"), _find(session, surveyed, "autoencoders", "defences")
    if not runs:
        # All of them rest on what diverged: there is nothing to report on.
        _refuse(diverged)
    comparison = compare_runs(session.registry, runs, autoencoders, reproduction=plan is None, required=())
    put_report(session, comparison, write_comparison(comparison, out, formats=formats, sections=SECTIONS))
    _refuse(diverged)
    for id_, why in comparison.left_out.items():
        raise CorruptError(describe_left_out(id_, why))


def _find(session: Session, surveyed: Survey, *levels: Level) -> list[Manifest]:
    """Return the entries of some levels; one whose training diverged is not there."""
    cells = [cell for level in levels for cell in surveyed.list_level(level)]
    return [found for cell in cells if (found := session.registry.find_made(cell.recipe))]


def _check_backend(backend: str, scheduler: str | None, jobs: int | None) -> None:
    """Raise UsageError for options of which one makes no sense with the other."""
    if backend == "dask" and not scheduler:
        raise UsageError("--backend dask needs --scheduler tcp://HOST:PORT: `dask scheduler` prints its address")
    if scheduler and backend != "dask":
        raise UsageError("--scheduler goes with --backend dask")
    if scheduler and jobs:
        raise UsageError("--jobs is for this machine; with --backend dask as many cells are made as there are workers")


def _refuse(diverged: list[Finished]) -> None:
    """Raise DivergedError where a training came to nothing, after all that can be had without it."""
    if diverged:
        first, *others = diverged
        more = f"; and {len(others)} more" if others else ""
        raise DivergedError(f"{first.cell.name}: {first.diverged}{more}")
