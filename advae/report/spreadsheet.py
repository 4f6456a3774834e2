"""The report as CSV: one line for each run and eps, for spreadsheets and programs, its numbers unrounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

from advae.report.documents import describe_row
from advae.report.judging import summarize_stored
from advae.report.rows import Row
from advae.report.runs import Measured
from advae.report.scores import Findings
from advae.report.wording import NOT_APPLICABLE, NOT_RUN

SPREADSHEET_FORMULA = ("=", "+", "-", "@", "\t", "\r")

SIDE_COLUMNS: dict[str, Callable[[Measured], object]] = {
    "run": lambda side: side.run.id,
    "n": lambda side: side.run.metrics.n,
    "seed": lambda side: side.run.recipe.seed,
    "steps": lambda side: side.run.recipe.steps,
    "restarts": lambda side: side.run.recipe.restarts,
    "step_size": lambda side: side.run.recipe.step_size,
    "loss": lambda side: side.run.recipe.loss,
    "clean_accuracy": lambda side: side.run.clean.value,
    "clean_accuracy_low": lambda side: side.run.clean.low,
    "clean_accuracy_high": lambda side: side.run.clean.high,
    "accuracy": lambda side: side.attacked.value,
    "accuracy_low": lambda side: side.attacked.low,
    "accuracy_high": lambda side: side.attacked.high,
    "attack_success_rate": lambda side: side.result.attack_success_rate,
    "target_hit_rate": lambda side: side.result.target_hit_rate,
    "linf_max": lambda side: side.result.linf_max,
    "l2_mean": lambda side: side.result.l2_mean,
    "zero_gradient_fraction": lambda side: side.result.zero_gradient_fraction,
    "within_budget": lambda side: side.result.within_budget,
    "accuracy_8bit": lambda side: side.result.accuracy_8bit,
    "verdicts": lambda side: summarize_stored(side.run),
}
"""What the CSV says of a run at one eps; once more, as ``without_...``, of its counterpart."""


def render_csv(findings: Findings) -> str:
    """Return one line for each run and eps; for an undefended run the columns ``without_...`` are its own."""
    lines = [_flatten_row(row) for row in findings.comparison.rows]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()


def _flatten_row(row: Row) -> dict[str, str]:
    other = {f"without_{name}": value for name, value in _flatten_side(row.undefended).items()}
    p_value = NOT_RUN if row.defended and row.undefended is None else row.p_value
    told = {"mcnemar_p": p_value, "notes": "; ".join(row.notes) or "none"}
    cells = describe_row(row) | _flatten_side(row.own) | other | told
    return {name: _write_cell(value) for name, value in cells.items()}


def _flatten_side(side: Measured | None) -> dict[str, object]:
    return {name: read(side) if side else NOT_RUN for name, read in SIDE_COLUMNS.items()}


def _write_cell(value: object) -> str:
    if value is None:
        return NOT_APPLICABLE
    # A dataset named "=1+1" must not become a formula in the reader's spreadsheet.
    return f"'{value}" if isinstance(value, str) and value.startswith(SPREADSHEET_FORMULA) else str(value)
