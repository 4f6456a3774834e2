"""The record of each pipeline's headline: its robust accuracy, and whether that is reliable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from advae.checks import find_strongest
from advae.records import Norm, Status, key_eps
from advae.report.analysis.certified_accuracy import CertifiedRange, describe_bounds
from advae.report.analysis.check_results import count_elsewhere, count_results
from advae.report.analysis.headline_choice import group_by_kind
from advae.report.analysis.headlines import find_shown
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
from advae.report.data.commands import suggest_attack
from advae.report.data.contents import AttackedPipeline, Row, Terms
from advae.report.data.runs import Rate, Run
from advae.report.wording import COLLAPSED, describe_seeds, mark_imported, name_autoencoder, name_pipeline


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

    k_draws: int | None
    """Number of fresh samples of the pipeline's randomness that must all be right for an image to count (any-of-k);
    null where one prediction decides."""
    undefended_robust_accuracy: ShownShare | None
    """Robust accuracy of the undefended counterpart, 0 to 1; null where it was not run, or for a classifier without
    purifier."""
    samples: str
    """Digest of the images attacked: the same for runs on the very same images, in the same order."""

    @property
    def rate(self) -> Rate:
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
    """The headline number: under the strongest adaptive attack, at the largest eps that all pipelines of the dataset
    share, on the most images unless fewer refute it."""
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
    """How many of the pipeline's checks ended with each status; of one that is optional and was not run no count."""
    fail_on_other_runs: int
    """How many checks fail on other runs of the pipeline than that of the headline number."""
    imported: Ids
    """Ids of what came from a bundle: the run of the headline number, or an entry that it depends on."""
    clean_accuracy_interval: ShownInterval
    """Wilson's 95 % confidence interval of the clean accuracy."""
    purifier_name: str
    """The purifier in words, with the classifier's id where another pipeline has the same name."""
    doubt: str | None
    """Why robustness is not established; null where it is."""
    strongest: Strength | NotRun
    """Under the strongest attack on the images that was run: the adaptive one where there is one, else any other."""
    certified: CertifiedRange | None
    """The interval that contains the robust accuracy at the eps of that attack, by a certificate for this eps or a
    larger one; null where there is none."""

    @property
    def clean(self) -> Rate:
        return Rate(self.clean_accuracy, *self.clean_accuracy_interval)

    @property
    def check_count(self) -> int:
        """How many of its checks are counted."""
        return sum(self.checks.values())

    @property
    def defended(self) -> bool:
        return self.oblivious is not None

    @property
    def robust(self) -> float:
        """The headline number, 0 where there is none."""
        return self.adaptive.robust_accuracy if isinstance(self.adaptive, Strength) else 0.0

    @property
    def gap(self) -> float | None:
        """The illusion gap, None where there is none."""
        return self.illusion_gap if isinstance(self.illusion_gap, float) else None

    @property
    def terms(self) -> Terms | None:
        """What two numbers must share before one is set beside the other."""
        return (self.shown.norm, key_eps(self.shown.eps), self.shown.samples) if self.shown else None

    @property
    def shown(self) -> Strength | None:
        """The result that eps and images are shown of: the adaptive one, else the oblivious one."""
        return next((one for one in (self.adaptive, self.oblivious) if isinstance(one, Strength)), None)


def list_headlines(findings: Findings) -> Iterator[HeadlineRecord]:
    """Yield a record for each pipeline, beside the others of its kind."""
    shown = {pipeline.id for pipeline in findings.comparison.headlines}
    for pipelines in group_by_kind(findings.comparison.pipelines):
        records = [_describe(pipeline, is_counterpart=pipeline.id not in shown) for pipeline in pipelines]
        names = Counter(record.purifier_name for record in records)
        for record in records:
            name = f"{record.purifier_name} ({record.classifier_id})"
            yield record if names[record.purifier_name] == 1 else record.model_copy(update={"purifier_name": name})


def _describe(pipeline: AttackedPipeline, *, is_counterpart: bool) -> HeadlineRecord:
    adaptive, oblivious, defended = (
        pipeline.subject,
        find_oblivious(pipeline, pipeline.subject),
        pipeline.first.defended,
    )
    row = adaptive or oblivious
    run, gap = _find_run(pipeline, row), measure_gap(oblivious, adaptive) if defended else None
    missing = "adaptive" if adaptive is None else "oblivious" if isinstance(gap, NotRun) else None
    marks = (f", {COLLAPSED}" if pipeline.collapsed else "") + mark_imported(run.imported)
    return HeadlineRecord(
        **read_pipeline(run),
        pipeline=name_pipeline(run),
        is_counterpart=is_counterpart,
        eps=row.eps if row else None,
        norm=row.recipe.norm if row else None,
        n=row.run.metrics.n if row else None,
        clean_accuracy=run.clean.value,
        oblivious=read_strength(oblivious, row.terms if row else None) if defended else None,
        adaptive=read_strength(adaptive, pipeline.shared),
        illusion_gap=gap,
        command=suggest_attack(run.recipe, missing) if missing else None,
        reliable=adaptive is not None and pipeline.doubt is None and not pipeline.failures,
        robustness_established=pipeline.doubt is None,
        collapsed=pipeline.collapsed,
        checks=count_results(pipeline.checks),
        fail_on_other_runs=sum(count_elsewhere([pipeline]).values()),
        imported=run.imported,
        clean_accuracy_interval=(run.clean.low, run.clean.high),
        purifier_name=f"{name_autoencoder(run)}{describe_seeds(run)}{marks}",
        doubt=pipeline.doubt,
        strongest=read_strength(find_shown(pipeline), pipeline.shared),
        certified=describe_bounds(find_shown(pipeline)),
    )


def _find_run(pipeline: AttackedPipeline, row: Row | None) -> Run:
    """Return the run of the row that is shown, else of the strongest attack of any kind."""
    strongest = row or pipeline.find_strongest({run.recipe.threat for run in pipeline.runs})
    return (strongest or pipeline.rows[0]).run


def find_oblivious(pipeline: AttackedPipeline, adaptive: Row | None) -> Row | None:
    """Return the strongest oblivious row on the terms of an adaptive one, else at its eps.

    A pipeline without a headline number has the strongest that there is.
    """
    wanted, worst = adaptive.terms if adaptive else pipeline.shared, pipeline.find_worst("oblivious")
    beside = [row for terms, row in worst.items() if wanted and terms[:2] == wanted[:2]]
    row = (worst.get(wanted) if wanted else None) or find_strongest(beside, pipeline.asked)
    return row if row or adaptive else pipeline.find_strongest(["oblivious"])


def measure_gap(oblivious: Row | None, adaptive: Row | None) -> float | NotRun:
    """Return the illusion gap, NotRun where one side is missing or the two were not run on the same terms."""
    if oblivious is None or adaptive is None or oblivious.terms != adaptive.terms:
        return NotRun()
    return oblivious.accuracy - adaptive.accuracy


def read_strength(row: Row | None, terms: Terms | None) -> Strength | NotRun:
    """Return the result of a row, NotRun without one. terms: those on which a reader expects it; None for any."""
    if row is None:
        return NotRun()
    return Strength(
        **read_attack(row),
        robust_accuracy=row.accuracy,
        robust_accuracy_interval=row.result.robust_interval,
        run=row.id,
        images=row.run.size,
        comparable=terms in (None, row.terms),
        undefended_robust_accuracy=row.undefended.accuracy if row.defended and row.undefended else None,
        samples=row.sample_key,
        k_draws=row.run.metrics.k_draws if row.result.any_of_k_accuracy is not None else None,
    )
