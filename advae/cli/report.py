"""``advae report``: one page, and its JSON, Markdown and CSV twins, from the stored runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from advae.cli.groups import SESSION, complete_names, complete_refs, grouped
from advae.cli.options import DataDirOption, DatasetOption, split_names
from advae.cli.session import Session
from advae.report import FORMATS, build_terminal_table, compare_runs, write_report
from advae.workflows import choose_runs


@grouped(session=SESSION)
def report(
    session: Session,
    refs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[REF ...]",
            help="Runs, or entries whose runs to show; default: all.",
            autocompletion=complete_refs(),
            show_default=False,
        ),
    ] = None,
    dataset: DatasetOption = None,
    data_dir: DataDirOption = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the files go.")] = Path("advae-report"),
    format_: Annotated[
        str,
        typer.Option(
            "--format", metavar="F[,F...]", help=f"{', '.join(FORMATS)}.", autocompletion=complete_names(FORMATS)
        ),
    ] = ",".join(FORMATS),
) -> None:
    """Write a report on runs; prints the path of its page."""
    with session.workspace("report", data_dir=data_dir) as workspace:
        runs = choose_runs(workspace, refs or [], dataset)
        files = write_report(session.registry, runs, out, formats=split_names("--format", format_))
    session.tell(build_terminal_table(compare_runs(session.registry, runs)))
    paths = {name: str(path) for name, path in files.items()}
    session.put(
        {"page": paths.get("html"), "files": paths, "runs": [run.id for run in runs]}, next(iter(paths.values()))
    )
