"""The report as JSON, for programs: the records of its tables, unrounded, beside the entries they come from."""

from __future__ import annotations

import json
from typing import Any

from advae.checks import CHECKS
from advae.records import AutoencoderRecipe, ClassifierRecipe, Record
from advae.report.analysis.baseline_comparison import list_missing_baselines
from advae.report.analysis.check_results import list_all_failures
from advae.report.analysis.confusion import score_runs
from advae.report.analysis.eps_selection import MANY_EPS
from advae.report.analysis.overview import write_title
from advae.report.analysis.tables import Findings
from advae.report.data.commands import list_commands
from advae.report.data.runs import Run
from advae.report.data.threat_models import describe_threat
from advae.report.data.trained import Network, read_error
from advae.report.formats.catalogue import list_tables
from advae.report.formats.json_schema import LossHistory, NetworkEntry, RunEntry, build_model


def render_json(findings: Findings) -> str:
    """Return everything that the report shows as one JSON document, its numbers unrounded."""
    document = build_document(findings).model_dump(mode="json", by_alias=True)
    if any(len(run.recipe.eps) > MANY_EPS for run in findings.comparison.runs):
        return json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n"
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def build_document(findings: Findings) -> Record:
    """Return everything that the report shows. What was not run is a NotRun."""
    comparison = findings.comparison
    tables: dict[str, Any] = {
        name: findings.collect(table.collect) for name, table in list_tables(findings.sections).items() if table.record
    }
    return build_model(findings.sections)(
        **tables,
        title=write_title(findings),
        plan=comparison.plan,
        about=comparison.about,
        raised_checks={name: check.raised for name, check in CHECKS.items()},
        failures=tuple(list_all_failures(comparison.pipelines)),
        missing_baselines=findings.collect(list_missing_baselines),
        runs=tuple(_describe_run(run, findings) for run in comparison.runs),
        networks=tuple(map(_describe_network, comparison.networks)),
        threats={threat: describe_threat(threat) for threat in comparison.threats},
        commands=tuple(list_commands(comparison)),
    )


def _describe_run(run: Run, findings: Findings) -> RunEntry:
    # As they are stored, but for check results that were made anew.
    metrics = run.manifest.as_run()[1].model_copy(update={"verdicts": run.metrics.verdicts})
    scores = score_runs(findings)[run.id]
    return RunEntry(id=run.id, imported=run.manifest.imported, recipe=run.recipe, metrics=metrics, scores=scores)


def _describe_network(network: Network) -> NetworkEntry:
    recipe, history = network.manifest.recipe, network.history
    if not isinstance(recipe, AutoencoderRecipe | ClassifierRecipe):
        raise TypeError(f"{network.id} is a result, and no network")
    losses = LossHistory(**history.model_dump(exclude={"seconds"})) if history else None
    return NetworkEntry(
        id=network.id,
        imported=network.manifest.imported,
        recipe=recipe,
        history=losses,
        test_mse=read_error(network.manifest),
    )
