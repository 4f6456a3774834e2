"""The report: what the registry's runs say of each pipeline, as a page, Markdown, JSON and CSV; never a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from advae.drafts import make_folder, write_aside
from advae.errors import UsageError, unknown
from advae.records import Manifest
from advae.report.comparison import compare_runs
from advae.report.documents import render_json
from advae.report.judgement import Judgement, build_verdict_table, judge_classifier
from advae.report.judging import list_failures
from advae.report.markdown import render_markdown
from advae.report.page import render_page
from advae.report.rows import Comparison
from advae.report.scores import Findings, score_runs
from advae.report.spreadsheet import render_csv
from advae.report.terminal import summarize

if TYPE_CHECKING:
    from advae.registry import Registry

__all__ = [
    "FORMATS",
    "Judgement",
    "build_verdict_table",
    "check_formats",
    "compare_runs",
    "judge_classifier",
    "list_failures",
    "summarize",
    "write_comparison",
    "write_report",
]

WRITERS: dict[str, Callable[[Findings], str]] = {
    "html": render_page,
    "md": render_markdown,
    "json": render_json,
    "csv": render_csv,
}
FORMATS = tuple(WRITERS)


def write_report(
    registry: Registry, runs: Sequence[Manifest], out: Path, *, formats: Sequence[str] = FORMATS
) -> dict[str, Path]:
    """Compare runs, write ``report.<format>`` into ``out`` for each format, and return the files' paths.

    Counterparts without autoencoder are looked for in the whole registry. Raises UsageError for an unknown format,
    NotFoundError where there are no runs, CorruptError for a run that cannot be read, DiskError where ``out`` cannot be
    written.
    """
    check_formats(formats)
    return write_comparison(compare_runs(registry, runs), out, formats=formats)


def check_formats(formats: Sequence[str]) -> None:
    """Raise UsageError for a format that there is not."""
    for name in formats:
        if name not in WRITERS:
            raise UsageError(unknown("format", name, FORMATS))


def write_comparison(comparison: Comparison, out: Path, *, formats: Sequence[str] = FORMATS) -> dict[str, Path]:
    """Write ``report.<format>`` into ``out`` for each format and return the files' paths; equal records, equal bytes.

    Raises UsageError for an unknown format, DiskError where ``out`` cannot be written.
    """
    check_formats(formats)
    findings = score_runs(comparison)
    documents = {name: WRITERS[name](findings) for name in formats}
    make_folder(out)
    return {name: _write(out / f"report.{name}", text) for name, text in documents.items()}


def _write(path: Path, text: str) -> Path:
    """Write a file so that a reader sees the old one or the new one whole, and return its path."""
    with write_aside(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")
    return path
