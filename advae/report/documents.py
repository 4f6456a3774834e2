"""The report as JSON, for programs: everything that it shows, its numbers unrounded."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from advae.records import Manifest, Verdict
from advae.report.commands import list_commands
from advae.report.controls import Contest, Match, find_contests
from advae.report.gaps import Gap, find_gaps, suggest_gap
from advae.report.headlines import Headline, write_headlines
from advae.report.judging import count_verdicts, describe_verdict
from advae.report.ladder import Rung, build_ladder
from advae.report.lines import describe_row
from advae.report.rows import Pipeline, Row, list_runs_of
from advae.report.runs import Measured, Run, read_history
from advae.report.scores import Findings, Scores
from advae.report.seeds import Spread, find_spreads
from advae.report.threat_models import ORDER, describe_threat
from advae.report.wording import CONTROLS, NOT_RUN, name_kind, name_pipeline

SCHEMA = 1
"""Version of ``report.json``; raised when a program that reads it would have to change."""


def render_json(findings: Findings) -> str:
    """Return everything that the report shows as one JSON document, its numbers unrounded.

    rows: the accuracy table; runs: recipe, confusion matrices and classification reports of each run named; networks:
    loss histories; headlines: what is left of each pipeline; pipelines: verdicts and ladder of each; controls, seeds:
    pipelines beside each other. What was not run is {"status": "NOT RUN"}.
    """
    comparison = findings.comparison
    document = {
        "schema": SCHEMA,
        "headlines": [_dump_headline(headline) for headline in write_headlines(comparison)],
        "rows": [_dump_row(row) for row in comparison.table_rows],
        "runs": [_dump_run(run, findings.scores[run.id]) for run in comparison.runs],
        "pipelines": [_dump_pipeline(pipeline) for pipeline in comparison.pipelines],
        "controls": [_dump_contest(contest) for contest in find_contests(comparison)],
        "seeds": [_dump_spread(spread) for spread in find_spreads(comparison)],
        "networks": [_dump_network(entry) for entry in comparison.networks],
        "threats": {threat: describe_threat(threat) for threat in comparison.threats},
        "commands": list_commands(list_runs_of(comparison.rows)),
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _dump_headline(headline: Headline) -> dict[str, Any]:
    row, run = headline.strongest, headline.pipeline.first
    threats = ORDER if run.defended else ("adaptive",)
    gaps = find_gaps(headline.pipeline) if run.defended else []
    return {
        "classifier": run.classifier.id,
        "autoencoder": run.autoencoder.id if run.autoencoder else None,
        "name": headline.name,
        "robustness_established": headline.established,
        "strongest": _dump_side(row.own if row else None),
        "by_threat": {threat: _dump_worst(headline.pipeline, threat) for threat in threats},
        "illusion_gaps": [_dump_gap(gap) for gap in gaps],
        "illusion_gap_command": suggest_gap(headline.pipeline) if run.defended and not gaps else None,
        "verdicts": count_verdicts(headline.pipeline.verdicts),
    }


def _dump_gap(gap: Gap) -> dict[str, Any]:
    return {
        "eps": gap.eps,
        "norm": gap.norm,
        "oblivious": gap.oblivious.own.result.accuracy,
        "adaptive": gap.adaptive.own.result.accuracy,
        "gap": gap.size,
        "runs": [gap.oblivious.run.id, gap.adaptive.run.id],
    }


def _dump_pipeline(pipeline: Pipeline) -> dict[str, Any]:
    run, subject = pipeline.first, pipeline.subject
    return {
        "classifier": run.classifier.id,
        "autoencoder": run.autoencoder.id if run.autoencoder else None,
        "name": name_pipeline(run),
        "subject": {"run": subject.run.id, "eps": subject.eps} if subject else {"status": NOT_RUN},
        "verdicts": [_dump_verdict(verdict) for verdict in pipeline.verdicts],
        "ladder": [_dump_rung(rung) for rung in build_ladder(pipeline)],
    }


def _dump_verdict(verdict: Verdict) -> dict[str, Any]:
    return describe_verdict(verdict) | verdict.model_dump(mode="json")


def _dump_rung(rung: Rung) -> dict[str, Any]:
    worst = [
        {"norm": norm, "eps": eps, **_dump_side(row.own if row else None)} for (norm, eps), row in rung.worst.items()
    ]
    return {"threat": rung.threat, "worst": worst}


def _dump_worst(pipeline: Pipeline, threat: str) -> dict[str, Any]:
    row = pipeline.find_strongest([threat])
    return _dump_side(row.own if row else None)


def _dump_row(row: Row) -> dict[str, Any]:
    sides = {"with": _dump_side(row.defended), "without": _dump_side(row.undefended)}
    return describe_row(row) | sides | {"mcnemar_p": row.p_value, "notes": list(row.notes)}


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


def _dump_contest(contest: Contest) -> dict[str, Any]:
    run = contest.autoencoders[0].first
    return {
        "dataset": run.recipe.dataset.name,
        "classifier": run.classifier_recipe.model,
        "missing": list(contest.missing),
        "command": contest.command,
        "matches": [_dump_match(contest, match) for match in contest.matches],
    }


def _dump_match(contest: Contest, match: Match) -> dict[str, Any]:
    recipe = match.first.run.recipe
    facts = {"method": recipe.method, "threat": recipe.threat, "norm": recipe.norm, "eps": match.first.eps}
    absent = [kind for kind in CONTROLS if not contest.list_controls(kind)]
    return facts | {
        "n": match.first.run.metrics.n,
        "without": match.without.result.accuracy if match.without else {"status": NOT_RUN},
        "controls": [_dump_purified(match, pipeline) for pipeline in contest.controls]
        + [{"type": kind, "status": NOT_RUN} for kind in absent],
        "autoencoders": [_dump_purified(match, pipeline) for pipeline in contest.autoencoders],
    }


def _dump_purified(match: Match, pipeline: Pipeline) -> dict[str, Any]:
    row, facts = match.rows.get(pipeline.id), {"type": pipeline.first.autoencoder_type, "classifier_id": pipeline.id}
    if row is None:
        return facts | {"status": NOT_RUN}
    return facts | {"run": row.run.id, "accuracy": row.own.result.accuracy, "benefit": match.weigh(row)}


def _dump_spread(spread: Spread) -> dict[str, Any]:
    run = spread.first.run
    values = spread.accuracies
    return {
        "name": name_kind(run),
        "method": run.recipe.method,
        "threat": run.recipe.threat,
        "norm": run.recipe.norm,
        "eps": spread.first.eps,
        "n": run.metrics.n,
        "seeds": len(values),
        "mean": spread.mean,
        "minimum": min(values),
        "maximum": max(values),
        "runs": [row.run.id for row in spread.rows],
    }
