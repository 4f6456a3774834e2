"""The record of each pipeline's headline: its robust accuracy, and whether that is reliable."""

from __future__ import annotations

from collections.abc import Iterator

from advae.records import Norm, Status
from advae.report.analysis.check_results import count_elsewhere, count_results
from advae.report.analysis.headlines import find_shown
from advae.report.analysis.ranking import PipelineSummary, summarize_pipelines
from advae.report.analysis.tables import (
    AttackRecord,
    Difference,
    Findings,
    Ids,
    NotRun,
    PipelineRecord,
    ShownInterval,
    ShownShare,
    read_attack,
    read_pipeline,
)
from advae.report.data.contents import Row, Terms
from advae.report.data.runs import Rate
from advae.report.wording import name_pipeline


class Strength(AttackRecord):
    """The robust accuracy of a pipeline under the strongest attack of one threat model."""

    robust_accuracy: ShownShare
    """Share of the images still classified correctly under attack, 0 to 1."""
    robust_accuracy_interval: ShownInterval
    """Wilson's 95 % confidence interval of the robust accuracy."""
    run: str
    """The run's id in the registry."""
    images: str
    """Number of test images in words: of how many, and how they were chosen."""
    comparable: bool
    """Whether it is at the eps and on the images that a reader expects: an adaptive result on those of the others of
    its kind, an oblivious one on those of the adaptive one."""

    @property
    def robust(self) -> Rate:
        return Rate(self.robust_accuracy, *self.robust_accuracy_interval)


class HeadlineRecord(PipelineRecord):
    """The robust accuracy of one pipeline under the strongest attack, and whether that is reliable."""

    pipeline: str
    """The pipeline in words: dataset, classifier, purifier, seeds other than 0."""
    is_counterpart: bool
    """Whether its runs are only the undefended counterparts of others'."""
    eps: float | None
    """The budget of the headline number, in units of an image's range, 0 to 1; null where there is none."""
    norm: Norm | None
    """The norm that bounds the perturbation; null where there is no number."""
    n: int | None
    """Number of test images; null where there is no number."""
    clean_accuracy: ShownShare
    """Share of the unchanged images that are classified correctly, 0 to 1."""
    oblivious: Strength | NotRun | None
    """Under the strongest oblivious attack on the terms of the adaptive one, else at its eps; null without purifier."""
    adaptive: Strength | NotRun
    """The headline number: under the strongest adaptive attack, at the eps of the pipeline's kind, on the most images
    unless fewer refute it."""
    illusion_gap: Difference | NotRun | None
    """Robust accuracy under the oblivious attacker minus under the adaptive one, -1 to 1, both on the same terms; null
    for a pipeline without purifier."""
    command: str | None
    """What would run the attack that is missing; null where none is."""
    reliable: bool
    """Whether robustness is established and no check fails on the headline number."""
    robustness_established: bool
    """Whether an adaptive attack with usable gradients was run at the eps of the strongest attack, or above."""
    collapsed: bool
    """Whether one class is predicted whatever the image, so that an attack has nothing to change."""
    checks: dict[Status, int]
    """How many of the pipeline's checks ended with each status."""
    fail_on_other_runs: int
    """How many checks fail on other runs of the pipeline than that of the headline number."""
    imported: Ids
    """Ids of what came from a bundle: the run of the headline number, or an entry that it depends on."""
    clean_accuracy_interval: ShownInterval
    """Wilson's 95 % confidence interval of the clean accuracy."""
    purifier_name: str
    """The purifier in words, with the classifier's id where that alone tells it from another."""
    doubt: str | None
    """Why robustness is not established; null where it is."""
    strongest: Strength | NotRun
    """Under the strongest attack on the images that was run: the adaptive one where there is one, else any other."""

    @property
    def clean(self) -> Rate:
        return Rate(self.clean_accuracy, *self.clean_accuracy_interval)

    @property
    def shown(self) -> Strength | None:
        """The result that tells eps and images: the adaptive one, else the oblivious one."""
        return next((one for one in (self.adaptive, self.oblivious) if isinstance(one, Strength)), None)


def list_headlines(findings: Findings) -> Iterator[HeadlineRecord]:
    """Yield a record for each pipeline, beside the others of its kind."""
    shown = {pipeline.id for pipeline in findings.comparison.headlines}
    for summary in summarize_pipelines(findings.comparison):
        run, row, pipeline = summary.pipeline.first, summary.row, summary.pipeline
        yield HeadlineRecord(
            **read_pipeline(run),
            pipeline=name_pipeline(run),
            is_counterpart=pipeline.id not in shown,
            eps=row.eps if row else None,
            norm=row.recipe.norm if row else None,
            n=row.run.metrics.n if row else None,
            clean_accuracy=summary.clean.value,
            oblivious=_describe_strength(summary.oblivious, summary.terms) if summary.defended else None,
            adaptive=_describe_strength(summary.adaptive, summary.shared),
            illusion_gap=_describe_gap(summary),
            command=summary.command,
            reliable=summary.reliable,
            robustness_established=pipeline.doubt is None,
            collapsed=summary.collapsed,
            checks=count_results(summary.checks),
            fail_on_other_runs=sum(count_elsewhere([pipeline]).values()),
            imported=summary.imported,
            clean_accuracy_interval=(summary.clean.low, summary.clean.high),
            purifier_name=summary.name,
            doubt=pipeline.doubt,
            strongest=_describe_strength(find_shown(pipeline), summary.shared),
        )


def _describe_strength(row: Row | None, terms: Terms | None) -> Strength | NotRun:
    if row is None:
        return NotRun()
    return Strength(
        **read_attack(row),
        robust_accuracy=row.accuracy,
        robust_accuracy_interval=row.result.accuracy_interval,
        run=row.id,
        images=row.run.size,
        comparable=terms in (None, row.terms),
    )


def _describe_gap(summary: PipelineSummary) -> float | NotRun | None:
    if not summary.defended:
        return None
    return NotRun() if summary.gap is None else summary.gap
