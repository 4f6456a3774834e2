"""One classifier's results, for whoever has just attacked it and stands before a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae.errors import NotFoundError
from advae.records import CheckResult, Manifest
from advae.report.analysis.check_results import (
    Failure,
    describe_subject,
    find_failures,
    summarize_checks,
    tabulate_checks,
)
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.illusion_gap import explain_gap
from advae.report.data.contents import AttackedPipeline
from advae.report.wording import name_pipeline

if TYPE_CHECKING:
    from rich.table import Table

    from advae.registry import Registry

COLOURS = {"FAIL": "bold red", "WARN": "yellow", "PASS": "green", "NOT RUN": "dim"}


@dataclass(frozen=True)
class Judgement:
    """The results on one classifier, one for each of CHECKS, and what they are about.

    run, eps: of its headline number; None where there is no valid adaptive run, and then every check is NOT RUN.
    failures: every check that fails on it, also beside the headline number.
    """

    pipeline: AttackedPipeline
    checks: tuple[CheckResult, ...]
    run: str | None
    eps: float | None
    failures: tuple[Failure, ...]


def judge_classifier(registry: Registry, classifier_id: str, runs: Sequence[Manifest] | None = None) -> Judgement:
    """Return what the runs on one classifier say together, beside its undefended counterparts in the registry.

    runs: those to judge, what was asked for first; None for all that the registry has of it and can read. Raises
    NotFoundError where there is none, and for given runs what ``compare_runs`` raises.
    """
    asked, required = ([], ()) if runs is None else ([run.id for run in runs], None)
    own = [run for run in (registry.entries("run") if runs is None else runs) if run.parents[0] == classifier_id]
    if not own:
        raise NotFoundError(f"no run on {classifier_id}; `advae attack --clf {classifier_id}` makes one")
    (pipeline,) = compare_runs(registry, own, asked=asked, required=required).pipelines
    return describe_pipeline(pipeline)


def describe_pipeline(pipeline: AttackedPipeline) -> Judgement:
    """Return what was judged of a pipeline."""
    subject, failures = pipeline.subject, tuple(find_failures(pipeline))
    run, eps = (subject.id, subject.eps) if subject else (None, None)
    return Judgement(pipeline, pipeline.checks, run, eps, failures)


def build_verdict_table(judgement: Judgement) -> Table:
    """Return the results as a table for a terminal of 80 columns, with the illusion gap and other failures below."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    pipeline = judgement.pipeline
    grid = tabulate_checks("Verdicts", judgement.checks)
    title = f"{name_pipeline(pipeline.first)}\nVerdicts on {describe_subject(pipeline)}"
    table = Table(title=Text(title), title_justify="left", caption_justify="left", box=SIMPLE, width=80)
    for name, options in (("", {"justify": "right"}), ("check", {"ratio": 2}), ("status", {}), ("found", {"ratio": 3})):
        table.add_column(name, no_wrap=name in ("", "status"), **options)
    for number, question, status, sentence in grid.rows:
        table.add_row(number, Text(question), Text(status, style=COLOURS[status]), Text(sentence))
    lines = [summarize_checks(judgement.checks), explain_gap(pipeline) if pipeline.first.defended else ""]
    lines += [failure.text for failure in judgement.failures if not failure.headline]
    table.caption = Text("\n".join(line for line in lines if line))
    return table
