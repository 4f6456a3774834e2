"""The report as JSON, for programs: what its tables and figures stand on, unrounded; ``schema`` says what it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from advae.models.baselines import BASELINES
from advae.records import CheckResult, Record, RunRecipe
from advae.report.analysis.baseline_comparison import BaselineComparison, ComparedAttack, find_baseline_comparisons
from advae.report.analysis.check_results import count_results, describe_check, list_all_failures
from advae.report.analysis.confusion import Scores
from advae.report.analysis.eps_selection import MANY_EPS
from advae.report.analysis.headlines import Headline, write_headlines
from advae.report.analysis.illusion_gap import Gap, find_gaps, suggest_gap
from advae.report.analysis.seed_spread import SeedSpread, find_spreads
from advae.report.analysis.tables import Findings, NotRun
from advae.report.analysis.threat_comparison import ThreatComparison, compare_threats
from advae.report.data.commands import list_commands
from advae.report.data.contents import AttackedPipeline, CheckedRow, Row
from advae.report.data.runs import Measured, Run
from advae.report.data.threat_models import ORDER, describe_threat
from advae.report.data.trained import Network, read_error
from advae.report.formats.flat_rows import describe_row
from advae.report.formats.json_schema import (
    ContestEntry,
    FailureEntry,
    GapEntry,
    GroupScores,
    HeadlineEntry,
    JudgedVerdict,
    LossHistory,
    MatchEntry,
    MeasuredBudget,
    MeasuredSide,
    MissingBudget,
    MissingPurified,
    NetworkEntry,
    OtherNorm,
    PipelineEntry,
    Purified,
    RowEntry,
    RunEntry,
    RungEntry,
    ScoresEntry,
    SpreadEntry,
    Subject,
    build_model,
)
from advae.report.wording import name_kind, name_pipeline


def render_json(findings: Findings) -> str:
    """Return everything that the report shows as one JSON document, its numbers unrounded."""
    document = build_document(findings).model_dump(mode="json", by_alias=True)
    if any(len(run.recipe.eps) > MANY_EPS for run in findings.comparison.runs):
        return json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n"
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def build_document(findings: Findings) -> Record:
    """Return everything that the report shows. What was not run is a NotRun."""
    comparison = findings.comparison
    sections: dict[str, Any] = {name: tuple(table.collect(findings)) for name, table in findings.sections.items()}
    return build_model(findings.sections)(
        **sections,
        headlines=tuple(map(_describe_headline, write_headlines(comparison))),
        rows=tuple(map(_describe_row, comparison.table_rows)),
        runs=tuple(_describe_run(run, findings.scores[run.id]) for run in comparison.runs),
        pipelines=tuple(map(_describe_pipeline, comparison.pipelines)),
        failures=tuple(FailureEntry(**vars(failure)) for failure in list_all_failures(comparison.pipelines)),
        baselines=tuple(map(_describe_contest, find_baseline_comparisons(comparison))),
        seeds=tuple(map(_describe_spread, find_spreads(comparison))),
        networks=tuple(map(_describe_network, comparison.networks)),
        threats={threat: describe_threat(threat) for threat in comparison.threats},
        commands=tuple(list_commands(comparison)),
    )


def _describe_side(side: Measured | None) -> MeasuredSide | NotRun:
    """Return what one run measured at one eps, or that it was not run."""
    return MeasuredSide(**_list_facts(side)) if side else NotRun()


def _list_facts(side: Measured) -> dict[str, Any]:
    run, recipe = side.run, side.run.recipe
    facts = {"run": run.id, "n": run.metrics.n, "clean_accuracy": run.clean.value}
    options = {name: getattr(recipe, name) for name in ("seed", "steps", "restarts", "loss", "threat")}
    clean = {"clean_accuracy_interval": (run.clean.low, run.clean.high)}
    return facts | options | clean | side.result.model_dump(exclude={"targets"})


def _describe_row(row: Row) -> RowEntry:
    return RowEntry(
        **describe_row(row),
        with_=_describe_side(row.defended),
        without=_describe_side(row.undefended),
        mcnemar_p=row.p_value,
        notes=row.notes,
        imported=row.run.imported,
    )


# ---------------------------------------------------------------- pipelines


def _describe_headline(headline: Headline) -> HeadlineEntry:
    pipeline, run = headline.pipeline, headline.pipeline.first
    threats = ORDER if run.defended else ("adaptive",)
    gaps = find_gaps(pipeline) if run.defended else []
    return HeadlineEntry(
        classifier=run.classifier.id,
        autoencoder=run.autoencoder.id if run.autoencoder else None,
        name=headline.name,
        collapsed=pipeline.collapsed,
        robustness_established=headline.established,
        strongest=_describe_side(headline.strongest.own if headline.strongest else None),
        by_threat={threat: _describe_worst(pipeline, threat) for threat in threats},
        illusion_gaps=tuple(map(_describe_gap, gaps)),
        illusion_gap_command=suggest_gap(pipeline) if run.defended and not gaps else None,
        verdicts=count_results(pipeline.checks),
        imported=headline.noted.run.imported,
    )


def _describe_worst(pipeline: AttackedPipeline, threat: str) -> MeasuredSide | NotRun:
    row = pipeline.subject if threat == "adaptive" else pipeline.find_strongest([threat])
    return _describe_side(row.own if row else None)


def _describe_gap(gap: Gap) -> GapEntry:
    return GapEntry(
        eps=gap.eps,
        norm=gap.norm,
        n=gap.n,
        oblivious=gap.oblivious.own.result.accuracy,
        adaptive=gap.adaptive.own.result.accuracy,
        gap=gap.size,
        runs=(gap.oblivious.run.id, gap.adaptive.run.id),
    )


def _describe_pipeline(pipeline: AttackedPipeline) -> PipelineEntry:
    run, subject = pipeline.first, pipeline.subject
    return PipelineEntry(
        classifier=run.classifier.id,
        autoencoder=run.autoencoder.id if run.autoencoder else None,
        name=name_pipeline(run),
        subject=Subject(run=subject.run.id, eps=subject.eps) if subject else NotRun(),
        verdicts=tuple(map(_describe_verdict, pipeline.checks)),
        other_norms=tuple(map(_describe_panel, pipeline.other_norms)),
        ladder=tuple(map(_describe_rung, compare_threats(pipeline))),
    )


def _describe_panel(panel: CheckedRow) -> OtherNorm:
    subject = Subject(run=panel.subject.id, eps=panel.subject.eps)
    results = tuple(map(_describe_verdict, panel.checks))
    return OtherNorm(norm=panel.subject.recipe.norm, subject=subject, verdicts=results)


def _describe_verdict(verdict: CheckResult) -> JudgedVerdict:
    return JudgedVerdict(**describe_check(verdict), **verdict.model_dump())


def _describe_rung(compared: ThreatComparison) -> RungEntry:
    worst = (
        MeasuredBudget(norm=norm, **_list_facts(row.own)) if row else MissingBudget(norm=norm, eps=eps)
        for (norm, eps), row in compared.worst.items()
    )
    return RungEntry(threat=compared.threat, worst=tuple(worst))


# ---------------------------------------------------------------- pipelines beside each other


def _describe_contest(compared: BaselineComparison) -> ContestEntry:
    run = compared.autoencoders[0].first
    return ContestEntry(
        dataset=run.dataset,
        classifier=run.classifier_recipe.model,
        missing=compared.missing,
        command=compared.command,
        matches=tuple(_describe_match(compared, match) for match in compared.matches),
    )


def _describe_match(compared: BaselineComparison, match: ComparedAttack) -> MatchEntry:
    recipe = match.first.run.recipe
    baselines = [_describe_purified(match, pipeline) for pipeline in compared.baselines]
    absent = (MissingPurified(type=kind) for kind in BASELINES if not compared.list_baselines(kind))
    return MatchEntry(
        method=recipe.method,
        threat=recipe.threat,
        norm=recipe.norm,
        eps=match.first.eps,
        n=match.first.run.metrics.n,
        without=match.without.result.accuracy if match.without else NotRun(),
        baselines=(*baselines, *absent),
        autoencoders=tuple(_describe_purified(match, pipeline) for pipeline in compared.autoencoders),
    )


def _describe_purified(match: ComparedAttack, pipeline: AttackedPipeline) -> Purified | MissingPurified:
    row, kind = match.rows.get(pipeline.id), pipeline.first.autoencoder_type
    if row is None:
        return MissingPurified(type=kind, classifier_id=pipeline.id)
    accuracy = row.own.result.accuracy
    return Purified(type=kind, classifier_id=pipeline.id, run=row.run.id, accuracy=accuracy, benefit=match.weigh(row))


def _describe_spread(spread: SeedSpread) -> SpreadEntry:
    run, values = spread.first.run, spread.accuracies
    return SpreadEntry(
        name=name_kind(run),
        method=run.recipe.method,
        threat=run.recipe.threat,
        norm=run.recipe.norm,
        eps=spread.first.eps,
        n=run.metrics.n,
        seeds=len(values),
        mean=spread.mean,
        minimum=min(values),
        maximum=max(values),
        runs=tuple(row.run.id for row in spread.rows),
    )


# ---------------------------------------------------------------- records


def _describe_run(run: Run, scores: Iterable[Scores]) -> RunEntry:
    # As they are stored, but for results that were made anew.
    metrics = run.manifest.as_run()[1].model_copy(update={"verdicts": run.metrics.verdicts})
    described = tuple(map(_describe_scores, scores))
    return RunEntry(id=run.id, imported=run.manifest.imported, recipe=run.recipe, metrics=metrics, scores=described)


def _describe_scores(scores: Scores) -> ScoresEntry:
    report = {key: _describe_group(group) for key, group in scores.report.items()}
    matrix = None if scores.is_sparse else scores.matrix
    counts = scores.confusions if scores.is_sparse else None
    return ScoresEntry(eps=scores.eps, confusion_matrix=matrix, confusion_counts=counts, classification_report=report)


def _describe_group(group: dict[str, float] | float) -> GroupScores | float:
    if not isinstance(group, dict):
        return group
    names = {"f1-score": "f1"}
    return GroupScores(**{names.get(name, name): value for name, value in group.items()})


def _describe_network(network: Network) -> NetworkEntry:
    recipe, history = network.manifest.recipe, network.history
    if isinstance(recipe, RunRecipe):
        raise TypeError(f"{network.id} is a run, and no network")
    losses = LossHistory(**history.model_dump(exclude={"seconds"})) if history else None
    return NetworkEntry(
        id=network.id,
        imported=network.manifest.imported,
        recipe=recipe,
        history=losses,
        test_mse=read_error(network.manifest),
    )
