"""What came out: losses, accuracies, verdicts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import FailFast, Field

from advae.records.base import Counts, Floats, Record, absent_unless_given
from advae.records.datasets import ImageRanges


class History(Record):
    """Mean loss per epoch, on the training images and on the held-out part of them.

    clean_accuracy, attacked_accuracy: on the held-out part, of what is trained against attacks, by those attacks; else
    None.
    """

    loss: Floats
    validation_loss: Floats
    seconds: float
    clean_accuracy: tuple[float, ...] | None = absent_unless_given()
    attacked_accuracy: tuple[float, ...] | None = absent_unless_given()


class AutoencoderMetrics(Record):
    """test_mse: mean squared error of purified test images per pixel; output_range: of purified training images.

    history: None for a control, which is not trained.
    """

    kind: Literal["ae"] = "ae"
    history: History | None
    test_mse: float
    output_range: tuple[float, float]

    @property
    def unit_range(self) -> bool:
        """Whether all purified training images lay in [0, 1]; a raw output (``--rescale none``) need not."""
        return self.output_range[0] >= 0 and self.output_range[1] <= 1


class ClassifierMetrics(Record):
    """Clean accuracy through the purifier; ``converged`` and ``iterations`` for logistic regression only.

    classes_predicted: how many classes occur among the test predictions; 1 says that the classifier collapsed.
    """

    kind: Literal["clf"] = "clf"
    train_accuracy: float
    test_accuracy: float
    test_accuracy_interval: tuple[float, float]
    n_test: int
    history: History | None = None
    converged: bool | None = None
    iterations: int | None = None
    classes_predicted: int | None = None


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

    eps: float
    accuracy: float
    accuracy_interval: tuple[float, float]
    attack_success_rate: float | None
    target_hit_rate: float | None
    linf_max: float
    l2_mean: float
    zero_gradient_fraction: float
    within_budget: bool
    targets: tuple[int, ...] | None = None
    norm_max: float | None = None
    pixel_range: tuple[float, float] | None = None
    finite: bool | None = None
    accuracy_8bit: float | None = None
    loss_curve: tuple[tuple[int, float], ...] | None = None
    lost_fraction: float | None = None
    expected_accuracy: float | None = absent_unless_given()


Status = Literal["PASS", "WARN", "FAIL", "NOT RUN"]


class Verdict(Record):
    """What one check found. check: its name in the table CHECKS; number: what the sentence stands on, if any."""

    check: str
    status: Status
    sentence: str
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
    n: int
    clean_accuracy: float
    clean_accuracy_interval: tuple[float, float]
    results: Annotated[tuple[EpsResult, ...], FailFast()]
    samples_digest: str | None = None
    start_range: tuple[float, float] | None = None
    clipped_fraction: float | None = None
    probabilities: bool | None = None
    stochastic: bool | None = None
    backward: Literal["exact", "identity"] | None = None
    verdicts: Annotated[tuple[Verdict, ...], FailFast()] = ()
    fresh_draws: int | None = absent_unless_given()
    clean_expected_accuracy: float | None = absent_unless_given()
    class_counts: Counts | None = absent_unless_given()
    predicted_counts: Counts | None = absent_unless_given()
    test_counts: Counts | None = absent_unless_given()
    classes_predicted: int | None = absent_unless_given()
    image_ranges: ImageRanges | None = absent_unless_given()


Metrics = Annotated[AutoencoderMetrics | ClassifierMetrics | RunMetrics, Field(discriminator="kind")]
