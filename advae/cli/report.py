"""``advae report``: one page, and its JSON, Markdown and CSV twins, from the stored runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from advae.cli.groups import SESSION, complete_refs, grouped
from advae.cli.options import DataDirOption, DatasetOption, split_names
from advae.cli.report_options import EVERY_FORMAT, FormatOption, OutOption
from advae.cli.session import Session
from advae.errors import CheckFailedError
from advae.experiments.paper.section import PAPER_SECTION
from advae.report import (
    Comparison,
    check_formats,
    compare_runs,
    describe_left_out,
    describe_schema,
    list_failures,
    list_targets,
    refuse_foreign,
    summarize,
    write_comparison,
)
from advae.workflows import Workspace, choose_runs, refuse_inside

SECTIONS = {"paper": PAPER_SECTION}
"""What the report is handed beside its own tables, by name."""

SHOWN = 3
"""Reasons that ``--strict`` names; the report has them all."""


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
    out: OutOption = Path("advae-report"),
    format_: FormatOption = EVERY_FORMAT,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit 7 where a verdict is FAIL, or a defence's robustness is not established."),
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of report.json, and write nothing.")
    ] = False,
) -> None:
    """Write a report on runs; prints the path of its page."""
    if schema:
        document = describe_schema(SECTIONS)
        session.put(document, json.dumps(document, indent=2))
        return
    formats = check_out(session, out, format_)
    with session.workspace("report", data_dir=data_dir) as workspace:
        chosen = choose_runs(workspace, refs or [], dataset)
        comparison = compare_runs(session.registry, chosen.runs, required=chosen.named, left_out=chosen.left_out)
        files = write_comparison(comparison, out, formats=formats, sections=SECTIONS)
    put_report(session, comparison, files)
    if strict:
        _refuse(list_failures(comparison))


def check_out(session: Session, out: Path, format_: str) -> list[str]:
    """Return the formats of a report. Raises UsageError for one that there is not, or where it cannot be written."""
    formats = split_names("--format", format_)
    check_formats(formats)
    for target in list_targets(out, formats, SECTIONS):
        refuse_inside(Workspace(session.registry), target, "--out")
    refuse_foreign(out, formats, SECTIONS)
    return formats


def put_report(session: Session, comparison: Comparison, files: Mapping[str, Path]) -> None:
    """Show people what a report says, and print where its page is, or with ``--json`` all its files."""
    for id_, why in comparison.left_out.items():
        session.tell(describe_left_out(id_, why))
    console = session.console
    drawn = summarize(comparison, width=console.width, encoding=console.encoding, chart=console.is_terminal)
    for part in () if session.quiet else drawn:
        session.tell_lines(part.split("\n")) if isinstance(part, str) else session.tell(part)
    paths = {name: str(path) for name, path in files.items()}
    document = {"page": paths.get("html"), "files": paths, "runs": [run.id for run in comparison.runs]}
    session.put(document, next(iter(paths.values())))


def _refuse(reasons: list[str]) -> None:
    """Raise CheckFailedError with the first reasons, where there is one."""
    if reasons:
        more = f"; and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else ""
        raise CheckFailedError("; ".join(reasons[:SHOWN]) + more)
