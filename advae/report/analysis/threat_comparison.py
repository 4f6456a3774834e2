"""The robust accuracy of a pipeline under each threat model at each eps, from the least knowledge to the most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from advae.checks import NOT_VALID, find_strongest
from advae.records import Norm, key_eps, unite_eps
from advae.report.analysis.eps_selection import select_eps
from advae.report.data.contents import AttackedPipeline, Row
from advae.report.data.threat_models import list_by_knowledge, place_threat
from advae.report.data.word_tables import Cell, Grid
from advae.report.wording import NOT_RUN, format_eps, format_rate, name_attack

Budget = tuple[Norm, float]
"""Norm and eps, the smallest that is written for it."""


@dataclass(frozen=True)
class ThreatComparison:
    """One threat model. worst: its strongest valid row at each budget, None where it has none."""

    threat: str
    worst: dict[Budget, Row | None]
    tried: frozenset[Budget]


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
    groups: dict[Budget, list[Row]] = {}
    for row in rows:
        groups.setdefault((row.recipe.norm, key_eps(row.eps)), []).append(row)
    return groups


def list_budgets(pipeline: AttackedPipeline) -> list[Budget]:
    """Return every norm and eps above 0 that a pipeline was attacked with, linf before l2."""
    norms: tuple[Norm, ...] = ("linf", "l2")
    every = {norm: [row.eps for row in pipeline.rows if row.eps > 0 and row.recipe.norm == norm] for norm in norms}
    return [(norm, eps) for norm in norms for eps in unite_eps(every[norm]).values()]


def tabulate_threats(pipeline: AttackedPipeline) -> Grid:
    """Return a row for each threat model, from the least knowledge to the most, and a column for each eps."""
    threats = compare_threats(pipeline)
    budgets = select_eps(list_budgets(pipeline), lambda budget: (budget[0], budget[1], _find_lowest(threats, budget)))
    several = len({run.sample_key for run in pipeline.runs}) > 1
    titles = ("what the attacker knows", *(_name_budget(budget) for budget in budgets))
    rows = ((compared.threat, *(_write_cell(compared, budget, several) for budget in budgets)) for compared in threats)
    return Grid("Robust accuracy by threat model", titles, tuple(rows))


def _find_lowest(threats: Iterable[ThreatComparison], budget: Budget) -> float:
    """Return the lowest robust accuracy of a pipeline at a budget; 1 where there is no valid attack."""
    return min((row.accuracy for compared in threats if (row := compared.worst[budget])), default=1.0)


def _name_budget(budget: Budget) -> str:
    norm, eps = budget
    return f"eps {format_eps(eps)}" + ("" if norm == "linf" else ", L2")


def describe_absence(compared: ThreatComparison, budget: Budget) -> str:
    """Return why a threat model has no valid row for a budget: only invalid ones, or none at all."""
    return f"only {NOT_VALID}" if budget in compared.tried else NOT_RUN


def _write_cell(compared: ThreatComparison, budget: Budget, several: bool) -> Cell:
    row = compared.worst[budget]
    if row is None:
        return Cell(describe_absence(compared, budget), None)
    n = f", n = {row.run.size}" if several else ""
    return Cell(f"{format_rate(row.own.attacked)} {name_attack(row.run)}{n}", row.own.attacked.value)
