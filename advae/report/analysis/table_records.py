"""The records of the report's tables, one type each: what JSON and CSV have, with the meaning of every field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, create_model

from advae.records import EpsResult, Norm, Rescale, Status
from advae.report.analysis.tables import Difference, Ids, NotRun, ShownInterval, ShownShare, TableRecord
from advae.run_options import RUN_OPTIONS


class _Attack(TableRecord):
    """The attack of one run at one eps."""

    status: str = "measured"
    """Whether it was measured."""
    run: str | None
    """The run's id in the registry; null where nothing was measured."""
    threat: str
    """What the attacker knows, as `advae attack --threat` takes it."""
    norm: Norm
    """The norm that bounds the perturbation: linf, the largest change of a pixel, or l2, Euclidean."""
    eps: float
    """The budget: radius of the norm's ball around the image, in units of an image's range, 0 to 1."""
    method: str | None
    """The attack, as `advae attack --method` takes it."""
    attack: str | None
    """The attack in words: method, target, norm, loss, iterations and restarts."""
    n: int | None
    """Number of test images."""


if TYPE_CHECKING:
    _Options = _Attack
else:
    _Options = create_model(
        "_Options",
        __base__=_Attack,
        **{
            name: (option.type | None, Field(description=option.description))
            for name, option in RUN_OPTIONS.items()
            if name not in _Attack.model_fields
        },
    )


class RunResult(_Options):
    """What one run measured at one eps, with every option of its attack."""

    clean_accuracy: ShownShare | None
    """Share of the unchanged images that are classified correctly, 0 to 1."""
    clean_accuracy_interval: ShownInterval | None
    """Wilson's 95 % interval of the clean accuracy."""
    robust_accuracy: ShownShare | None
    """Share of the images still classified correctly under attack, 0 to 1."""
    robust_accuracy_interval: ShownInterval | None
    """Wilson's 95 % interval of the robust accuracy."""
    attack_success_rate: ShownShare | None
    """Share of the initially correct images that the attack changes, 0 to 1; null where none was correct."""
    target_hit_rate: ShownShare | None
    """Share of the images not of the target's class that ended in it, 0 to 1; null for an untargeted attack."""
    expected_accuracy: ShownShare | None
    """Mean share of fresh samples of the pipeline's randomness on which it is right, 0 to 1; null where it has none."""
    linf_max: float | None
    """Largest change of any pixel, in units of an image's range, measured on the result."""
    l2_mean: float | None
    """Mean Euclidean length of the perturbations, in units of an image's range."""
    norm_max: float | None
    """Largest perturbation in the attack's norm, in units of an image's range; null where it was not measured."""
    zero_gradient_fraction: ShownShare | None
    """Share of the images whose first gradient is zero or not finite, 0 to 1."""
    within_budget: bool | None
    """Whether the perturbation is a valid one: projected into the budget and clipped to the image's range."""
    accuracy_8bit: ShownShare | None
    """Robust accuracy after rounding to 8 bits, 0 to 1; null where they are no images, or it was not measured."""
    failed_checks: tuple[str, ...] | None
    """The checks stored with the run that end with FAIL or WARN, each with its status."""


RESULT_FIELDS = tuple(RunResult.model_fields.keys() & EpsResult.model_fields.keys())
"""What a result of a run is stored with under the same name."""


class MeasuredResult(RunResult):
    """What one run measured at one eps, where it was measured."""

    status: Literal["measured"] = "measured"
    """Always measured."""


class AccuracyRecord(MeasuredResult):
    """One run at one eps, beside the same attack without the purifier."""

    dataset: str
    """The dataset's name; for one's own file, the name of the file."""
    classifier: str
    """Kind of the classifier: nn or mlp, a network, or lr, logistic regression."""
    classifier_id: str
    """The classifier's id in the registry."""
    autoencoder: str
    """Kind of the purifier in front of the classifier; none where there is none."""
    autoencoder_id: str | None
    """The id in the registry of the purifier in front; null where there is none."""
    rescale: Rescale | None
    """How the purifier's output becomes an image: intensity, scaled to its input's total and clipped to 0 to 1, or
    none, left as it is; null where there is no purifier."""
    undefended_counterpart: MeasuredResult | NotRun
    """The same attack at the same eps on the same images, without the purifier; NOT RUN where the registry holds no
    such run; the run's own result for a classifier without purifier."""
    mcnemar_p: ShownShare | NotRun | None
    """How likely so large a difference to the undefended counterpart is by accident, 0 to 1: McNemar's exact test on
    the same images; NOT RUN where there is no such run, null for a classifier without purifier."""
    notes: tuple[str, ...]
    """Warnings about the number, the gravest first."""
    imported: Ids
    """Ids of what came from a bundle: the run, or an entry that it rests on; empty where nothing did."""


