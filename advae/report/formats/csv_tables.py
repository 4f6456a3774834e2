"""The report as CSV, a file for each table, for spreadsheets and programs: its numbers unrounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from advae.errors import printable
from advae.quoting import disarm_formulas
from advae.report.analysis.confusion import Findings
from advae.report.formats.catalogue import ACCURACY, TABLES, list_lines
from advae.report.formats.flat_rows import Line
from advae.report.wording import NBSP, NOT_APPLICABLE

KEYS = {ACCURACY: "csv"} | {name: f"csv-{name}" for name in TABLES if name != ACCURACY}
"""What the file of each table is called among the report's files."""


def render_csv(findings: Findings) -> dict[str, str]:
    """Return the text of each table that has lines, by KEYS."""
    texts = {KEYS[name]: write_lines(list_lines(name, findings)) for name in KEYS}
    return {key: text for key, text in texts.items() if text}


def write_lines(lines: Iterable[Line]) -> str:
    """Return lines under a row of their names, in the order in which these come up; nothing where there is no line.

    What has no meaning for a line, or is no column of it, is n/a. Text is printable and no formula, numbers are bare.
    """
    lines = list(lines)
    names = list(dict.fromkeys(name for line in lines for name in line))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    if lines:
        writer.writerow(map(_write_cell, names))
        writer.writerows([_write_cell(line.get(name)) for name in names] for line in lines)
    return stream.getvalue()


def _write_cell(value: object) -> object:
    if value is None:
        return NOT_APPLICABLE
    return disarm_formulas(printable(value, keep=NBSP)) if isinstance(value, str) else value
