"""The report's twins for machines: JSON and CSV, their numbers unrounded."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from typing import Any

from advae.records import Manifest
from advae.report.commands import list_commands
from advae.report.comparison import Pipeline, Row, list_runs_of
from advae.report.headlines import Headline, write_headlines
from advae.report.notes import describe_threat
from advae.report.runs import Measured, Run, read_history
from advae.report.scores import Findings, Scores
from advae.report.wording import NOT_APPLICABLE, NOT_RUN

SCHEMA = 1
"""Version of ``report.json``; raised when a program that reads it would have to change."""

SPREADSHEET_FORMULA = ("=", "+", "-", "@", "\t", "\r")


# ---------------------------------------------------------------- JSON


def render_json(findings: Findings) -> str:
    """Return everything that the report shows as one JSON document, its numbers unrounded.

    rows: the accuracy table; runs: recipe, confusion matrices and classification reports of each run named; networks:
    loss histories; headlines: what is left of each pipeline. What was not run is {"status": "NOT RUN"}.
    """
    comparison = findings.comparison
    document = {
        "schema": SCHEMA,
        "headlines": [_dump_headline(headline) for headline in write_headlines(comparison)],
        "rows": [_dump_row(row) for row in comparison.table_rows],
        "runs": [_dump_run(run, findings.scores[run.id]) for run in comparison.runs],
        "networks": [_dump_network(entry) for entry in comparison.networks],
        "threats": {threat: describe_threat(threat) for threat in comparison.threats},
        "commands": list_commands(list_runs_of(comparison.rows)),
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _dump_headline(headline: Headline) -> dict[str, Any]:
    row, run = headline.strongest, headline.pipeline.first
    return {
        "classifier": run.classifier.id,
        "autoencoder": run.autoencoder.id if run.autoencoder else None,
        "name": headline.name,
        "robustness_established": headline.established,
        "strongest": _dump_side(row.own if row else None),
        "by_threat": {threat: _dump_worst(headline.pipeline, threat) for threat, _ in headline.by_threat},
    }


def _dump_worst(pipeline: Pipeline, threat: str) -> dict[str, Any]:
    row = pipeline.find_strongest([threat])
    return _dump_side(row.own if row else None)


def _dump_row(row: Row) -> dict[str, Any]:
    sides = {"with": _dump_side(row.defended), "without": _dump_side(row.undefended)}
    return _describe_row(row) | sides | {"notes": list(row.notes)}


def _describe_row(row: Row) -> dict[str, Any]:
    """Return what identifies a row: the columns that all formats for machines begin with."""
    run, recipe = row.run, row.run.recipe
    return {
        "run": run.id,
        "dataset": recipe.dataset.name,
        "classifier": run.classifier_recipe.model,
        "classifier_id": run.classifier.id,
        "autoencoder": run.autoencoder_type,
        "autoencoder_id": run.autoencoder.id if run.autoencoder else None,
        "rescale": run.autoencoder_recipe.rescale if run.autoencoder_recipe else None,
        "method": recipe.method,
        "target": recipe.target,
        "clip": recipe.clip,
        "threat": recipe.threat,
        "norm": recipe.norm,
        "eps": row.eps,
    }


def _dump_side(side: Measured | None) -> dict[str, Any]:
    """Return what one run measured at one eps, or that it was not run."""
    if side is None:
        return {"status": NOT_RUN}
    run, result = side.run, side.result.model_dump(mode="json", exclude={"targets"})
    facts = {
        "run": run.id,
        "n": run.metrics.n,
        "seed": run.recipe.seed,
        "steps": run.recipe.steps,
        "restarts": run.recipe.restarts,
    }
    clean = {"clean_accuracy": run.clean.value, "clean_accuracy_interval": [run.clean.low, run.clean.high]}
    return {"status": "measured"} | facts | {"loss": run.recipe.loss, "threat": run.recipe.threat} | clean | result


def _dump_run(run: Run, scores: Iterable[Scores]) -> dict[str, Any]:
    return {
        "id": run.id,
        "recipe": run.recipe.model_dump(mode="json"),
        "metrics": run.metrics.model_dump(mode="json"),
        "scores": [
            {"eps": one.eps, "confusion_matrix": one.matrix, "classification_report": one.report} for one in scores
        ],
    }


def _dump_network(entry: Manifest) -> dict[str, Any]:
    history = read_history(entry)
    return {
        "id": entry.id,
        "recipe": entry.recipe.model_dump(mode="json"),
        "history": history.model_dump(mode="json") if history else None,
    }


# ---------------------------------------------------------------- CSV


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
    cells = _describe_row(row) | _flatten_side(row.own) | other | {"notes": "; ".join(row.notes) or "none"}
    return {name: _write_cell(value) for name, value in cells.items()}


def _flatten_side(side: Measured | None) -> dict[str, object]:
    return {name: read(side) if side else NOT_RUN for name, read in SIDE_COLUMNS.items()}


def _write_cell(value: object) -> str:
    if value is None:
        return NOT_APPLICABLE
    # A dataset named "=1+1" must not become a formula in the reader's spreadsheet.
    return f"'{value}" if isinstance(value, str) and value.startswith(SPREADSHEET_FORMULA) else str(value)
