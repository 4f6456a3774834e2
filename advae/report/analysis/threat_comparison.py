"""The robust accuracy of a pipeline under each threat model at each eps, from the least knowledge to the most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from advae.checks import NOT_VALID, find_strongest
from advae.records import Norm, key_eps, unite_eps
from advae.report.analysis.run_results import RunResult, describe_result
from advae.report.analysis.tables import CsvLine, Findings
from advae.report.data.contents import AttackedPipeline, Row
from advae.report.data.grouping import group_by
from advae.report.data.threat_models import list_by_knowledge, place_threat
from advae.report.wording import NOT_RUN, name_pipeline

Budget = tuple[Norm, float]
"""Norm and eps, the smallest that is written for it."""


class ThreatModelRecord(RunResult):
    """The strongest valid attack of one threat model on one pipeline, at one norm and eps.

    Its status is NOT RUN where there is none, or says that there are only attacks outside the budget.
    """

    classifier_id: str
    """The classifier's id in the registry."""
    pipeline: str
    """The pipeline in words: dataset, classifier, purifier, seeds other than 0."""


@dataclass(frozen=True)
class ThreatComparison:
    """One threat model."""

    threat: str
    """Name of the threat model."""
    worst: dict[Budget, Row | None]
    """Its strongest valid row at each budget; None where it has none."""
    tried: frozenset[Budget]
    """Budgets at which it was run."""


def compare_threats(pipeline: AttackedPipeline) -> list[ThreatComparison]:
    """Return a comparison for each threat model that the pipeline has, and for each that this version does not know."""
    known = list_by_knowledge(defended=pipeline.first.defended)
    others = {run.recipe.threat for run in pipeline.runs} - set(known)
    return [_build_comparison(pipeline, threat) for threat in (*known, *sorted(others, key=place_threat))]


def _build_comparison(pipeline: AttackedPipeline, threat: str) -> ThreatComparison:
    valid = _group(pipeline.list_valid([threat]))
    tried = _group(row for row in pipeline.rows if row.recipe.threat == threat)
    budgets = {(norm, eps): (norm, key_eps(eps)) for norm, eps in list_budgets(pipeline)}
    worst = {budget: find_strongest(valid.get(key, ()), pipeline.asked) for budget, key in budgets.items()}
    return ThreatComparison(threat, worst, frozenset(budget for budget, key in budgets.items() if key in tried))


def _group(rows: Iterable[Row]) -> dict[Budget, list[Row]]:
    """Return rows by norm and key of the eps, of which there may be thousands."""
    return group_by(rows, lambda row: (row.recipe.norm, key_eps(row.eps)))


def list_budgets(pipeline: AttackedPipeline) -> list[Budget]:
    """Return every norm and eps above 0 that a pipeline was attacked with, linf before l2."""
    norms: tuple[Norm, ...] = ("linf", "l2")
    every = {norm: [row.eps for row in pipeline.rows if row.eps > 0 and row.recipe.norm == norm] for norm in norms}
    return [(norm, eps) for norm in norms for eps in unite_eps(every[norm]).values()]


def describe_absence(compared: ThreatComparison, budget: Budget) -> str:
    """Return why a threat model has no valid row for a budget: only invalid ones, or none at all."""
    return f"only {NOT_VALID}" if budget in compared.tried else NOT_RUN


def list_threat_models(findings: Findings) -> Iterator[ThreatModelRecord]:
    """Yield a record for each pipeline, threat model and budget: the strongest valid attack, or why there is none."""
    unmeasured: CsvLine = dict.fromkeys(RunResult.model_fields)
    for pipeline in findings.comparison.pipelines:
        about: CsvLine = {"classifier_id": pipeline.id, "pipeline": name_pipeline(pipeline.first)}
        for one in compare_threats(pipeline):
            for (norm, eps), row in one.worst.items():
                if row:
                    yield ThreatModelRecord(**describe_result(row) | about)
                else:
                    status = describe_absence(one, (norm, eps))
                    missing: CsvLine = {"threat": one.threat, "norm": norm, "eps": eps, "status": status}
                    yield ThreatModelRecord(**unmeasured | missing | about)
