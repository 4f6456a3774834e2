"""The report: what the registry's runs say of each pipeline, as a page, Markdown, JSON and CSV; never a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from advae.drafts import make_folder, write_aside
from advae.errors import UsageError, unknown
from advae.records import Manifest
from advae.report.comparison import compare_runs
from advae.report.documents import render_csv, render_json
from advae.report.markdown import render_markdown
from advae.report.page import render_page
from advae.report.scores import Findings, score_runs
from advae.report.tables import build_terminal_table

if TYPE_CHECKING:
    from advae.registry import Registry

__all__ = ["FORMATS", "build_terminal_table", "compare_runs", "write_report"]

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
    """Write ``report.<format>`` into ``out`` for each format and return the files' paths.

    Equal records give equal bytes. Counterparts without autoencoder are looked for in the whole registry. Raises
    UsageError for an unknown format, NotFoundError where there are no runs, CorruptError for a run that cannot be
    read, DiskError where ``out`` cannot be written.
    """
    for name in formats:
        if name not in WRITERS:
            raise UsageError(unknown("format", name, FORMATS))
    findings = score_runs(compare_runs(registry, runs))
    documents = {name: WRITERS[name](findings) for name in formats}
    make_folder(out)
    return {name: _write(out / f"report.{name}", text) for name, text in documents.items()}


def _write(path: Path, text: str) -> Path:
    """Write a file so that a reader sees the old one or the new one whole, and return its path."""
    with write_aside(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")
    return path
