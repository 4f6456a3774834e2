"""``advae report``: write a report on the stored runs and certificates, as a page, Markdown, JSON and CSV."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from advae.cli.next_command import suggest_missing_checks
from advae.cli.option_groups import SESSION, complete_names, complete_refs, grouped
from advae.cli.options import ALL_FORMATS, DataDirOption, DatasetOption, FormatOption, OutOption, ResizeOption
from advae.cli.session import Session
from advae.paths import to_path
from advae.report import FIGURE_FORMATS


@grouped(session=SESSION)
def report(
    session: Session,
    refs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="REF",
            help="Runs and certificates, or other entries, whose runs and certificates are shown; default: all.",
            autocompletion=complete_refs(),
            show_default=False,
        ),
    ] = None,
    dataset: DatasetOption = None,
    data_dir: DataDirOption = None,
    resize: ResizeOption = None,
    out: OutOption = Path("advae-report"),
    format_: FormatOption = ALL_FORMATS,
    figures: Annotated[
        Path | None,
        typer.Option("--figures", metavar="DIR", parser=to_path, help="Write every figure into this folder, too."),
    ] = None,
    figure_format: Annotated[
        str | None,
        typer.Option(
            "--figure-format",
            metavar="F[,F...]",
            help=f"With --figures: {', '.join(FIGURE_FORMATS)}; default: {FIGURE_FORMATS[0]}.",
            autocompletion=complete_names(FIGURE_FORMATS),
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Exit 7 if a check is FAIL, or if the robustness of a defence is not established."
        ),
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of report.json, and write nothing.")
    ] = False,
) -> None:
    """Write a report on runs and certificates; prints the path of its page."""
    from advae.cli.report_output import SECTIONS, check_figures, check_out, open_page, put_report, refuse
    from advae.report import write_comparison
    from advae.report.analysis.check_results import list_failures
    from advae.report.analysis.collecting import compare_runs
    from advae.report.analysis.tables import Findings
    from advae.report.formats.figure_files import write_figures
    from advae.report.formats.json_schema import describe_schema
    from advae.workflows import choose_runs

    if schema:
        document = describe_schema(SECTIONS)
        session.put(document, json.dumps(document, indent=2))
        return
    formats = check_out(session, out, format_)
    figure_formats = check_figures(session, figures, figure_format)
    with session.workspace("report", data_dir=data_dir, resize=resize) as workspace:
        chosen = choose_runs(workspace, refs or [], dataset)
        comparison = compare_runs(
            session.registry,
            chosen.runs,
            certificates=chosen.certificates,
            surfaces=chosen.surfaces,
            code_attacks=chosen.code_attacks,
            required=chosen.named,
            excluded=chosen.excluded,
        )
        files = write_comparison(comparison, out, formats=formats, sections=SECTIONS)
        drawn = write_figures(Findings(comparison, SECTIONS), figures, figure_formats) if figures else []
    put_report(session, comparison, files, drawn)
    suggest_missing_checks(session, comparison, data_dir)
    if open_:
        open_page(session, files)
    if strict:
        refuse(list_failures(comparison))
