"""The stored results: losses, accuracies, check results."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from advae.records.base import (
    MAX_ITEMS,
    ClassLabels,
    ClassShares,
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
from advae.records.checked import CheckResult
from advae.records.code_attacks import CodeAttackMetrics
from advae.records.datasets import ImageRanges
from advae.records.recipes import Radius
from advae.records.retraining_rounds import Retraining
from advae.records.surfaces import SurfaceMetrics

Cosine = Annotated[float, Field(ge=-1, le=1)]
LossCurve = Annotated[tuple[tuple[Natural, Real], ...], Field(fail_fast=True, max_length=MAX_ITEMS)]


class History(Record):
    """The history of a training: one number for each epoch."""

    loss: Reals
    """Mean training loss of each epoch."""
    validation_loss: Reals
    """Mean loss on the held-out part of the training images after each epoch."""
    seconds: Magnitude
    """Wall-clock time of the training, in seconds."""
    clean_accuracy: Shares | None = absent_unless_given()
    """Clean accuracy on the held-out part after each epoch, 0 to 1; None where training uses no attacks."""
    attacked_accuracy: Shares | None = absent_unless_given()
    """Robust accuracy on the held-out part under the training's own attack after each epoch, 0 to 1; None where
    training uses no attacks."""
    certified_accuracy: Shares | None = absent_unless_given()
    """Certified accuracy on the held-out part at the training's own radius after each epoch, 0 to 1; None where
    training computes no bounds."""
    unstable_relus: Shares | None = absent_unless_given()
    """Share of ReLUs whose input can have either sign within that radius, over the held-out part, after each epoch, 0
    to 1; None where training computes no bounds."""


class AutoencoderMetrics(Record):
    """The results of a purifier."""

    kind: Literal["ae"] = "ae"
    history: History | None
    """Losses by epoch; None for a baseline, which is not trained."""
    test_mse: Magnitude
    """Mean squared error per pixel of purified test images."""
    output_range: Range
    """Smallest and largest pixel of purified training images."""

    @property
    def unit_range(self) -> bool:
        """Whether all purified training images lay in [0, 1]; a raw output (``--rescale none``) need not."""
        return self.output_range[0] >= 0 and self.output_range[1] <= 1


class ClassifierMetrics(Record):
    """The results of a classifier, measured through its purifier."""

    kind: Literal["clf"] = "clf"
    train_accuracy: Share
    """Clean accuracy on the training images, 0 to 1."""
    test_accuracy: Share
    """Clean accuracy on the test images, 0 to 1."""
    test_accuracy_interval: Interval
    """Its 95 % confidence interval (Wilson)."""
    n_test: Positive
    """Number of test images."""
    history: History | None = None
    """Losses by epoch; None for logistic regression, and for a classifier that was not trained again."""
    converged: bool | None = None
    """Whether logistic regression converged; None for networks."""
    iterations: Natural | None = None
    """Iterations of logistic regression; None for networks."""
    classes_predicted: Positive | None = None
    """How many classes occur among the test predictions; 1: the classifier collapsed; None where it was not counted."""
    checks: Annotated[tuple[CheckResult, ...], Field(max_length=1000)] | None = absent_unless_given()
    """Results of the checks that were made when a foreign model was added; None for other classifiers."""
    retraining: Retraining | None = absent_unless_given()
    """What each round of a retraining found; None for a classifier that was not retrained here."""

    @model_validator(mode="after")
    def _check_interval(self) -> Self:
        lower, upper = self.test_accuracy_interval
        # An end of the interval at 0 or 1 may have a rounding error.
        if not lower - 1e-9 <= self.test_accuracy <= upper + 1e-9:
            raise ValueError("its accuracy is outside its confidence interval")
        return self


class MemberResult(Record):
    """The work of one attack of an ensemble at one eps."""

    attack: Name
    """The attack, as `advae attack --method` takes it."""
    loss: Name | None
    """The loss that it maximised; None for one that has no choice."""
    attacked: Natural
    """Number of images that it attacked: those that neither a smaller eps of the list nor the attacks before it broke,
    and those where rounding to 8 bits undoes the success."""
    accuracy: Share
    """Robust accuracy after it and the attacks before it, 0 to 1; of a pipeline that samples, the share of the images
    that were not misclassified on all trial draws."""
    broken: Natural | None = absent_unless_given()
    """Number of images that are broken at this eps, or a smaller one, by its adversarial example; None where it was not
    measured."""


class EpsResult(Record):
    """The scorer's results for one attack at one eps."""

    eps: Radius
    """Radius of the norm's ball, in units of x."""
    accuracy: Share
    """Robust accuracy, 0 to 1."""
    accuracy_interval: Interval
    """Its 95 % confidence interval (Wilson)."""
    attack_success_rate: Share | None
    """Share of the initially correct images that the attack changes, 0 to 1; None where none was correct."""
    target_hit_rate: Share | None
    """Share of the images of other classes that are predicted as the target class, 0 to 1; None for untargeted
    attacks."""
    linf_max: Magnitude
    """Largest change of any pixel, in units of x."""
    l2_mean: Magnitude
    """Mean L2 norm of the perturbations, in units of x."""
    zero_gradient_fraction: Share
    """Share of the images whose first gradient is zero or not finite, 0 to 1."""
    within_budget: bool
    """Whether the perturbation was projected into the budget and clipped to the image's range; False: no valid
    result."""
    targets: ClassLabels | None = None
    """Target class of each true class; None for attacks whose targets do not come from the data."""
    norm_max: Magnitude | None = None
    """Largest perturbation in the run's norm, in units of x; None before run revision 2."""
    pixel_range: Range | None = None
    """Smallest and largest pixel of x_adv; None where x_adv was not built to score it, and before run revision 2."""
    finite: bool | None = None
    """Whether every pixel of x_adv is finite; None before run revision 2."""
    accuracy_8bit: Share | None = None
    """Robust accuracy after rounding x_adv to 8 bits, 0 to 1; None where x_adv is no image, or it was not measured."""
    loss_curve: LossCurve | None = None
    """Pairs of iterations and mean margin loss of the first images, from 0 iterations on; None where it was not
    measured."""
    lost_fraction: Share | None = None
    """Share of the first images with a success at an earlier iterate but not at the returned one, 0 to 1; None where it
    was not measured."""
    expected_accuracy: Share | None = absent_unless_given()
    """Expected robust accuracy over fresh draws of a random purifier, 0 to 1; None where the pipeline does not sample,
    or where it was not measured."""
    any_of_k_accuracy: Share | None = absent_unless_given()
    """Share of images on which all of the run's ``k_draws`` fresh draws are right, 0 to 1: one wrong draw breaks an
    image; None where the pipeline does not sample, or where it was not measured."""
    any_of_k_accuracy_interval: Interval | None = absent_unless_given()
    """Its 95 % confidence interval (Wilson); None likewise."""
    majority_of_k_accuracy: Share | None = absent_unless_given()
    """Share of images on which more of the ``k_draws`` draws are right than wrong, 0 to 1, so that a tie counts as
    wrong; None likewise."""
    majority_of_k_accuracy_interval: Interval | None = absent_unless_given()
    """Its 95 % confidence interval (Wilson); None likewise."""
    members: Annotated[tuple[MemberResult, ...], Field(max_length=1000)] | None = absent_unless_given()
    """What each attack of an ensemble added, in the order in which they were run; None for a single attack, and where
    it was not measured."""
    carried: Natural | None = absent_unless_given()
    """Number of images that a smaller eps of the list broke: they keep that adversarial example and are not attacked
    again; None where every image is attacked at every eps."""
    class_accuracy: ClassShares | None = absent_unless_given()
    """Robust accuracy on the images of each class, 0 to 1, by label, of a pipeline that samples any-of-k; None for a
    class without images; None as a whole where it was not measured."""
    over_budget: Natural | None = absent_unless_given()
    """Number of examples from a file that are farther than eps and count as unchanged images; None for attacks made
    here."""

    @property
    def robust_accuracy(self) -> float:
        """The robust accuracy that is reported of a pipeline: any-of-k where it samples, else that of the score."""
        return self.accuracy if self.any_of_k_accuracy is None else self.any_of_k_accuracy

    @property
    def robust_interval(self) -> tuple[float, float]:
        """The confidence interval of ``robust_accuracy``."""
        return self.any_of_k_accuracy_interval or self.accuracy_interval


