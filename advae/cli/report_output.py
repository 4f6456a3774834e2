"""Steps that `report` and `reproduce` share: checking --out, showing a report's summary, printing its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from advae.cli.session import Session
from advae.cli.values import split_names
from advae.errors import CheckFailedError
from advae.experiments.paper.section import PAPER_SECTION
from advae.report import check_formats
from advae.report.data.contents import Comparison
from advae.report.formats.report_files import list_targets, refuse_foreign
from advae.report.formats.terminal import list_excluded, summarize
from advae.workflows import Workspace, refuse_inside

SECTIONS = {"paper": PAPER_SECTION}
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


def put_report(session: Session, comparison: Comparison, files: Mapping[str, Path]) -> None:
    """Show the summary of a report, and print the path of its page, or with ``--json`` all its files."""
    for line in list_excluded(comparison.excluded):
        session.tell(line)
    console = session.console
    drawn = summarize(comparison, width=console.width, encoding=console.encoding)
    for part in () if session.quiet else drawn:
        session.tell_lines(part.split("\n")) if isinstance(part, str) else session.tell(part)
    paths = {name: str(path) for name, path in files.items()}
    document = {"page": paths.get("html"), "files": paths, "runs": [run.id for run in comparison.runs]}
    session.put(document, next(iter(paths.values())))


def refuse(reasons: list[str]) -> None:
    """Raise CheckFailedError with the first reasons, if there are reasons."""
    if reasons:
        more = f"; and {len(reasons) - SHOWN_REASONS} more" if len(reasons) > SHOWN_REASONS else ""
        raise CheckFailedError("; ".join(reasons[:SHOWN_REASONS]) + more)
