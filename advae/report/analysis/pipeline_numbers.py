"""The numbers of each pipeline at an eps, as the first screen shows them, with both ratings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from advae.checks import ProvedImages, measure_bounds
from advae.models.baselines import BASELINES
from advae.records import Norm
from advae.report.analysis.baseline_comparison import Role
from advae.report.analysis.check_results import check_row
from advae.report.analysis.eps_choices import EpsChoice, list_eps_choices
from advae.report.analysis.headline_choice import choose_number
from advae.report.analysis.headline_records import (
    find_oblivious,
    measure_gap,
    read_strength,
)
from advae.report.analysis.number_records import CertifiedShare, PipelineNumber
from advae.report.analysis.purifier_gain import has_purifier
from advae.report.analysis.ratings import Evidence, rate_defence, rate_number
from advae.report.analysis.tables import (
    Findings,
    NotRun,
    read_pipeline,
)
from advae.report.data.contents import AttackedPipeline, Row
from advae.report.data.grouping import group_by
from advae.report.data.runs import StoredPipeline
from advae.report.wording import describe_seeds, name_autoencoder, name_pipeline


def list_numbers(findings: Findings) -> Iterator[PipelineNumber]:
    """Yield a record for each eps to choose and each pipeline that has a number at it, in the order of the screen.

    The headlines come first, those at another eps than the first one too. Grouped by classifier; in each group by
    robust accuracy, then what has collapsed, then what has no number, then the undefended reference.
    """
    choices = findings.collect(list_eps_choices)
    for dataset in findings.comparison.datasets:
        own = [choice for choice in choices if choice.dataset == dataset]
        first = next((choice for choice in own if choice.shown), None)
        yield from _order(_list_headlines(findings, dataset, first))
        for choice in own:
            yield from _order(_list_at(findings, choice)) if choice is not first else ()


def list_first_numbers(findings: Findings) -> list[PipelineNumber]:
    """Return the headline of each pipeline."""
    return [number for number in findings.collect(list_numbers) if number.headline]


def _list_headlines(findings: Findings, dataset: str, first: EpsChoice | None) -> Iterator[PipelineNumber]:
    for pipeline in findings.comparison.pipelines:
        if pipeline.first.dataset == dataset:
            norm, eps = _find_headline_eps(pipeline, first)
            yield _describe(findings, pipeline, pipeline.subject, norm, eps, headline=True)
    for stored in findings.comparison.unattacked:
        if stored.dataset == dataset and first:
            yield _describe_unattacked(findings, stored, first, headline=True)


def _list_at(findings: Findings, choice: EpsChoice) -> Iterator[PipelineNumber]:
    """Yield the numbers of the pipelines that were attacked, or certified, at another eps than the first."""
    for pipeline in findings.comparison.pipelines:
        row = choose_number(pipeline, choice.terms) if pipeline.first.dataset == choice.dataset else None
        if row:
            yield _describe(findings, pipeline, row, choice.norm, choice.eps, headline=False)
    for stored in findings.comparison.unattacked:
        if stored.classifier.id in choice.pipelines:
            yield _describe_unattacked(findings, stored, choice, headline=False)


def _find_headline_eps(pipeline: AttackedPipeline, first: EpsChoice | None) -> tuple[Norm, float]:
    """Return the eps of a pipeline's headline: the first one of its dataset where it was attacked there, else its own.

    The attack may be within a smaller eps, where that is clearly stronger.
    """
    row, shared = pipeline.subject, pipeline.shared
    if row is None:
        other = find_oblivious(pipeline, None) or pipeline.rows[0]
        return (first.norm, first.eps) if first else (other.recipe.norm, other.eps)
    if first and shared and shared[:2] == first.budget and choose_number(pipeline, shared) is row:
        return first.norm, first.eps
    return row.recipe.norm, row.eps


def _describe(
    findings: Findings, pipeline: AttackedPipeline, row: Row | None, norm: Norm, eps: float, *, headline: bool
) -> PipelineNumber:
    run, other = (row or pipeline.rows[0]).run, find_oblivious(pipeline, row)
    proved = _find_proof(pipeline.certificates, row, norm, eps)
    evidence = _gather(pipeline, row, proved, headline=headline)
    gain = NotRun() if row is None or evidence.undefended is None else row.accuracy - evidence.undefended
    return PipelineNumber(
        **_name(findings, run),
        norm=norm,
        eps=eps,
        headline=headline,
        white_box=read_strength(row, pipeline.shared),
        oblivious=read_strength(other, row.terms if row else None) if run.defended else None,
        illusion_gap=measure_gap(other, row) if run.defended else None,
        clean_accuracy=run.clean.value,
        clean_accuracy_interval=(run.clean.low, run.clean.high),
        chance=evidence.chance,
        certified=proved,
        gain=gain if run.defended else None,
        gain_p=evidence.p_value,
        collapsed=pipeline.collapsed,
        place=None,
        defence=rate_defence(evidence) if _find_role(run) != "undefended" else None,
        reliability=rate_number(evidence),
        imported=run.imported,
    )


def _gather(pipeline: AttackedPipeline, row: Row | None, proved: CertifiedShare | None, *, headline: bool) -> Evidence:
    """Return what the ratings of a row need. The checks of a headline were made with the report."""
    run = (row or pipeline.rows[0]).run
    doubt = pipeline.doubt if headline or row is None else pipeline.find_doubt(row)
    checks = pipeline.checks if headline and row else check_row(pipeline, row) if row else ()
    counterpart = row.undefended if row and run.defended else None
    return Evidence(
        chance=_read_chance(run),
        clean=run.comparable_clean.value,
        robust=row.attacked if row else None,
        certified=proved.rate if proved else None,
        collapsed=pipeline.collapsed,
        doubt=doubt if run.defended else None,
        checks=checks,
        undefended=counterpart.accuracy if counterpart else None,
        undefended_clean=counterpart.run.comparable_clean.value if counterpart else None,
        p_value=row.p_value if row else None,
    )


def _describe_unattacked(
    findings: Findings, stored: StoredPipeline, choice: EpsChoice, *, headline: bool
) -> PipelineNumber:
    """Return the record of a pipeline that was certified and not attacked."""
    clean, proved = stored.certificates[0].metrics, _find_proof(stored.certificates, None, choice.norm, choice.eps)
    evidence = Evidence(
        chance=_read_chance(stored),
        clean=clean.clean_accuracy,
        robust=None,
        certified=proved.rate if proved else None,
        collapsed=False,
        doubt=None,
        checks=(),
    )
    return PipelineNumber(
        **_name(findings, stored),
        norm=choice.norm,
        eps=choice.eps,
        headline=headline,
        white_box=NotRun(),
        oblivious=NotRun() if stored.defended else None,
        illusion_gap=NotRun() if stored.defended else None,
        clean_accuracy=clean.clean_accuracy,
        clean_accuracy_interval=clean.clean_accuracy_interval,
        chance=evidence.chance,
        certified=proved,
        gain=NotRun() if stored.defended else None,
        gain_p=None,
        collapsed=False,
        place=None,
        defence=rate_defence(evidence) if _find_role(stored) != "undefended" else None,
        reliability=rate_number(evidence),
        imported=tuple(one.id for one in stored.certificates if one.imported),
    )


def _find_proof(certificates: Sequence[ProvedImages], row: Row | None, norm: Norm, eps: float) -> CertifiedShare | None:
    """Return the certified accuracy at an eps, on the images of an attack where there is one; None without proof.

    Of several certificates the one on most images counts, then the one that proves most.
    """
    found: list[CertifiedShare] = []
    for certificate in certificates:
        place = certificate.find_index(eps)
        fits = certificate.recipe.norm == norm and not certificate.smoothed and place is not None
        if fits and place is not None and (row is None or certificate.concerns(row)):
            found += filter(None, [_read_proof(certificate, place, row)])
    return max(found, key=lambda one: (one.n, one.accuracy, -one.eps, one.certificate), default=None)


def _read_proof(certificate: ProvedImages, place: int, row: Row | None) -> CertifiedShare | None:
    about: dict[str, Any] = {
        "certificate": certificate.id,
        "method": certificate.recipe.method,
        "eps": certificate.recipe.eps[place],
    }
    if row is None:
        result, n = certificate.metrics.results[place], certificate.metrics.n
        rate = result.certified_accuracy, result.certified_accuracy_interval
    else:
        bounds = measure_bounds(certificate, place, row)
        if bounds is None:
            return None
        n, rate = bounds.n, (bounds.lower, bounds.lower_interval)
    return CertifiedShare(**about, n=n, accuracy=rate[0], accuracy_interval=rate[1])


def _read_chance(pipeline: StoredPipeline) -> float:
    return 1 / len(pipeline.classifier_recipe.dataset.classes)


def _find_role(pipeline: StoredPipeline) -> Role:
    """Return what the defence is; a certified autoencoder whose body leaves images as they are is none."""
    if not has_purifier(pipeline):
        return "retrained" if pipeline.classifier_recipe.retrained else "undefended"
    return "baseline" if pipeline.autoencoder_type in BASELINES else "autoencoder"


# ---------------------------------------------------------------- names and order


def _name(findings: Findings, pipeline: StoredPipeline) -> dict[str, Any]:
    """Return the fields that say which pipeline it is."""
    role = _find_role(pipeline)
    name = f"{name_autoencoder(pipeline) if pipeline.defended else 'undefended'}{describe_seeds(pipeline)}"
    alike = _count_names(findings)[name_pipeline(pipeline)]
    return {
        **read_pipeline(pipeline),
        "pipeline": name_pipeline(pipeline),
        "purifier_name": name if alike == 1 else f"{name} ({pipeline.classifier.id})",
        "role": role,
    }


def _count_names(findings: Findings) -> Counter[str]:
    """Return how many pipelines have each name; counted once."""
    return findings.collect(_list_name_counts)[0]


def _list_name_counts(findings: Findings) -> Iterator[Counter[str]]:
    comparison = findings.comparison
    stored = (*(pipeline.first for pipeline in comparison.pipelines), *comparison.unattacked)
    yield Counter(map(name_pipeline, stored))


def _order(numbers: Iterable[PipelineNumber]) -> Iterator[PipelineNumber]:
    """Yield the records of one eps by classifier, in each group in the order of the screen, with their places."""
    for group in group_by(numbers, lambda one: one.classifier).values():
        place = 0
        for one in sorted(group, key=_rank):
            ranked = one.role != "undefended" and not one.collapsed and one.robust is not None
            place += ranked
            yield one.model_copy(update={"place": place}) if ranked else one


def _rank(one: PipelineNumber) -> tuple[object, ...]:
    measured = one.robust or one.certified
    return one.role == "undefended", one.collapsed, measured is None, -one.known, one.purifier_name, one.classifier_id