class RunMetrics(Record):
    """The results of a run, all on the same n images."""

    kind: Literal["run"] = "run"
    n: Positive
    """Number of attacked images."""
    clean_accuracy: Share
    """Clean accuracy, 0 to 1."""
    clean_accuracy_interval: Interval
    """Its 95 % confidence interval (Wilson)."""
    results: Annotated[tuple[EpsResult, ...], Field(fail_fast=True, min_length=1, max_length=MAX_ITEMS)]
    """One result for each eps of the recipe, in its order."""
    samples_digest: Digest | None = None
    """SHA-256 of the attacked images and labels, equal for runs on the same images; None before run revision 2."""
    start_range: Range | None = None
    """Smallest and largest value of the data that the perturbation is added to; None where it was not measured."""
    clipped_fraction: Share | None = None
    """Share of purified pixels at which clipping stops the gradient, 0 to 1; None where it was not measured."""
    probabilities: bool | None = None
    """Whether the classifier's outputs are probabilities instead of logits; None where it was not measured."""
    stochastic: bool | None = None
    """Whether two draws of the pipeline differ; None where it was not measured."""
    backward: Literal["exact", "identity", "blur", "none"] | None = None
    """exact: the attacker differentiates the pipeline itself; identity: BPDA, the derivative of the purifier is
    replaced by the identity's (Athalye et al. 2018, arXiv:1802.00420); blur: by a Gaussian blur's; none: the classifier
    gives scores only; None where it was not measured."""
    verdicts: Annotated[tuple[CheckResult, ...], Field(fail_fast=True, max_length=1000)] = ()
    """Results of the checks that need one run only."""
    fresh_draws: Positive | None = absent_unless_given()
    """Number of fresh draws by which the success rate of each image is measured; None where the pipeline does not
    sample, or where it was not measured."""
    clean_expected_accuracy: Share | None = absent_unless_given()
    """Expected clean accuracy over fresh draws of a random purifier, 0 to 1; None as for ``expected_accuracy``."""
    k_draws: Positive | None = absent_unless_given()
    """Number k of the fresh draws whose outcomes are stored one by one; None as for ``fresh_draws``."""
    clean_any_of_k_accuracy: Share | None = absent_unless_given()
    """Share of unchanged images on which all ``k_draws`` draws are right, 0 to 1; None as for ``k_draws``."""
    clean_any_of_k_accuracy_interval: Interval | None = absent_unless_given()
    """Its 95 % confidence interval (Wilson); None likewise."""
    clean_majority_of_k_accuracy: Share | None = absent_unless_given()
    """Share of unchanged images on which more of these draws are right than wrong, 0 to 1; None likewise."""
    clean_majority_of_k_accuracy_interval: Interval | None = absent_unless_given()
    """Its 95 % confidence interval (Wilson); None likewise."""
    eot_agreement: tuple[Cosine, Cosine] | None = absent_unless_given()
    """Mean cosine similarity of two independent EOT averages of the first gradient, -1 to 1: with the attack's number
    of EOT samples, and with twice as many; None where the gradients pass through no random purifier, or where it was
    not measured."""
    class_counts: Counts | None = absent_unless_given()
    """Number of attacked images of each class, by label; None where it was not counted."""
    clean_class_accuracy: ClassShares | None = absent_unless_given()
    """Clean accuracy on the images of each class, 0 to 1, by label, of a pipeline that samples any-of-k; None for a
    class without images; None as a whole where it was not measured."""
    predicted_counts: Counts | None = absent_unless_given()
    """Number of attacked images predicted as each class before the attack, by label; None where it was not counted."""
    test_counts: Counts | None = absent_unless_given()
    """Number of images of each class in the whole test set, by label; None where it was not counted."""
    classes_predicted: Positive | None = absent_unless_given()
    """How many classes the pipeline predicts for the whole test set; None where it was not counted."""
    image_ranges: ImageRanges | None = absent_unless_given()
    """Smallest and largest pixel of the whole dataset; None where it was not measured."""
    median_smallest_eps: Radius | None = absent_unless_given()
    """Median over the images of the smallest eps of the list that breaks them; None where more than half of them are
    not broken, and where every image is attacked at every eps."""
    distances: tuple[Magnitude, Magnitude, Magnitude] | None = absent_unless_given()
    """Smallest, median and largest distance of examples from a file from their test images, in the run's norm and units
    of x; None for attacks made here."""


