"""``advae reproduce``: run the paper's experiment, or another plan, cell by cell, and write a report on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from advae.atomic_files import require_writable
from advae.cli.option_groups import SESSION, complete_names, grouped
from advae.cli.options import ALL_FORMATS, DataDirOption, FormatOption, OutOption, ResizeOption, describe_rows
from advae.cli.session import Session
from advae.cli.values import split_names
from advae.datasets.table import DATASETS
from advae.errors import CorruptError, DivergedError, UsageError
from advae.named_plans import PAPER_PLAN, PLANS, QUICK, WHOLE_PLANS

if TYPE_CHECKING:
    from advae.experiments import Experiment
    from advae.experiments.cells import Level
    from advae.experiments.runner import Finished, Survey
    from advae.records import Manifest
    from advae.workflows import Workspace


@grouped(session=SESSION)
def reproduce(
    session: Session,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            metavar="NAME|PATH[,...]",
            help=f"{', '.join(DATASETS)}, or an .npz or a folder of your own images; default: the plan's, digits.",
            autocompletion=complete_names(DATASETS),
        ),
    ] = None,
    data_dir: DataDirOption = None,
    resize: ResizeOption = None,
    plan: Annotated[
        str,
        typer.Option(
            "--plan",
            metavar="NAME|FILE",
            help=f"{describe_rows(WHOLE_PLANS)}\nNAME{QUICK}: its quick form, on digits. Or a TOML file of your own.",
            autocompletion=complete_names(PLANS),
        ),
    ] = PAPER_PLAN,
    show_plan: Annotated[
        bool, typer.Option("--show-plan", help="Print the plan, to be copied and edited, and stop.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show the missing cells and the estimated time, print their ids, and stop."),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            metavar="N",
            min=1,
            max=256,
            help="Cells to compute in parallel, each in a process; default: number of cores, at most 4.",
        ),
    ] = None,
    backend: Annotated[
        Literal["loky", "dask"],
        typer.Option("--backend", help="Where cells are computed: on this machine, or by a dask scheduler's workers."),
    ] = "loky",
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="tcp://HOST:PORT", help="With --backend dask: the scheduler.")
    ] = None,
    out: OutOption = Path("advae-report"),
    format_: FormatOption = ALL_FORMATS,
) -> None:
    """Run the paper's whole experiment, or another plan, and report on it; prints the path of its page."""
    from advae.cli.experiment_progress import put_survey, run_cells
    from advae.cli.report_output import check_out
    from advae.experiments import find_plan, read_experiment
    from advae.experiments.cells import list_cells
    from advae.experiments.runner import survey

    if show_plan:
        text = find_plan(plan).read_text("utf-8")
        session.put({"plan": text}, text.removesuffix("\n"))
        return
    _check_backend(backend, scheduler, jobs)
    formats = check_out(session, out, format_)
    experiment = read_experiment(find_plan(plan))
    if dataset:
        experiment = experiment.model_copy(update={"datasets": tuple(split_names("--dataset", dataset))})

    def look() -> tuple[Workspace, Survey, list[str]]:
        waiting: list[str] = []
        with session.workspace("reproduce", data_dir=data_dir, resize=resize) as workspace:
            surveyed = survey(session.registry, list_cells(workspace, experiment, waiting.append))
        put_survey(session, surveyed, waiting, print_ids=dry_run)
        return workspace, surveyed, waiting

    workspace, surveyed, waiting = look()
    if not dry_run:
        # A failure after hours of computing would be too late.
        require_writable(out)
        diverged = run_cells(workspace, session, surveyed, jobs=jobs, scheduler=scheduler)
        if waiting:
            # The eps is known now, and with it the other cells.
            workspace, surveyed, _ = look()
            diverged += run_cells(workspace, session, surveyed, jobs=jobs, scheduler=scheduler, lost=diverged)
        _report(session, surveyed, diverged, out, formats, experiment, plan)


def _report(
    session: Session,
    surveyed: Survey,
    diverged: list[Finished],
    out: Path,
    formats: list[str],
    experiment: Experiment,
    plan: str,
) -> None:
    """Write the report on the cells. Raises DivergedError and CorruptError for those that are missing."""
    from advae.cli.report_output import SECTIONS, put_report
    from advae.report import write_comparison
    from advae.report.analysis.check_results import describe_excluded
    from advae.report.analysis.collecting import compare_runs

    runs = _find(session, surveyed, "attacks")
    autoencoders = _find(session, surveyed, "autoencoders", "defences", "cascades")
    certificates, surfaces = _find(session, surveyed, "certificates"), _find(session, surveyed, "surfaces")
    code_attacks = _find(session, surveyed, "code attacks")
    if not any((runs, certificates, surfaces, code_attacks)):
        # All of them depend on a training that diverged.
        _refuse(diverged)
    comparison = compare_runs(
        session.registry,
        runs,
        autoencoders,
        certificates=certificates,
        surfaces=surfaces,
        code_attacks=code_attacks,
        plan=plan if plan in PLANS else None,
        about=experiment.about,
        required=(),
    )
    put_report(session, comparison, write_comparison(comparison, out, formats=formats, sections=SECTIONS))
    _refuse(diverged)
    for id_, why in comparison.excluded.items():
        raise CorruptError(describe_excluded(id_, why))


def _find(session: Session, surveyed: Survey, *levels: Level) -> list[Manifest]:
    """Return the entries of some levels, without those whose training diverged."""
    cells = [cell for level in levels for cell in surveyed.list_level(level)]
    return [found for cell in cells if (found := session.registry.find_made(cell.recipe))]


def _check_backend(backend: str, scheduler: str | None, jobs: int | None) -> None:
    """Raise UsageError for options that do not fit together."""
    if backend == "dask" and not scheduler:
        raise UsageError("--backend dask needs --scheduler tcp://HOST:PORT: `dask scheduler` prints its address")
    if scheduler and backend != "dask":
        raise UsageError("--scheduler needs --backend dask")
    if scheduler and jobs:
        raise UsageError("--jobs is for this machine; with --backend dask each worker computes one cell at a time")


def _refuse(diverged: list[Finished]) -> None:
    """Raise DivergedError if a training diverged; called after everything else was made and shown."""
    if diverged:
        first, *others = diverged
        more = f"; and {len(others)} more" if others else ""
        raise DivergedError(f"{first.cell.name}: {first.diverged}{more}")
