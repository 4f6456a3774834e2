"""What crosses modules or is stored on disk: datasets in memory, recipes, metrics and manifests, JSON both ways.

A recipe says all that decides a result, so that its digest can be the result's identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field

from advae.errors import CorruptError
from advae.identity import SCHEMA, Kind, name_recipe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    IntArray = NDArray[np.int64]

Scalar = bool | int | float | str

Floats = Annotated[tuple[float, ...], FailFast()]
Names = Annotated[tuple[str, ...], FailFast()]
"""Of any length. Of a hostile list the first fault is told, not a million."""


class Record(BaseModel):
    """A typed value that never changes, refuses fields it does not know and numbers that are not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# ---------------------------------------------------------------- datasets


MAX_SIDE = 4096


class DatasetRef(Record):
    """What a recipe keeps of a dataset: enough to find it again and to rebuild a network without it.

    digest: SHA-256 over the decoded arrays; side: images are side x side pixels; classes: one name per label.
    """

    name: str
    digest: str
    side: Annotated[int, Field(ge=1, le=MAX_SIDE)]
    classes: Names


@dataclass(frozen=True)
class Dataset:
    """Images and labels in memory.

    x_train, x_test: float32 (n, side * side) in [0, 1]; y_train, y_test: int64 (n,), 0 <= y < len(ref.classes).
    source: where it was read from, None for the bundled one.
    """

    ref: DatasetRef
    x_train: FloatArray
    y_train: IntArray
    x_test: FloatArray
    y_test: IntArray
    source: str | None = None


# ---------------------------------------------------------------- recipes


Activations = tuple[str, str, str, str]
"""Of the first hidden layer, the code, the second hidden layer and the output."""

