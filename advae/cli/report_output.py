"""Steps that `report` and `reproduce` share: checking --out, showing a report's summary, printing its files."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from advae.cli.session import Session
from advae.cli.values import split_names
from advae.errors import CheckFailedError, UsageError, printable
from advae.experiments.chen2018.filter_section import CHEN_SECTION
from advae.experiments.paper.section import PAPER_SECTION
from advae.experiments.printed_areas import PRINTED_SECTION
from advae.experiments.sahay2019.cascade_section import SAHAY_SECTION
from advae.report import FIGURE_FORMATS, check_figure_formats, check_formats
from advae.report.data.contents import Comparison
from advae.report.formats.report_files import list_targets, refuse_foreign
from advae.report.formats.terminal import list_excluded, summarize
from advae.workflows import Workspace, refuse_inside

SECTIONS = {
    "paper": PAPER_SECTION,
    "chen2018": CHEN_SECTION,
    "sahay2019": SAHAY_SECTION,
    "printed_areas": PRINTED_SECTION,
}
"""Tables that are added to the report's own, by name."""

SHOWN_REASONS = 3
"""Reasons that ``--strict`` names; the report lists all of them."""


def check_out(session: Session, out: Path, format_: str) -> list[str]:
    """Return the formats of a report. Raises UsageError for an unknown format or an unusable folder."""
    formats = split_names("--format", format_)
    check_formats(formats)
    for target in list_targets(out, formats, SECTIONS):
        refuse_inside(Workspace(session.registry), target, "--out")
    refuse_foreign(out, formats, SECTIONS)
    return formats


def check_figures(session: Session, folder: Path | None, format_: str | None) -> list[str]:
    """Return the formats of the figures. Raises UsageError for an unknown one, an unusable folder, or none at all."""
    if format_ and folder is None:
        raise UsageError("--figure-format needs --figures DIR, the folder that the figures are written into")
    formats = split_names("--figure-format", format_ or FIGURE_FORMATS[0])
    check_figure_formats(formats)
    if folder:
        refuse_inside(Workspace(session.registry), folder, "--figures")
    return formats


def put_report(
    session: Session, comparison: Comparison, files: Mapping[str, Path], figures: Sequence[Path] = ()
) -> None:
    """Show the summary of a report, and print the path of its page, or with ``--json`` all its files."""
    for line in list_excluded(comparison.excluded):
        session.tell(line)
    console = session.console
    drawn = summarize(comparison, width=console.width, encoding=console.encoding)
    for part in () if session.quiet else drawn:
        session.tell_lines(part.split("\n")) if isinstance(part, str) else session.tell(part)
    paths = {name: str(path) for name, path in files.items()}
    document = {"page": paths.get("html"), "files": paths, "runs": [run.id for run in comparison.runs]}
    if figures:
        document["figures"] = [str(path) for path in figures]
        session.tell(f"{len(figures)} figures in {figures[0].parent}")
    session.put(document, link_path(session, next(iter(files.values()))))


def link_path(session: Session, path: Path) -> str:
    """Return a path as stdout shows it: one to click where it is a terminal, plain anywhere else."""
    from rich.style import Style

    if not (sys.stdout.isatty() and session.color and session.console.is_interactive):
        return str(path)
    return Style(link=path.absolute().as_uri()).render(printable(str(path)))


def open_page(session: Session, files: Mapping[str, Path]) -> None:
    """Open the page of a report in a browser; say so where there is none. Raises UsageError without a page."""
    import webbrowser

    if "html" not in files:
        raise UsageError("--open needs a page: add html to --format")
    if not webbrowser.open(files["html"].absolute().as_uri()):
        session.tell(f"no browser was found; open {files['html']} yourself")


def refuse(reasons: list[str]) -> None:
    """Raise CheckFailedError with the first reasons, if there are reasons."""
    if reasons:
        more = f"; and {len(reasons) - SHOWN_REASONS} more" if len(reasons) > SHOWN_REASONS else ""
        raise CheckFailedError("; ".join(reasons[:SHOWN_REASONS]) + more)