class Strength(TableRecord):
    """The robust accuracy of a pipeline under the strongest attack of one threat model."""

    robust_accuracy: ShownShare
    """Share of the images still classified correctly under attack, 0 to 1."""
    robust_accuracy_interval: ShownInterval
    """Wilson's 95 % interval of the robust accuracy."""
    eps: float
    """The budget, in units of an image's range, 0 to 1."""
    attack: str
    """The attack in words."""
    n: int
    """Number of test images."""
    run: str
    """The run's id in the registry."""


class HeadlineRecord(TableRecord):
    """The robust accuracy of one pipeline under the strongest attack, and whether that is reliable."""

    classifier_id: str
    """The classifier's id in the registry."""
    autoencoder_id: str | None
    """The id in the registry of the purifier in front; null where there is none."""
    dataset: str
    """The dataset's name; for one's own file, the name of the file."""
    classifier: str
    """Kind of the classifier: nn or mlp, a network, or lr, logistic regression."""
    autoencoder: str
    """Kind of the purifier in front of the classifier; none where there is none."""
    rescale: Rescale | None
    """How the purifier's output becomes an image: intensity or none; null where there is no purifier."""
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
    """Ids of what came from a bundle: the run of the headline number, or an entry that it rests on."""


class GapRecord(TableRecord):
    """The illusion gap of one pipeline at one eps, on the same images: overestimated robustness."""

    classifier_id: str
    """The classifier's id in the registry."""
    norm: Norm
    """The norm that bounds the perturbation."""
    eps: float
    """The budget, in units of an image's range, 0 to 1."""
    n: int
    """Number of test images."""
    oblivious: ShownShare
    """Robust accuracy under the strongest attacker who does not know of the purifier, 0 to 1."""
    adaptive: ShownShare
    """Robust accuracy under the strongest adaptive attacker, 0 to 1."""
    illusion_gap: Difference
    """Oblivious minus adaptive, -1 to 1."""
    oblivious_run: str
    """The id of the oblivious run."""
    adaptive_run: str
    """The id of the adaptive run."""


class ThreatModelRecord(RunResult):
    """The strongest valid attack of one threat model on one pipeline, at one norm and eps.

    Its status is NOT RUN where there is none, or says that there are only attacks outside the budget.
    """

    classifier_id: str
    """The classifier's id in the registry."""
    pipeline: str
    """The pipeline in words: dataset, classifier, purifier, seeds other than 0."""


class RunCheckRecord(TableRecord):
    """The result of one check on one run alone."""

    classifier_id: str
    """The classifier's id in the registry."""
    run: str | None
    """The id of the run that was checked; null where the check needs a run that there is not."""
    place: int | None
    """The check's number in the list of checks; null for a check of a later version."""
    question: str
    """What the check asks."""
    check: str
    """The check's name."""
    status: Status
    """PASS, WARN, FAIL, or NOT RUN where what it needs was not run."""
    sentence: str
    """What was found, for people."""
    number: float | None
    """The number behind the sentence, in the check's own unit; null where there is none."""

    @property
    def absent(self) -> None:
        """Its status is the check's: a number that is null has no meaning for the check."""


class CheckRecord(RunCheckRecord):
    """The result of one check on the strongest adaptive attack on a pipeline, in one norm."""

    eps: float | None
    """The budget of that attack, in units of an image's range; null where there is no valid adaptive run."""
    norm: Norm | None
    """The norm of that attack; null where there is none."""
    pipeline: str
    """The pipeline in words: dataset, classifier, purifier, seeds other than 0."""
    headline: bool
    """Whether it is about the pipeline's headline number, or about its number in another norm."""


class FailureRecord(TableRecord):
    """A check that fails: on a pipeline's headline number, in another norm, or on one run alone."""

    classifier_id: str
    """The classifier's id in the registry."""
    check: str
    """The check's name."""
    run: str
    """The id of the run that it fails on."""
    eps: float | None
    """The budget that it was found at; null for what a run stored, which is on all its eps."""
    sentence: str
    """What was found, for people."""
    headline: bool
    """Whether it fails on the headline number of its pipeline, which is not reliable then."""


