"""The report: what the registry's runs say of each pipeline, as a page, Markdown, JSON and CSV; never a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.errors import UsageError, unknown
from advae.records import Manifest
from advae.report.analysis.check_results import Failure, describe_left_out, list_all_failures, list_failures
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.confusion import score_runs
from advae.report.analysis.tables import Findings, Table
from advae.report.data.contents import Comparison
from advae.report.data.runs import open_run
from advae.report.formats.attack_checks import Judgement, build_verdict_table, describe_pipeline, judge_classifier
from advae.report.formats.catalogue import name_keys
from advae.report.formats.csv_tables import render_csv
from advae.report.formats.markdown import render_markdown
from advae.report.formats.page import render_page
from advae.report.formats.report_files import list_targets, refuse_foreign, write_files
from advae.report.formats.terminal import summarize

if TYPE_CHECKING:
    from advae.registry import Registry

__all__ = [
    "FORMATS",
    "Comparison",
    "Failure",
    "Judgement",
    "Table",
    "build_verdict_table",
    "check_formats",
    "compare_runs",
    "describe_left_out",
    "describe_pipeline",
    "describe_schema",
    "judge_classifier",
    "list_all_failures",
    "list_failures",
    "list_targets",
    "open_run",
    "refuse_foreign",
    "summarize",
    "write_comparison",
    "write_report",
]


def _render_json(findings: Findings) -> str:
    # The models of the document take longer to build than all else here, and who judges an attack needs none.
    from advae.report.formats.json_document import render_json

    return render_json(findings)


def describe_schema(sections: Mapping[str, Table]) -> dict[str, Any]:
    """Return the JSON Schema of ``report.json`` with some sections, draft 2020-12."""
    from advae.report.formats import json_schema

    return json_schema.describe_schema(sections)


WRITERS: dict[str, Callable[[Findings], dict[str, str]]] = {
    "html": lambda findings: {"html": render_page(findings)},
    "md": lambda findings: {"md": render_markdown(findings)},
    "json": lambda findings: {"json": _render_json(findings)},
    "csv": render_csv,
}
"""What writes the files of a format, by key: the format, or the format and what a file is of, ``csv-ladder``."""

FORMATS = tuple(WRITERS)


def write_report(
    registry: Registry,
    runs: Sequence[Manifest],
    out: Path,
    *,
    networks: Sequence[Manifest] = (),
    formats: Sequence[str] = FORMATS,
    sections: Mapping[str, Table] | None = None,
) -> dict[str, Path]:
    """Compare runs, write their report into ``out`` as ``write_comparison`` does, and return the files' paths.

    Counterparts without autoencoder are looked for in the whole registry; networks: trained entries to show beside
    those that the runs rest on. Raises UsageError and DiskError as ``write_comparison`` does, NotFoundError where there
    are no runs, CorruptError for a run that cannot be read.
    """
    check_formats(formats)
    return write_comparison(compare_runs(registry, runs, networks), out, formats=formats, sections=sections)


def check_formats(formats: Sequence[str]) -> None:
    """Raise UsageError for a format that there is not."""
    for name in formats:
        if name not in WRITERS:
            raise UsageError(unknown("format", name, FORMATS))


def write_comparison(
    comparison: Comparison,
    out: Path,
    *,
    formats: Sequence[str] = FORMATS,
    sections: Mapping[str, Table] | None = None,
) -> dict[str, Path]:
    """Write ``report.<format>`` into ``out`` for each format and return the files' paths; equal records, equal bytes.

    sections: tables that the caller adds to the report's own, by name. With ``csv`` come the other tables that have
    lines, ``report-<table>.csv``, as ``csv-<table>``; the file of one that has none, left from an earlier report, is
    removed. Raises UsageError for an unknown format, or a file of such a name that no report wrote, DiskError where
    ``out`` cannot be written.
    """
    check_formats(formats)
    findings = score_runs(comparison, sections)
    texts = {key: text for name in formats for key, text in WRITERS[name](findings).items()}
    stale = name_keys(findings.sections).values() - texts.keys() if "csv" in formats else ()
    return write_files(out, texts, findings.sections, stale=stale)
