"""What is known of pipelines with certificates and without an attack: a lower bound, and no upper one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from advae.records import key_eps
from advae.report.analysis.certified_accuracy import CertifiedRecord, SmoothedRecord, list_certified, list_smoothed
from advae.report.analysis.tables import Findings
from advae.report.data.grouping import group_by
from advae.report.wording import format_budget, format_rate

MOST_LISTED_PROOFS = 4
"""Pipelines in an answer, and eps of each, that are listed; the table has all of them."""


def answer_unattacked(findings: Findings) -> Iterator[str]:
    """Yield a line for each pipeline that was certified and not attacked, and for each that was smoothed."""
    ids = {pipeline.classifier.id for pipeline in findings.comparison.unattacked}
    certified = [record for record in findings.collect(list_certified) if record.classifier_id in ids]
    smoothed = [record for record in findings.collect(list_smoothed) if record.classifier_id in ids]
    lines = [_write_pipeline(records) for records in group_by(certified, lambda one: one.classifier_id).values()]
    lines += [_write_smoothed(records) for records in group_by(smoothed, lambda one: one.certificate).values()]
    yield from lines[:MOST_LISTED_PROOFS]
    if len(lines) > MOST_LISTED_PROOFS:
        yield f"{len(lines) - MOST_LISTED_PROOFS} more pipelines were certified and not attacked; the table has them."


def _write_pipeline(records: Sequence[CertifiedRecord]) -> str:
    """Return the highest certified accuracy of a pipeline at each of its eps, in words."""
    first, ordered = records[0], sorted(records, key=lambda one: (one.norm != "linf", one.eps))
    radii = group_by(ordered, lambda one: (one.norm, key_eps(one.eps))).values()
    best = [max(same, key=lambda one: one.certified_accuracy) for same in radii]
    return (
        f"{first.pipeline}, {first.classifier_id}, was certified and not attacked. By proof, its robust accuracy is at "
        f"least {_list_first([_write_certified(record) for record in best])}. How much higher it is, is unknown."
    )


def _write_certified(record: CertifiedRecord) -> str:
    where = f"eps {format_budget(record.eps, record.norm)}"
    return f"{format_rate(record.certified)} at {where} ({record.method}, {record.certificate})"


def _write_smoothed(records: Sequence[SmoothedRecord]) -> str:
    first, shares = records[0], [f"{format_rate(one.certified)} at radius {one.eps:.3g}" for one in records]
    return (
        f"{first.pipeline}, {first.classifier_id}, smoothed with noise of {first.sigma:g}, was certified and not "
        f"attacked. Its certified accuracy is {_list_first(shares)} ({first.certificate})."
    )


def _list_first(texts: Sequence[str]) -> str:
    more = f"; the table has {len(texts) - MOST_LISTED_PROOFS} more" if len(texts) > MOST_LISTED_PROOFS else ""
    return "; ".join(texts[:MOST_LISTED_PROOFS]) + more
