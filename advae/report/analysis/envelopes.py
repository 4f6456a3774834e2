"""The strongest attack on each pipeline at each eps: the curve of its robust accuracy against eps."""

from __future__ import annotations

from collections.abc import Iterator

from advae.records import Norm
from advae.report.analysis.headline_choice import choose_number
from advae.report.analysis.tables import Findings, ShownInterval, ShownShare, TableRecord
from advae.report.data.contents import AttackedPipeline, Row, Terms
from advae.report.data.grouping import group_by
from advae.report.data.runs import Rate
from advae.report.wording import name_attack


class EnvelopePoint(TableRecord):
    """The strongest adaptive attack on one pipeline at one eps, on the images of its other points."""

    classifier_id: str
    """The classifier's id in the registry."""
    norm: Norm
    """The norm that bounds the perturbation."""
    eps: float
    """The budget, in units of an image's range, 0 to 1; 0 for the unchanged images."""
    robust_accuracy: ShownShare
    """Share of the images still classified correctly under the strongest attack, 0 to 1; clean accuracy at eps 0."""
    robust_accuracy_interval: ShownInterval
    """Wilson's 95 % confidence interval of it."""
    attack: str | None
    """The attack in words; null at eps 0."""
    run: str
    """The run's id in the registry."""
    n: int
    """Number of test images."""
    left_out: int
    """Number of eps of this pipeline and norm that are not shown, because it was attacked on other images there."""

    @property
    def rate(self) -> Rate:
        return Rate(self.robust_accuracy, *self.robust_accuracy_interval)


def list_envelopes(findings: Findings) -> Iterator[EnvelopePoint]:
    """Yield the points of each pipeline and norm, the eps ascending, from the unchanged images on."""
    for pipeline in findings.comparison.pipelines:
        groups = group_by(sorted(pipeline.find_worst("adaptive")), lambda terms: terms[0])
        for norm in sorted(groups, reverse=True):
            yield from _trace(pipeline, norm, groups[norm])


def _trace(pipeline: AttackedPipeline, norm: Norm, every: list[Terms]) -> Iterator[EnvelopePoint]:
    """Yield the points on one set of images: that of the headline in its norm, else that of most eps."""
    counts = {key: len(own) for key, own in group_by(every, lambda terms: terms[2]).items()}
    wanted = pipeline.subject.sample_key if pipeline.subject and pipeline.subject.recipe.norm == norm else ""
    key = wanted if wanted in counts else max(sorted(counts), key=lambda one: counts[one])
    rows = {terms[1]: row for terms in every if terms[2] == key and (row := choose_number(pipeline, terms))}
    same = {eps: row for eps, row in rows.items() if row.sample_key == key}
    left_out = len({terms[1] for terms in every} - same.keys())
    for place, (eps, row) in enumerate(same.items()):
        if place == 0:
            yield _describe(pipeline, norm, 0.0, row, row.run.comparable_clean, left_out)
        yield _describe(
            pipeline, norm, pipeline.find_worst("adaptive")[norm, eps, key].eps, row, row.attacked, left_out
        )


def _describe(pipeline: AttackedPipeline, norm: Norm, eps: float, row: Row, rate: Rate, left_out: int) -> EnvelopePoint:
    return EnvelopePoint(
        classifier_id=pipeline.id,
        norm=norm,
        eps=eps,
        robust_accuracy=rate.value,
        robust_accuracy_interval=(rate.low, rate.high),
        attack=name_attack(row.run) if eps else None,
        run=row.id,
        n=row.run.metrics.n,
        left_out=left_out,
    )
