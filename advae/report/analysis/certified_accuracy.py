"""Certified accuracy: of each certificate beside the strongest attack, and of smoothed pipelines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from advae.checks import AccuracyBounds, ProvedImages, find_strongest, measure_bounds
from advae.records import CertifiedEps, Norm, key_eps
from advae.report.analysis.purifier_gain import CertifiedWithout, has_purifier, measure_gain
from advae.report.analysis.tables import (
    Findings,
    Ids,
    NotRun,
    PipelineRecord,
    ShownInterval,
    ShownShare,
    TableRecord,
    read_pipeline,
)
from advae.report.data.contents import AttackedPipeline, Row
from advae.report.data.runs import Measured, Rate, StoredPipeline
from advae.report.wording import (
    describe_seeds,
    format_budget,
    format_rate,
    format_share,
    name_attack,
    name_autoencoder,
    name_pipeline,
)


class CertifiedRange(TableRecord):
    """The interval that contains the robust accuracy at an eps, by proof, on images both certified and attacked."""

    id: str
    """The certificate's id in the registry."""
    method: str
    """How it was proved, as `advae certify --method` takes it."""
    eps: float
    """The eps of the certificate, not below that of the attack."""
    norm: Norm
    """The norm of the ball."""
    n: int
    """Number of images that were both certified and attacked."""
    accuracy: ShownShare
    """Certified accuracy: share of these images that are classified correctly everywhere in the ball, by proof, 0 to 1;
    the robust accuracy is not below it."""
    accuracy_interval: ShownInterval
    """Wilson's 95 % confidence interval of the certified accuracy."""
    robust_accuracy: ShownShare
    """Share of these images that are still classified correctly under the attack, 0 to 1; the robust accuracy is not
    above it."""
    robust_accuracy_interval: ShownInterval
    """Wilson's 95 % confidence interval of that."""
    all_attacked: bool
    """Whether these are all images of the attack."""

    @property
    def certified(self) -> Rate:
        return Rate(self.accuracy, *self.accuracy_interval)

    @property
    def source(self) -> str:
        """The method, and on how many images where these are not all of the attack's."""
        return self.method if self.all_attacked else f"{self.method}, n = {self.n}"


class CertifiedRecord(PipelineRecord):
    """The certified accuracy of one certificate at one eps, beside the strongest attack on the same images."""

    pipeline: str
    """The pipeline in words: dataset, classifier, purifier, seeds other than 0."""
    certificate: str
    """The certificate's id in the registry."""
    method: str
    """How it was proved, as `advae certify --method` takes it."""
    norm: Norm
    """The norm of the ball."""
    eps: float
    """Radius of the ball, in units of an image's range, 0 to 1."""
    n: int
    """Number of certified images."""
    clean_accuracy: ShownShare
    """Share of the unchanged images that are classified correctly, 0 to 1."""
    clean_accuracy_interval: ShownInterval
    """Wilson's 95 % confidence interval of the clean accuracy."""
    certified_accuracy: ShownShare
    """Share of the images that are classified correctly everywhere in the ball, by proof, 0 to 1."""
    certified_accuracy_interval: ShownInterval
    """Wilson's 95 % confidence interval of the certified accuracy."""
    strongest: CertifiedRange | NotRun
    """The interval [certified, strongest attack] on the images of both, under the strongest valid attack within the
    ball; NOT RUN where there is none."""
    attack: str | None
    """That attack in words, with its threat model; null where there is none."""
    attack_eps: float | None
    """Its eps, not above that of the ball; null where there is none."""
    run: str | None
    """The run's id in the registry; null where there is none."""
    without: CertifiedWithout | NotRun | None
    """The same classifier without the purifier; NOT RUN where the report has no certificate of it, null where there is
    no purifier."""
    imported: Ids
    """Id of the certificate where it came from a bundle; empty where it was made here."""
    purifier_name: str
    """The purifier in words, with seeds other than 0, and with the classifier's id where another pipeline has the same
    name; none where there is none."""

    @property
    def clean(self) -> Rate:
        return Rate(self.clean_accuracy, *self.clean_accuracy_interval)

    @property
    def certified(self) -> Rate:
        return Rate(self.certified_accuracy, *self.certified_accuracy_interval)


