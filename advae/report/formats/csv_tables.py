"""The report as CSV, a file for each table, for spreadsheets and programs: its numbers unrounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from advae.errors import printable
from advae.quoting import disarm_formulas
from advae.report.analysis.tables import CsvLine, Findings
from advae.report.formats.catalogue import list_tables, name_keys
from advae.report.wording import NBSP, NOT_APPLICABLE


def render_csv(findings: Findings) -> dict[str, str]:
    """Return the text of each table that has lines, by its key of ``name_keys``."""
    tables, keys = list_tables(findings.sections), name_keys(findings.sections)
    texts = {keys[name]: write_lines(table.list_lines(findings)) for name, table in tables.items()}
    return {key: text for key, text in texts.items() if text}


def write_lines(lines: Iterable[CsvLine]) -> str:
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
