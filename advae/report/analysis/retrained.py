"""Classifiers that were retrained on adversarial examples: each round, and their own attack beside a stronger one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from advae.records import ClassifierMetrics, Retraining, RetrainOptions, key_eps
from advae.report.analysis.headline_records import Strength, read_strength
from advae.report.analysis.tables import (
    Difference,
    Findings,
    NotRun,
    ShownInterval,
    ShownShare,
    TableRecord,
)
from advae.report.data.contents import AttackedPipeline, Comparison, Row
from advae.report.data.runs import Rate, StoredPipeline
from advae.report.wording import name_pipeline

LEAKING = (
    "label leaking: under its own attack it is more accurate than on unchanged images, so what the attack adds shows "
    "the classifier the class (Kurakin et al. 2017, arXiv:1611.01236)"
)
STILL_NEW = "the last round still found new adversarial examples: more rounds would change the classifier"


class _RetrainedClassifier(TableRecord):
    """Fields of a record about a retrained classifier."""

    classifier_id: str
    """The classifier's id in the registry."""
    pipeline: str
    """The pipeline in words: dataset, classifier, retraining, purifier, seeds other than 0."""
    method: str
    """The attack of the retraining, as `advae train-clf --retrain-method` takes it."""
    eps: float
    """L-infinity radius of that attack, in units of an image's range, 0 to 1."""
    clean_accuracy: ShownShare
    """Clean accuracy on all test images, 0 to 1."""
    clean_accuracy_interval: ShownInterval
    """Wilson's 95 % confidence interval of it."""
    robust_accuracy: ShownShare
    """Robust accuracy on all test images under the retraining's own attack at its eps, 0 to 1: an upper bound."""
    robust_accuracy_interval: ShownInterval
    """Wilson's 95 % confidence interval of it."""
    n: int
    """Number of test images."""

    @property
    def clean(self) -> Rate:
        return Rate(self.clean_accuracy, *self.clean_accuracy_interval)

    @property
    def robust(self) -> Rate:
        return Rate(self.robust_accuracy, *self.robust_accuracy_interval)


class RoundRecord(_RetrainedClassifier):
    """One round of a retraining: a classifier is fitted from scratch, then training and test images are attacked."""

    round: int
    """Number of the round; 0: the classifier that is not retrained."""
    examples: int
    """Adversarial examples that the round's classifier was fitted on, beside the training images."""
    attacked: int
    """Number of training images that were attacked."""
    evading: int
    """Number of them whose adversarial example the round's classifier gets wrong."""
    new: int
    """Number of these adversarial examples that the set did not have."""


class RetrainedRecord(_RetrainedClassifier):
    """A retrained classifier under its own attack and under the strongest adaptive one that was run at that eps."""

    rounds: int
    """How often it was fitted again."""
    most_rounds: int
    """How often it could have been, as `advae train-clf --retrain` takes it."""
    examples: int
    """Adversarial examples that it was fitted on, beside the training images."""
    new: int
    """Adversarial examples that its last round found and that are not in the set; 0 where the retraining has ended."""
    own: Strength | NotRun
    """Under a run of its own attack at that eps, on the images of the strongest one."""
    strongest: Strength | NotRun
    """Under the strongest adaptive attack that was run at that eps in L-infinity."""
    overestimated: Difference | NotRun
    """Robust accuracy under its own attack minus that under the strongest, -1 to 1, on the same images: how much its
    own attack overestimates its robustness."""
    notes: tuple[str, ...]
    """Warnings about the retraining."""


def list_rounds(findings: Findings) -> Iterator[RoundRecord]:
    """Yield a record for each round of each retrained classifier."""
    for pipeline, _, found in list_retrained(findings.comparison):
        for number, one in enumerate(found.rounds):
            yield RoundRecord(
                **_identify(pipeline, number),
                round=number,
                examples=one.examples,
                attacked=found.attacked,
                evading=one.evading,
                new=one.new,
            )


def list_retrained_classifiers(findings: Findings) -> Iterator[RetrainedRecord]:
    """Yield a record for each retrained classifier."""
    attacked = {pipeline.id: pipeline for pipeline in findings.comparison.pipelines}
    for pipeline, how, found in list_retrained(findings.comparison):
        own, strongest = _find_pair(attacked.get(pipeline.classifier.id), how)
        last = found.rounds[-1]
        leaking = last.robust_accuracy > last.clean_accuracy
        yield RetrainedRecord(
            **_identify(pipeline, len(found.rounds) - 1),
            rounds=len(found.rounds) - 1,
            most_rounds=how.rounds,
            examples=last.examples,
            new=last.new,
            own=read_strength(own, None),
            strongest=read_strength(strongest, None),
            overestimated=own.accuracy - strongest.accuracy if own and strongest else NotRun(),
            notes=tuple(filter(None, (LEAKING if leaking else "", STILL_NEW if last.new else ""))),
        )


def list_retrained(comparison: Comparison) -> Iterator[tuple[StoredPipeline, RetrainOptions, Retraining]]:
    """Yield each pipeline whose classifier was retrained, how, and what each round found."""
    for pipeline in (*(one.first for one in comparison.pipelines), *comparison.unattacked):
        how, metrics = pipeline.classifier_recipe.retrained, pipeline.classifier.metrics
        if how and isinstance(metrics, ClassifierMetrics) and metrics.retraining:
            yield pipeline, how, metrics.retraining


def _identify(pipeline: StoredPipeline, number: int) -> dict[str, Any]:
    """Return the fields that both records share. number: of the round that the accuracies are of."""
    how, metrics = pipeline.classifier_recipe.retrained, pipeline.classifier.as_classifier()[1]
    one = metrics.retraining.rounds[number] if metrics.retraining else None
    measured = one.model_dump(include=set(_RetrainedClassifier.model_fields)) if one else {}
    return measured | {
        "classifier_id": pipeline.classifier.id,
        "pipeline": name_pipeline(pipeline),
        "method": how.method if how else "",
        "eps": how.eps if how else 0.0,
        "n": metrics.n_test,
    }


def _find_pair(pipeline: AttackedPipeline | None, how: RetrainOptions) -> tuple[Row | None, Row | None]:
    """Return the rows of the retraining's own attack and of the strongest one at its eps, on the same images if any."""
    if pipeline is None:
        return None, None
    wanted = ("linf", key_eps(how.eps))
    worst = {terms: row for terms, row in pipeline.find_worst("adaptive").items() if terms[:2] == wanted}
    rows = (row for row in pipeline.list_valid(["adaptive"]) if row.terms in worst and row.recipe.method == how.method)
    own = max(rows, key=lambda row: (row.metrics.n, -row.accuracy, row.id), default=None)
    if own:
        return own, worst[own.terms]
    return None, max(worst.values(), key=lambda row: (row.metrics.n, row.id), default=None)