class SmoothedRecord(PipelineRecord):
    """The certified accuracy of the smoothed pipeline, which predicts what is most frequent under noise, at a radius.

    It is another function than the pipeline without noise, and attacks on that say nothing about it.
    """

    pipeline: str
    """The pipeline in words: dataset, classifier, purifier, seeds other than 0."""
    certificate: str
    """The certificate's id in the registry."""
    norm: Norm
    """The norm of the ball."""
    eps: float
    """Radius of the ball, in units of an image's range, 0 to 1."""
    n: int
    """Number of certified images."""
    clean_accuracy: ShownShare
    """Share of the unchanged images that the smoothed pipeline classifies correctly, 0 to 1; abstaining is wrong."""
    clean_accuracy_interval: ShownInterval
    """Wilson's 95 % confidence interval of the clean accuracy."""
    certified_accuracy: ShownShare
    """Share of the images that the smoothed pipeline classifies correctly everywhere in the ball, 0 to 1, each with
    probability 1 - alpha or more."""
    certified_accuracy_interval: ShownInterval
    """Wilson's 95 % confidence interval of the certified accuracy."""
    abstained: int
    """Number of images on which the smoothed pipeline abstains."""
    sigma: float
    """Standard deviation of the noise, in units of an image's range."""
    samples: int
    """Noisy copies that bound the probability of the chosen class."""
    select: int
    """Noisy copies that choose the class."""
    alpha: float
    """Probability that the certificate of an image is wrong, at most."""
    seed: int
    """Seed of the noise."""
    seconds_per_image: float
    """Seconds that the certificate took for an image."""
    imported: Ids
    """Id of the certificate where it came from a bundle; empty where it was made here."""
    purifier_name: str
    """The purifier in words, with seeds other than 0, and with the classifier's id where another pipeline has the same
    name; none where there is none."""

    @property
    def clean(self) -> Rate:
        return Rate(self.clean_accuracy, *self.clean_accuracy_interval)

    @property
    def certified(self) -> Rate:
        return Rate(self.certified_accuracy, *self.certified_accuracy_interval)


def describe_bounds(side: Measured | None) -> CertifiedRange | None:
    """Return the interval that contains the robust accuracy at the eps of an attack, None where nothing is proved."""
    return _describe_range(side.bounds) if side and side.bounds else None


def _describe_range(bounds: AccuracyBounds) -> CertifiedRange:
    return CertifiedRange(
        id=bounds.certificate.id,
        method=bounds.certificate.recipe.method,
        eps=bounds.eps,
        norm=bounds.certificate.recipe.norm,
        n=bounds.n,
        accuracy=bounds.lower,
        accuracy_interval=bounds.lower_interval,
        robust_accuracy=bounds.upper,
        robust_accuracy_interval=bounds.upper_interval,
        all_attacked=bounds.whole,
    )


def explain_range(found: CertifiedRange) -> str:
    """Return the certified accuracy with its method, eps and certificate, and between what the robust accuracy is."""
    low, high = format_share(found.accuracy), format_share(found.robust_accuracy)
    where = "" if found.all_attacked else f", on the {found.n} images that were both certified and attacked"
    source = f"{found.method}, eps {format_budget(found.eps, found.norm)}, {found.id}"
    between = f"so the robust accuracy is between {low} and {high}{where}"
    return f"{format_rate(found.certified)} ({source}), {between}"


# ---------------------------------------------------------------- of each certificate


