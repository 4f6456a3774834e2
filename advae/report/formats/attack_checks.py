"""The check results of one classifier, as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae.errors import NotFoundError
from advae.records import CheckResult, Manifest
from advae.report.analysis.check_results import (
    FailureRecord,
    describe_subject,
    find_failures,
    list_pipeline_checks,
    summarize_checks,
)
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.illusion_gap import explain_gap
from advae.report.data.contents import AttackedPipeline
from advae.report.wording import name_pipeline

if TYPE_CHECKING:
    from rich.table import Table

    from advae.registry import Registry

STATUS_COLOURS = {"FAIL": "bold red", "WARN": "yellow", "PASS": "green", "NOT RUN": "dim"}


@dataclass(frozen=True)
class CheckedClassifier:
    """The check results of one classifier with its purifier."""

    pipeline: AttackedPipeline
    """The classifier with its purifier."""
    checks: tuple[CheckResult, ...]
    """One result for each of CHECKS, about the headline number."""
    run: str | None
    """Id of the run of the headline number; None without a valid adaptive run: every check is NOT RUN then."""
    eps: float | None
    """eps of the headline number; None as above."""
    failures: tuple[FailureRecord, ...]
    """Every check that fails, of other runs and eps too."""


def check_classifier(
    registry: Registry, classifier_id: str, runs: Sequence[Manifest] | None = None
) -> CheckedClassifier:
    """Return the check results of the runs on one classifier, compared with its undefended counterparts.

    runs: the runs to check, the requested ones first; None for all readable runs of the registry. Raises NotFoundError
    without runs, and for given runs what ``compare_runs`` raises.
    """
    asked, required = ([], ()) if runs is None else ([run.id for run in runs], None)
    own = [run for run in (registry.entries("run") if runs is None else runs) if run.parents[0] == classifier_id]
    if not own:
        raise NotFoundError(f"no run on {classifier_id}; `advae attack --clf {classifier_id}` makes one")
    (pipeline,) = compare_runs(registry, own, asked=asked, required=required).pipelines
    return collect_checks(pipeline)


def collect_checks(pipeline: AttackedPipeline) -> CheckedClassifier:
    """Return the check results of a pipeline."""
    subject, failures = pipeline.subject, tuple(find_failures(pipeline))
    run, eps = (subject.id, subject.eps) if subject else (None, None)
    return CheckedClassifier(pipeline, pipeline.checks, run, eps, failures)


def build_check_table(checked: CheckedClassifier) -> Table:
    """Return the results as a table of 80 columns, with the illusion gap and other failures below."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    pipeline = checked.pipeline
    title = f"{name_pipeline(pipeline.first)}\nChecks of {describe_subject(pipeline)}"
    table = Table(title=Text(title), title_justify="left", caption_justify="left", box=SIMPLE, width=80)
    for name, options in (("", {"justify": "right"}), ("check", {"ratio": 2}), ("status", {}), ("found", {"ratio": 3})):
        table.add_column(name, no_wrap=name in ("", "status"), **options)
    for one in (record for record in list_pipeline_checks(pipeline) if record.headline):
        status = Text(one.status, style=STATUS_COLOURS[one.status])
        table.add_row(str(one.place), Text(one.question), status, Text(one.sentence))
    lines = [summarize_checks(checked.checks), explain_gap(pipeline) if pipeline.first.defended else ""]
    lines += [failure.text for failure in checked.failures if not failure.headline]
    table.caption = Text("\n".join(line for line in lines if line))
    return table