class CertifiedEps(Record):
    """The certified accuracy at one eps."""

    eps: Radius
    """Radius of the norm's ball, in units of x."""
    certified_accuracy: Share
    """Share of the images that are classified correctly everywhere in the ball, by proof, 0 to 1."""
    certified_accuracy_interval: Interval
    """Its 95 % confidence interval (Wilson)."""


class CertificateMetrics(Record):
    """The results of a certificate, all on the same n images."""

    kind: Literal["cert"] = "cert"
    n: Positive
    """Number of certified images."""
    clean_accuracy: Share
    """Clean accuracy of the certified function, 0 to 1; of randomised smoothing the smoothed pipeline's, where
    abstaining counts as wrong."""
    clean_accuracy_interval: Interval
    """Its 95 % confidence interval (Wilson)."""
    results: Annotated[tuple[CertifiedEps, ...], Field(fail_fast=True, min_length=1, max_length=MAX_ITEMS)]
    """One result for each eps of the recipe, in its order."""
    abstained: Natural | None = absent_unless_given()
    """Number of images for which the smoothed pipeline abstains; None for methods that cannot abstain."""
    samples_digest: Digest
    """SHA-256 of the images and labels, equal for runs on the same images."""
    seconds: Magnitude
    """Wall-clock time of the proof, in seconds."""


Metrics = Annotated[
    AutoencoderMetrics | ClassifierMetrics | RunMetrics | CertificateMetrics | SurfaceMetrics | CodeAttackMetrics,
    Field(discriminator="kind"),
]