def list_certified(findings: Findings) -> Iterator[CertifiedRecord]:
    """Yield a record for each certificate of a pipeline without noise and each of its eps."""
    attacked = {pipeline.id: pipeline for pipeline in findings.comparison.pipelines}
    names = _name_purifiers(findings)
    for pipeline, certificate in findings.comparison.proofs:
        if not certificate.smoothed:
            for index, result in enumerate(certificate.metrics.results):
                group = attacked.get(pipeline.classifier.id)
                row = find_strongest_within(group, certificate, result.eps) if group else None
                gain = measure_gain(findings.comparison, pipeline, certificate, index)
                without = (gain or NotRun()) if has_purifier(pipeline) else None
                name = names[pipeline.classifier.id]
                yield _describe_certified(pipeline, certificate, index, row, without, name)


def _name_purifiers(findings: Findings) -> dict[str, str]:
    """Return the purifier's name of each certified pipeline by the classifier's id, with that where it is not alone."""
    pipelines = {pipeline.classifier.id: pipeline for pipeline, _ in findings.comparison.proofs}
    shared = Counter(map(name_pipeline, pipelines.values()))
    return {
        id_: name_autoencoder(one) + describe_seeds(one) + (f" ({id_})" if shared[name_pipeline(one)] > 1 else "")
        for id_, one in pipelines.items()
    }


def find_strongest_within(pipeline: AttackedPipeline, certificate: ProvedImages, eps: float) -> Row | None:
    """Return the strongest attack that a certificate is about, at an eps or a smaller one; None where none was run."""
    within = (row for row in pipeline.rows if row.valid and key_eps(row.eps) <= key_eps(eps))
    return find_strongest((row for row in within if certificate.concerns(row)), pipeline.asked)


def _describe_certified(
    pipeline: StoredPipeline,
    certificate: ProvedImages,
    index: int,
    row: Row | None,
    without: CertifiedWithout | NotRun | None,
    name: str,
) -> CertifiedRecord:
    """Return the record of a certificate at one of its eps. row: the strongest attack that it is about, if any."""
    result = certificate.metrics.results[index]
    bounds = measure_bounds(certificate, index, row) if row else None
    run = row.run if row and bounds else None
    return CertifiedRecord(
        **read_pipeline(pipeline),
        pipeline=name_pipeline(pipeline),
        certificate=certificate.id,
        method=certificate.recipe.method,
        norm=certificate.recipe.norm,
        eps=result.eps,
        n=certificate.metrics.n,
        clean_accuracy=certificate.metrics.clean_accuracy,
        clean_accuracy_interval=certificate.metrics.clean_accuracy_interval,
        certified_accuracy=result.certified_accuracy,
        certified_accuracy_interval=result.certified_accuracy_interval,
        strongest=_describe_range(bounds) if bounds else NotRun(),
        attack=f"{name_attack(run)}, {run.recipe.threat}" if run else None,
        attack_eps=row.eps if row and bounds else None,
        run=run.id if run else None,
        without=without,
        imported=(certificate.id,) if certificate.imported else (),
        purifier_name=name,
    )


def list_smoothed(findings: Findings) -> Iterator[SmoothedRecord]:
    """Yield a record for each certificate of a smoothed pipeline and each of its radii."""
    names = _name_purifiers(findings)
    for pipeline, certificate in findings.comparison.proofs:
        if certificate.smoothed:
            for result in certificate.metrics.results:
                yield _describe_smoothed(pipeline, certificate, result, names[pipeline.classifier.id])


def _describe_smoothed(
    pipeline: StoredPipeline, certificate: ProvedImages, result: CertifiedEps, name: str
) -> SmoothedRecord:
    recipe, metrics = certificate.recipe, certificate.metrics
    return SmoothedRecord(
        **read_pipeline(pipeline),
        **recipe.noise,
        norm=recipe.norm,
        pipeline=name_pipeline(pipeline),
        certificate=certificate.id,
        eps=result.eps,
        n=metrics.n,
        clean_accuracy=metrics.clean_accuracy,
        clean_accuracy_interval=metrics.clean_accuracy_interval,
        certified_accuracy=result.certified_accuracy,
        certified_accuracy_interval=result.certified_accuracy_interval,
        abstained=metrics.abstained or 0,
        seconds_per_image=metrics.seconds / metrics.n,
        imported=(certificate.id,) if certificate.imported else (),
        purifier_name=name,
    )
