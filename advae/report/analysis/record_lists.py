"""The records of each table of the report, from what was compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from advae.checks import CHECKS, number_of
from advae.models.baselines import BASELINES
from advae.records import CheckResult
from advae.report.analysis.baseline_comparison import BaselineComparison, ComparedAttack, find_baseline_comparisons
from advae.report.analysis.check_results import count_elsewhere, count_results, summarize_stored
from advae.report.analysis.confusion import Scores, name_groups
from advae.report.analysis.illusion_gap import find_gaps
from advae.report.analysis.ranking import PipelineSummary, summarize_pipelines
from advae.report.analysis.table_records import (
    RESULT_FIELDS,
    AccuracyRecord,
    BaselineRecord,
    CheckRecord,
    GapRecord,
    GroupScores,
    HeadlineRecord,
    MeasuredResult,
    MissingBaselines,
    RunCheckRecord,
    RunResult,
    ScoresRecord,
    Strength,
    ThreatModelRecord,
)
from advae.report.analysis.tables import CsvLine, Findings, NotRun
from advae.report.analysis.threat_comparison import compare_threats, describe_absence
from advae.report.data.contents import AttackedPipeline, Row
from advae.report.data.runs import Measured, Run
from advae.report.wording import name_attack, name_pipeline
from advae.run_options import values_of


def _list_result(side: Measured) -> dict[str, Any]:
    """Return the fields of a RunResult."""
    run, recipe, result = side.run, side.run.recipe, side.result
    told = values_of(recipe) | {"threat": recipe.threat, "method": recipe.method}
    told |= {name: getattr(result, name) for name in RESULT_FIELDS}
    clean, robust = run.clean, side.attacked
    return told | {
        "run": run.id,
        "attack": name_attack(run),
        "n": run.metrics.n,
        "clean_accuracy": clean.value,
        "clean_accuracy_interval": (clean.low, clean.high),
        "robust_accuracy": robust.value,
        "robust_accuracy_interval": (robust.low, robust.high),
        "failed_checks": summarize_stored(run),
    }


def list_accuracies(findings: Findings) -> Iterator[AccuracyRecord]:
    """Yield a record for each run and eps."""
    for row in findings.comparison.rows:
        run, other = row.run, row.undefended
        yield AccuracyRecord(
            **_list_result(row.own),
            dataset=run.dataset,
            classifier=run.classifier_recipe.model,
            classifier_id=run.classifier.id,
            autoencoder=run.autoencoder_type,
            autoencoder_id=run.autoencoder.id if run.autoencoder else None,
            rescale=run.autoencoder_recipe.rescale if run.autoencoder_recipe else None,
            undefended_counterpart=MeasuredResult(**_list_result(other)) if other else NotRun(),
            mcnemar_p=NotRun() if row.defended and other is None else row.p_value,
            notes=row.notes,
            imported=run.imported,
        )


def list_threat_models(findings: Findings) -> Iterator[ThreatModelRecord]:
    """Yield a record for each pipeline, threat model and budget: the strongest valid attack, or why there is none."""
    unmeasured: CsvLine = dict.fromkeys(RunResult.model_fields)
    for pipeline in findings.comparison.pipelines:
        about: CsvLine = {"classifier_id": pipeline.id, "pipeline": name_pipeline(pipeline.first)}
        for one in compare_threats(pipeline):
            for (norm, eps), row in one.worst.items():
                if row:
                    yield ThreatModelRecord(**_list_result(row.own) | about)
                else:
                    status = describe_absence(one, (norm, eps))
                    missing: CsvLine = {"threat": one.threat, "norm": norm, "eps": eps, "status": status}
                    yield ThreatModelRecord(**unmeasured | missing | about)


# ---------------------------------------------------------------- pipelines


def list_headlines(findings: Findings) -> Iterator[HeadlineRecord]:
    """Yield a record for each pipeline, beside the others of its kind."""
    shown = {pipeline.id for pipeline in findings.comparison.headlines}
    for summary in summarize_pipelines(findings.comparison):
        run, row, pipeline = summary.pipeline.first, summary.row, summary.pipeline
        yield HeadlineRecord(
            classifier_id=pipeline.id,
            autoencoder_id=run.autoencoder.id if run.autoencoder else None,
            dataset=run.dataset,
            classifier=run.classifier_recipe.model,
            autoencoder=run.autoencoder_type,
            rescale=run.autoencoder_recipe.rescale if run.autoencoder_recipe else None,
            pipeline=name_pipeline(run),
            is_counterpart=pipeline.id not in shown,
            eps=row.eps if row else None,
            norm=row.recipe.norm if row else None,
            n=row.run.metrics.n if row else None,
            clean_accuracy=summary.clean.value,
            oblivious=_describe_strength(summary.oblivious) if summary.defended else None,
            adaptive=_describe_strength(summary.adaptive),
            illusion_gap=_describe_gap(summary),
            command=summary.command,
            reliable=summary.reliable,
            robustness_established=pipeline.doubt is None,
            collapsed=summary.collapsed,
            checks=count_results(summary.checks),
            fail_on_other_runs=sum(count_elsewhere([pipeline]).values()),
            imported=summary.imported,
        )


def _describe_strength(row: Row | None) -> Strength | NotRun:
    if row is None:
        return NotRun()
    rate, run = row.own.attacked, row.run
    interval = (rate.low, rate.high)
    return Strength(
        robust_accuracy=rate.value,
        robust_accuracy_interval=interval,
        eps=row.eps,
        attack=name_attack(run),
        n=run.metrics.n,
        run=run.id,
    )


def _describe_gap(summary: PipelineSummary) -> float | NotRun | None:
    if not summary.defended:
        return None
    return NotRun() if summary.gap is None else summary.gap


def list_gaps(findings: Findings) -> Iterator[GapRecord]:
    """Yield a record for each pipeline with a purifier, norm and eps at which both attackers were run."""
    for pipeline in (one for one in findings.comparison.pipelines if one.first.defended):
        for gap in find_gaps(pipeline):
            yield GapRecord(
                classifier_id=pipeline.id,
                norm=gap.norm,
                eps=gap.eps,
                n=gap.n,
                oblivious=gap.oblivious.accuracy,
                adaptive=gap.adaptive.accuracy,
                illusion_gap=gap.size,
                oblivious_run=gap.oblivious.id,
                adaptive_run=gap.adaptive.id,
            )


def list_checks(findings: Findings) -> Iterator[CheckRecord]:
    """Yield a record for each pipeline, norm and check."""
    for pipeline in findings.comparison.pipelines:
        for row, headline, results in _list_checked(pipeline):
            facts: CsvLine = {
                "run": row.id if row else None,
                "eps": row.eps if row else None,
                "norm": row.recipe.norm if row else None,
            }
            facts |= {"classifier_id": pipeline.id, "pipeline": name_pipeline(pipeline.first), "headline": headline}
            yield from (CheckRecord(**facts, **_describe_check(result)) for result in results)


def _list_checked(pipeline: AttackedPipeline) -> Iterator[tuple[Row | None, bool, tuple[CheckResult, ...]]]:
    if not pipeline.checked:
        yield None, True, pipeline.checks
    for number, checked in enumerate(pipeline.checked):
        yield checked.subject, number == 0, checked.checks


def list_run_checks(run: Run) -> Iterator[RunCheckRecord]:
    """Yield a record for each check that needs no other run."""
    for result in run.metrics.verdicts:
        yield RunCheckRecord(classifier_id=run.classifier.id, run=run.id, **_describe_check(result))


def _describe_check(result: CheckResult) -> dict[str, Any]:
    return {
        "place": number_of(result.check),
        "question": CHECKS[result.check].question,
        **result.model_dump(),
    }


# ---------------------------------------------------------------- pipelines beside each other


def list_baselines(findings: Findings) -> Iterator[BaselineRecord]:
    """Yield a record for each attack that is compared and each purifier, and for none."""
    for compared in find_baseline_comparisons(findings.comparison):
        for match in compared.matches:
            yield from _list_match(compared, match)


def _list_match(compared: BaselineComparison, match: ComparedAttack) -> Iterator[BaselineRecord]:
    yield _describe_purified(match, "undefended", "none", match.undefended, None)
    yield from (_describe_pipeline(match, "baseline", pipeline) for pipeline in compared.baselines)
    for kind in BASELINES:
        if not compared.list_baselines(kind):
            yield _describe_purified(match, "baseline", kind, None, None)
    yield from (_describe_pipeline(match, "autoencoder", pipeline) for pipeline in compared.autoencoders)


Role = Literal["undefended", "baseline", "autoencoder"]


def _describe_pipeline(match: ComparedAttack, role: Role, pipeline: AttackedPipeline) -> BaselineRecord:
    row = match.rows.get(pipeline.id)
    record = _describe_purified(match, role, pipeline.first.autoencoder_type, row.own if row else None, pipeline.id)
    return record.model_copy(update={"benefit": match.weigh(row)}) if row else record


def _describe_purified(
    match: ComparedAttack, role: Role, kind: str, side: Measured | None, classifier_id: str | None
) -> BaselineRecord:
    run, rate = match.first.run, side.attacked if side else None
    return BaselineRecord(
        status="measured" if side else "NOT RUN",
        classifier_id=side.run.classifier.id if side else classifier_id,
        run=side.run.id if side else None,
        dataset=run.dataset,
        classifier=run.classifier_recipe.model,
        threat=run.recipe.threat,
        method=run.recipe.method,
        attack=name_attack(run),
        norm=run.recipe.norm,
        eps=match.first.eps,
        n=run.metrics.n,
        role=role,
        purifier=kind,
        robust_accuracy=rate.value if rate else None,
        robust_accuracy_interval=(rate.low, rate.high) if rate else None,
        benefit=None,
    )


def list_missing_baselines(findings: Findings) -> Iterator[MissingBaselines]:
    """Yield a record for each comparison that lacks baselines."""
    for compared in find_baseline_comparisons(findings.comparison):
        run = compared.autoencoders[0].first
        if compared.command:
            yield MissingBaselines(
                dataset=run.dataset,
                classifier=run.classifier_recipe.model,
                missing=compared.missing,
                command=compared.command,
            )


# ---------------------------------------------------------------- predictions by class


def describe_scores(scores: Scores) -> ScoresRecord:
    """Return the record of the predictions of one run at one eps."""
    report = {
        key: GroupScores(f1=group["f1-score"], **{name: group[name] for name in ("precision", "recall", "support")})
        if isinstance(group, dict)
        else group
        for key, group in scores.report.items()
    }
    return ScoresRecord(
        eps=scores.eps,
        confusion_matrix=None if scores.is_sparse else scores.matrix,
        confusion_counts=scores.confusions if scores.is_sparse else None,
        classification_report=report,
    )


def list_matrix_lines(findings: Findings) -> Iterator[CsvLine]:
    """Yield a line for each run, eps (None: the unchanged images), true class and predicted class.

    Of many classes, or at many eps, for those above 0.
    """
    for run in findings.comparison.runs:
        names = run.recipe.dataset.classes
        for scores in findings.scores[run.id]:
            for label, predicted, count in scores.confusions if scores.is_sparse else _list_cells(scores.matrix):
                yield {
                    "run": run.id,
                    "eps": scores.eps,
                    "true_label": label,
                    "true_class": names[label],
                    "predicted_label": predicted,
                    "predicted_class": names[predicted],
                    "count": count,
                }


def _list_cells(matrix: Iterable[Iterable[int]]) -> Iterator[tuple[int, int, int]]:
    for label, counts in enumerate(matrix):
        yield from ((label, predicted, count) for predicted, count in enumerate(counts))


def list_score_lines(findings: Findings) -> Iterator[CsvLine]:
    """Yield a line for each run, eps (None: the unchanged images) and class, then the averages, without a label."""
    for run in findings.comparison.runs:
        names = name_groups(run)
        for scores in findings.scores[run.id]:
            for key, name in names.items():
                group = scores.report[key]
                yield {
                    "run": run.id,
                    "eps": scores.eps,
                    "label": int(key) if key.isdigit() else None,
                    "class": name,
                    "precision": group["precision"],
                    "recall": group["recall"],
                    "f1": group["f1-score"],
                    "support": int(group["support"]),
                }
