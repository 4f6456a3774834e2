"""What came out: losses, accuracies, verdicts."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from advae.records.base import (
    MAX_ITEMS,
    ClassLabels,
    Counts,
    Digest,
    Interval,
    Magnitude,
    Name,
    Natural,
    Positive,
    Range,
    Real,
    Reals,
    Record,
    Share,
    Shares,
    absent_unless_given,
)
from advae.records.datasets import ImageRanges
from advae.records.recipes import Radius

LossCurve = Annotated[tuple[tuple[Natural, Real], ...], Field(fail_fast=True, max_length=MAX_ITEMS)]


class History(Record):
    """Mean loss per epoch, on the training images and on the held-out part of them.

    clean_accuracy, attacked_accuracy: on the held-out part, of what is trained against attacks, by those attacks; else
    None.
    """

    loss: Reals
    validation_loss: Reals
    seconds: Magnitude
    clean_accuracy: Shares | None = absent_unless_given()
    attacked_accuracy: Shares | None = absent_unless_given()


class AutoencoderMetrics(Record):
    """test_mse: mean squared error of purified test images per pixel; output_range: of purified training images.

    history: None for a control, which is not trained.
    """

    kind: Literal["ae"] = "ae"
    history: History | None
    test_mse: Magnitude
    output_range: Range

    @property
    def unit_range(self) -> bool:
        """Whether all purified training images lay in [0, 1]; a raw output (``--rescale none``) need not."""
        return self.output_range[0] >= 0 and self.output_range[1] <= 1


class ClassifierMetrics(Record):
    """Clean accuracy through the purifier; ``converged`` and ``iterations`` for logistic regression only.

    classes_predicted: how many classes occur among the test predictions; 1 says that the classifier collapsed.
    """

    kind: Literal["clf"] = "clf"
    train_accuracy: Share
    test_accuracy: Share
    test_accuracy_interval: Interval
    n_test: Positive
    history: History | None = None
    converged: bool | None = None
    iterations: Natural | None = None
    classes_predicted: Positive | None = None

    @model_validator(mode="after")
    def _check_interval(self) -> Self:
        lower, upper = self.test_accuracy_interval
        # The ends of an interval at 0 or 1 may be rounded.
        if not lower - 1e-9 <= self.test_accuracy <= upper + 1e-9:
            raise ValueError("its accuracy is outside its confidence interval")
        return self


class EpsResult(Record):
    """What one attack at one eps did, measured by the scorer on what it was handed.

    attack_success_rate: over initially correct samples, None where there are none. target_hit_rate: over samples that
    are not of their target's class, None for untargeted attacks. linf_max, l2_mean: of x_adv - x, in units of x.
    zero_gradient_fraction: share of samples for which the attacker's first gradient is zero or not finite.
    within_budget: False whenever the perturbation was neither projected nor clipped.
    targets: class of the true label -> class aimed at, for attacks whose targets come from the data.

    From run revision 2 on: norm_max: the largest perturbation in the run's norm; pixel_range: of x_adv, None where it
    was judged without being built; finite: whether every pixel is; accuracy_8bit: after rounding x_adv to 8 bits, None
    where it is no image. Of the first samples only, in the attacker's eyes: loss_curve: (steps, mean margin loss), from
    the unchanged images on; lost_fraction: share that an earlier iterate, or the unchanged image, had fooled and the
    returned one does not.

    expected_accuracy: mean over the samples of the share of fresh draws on which a pipeline that samples is right
    (``accuracy`` is that of one draw); None for one that does not sample, and in records from before it was measured.
    """

    eps: Radius
    accuracy: Share
    accuracy_interval: Interval
    attack_success_rate: Share | None
    target_hit_rate: Share | None
    linf_max: Magnitude
    l2_mean: Magnitude
    zero_gradient_fraction: Share
    within_budget: bool
    targets: ClassLabels | None = None
    norm_max: Magnitude | None = None
    pixel_range: Range | None = None
    finite: bool | None = None
    accuracy_8bit: Share | None = None
    loss_curve: LossCurve | None = None
    lost_fraction: Share | None = None
    expected_accuracy: Share | None = absent_unless_given()


Status = Literal["PASS", "WARN", "FAIL", "NOT RUN"]


class CheckResult(Record):
    """What one check found. check: its name in the table CHECKS; number: what the sentence stands on, if any."""

    check: Name
    status: Status
    sentence: Name
    # A difference of two numbers that are in their range may be beyond it.
    number: float | None = None


class RunMetrics(Record):
    """Accuracies with their Wilson 95 % intervals, all on the same n samples.

    From run revision 2 on: samples_digest: SHA-256 of the attacked images and labels; start_range: smallest and
    largest value of what the perturbation is added to; clipped_fraction: share of purified pixels at which clipping to
    [0, 1] stops the gradient; probabilities: whether the classifier's outputs are those of a softmax instead of logits;
    stochastic: whether two draws of the pipeline differ; backward: whether the attacker differentiates the pipeline
    itself or takes a purifier without derivative for the identity (BPDA; Athalye et al. 2018, arXiv:1802.00420);
    verdicts: what these numbers say of the run, one for each check that one run can answer.

    Of a pipeline that samples: fresh_draws: by how many draws that no attack saw the success rate of each image is
    measured (arrays ``success_rate`` and ``clean_success_rate`` of the outcomes); clean_expected_accuracy: over them,
    of the unchanged images. None for one that does not sample, and in records from before.

    By class, absent from runs of before: class_counts: of the attacked images; predicted_counts: of what the pipeline
    takes them for unchanged; test_counts: of the whole test set. classes_predicted: how many classes the pipeline takes
    the images of the whole test set for; image_ranges: of the whole dataset.
    """

    kind: Literal["run"] = "run"
    n: Positive
    clean_accuracy: Share
    clean_accuracy_interval: Interval
    results: Annotated[tuple[EpsResult, ...], Field(fail_fast=True, min_length=1, max_length=MAX_ITEMS)]
    samples_digest: Digest | None = None
    start_range: Range | None = None
    clipped_fraction: Share | None = None
    probabilities: bool | None = None
    stochastic: bool | None = None
    backward: Literal["exact", "identity"] | None = None
    verdicts: Annotated[tuple[CheckResult, ...], Field(fail_fast=True, max_length=1000)] = ()
    fresh_draws: Positive | None = absent_unless_given()
    clean_expected_accuracy: Share | None = absent_unless_given()
    class_counts: Counts | None = absent_unless_given()
    predicted_counts: Counts | None = absent_unless_given()
    test_counts: Counts | None = absent_unless_given()
    classes_predicted: Positive | None = absent_unless_given()
    image_ranges: ImageRanges | None = absent_unless_given()


Metrics = Annotated[AutoencoderMetrics | ClassifierMetrics | RunMetrics, Field(discriminator="kind")]
