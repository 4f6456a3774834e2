"""What each table says to programs: flat lines of named values, unrounded, with what identifies a line first.

None stands for what has no meaning for a line; what was not run is said to be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from advae.models.baselines import BASELINES
from advae.records import CheckResult, Status
from advae.report.analysis.baseline_comparison import BaselineComparison, ComparedAttack, find_baseline_comparisons
from advae.report.analysis.check_results import count_elsewhere, count_results, describe_check, summarize_stored
from advae.report.analysis.confusion import name_groups
from advae.report.analysis.ranking import PipelineSummary, summarize_pipelines
from advae.report.analysis.seed_spread import find_spreads
from advae.report.analysis.tables import Findings, Line
from advae.report.analysis.threat_comparison import compare_threats, describe_absence
from advae.report.data.contents import AttackedPipeline, Row
from advae.report.data.runs import Measured
from advae.report.wording import MEASURED, NOT_RUN, name_attack, name_kind, name_pipeline

SIDE_COLUMNS: dict[str, Callable[[Measured], object]] = {
    "run": lambda side: side.run.id,
    "n": lambda side: side.run.metrics.n,
    "sample": lambda side: side.run.recipe.sample,
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
"""What a line says of a run at one eps; once more, as ``without_...``, of its counterpart."""


THREAT_COLUMNS = ("low", "high", "eps", "attack", "n", "run")
"""What stands beside the share that an attacker leaves, where it is one column among many."""


def describe_side(side: Measured | None) -> Line:
    """Return the line of one run at one eps; NOT RUN throughout where there is none."""
    return {name: read(side) if side else NOT_RUN for name, read in SIDE_COLUMNS.items()}


def describe_row(row: Row) -> Line:
    """Return what identifies a row: the columns that all formats for machines begin with."""
    run, recipe = row.run, row.run.recipe
    return {
        "run": run.id,
        "dataset": run.dataset,
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


# ---------------------------------------------------------------- accuracy, ladder, verdicts


def list_accuracy_lines(findings: Findings) -> Iterator[Line]:
    """Yield a line for each run and eps; for an undefended run the columns ``without_...`` are its own."""
    for row in findings.comparison.rows:
        other = {f"without_{name}": value for name, value in describe_side(row.undefended).items()}
        p_value = NOT_RUN if row.defended and row.undefended is None else row.p_value
        told: Line = {"mcnemar_p": p_value, "notes": "; ".join(row.notes) or "none"}
        told["imported"] = " ".join(row.run.imported) or None
        yield describe_row(row) | describe_side(row.own) | other | told


def list_ladder_lines(findings: Findings) -> Iterator[Line]:
    """Yield a line for each pipeline, threat model and budget: the strongest valid attack, or why there is none."""
    for pipeline in findings.comparison.pipelines:
        for compared in compare_threats(pipeline):
            for (norm, eps), row in compared.worst.items():
                own = row.own if row else None
                yield (
                    _identify(pipeline, own, eps)
                    | {
                        "norm": norm,
                        "threat": compared.threat,
                        "status": MEASURED if row else describe_absence(compared, (norm, eps)),
                        "method": own.run.recipe.method if own else NOT_RUN,
                        "attack": name_attack(own.run) if own else NOT_RUN,
                    }
                    | describe_side(own)
                )


def _identify(pipeline: AttackedPipeline, side: Measured | None, eps: object) -> Line:
    return {
        "classifier_id": pipeline.id,
        "run": side.run.id if side else NOT_RUN,
        "eps": eps,
        "pipeline": name_pipeline(pipeline.first),
    }


def list_verdict_lines(findings: Findings) -> Iterator[Line]:
    """Yield a line for each pipeline, norm and check, with the run and eps that the verdict is about."""
    for pipeline in findings.comparison.pipelines:
        for panel in pipeline.checked:
            yield from _list_verdicts(_identify(pipeline, panel.subject.own, panel.subject.eps), panel.checks)
        if not pipeline.checked:
            yield from _list_verdicts(_identify(pipeline, None, NOT_RUN), pipeline.checks)


def list_stored_lines(findings: Findings) -> Iterator[Line]:
    """Yield a line for each run and check that needs no other run."""
    for run in findings.comparison.runs:
        about: Line = {"classifier_id": run.classifier.id, "run": run.id}
        yield from _list_verdicts(about, run.metrics.verdicts)


def _list_verdicts(about: Line, results: Iterable[CheckResult]) -> Iterator[Line]:
    for verdict in results:
        yield about | describe_check(verdict) | verdict.model_dump(mode="json")


# ---------------------------------------------------------------- pipelines beside each other


def list_control_lines(findings: Findings) -> Iterator[Line]:
    """Yield a line for each attack that is compared and each purifier, and for none; what it brings is ``benefit``."""
    for compared in find_baseline_comparisons(findings.comparison):
        for match in compared.matches:
            yield from _list_match(compared, match)


def _list_match(compared: BaselineComparison, match: ComparedAttack) -> Iterator[Line]:
    yield _describe_purified(match, "none", "without", match.without, NOT_RUN, None)
    yield from (_describe_pipeline(match, "baseline", pipeline) for pipeline in compared.baselines)
    for kind in BASELINES:
        if not compared.list_baselines(kind):
            yield _describe_purified(match, kind, "baseline", None, NOT_RUN, NOT_RUN)
    yield from (_describe_pipeline(match, "autoencoder", pipeline) for pipeline in compared.autoencoders)


def _describe_pipeline(match: ComparedAttack, role: str, pipeline: AttackedPipeline) -> Line:
    row, kind = match.rows.get(pipeline.id), pipeline.first.autoencoder_type
    benefit = match.weigh(row) if row and match.without else NOT_RUN
    return _describe_purified(match, kind, role, row.own if row else None, pipeline.id, benefit)


def _describe_purified(
    match: ComparedAttack, kind: str, role: str, side: Measured | None, classifier_id: str, benefit: object
) -> Line:
    run, attacked = match.first.run, side.attacked if side else None
    return {
        "classifier_id": side.run.classifier.id if side else classifier_id,
        "run": side.run.id if side else NOT_RUN,
        "eps": match.first.eps,
        "norm": run.recipe.norm,
        "dataset": run.dataset,
        "classifier": run.classifier_recipe.model,
        "threat": run.recipe.threat,
        "method": run.recipe.method,
        "attack": name_attack(run),
        "n": run.metrics.n,
        "role": role,
        "purifier": kind,
        "accuracy": attacked.value if attacked else NOT_RUN,
        "accuracy_low": attacked.low if attacked else NOT_RUN,
        "accuracy_high": attacked.high if attacked else NOT_RUN,
        "benefit": benefit,
    }


def list_seed_lines(findings: Findings) -> Iterator[Line]:
    """Yield a line for each attack that pipelines of several seeds met."""
    for spread in find_spreads(findings.comparison):
        run, values = spread.first.run, spread.accuracies
        yield {
            "pipeline": name_kind(run),
            "eps": spread.first.eps,
            "norm": run.recipe.norm,
            "threat": run.recipe.threat,
            "method": run.recipe.method,
            "attack": name_attack(run),
            "n": run.metrics.n,
            "seeds": len(values),
            "mean": spread.mean,
            "minimum": min(values),
            "maximum": max(values),
            "runs": " ".join(row.run.id for row in spread.rows),
        }


def list_headline_lines(findings: Findings) -> Iterator[Line]:
    """Yield a line for each pipeline: where it stands beside the others."""
    for summary in summarize_pipelines(findings.comparison):
        run, row = summary.pipeline.first, summary.row
        yield {
            "classifier_id": summary.pipeline.id,
            "dataset": run.dataset,
            "classifier": run.classifier_recipe.model,
            "autoencoder": run.autoencoder_type,
            "rescale": run.autoencoder_recipe.rescale if run.autoencoder_recipe else None,
            "pipeline": name_pipeline(run),
            "eps": row.eps if row else None,
            "norm": row.run.recipe.norm if row else None,
            "n": row.run.metrics.n if row else None,
            "clean_accuracy": summary.clean.value,
            **_describe_threat("oblivious", summary.oblivious, NOT_RUN if summary.defended else None),
            **_describe_threat("adaptive", summary.adaptive, NOT_RUN),
            "illusion_gap": (NOT_RUN if summary.gap is None else summary.gap) if summary.defended else None,
            "sound": summary.reliable,
            "collapsed": summary.collapsed,
            **{status.lower().replace(" ", "_"): count for status, count in _count(summary).items()},
            "fail_on_other_runs": sum(count_elsewhere([summary.pipeline]).values()),
            "imported": " ".join(summary.imported) or None,
        }


def _describe_threat(threat: str, row: Row | None, absent: str | None) -> Line:
    """Return what such an attacker leaves, with the attack and run that say so; absent: stands where there is none."""
    cells: tuple[object, ...] = (absent,) * 7
    if row:
        left, run = row.own.attacked, row.run
        cells = (left.value, left.low, left.high, row.eps, name_attack(run), run.metrics.n, run.id)
    return dict(zip((threat, *(f"{threat}_{what}" for what in THREAT_COLUMNS)), cells, strict=True))


def _count(summary: PipelineSummary) -> dict[Status, int]:
    return count_results(summary.checks)


# ---------------------------------------------------------------- predictions by class


def list_matrix_lines(findings: Findings) -> Iterator[Line]:
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


def list_score_lines(findings: Findings) -> Iterator[Line]:
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
