"""The report: what the registry's runs say of each pipeline, as a page, Markdown, JSON and CSV; never a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from advae.errors import UsageError, unknown

if TYPE_CHECKING:
    from advae.records import Manifest
    from advae.registry import Registry
    from advae.report.analysis.tables import Findings, Table
    from advae.report.data.contents import Comparison


def _write_html(findings: Findings) -> dict[str, str]:
    from advae.report.formats.page import render_page

    return {"html": render_page(findings)}


def _write_markdown(findings: Findings) -> dict[str, str]:
    from advae.report.formats.markdown import render_markdown

    return {"md": render_markdown(findings)}


def _write_json(findings: Findings) -> dict[str, str]:
    from advae.report.formats.json_document import render_json

    return {"json": render_json(findings)}


def _write_csv(findings: Findings) -> dict[str, str]:
    from advae.report.formats.csv_tables import render_csv

    return render_csv(findings)


def _write_latex(findings: Findings) -> dict[str, str]:
    from advae.report.formats.latex import render_latex

    return render_latex(findings)


WRITERS: dict[str, Callable[[Findings], dict[str, str]]] = {
    "html": _write_html,
    "md": _write_markdown,
    "json": _write_json,
    "csv": _write_csv,
    "tex": _write_latex,
}
"""What writes the files of a format, by key: the format, or the format and what a file is of, ``csv-threat-models``."""

FORMATS = ("html", "md", "json", "csv")
"""Formats that a report is written in unless others are chosen."""

FIGURE_FORMATS = ("svg", "pdf", "png")
"""Kinds of files that figures are written as."""


def write_report(
    registry: Registry,
    runs: Sequence[Manifest],
    out: Path,
    *,
    networks: Sequence[Manifest] = (),
    surfaces: Sequence[Manifest] = (),
    code_attacks: Sequence[Manifest] = (),
    formats: Sequence[str] = FORMATS,
    sections: Mapping[str, Table] | None = None,
) -> dict[str, Path]:
    """Compare runs, write their report into ``out`` as ``write_comparison`` does, and return the files' paths.

    Undefended counterparts are looked for in the whole registry; networks: trained entries to show beside those that
    the runs need; surfaces, code_attacks: decision surfaces and attacks on codes. Raises UsageError and DiskError as
    ``write_comparison`` does, NotFoundError where there is nothing to report on, CorruptError for an entry that cannot
    be read.
    """
    from advae.report.analysis.collecting import compare_runs

    check_formats(formats)
    comparison = compare_runs(registry, runs, networks, surfaces=surfaces, code_attacks=code_attacks)
    return write_comparison(comparison, out, formats=formats, sections=sections)


def check_formats(formats: Sequence[str]) -> None:
    """Raise UsageError for an unknown format."""
    for name in formats:
        if name not in WRITERS:
            raise UsageError(unknown("format", name, WRITERS))


def check_figure_formats(formats: Sequence[str]) -> None:
    """Raise UsageError for an unknown format of figures."""
    for name in formats:
        if name not in FIGURE_FORMATS:
            raise UsageError(unknown("figure format", name, FIGURE_FORMATS))


def write_comparison(
    comparison: Comparison,
    out: Path,
    *,
    formats: Sequence[str] = FORMATS,
    sections: Mapping[str, Table] | None = None,
) -> dict[str, Path]:
    """Write ``report.<format>`` into ``out`` for each format and return the files' paths; equal records, equal bytes.

    sections: tables that the caller adds to the report's own, by name. With ``csv`` and ``tex`` come the other tables
    that have lines, ``report-<table>.csv``, as ``csv-<table>``. The file that an earlier report wrote of a table
    without lines is removed, and so is one under a name of an earlier version. Raises UsageError for an unknown
    format, or a file of such a name that no report wrote, DiskError where ``out`` cannot be written.
    """
    from advae.report.analysis.tables import Findings
    from advae.report.formats.report_files import FORMER_KEYS, list_keys, write_files

    check_formats(formats)
    findings = Findings(comparison, sections or {})
    texts = {key: text for name in formats for key, text in WRITERS[name](findings).items()}
    stale = {*list_keys(formats, findings.sections), *(FORMER_KEYS if "csv" in formats else ())} - texts.keys()
    return write_files(out, texts, findings.sections, stale=stale)