LayerSize = Annotated[int, Field(ge=1, le=65_536)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Rate = Annotated[float, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Rescale = Literal["intensity", "none"]
Norm = Literal["linf", "l2"]


class NetworkOptions(Record):
    """Shape and training of the paper's five-layer stack d - hidden - code - hidden - d."""

    hidden: LayerSize
    code: LayerSize
    activations: Activations
    epochs: Count
    batch_size: Count
    learning_rate: Rate


class LogisticOptions(Record):
    """Options of scikit-learn's LogisticRegression; C in its unit, for pixels in [0, 1]."""

    C: Rate
    intercept: bool
    max_iter: Count


class AutoencoderRecipe(Record):
    """options: what only this type of autoencoder has, by name (``rho``, ``noise_level``, ...).

    A control (blur, ...) is of this kind too: network and loss are None, since nothing is trained.
    """

    kind: Literal["ae"] = "ae"
    type: str
    dataset: DatasetRef
    network: NetworkOptions | None
    loss: str | None
    rescale: Rescale
    options: dict[str, Scalar]
    seed: Seed
    recipe_rev: int

    @property
    def is_control(self) -> bool:
        """Whether this is no autoencoder, but what one is to be compared with."""
        return self.network is None

    @property
    def parents(self) -> tuple[str, ...]:
        return ()


class ClassifierRecipe(Record):
    """autoencoder: id of the purifier that the classifier was trained behind, or None."""

    kind: Literal["clf"] = "clf"
    model: str
    dataset: DatasetRef
    autoencoder: str | None
    options: NetworkOptions | LogisticOptions
    seed: Seed
    recipe_rev: int

    @property
    def parents(self) -> tuple[str, ...]:
        return (self.autoencoder,) if self.autoencoder else ()


def _absent_unless_given() -> Any:
    return Field(default=None, exclude_if=lambda value: value is None)


class RunRecipe(Record):
    """One attack under one threat model at one or several eps.

    eps: radii of the norm's ball, in units of x. step_size: None stands for the attack's own multiple of eps / steps.
    restarts: from how many random points, the best of which counts. limit: the first ``limit`` test images, None for
    all. clip: False is the paper's protocol, neither projected nor clipped. twin: the undefended classifier that an
    oblivious attacker uses; surrogate: the pipeline of another seed that a transfer attacker uses. draws: over how many
    draws of a purifier that samples each gradient is averaged; queries: of a score-based attack, for each sample.
    Options that a method does not have are None.
    """

    kind: Literal["run"] = "run"
    method: str
    threat: str
    norm: Norm = "linf"
    classifier: str
    twin: str | None
    dataset: DatasetRef
    eps: Floats
    target: int | None
    steps: int | None
    step_size: float | None
    loss: str | None
    clip: bool
    limit: int | None
    save_adversarial: bool
    seed: Seed
    recipe_rev: int
    # Not in the identity of what has none: runs from before there were such options keep their ids.
    restarts: int | None = _absent_unless_given()
    surrogate: str | None = _absent_unless_given()
    draws: int | None = _absent_unless_given()
    queries: int | None = _absent_unless_given()

    @property
    def parents(self) -> tuple[str, ...]:
        return tuple(id_ for id_ in (self.classifier, self.twin, self.surrogate) if id_)


Recipe = Annotated[AutoencoderRecipe | ClassifierRecipe | RunRecipe, Field(discriminator="kind")]


# ---------------------------------------------------------------- metrics


class History(Record):
    """Mean loss per epoch, on the training images and on the held-out part of them."""

    loss: Floats
    validation_loss: Floats
    seconds: float


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

    From run revision 2 on: norm_max: the largest perturbation in the run's norm; pixel_range: of x_adv; finite:
    whether every pixel is; accuracy_8bit: after rounding x_adv to 8 bits, None where it is no image. Of the first
    samples only: loss_curve: (steps, mean of the attack's own objective), from the unchanged images on; lost_fraction:
    share that an earlier iterate, or the unchanged image, had fooled in the attacker's eyes and the returned one does
    not.
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


Metrics = Annotated[AutoencoderMetrics | ClassifierMetrics | RunMetrics, Field(discriminator="kind")]


# ---------------------------------------------------------------- manifests


OUTCOMES, SAMPLES, ADVERSARIAL = "outcomes.npz", "samples.npz", "adversarial.npz"
"""A run's artifacts: per-example outcomes, the images that a report shows, and, where asked for, all of them."""


class DatasetKey(Record):
    """What tells one dataset from another: its name, and the SHA-256 over its decoded arrays."""

    name: str
    digest: str


class Artifact(Record):
    """One file of an entry: its SHA-256 and its size in bytes."""

    sha256: str
    size: int


class Manifest(Record):
    """All that is known of a registry entry without opening its arrays.

    parents and dataset repeat what the recipe says, for readers that do not know every kind of recipe. artifacts:
    file name -> digest and size; source: path of a dataset that only the user's disk has; created: UTC, ISO 8601;
    versions: of Python and the libraries that made it.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    # Pydantic's own models have a method of the name that it has on the disk.
    schema_version: int = Field(default=SCHEMA, alias="schema")
    id: str
    recipe: Recipe
    parents: Names
    dataset: DatasetKey
    metrics: Metrics
    artifacts: dict[str, Artifact]
    source: str | None
    versions: dict[str, str]
    created: str

    @property
    def kind(self) -> Kind:
        return self.recipe.kind

    def as_autoencoder(self) -> tuple[AutoencoderRecipe, AutoencoderMetrics]:
        """Return recipe and metrics of an ``ae`` entry. Raises CorruptError for another, or where they do not fit."""
        if isinstance(self.recipe, AutoencoderRecipe) and isinstance(self.metrics, AutoencoderMetrics):
            return self.recipe, self.metrics
        raise CorruptError(f"{self.id} is not an autoencoder")

    def as_classifier(self) -> tuple[ClassifierRecipe, ClassifierMetrics]:
        """Return recipe and metrics of a ``clf`` entry. Raises CorruptError for another, or where they do not fit."""
        if isinstance(self.recipe, ClassifierRecipe) and isinstance(self.metrics, ClassifierMetrics):
            return self.recipe, self.metrics
        raise CorruptError(f"{self.id} is not a classifier")

    def as_run(self) -> tuple[RunRecipe, RunMetrics]:
        """Return recipe and metrics of a ``run`` entry. Raises CorruptError for another, or where they do not fit."""
        if isinstance(self.recipe, RunRecipe) and isinstance(self.metrics, RunMetrics):
            return self.recipe, self.metrics
        raise CorruptError(f"{self.id} is not a run")


def entry_id(recipe: AutoencoderRecipe | ClassifierRecipe | RunRecipe) -> str:
    """Return the id that a recipe stands for: its kind and the first 12 hex digits of its SHA-256."""
    return name_recipe(recipe.model_dump(mode="json"))
