"""The robust accuracy of a pipeline under each threat model at each eps, from the least knowledge to the most."""

from __future__ import annotations

from collections.abc import Iterator

from advae.checks import NOT_VALID, find_strongest
from advae.records import Norm, key_eps, unite_eps
from advae.report.analysis.run_results import RunResult, describe_result
from advae.report.analysis.tables import CsvLine, Findings
from advae.report.data.contents import AttackedPipeline
from advae.report.data.grouping import group_by
from advae.report.data.threat_models import list_by_knowledge, place_threat
from advae.report.wording import NOT_RUN, name_pipeline


class ThreatModelRecord(RunResult):
    """The strongest valid attack of one threat model on one pipeline, at one norm and eps.

    Its status is NOT RUN where there is none, or says that there are only attacks outside the budget.
    """

    classifier_id: str
    """The classifier's id in the registry."""
    pipeline: str
    """The pipeline in words: dataset, classifier, purifier, seeds other than 0."""


def list_threat_models(findings: Findings) -> Iterator[ThreatModelRecord]:
    """Yield a record for each pipeline, threat model and budget: the strongest valid attack, or why there is none."""
    for pipeline in findings.comparison.pipelines:
        yield from compare_threats(pipeline)


def compare_threats(pipeline: AttackedPipeline) -> Iterator[ThreatModelRecord]:
    """Yield a record for each threat model that the pipeline has, or that this version does not know, and budget."""
    about: CsvLine = {"classifier_id": pipeline.id, "pipeline": name_pipeline(pipeline.first)}
    unmeasured: CsvLine = dict.fromkeys(RunResult.model_fields)
    first = pipeline.first
    retrained = first.classifier_recipe.retrained is not None
    known = list_by_knowledge(purified=first.autoencoder is not None, samples=first.random, retrained=retrained)
    others = {run.recipe.threat for run in pipeline.runs} - set(known)
    budgets = _list_budgets(pipeline)
    # Once: of rows there may be thousands.
    found = group_by(pipeline.rows, lambda row: (row.recipe.threat, row.recipe.norm, key_eps(row.eps)))
    for threat in (*known, *sorted(others, key=place_threat)):
        for norm, eps in budgets:
            rows = found.get((threat, norm, key_eps(eps)), [])
            row = find_strongest([row for row in rows if row.valid], pipeline.asked)
            status = f"only {NOT_VALID}" if rows else NOT_RUN
            missing: CsvLine = {"threat": threat, "norm": norm, "eps": eps, "status": status}
            yield ThreatModelRecord(**(describe_result(row) if row else unmeasured | missing) | about)


def _list_budgets(pipeline: AttackedPipeline) -> list[tuple[Norm, float]]:
    """Return every norm and eps above 0 that a pipeline was attacked with, linf before l2."""
    norms: tuple[Norm, ...] = ("linf", "l2")
    every = {norm: [row.eps for row in pipeline.rows if row.eps > 0 and row.recipe.norm == norm] for norm in norms}
    return [(norm, eps) for norm in norms for eps in unite_eps(every[norm]).values()]