class BaselineRecord(TableRecord):
    """One purifier, or none, under an attack that an autoencoder and a baseline both met."""

    status: Literal["measured", "NOT RUN"]
    """Whether it was measured."""
    classifier_id: str | None
    """The classifier's id in the registry; null where none was trained behind such a purifier."""
    run: str | None
    """The run's id in the registry; null where it was not measured."""
    dataset: str
    """The dataset's name; for one's own file, the name of the file."""
    classifier: str
    """Kind of the classifier: nn or mlp, a network, or lr, logistic regression."""
    threat: str
    """What the attacker knows, as `advae attack --threat` takes it."""
    method: str
    """The attack, as `advae attack --method` takes it."""
    attack: str
    """The attack in words."""
    norm: Norm
    """The norm that bounds the perturbation."""
    eps: float
    """The budget, in units of an image's range, 0 to 1."""
    n: int
    """Number of test images."""
    role: Literal["undefended", "baseline", "autoencoder"]
    """The classifier is undefended, or behind a baseline, or behind an autoencoder."""
    purifier: str
    """Kind of the purifier, as `advae train-ae --type` takes it; none for the undefended classifier."""
    robust_accuracy: ShownShare | None
    """Share of the images still classified correctly under attack, 0 to 1; null where it was not measured."""
    robust_accuracy_interval: ShownInterval | None
    """Wilson's 95 % interval of the robust accuracy."""
    benefit: Difference | None
    """Robust accuracy behind the purifier minus that of the undefended classifier, -1 to 1; null where either was not
    measured."""


class MissingBaselines(TableRecord):
    """Baselines that were not run under every attack that is compared, for one classifier on one dataset."""

    dataset: str
    """The dataset's name; for one's own file, the name of the file."""
    classifier: str
    """Kind of the classifier: nn or mlp, a network, or lr, logistic regression."""
    missing: tuple[str, ...]
    """The kinds of baselines that are missing."""
    command: str
    """One line that runs them."""


class SeedRecord(TableRecord):
    """The same attack on pipelines that differ in their seeds only."""

    pipeline: str
    """The pipelines in words, without their seeds."""
    threat: str
    """What the attacker knows, as `advae attack --threat` takes it."""
    method: str
    """The attack, as `advae attack --method` takes it."""
    attack: str
    """The attack in words."""
    norm: Norm
    """The norm that bounds the perturbation."""
    eps: float
    """The budget, in units of an image's range, 0 to 1."""
    n: int
    """Number of test images."""
    seeds: int
    """How many pipelines there are."""
    mean: ShownShare
    """Mean of their robust accuracies, 0 to 1."""
    minimum: ShownShare
    """Smallest of their robust accuracies, 0 to 1."""
    maximum: ShownShare
    """Largest of their robust accuracies, 0 to 1."""
    runs: Ids
    """The ids of the runs, one of each pipeline."""


class ActivationRecord(TableRecord):
    """One of the autoencoders that differ in the activations of their hidden layers only."""

    autoencoder: str
    """What the autoencoders have in common, in words: kind, dataset, seed."""
    hidden_activations: str
    """Activations of the hidden layers, in short."""
    training_loss: float | None
    """Mean training loss of the last epoch; null where there is none."""
    validation_loss: float | None
    """Mean loss of the last epoch on the held-out training images; null where there is none."""
    squared_error: float | None
    """Mean squared error per pixel of purified test images."""
    id: str
    """The autoencoder's id in the registry."""


class GroupScores(TableRecord):
    """The scores of the samples of one class, or their average over classes."""

    precision: float
    """Share of the images predicted as the class that are of it, 0 to 1; 0 where none was."""
    recall: float
    """Share of the class's images that are predicted as it, 0 to 1; 0 where there is none."""
    f1: float = Field(serialization_alias="f1-score")
    """Harmonic mean of precision and recall, 0 to 1."""
    support: float
    """Number of images of the class."""


class ScoresRecord(TableRecord):
    """The predictions of one run at one eps, by class."""

    eps: float | None
    """The budget of the attack, in units of an image's range; null for the unchanged images."""
    confusion_matrix: tuple[tuple[int, ...], ...] | None
    """Number of images by true label (outer) and predicted label (inner); null for more than 100 classes, which have
    confusion_counts."""
    confusion_counts: tuple[tuple[int, int, int], ...] | None = Field(default=None, exclude_if=lambda one: one is None)
    """What the confusion matrix of more than 100 classes has above 0: true label, predicted label, number of images;
    absent for fewer classes."""
    classification_report: dict[str, GroupScores | float]
    """scikit-learn's report: the scores of each label by its number, their averages `macro avg` and `weighted avg`,
    and `accuracy`."""
