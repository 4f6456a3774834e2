"""Recipes: everything that determines a result. The id of an entry is the digest of its recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, create_model

from advae.identity import name_recipe
from advae.records.base import (
    LARGEST,
    MAX_CLASSES,
    MAX_ITEMS,
    Count,
    Digest,
    Name,
    Names,
    Natural,
    Real,
    Record,
    Scalar,
    Seed,
    Share,
    absent_unless_given,
)
from advae.records.code_attacks import CodeAttackRecipe
from advae.records.datasets import MAX_SIDE, DatasetRef
from advae.records.retraining_rounds import RetrainOptions
from advae.records.surfaces import SurfaceRecipe
from advae.run_options import RUN_OPTIONS, NamedOption, Norm, RunOptions
from advae.settings import Rescale as Rescale

Activations = tuple[Name, Name, Name, Name]
"""Activation functions of the first hidden layer, the code, the second hidden layer and the output."""

MAX_LAYER = 65_536
MAX_HIDDEN = 16
"""Most hidden layers of a perceptron of the user's choice."""
LayerSize = Annotated[int, Field(ge=1, le=MAX_LAYER)]
PositiveReal = Annotated[float, Field(gt=0, le=LARGEST)]
StoredOptions = Annotated[dict[Name, Scalar], Field(max_length=1000)]
Radius = Annotated[float, Field(ge=0, le=2 * MAX_SIDE)]
Radii = Annotated[tuple[Radius, ...], Field(fail_fast=True, min_length=1, max_length=MAX_ITEMS)]
"""Radii of a ball in units of x; the largest L2 distance between two images is the root of their values."""


class NetworkOptions(Record):
    """Shape and training of the paper's five-layer stack d - hidden - code - hidden - d."""

    hidden: LayerSize
    """Units of the two hidden layers."""
    code: LayerSize
    """Units of the code layer between them."""
    activations: Activations
    """Activation functions of the first hidden layer, the code, the second hidden layer and the output."""
    epochs: Count
    """Passes over the training images."""
    batch_size: Count
    """Images in a training step."""
    learning_rate: PositiveReal
    """Adam's learning rate at the beginning."""


class PerceptronOptions(Record):
    """Shape and training of a perceptron d - hidden - narrow - classes."""

    hidden: LayerSize
    """Units of the first hidden layer."""
    narrow: LayerSize
    """Units of the second hidden layer."""
    activation: Name | None = absent_unless_given()
    """Activation between the layers; None: ReLU."""
    epochs: Count
    """Passes over the training images."""
    batch_size: Count
    """Images in a training step."""
    learning_rate: PositiveReal
    """Adam's learning rate at the beginning."""


class LayersOptions(Record):
    """Shape and training of a perceptron whose hidden layers have sizes of the user's choice."""

    layers: Annotated[tuple[LayerSize, ...], Field(min_length=1, max_length=MAX_HIDDEN)]
    """Units of each hidden layer."""
    activation: Name
    """Activation between the layers."""
    epochs: Count
    """Passes over the training images."""
    batch_size: Count
    """Images in a training step."""
    learning_rate: PositiveReal
    """Adam's learning rate at the beginning."""


class ConvolutionOptions(Record):
    """Shape and training of the convolutional classifier: convolutions - hidden - classes."""

    filters: Annotated[tuple[LayerSize, ...], Field(min_length=2, max_length=3)]
    """Filters of each convolution. The last two halve the image; a third before them does not."""
    hidden: LayerSize
    """Units of the dense layer behind them."""
    activation: Name
    """Activation between the layers."""
    epochs: Count
    """Passes over the training images."""
    batch_size: Count
    """Images in a training step."""
    learning_rate: PositiveReal
    """Adam's learning rate at the beginning."""


class AddedOptions(Record):
    """A model that another program trained: what identifies it, and how images are turned into its input."""

    format: Name
    """How it is stored, a name of MODEL_FORMATS."""
    digest: Digest
    """SHA-256 of its graph and weights, in hexadecimal digits."""
    takes: Annotated[tuple[LayerSize, ...], Field(min_length=1, max_length=3)]
    """Shape of one input, as the model takes it."""
    channels: Literal["first", "last"]
    """Where its input has the channels; of a flat input, the order in which an image is flattened."""
    input_range: tuple[Real, Real]
    """The values that it takes for black and white, before mean and deviation."""
    mean: Annotated[tuple[Real, ...], Field(max_length=3)] | None = absent_unless_given()
    """Mean that is subtracted, one for each channel; None where none is."""
    std: Annotated[tuple[PositiveReal, ...], Field(max_length=3)] | None = absent_unless_given()
    """Deviation that it is divided by, one for each channel; None where it is not."""
    outputs: Literal["logits", "probabilities", "images"]
    """What the stored model returns; of probabilities the logarithms are taken."""
    order: Annotated[tuple[Natural, ...], Field(max_length=MAX_CLASSES)] | None = absent_unless_given()
    """For each label the model's own number of that class; None where they are equal."""
    affine: bool
    """Whether its output is affine in its input."""
    differentiable: bool
    """Whether it has gradients; False for a model that gives scores only."""
    trusted: Names | None = absent_unless_given()
    """Types in its file that the user trusted; None where there is none."""
    function: Name | None = absent_unless_given()
    """``module:function`` of the user's own code, which is not stored; None for a model from a file."""


class LogisticOptions(Record):
    """Options of scikit-learn's LogisticRegression."""

    C: PositiveReal
    """Inverse of the regularisation strength, for pixels in [0, 1]."""
    intercept: bool
    """Whether there is a constant term."""
    max_iter: Count
    """Largest number of iterations."""


class AutoencoderRecipe(Record):
    """The recipe of a purifier: an autoencoder, or a baseline (blur, ...), which is not trained."""

    kind: Literal["ae"] = "ae"
    type: Name
    """Kind of the purifier, a name of AUTOENCODERS or BASELINES; of an added model its library."""
    dataset: DatasetRef
    """The images that it was trained on."""
    network: NetworkOptions | None
    """Shape and training; None for a baseline."""
    loss: Name | None
    """Name of the training loss; None for a baseline."""
    rescale: Rescale
    """intensity: the output is scaled to the sum of the input and clipped to [0, 1]; none: it is unchanged."""
    options: StoredOptions
    """Options that only this kind of purifier has, by name (``rho``, ``noise_level``, ...)."""
    seed: Seed
    """Seed of all that is random in training."""
    recipe_rev: Natural
    """Revision of the code: raised when the same recipe would give another purifier."""
    protects: Name | None = absent_unless_given()
    """Id of the frozen classifier that it was trained in front of; None where there was none, or where the classifier
    was trained along with it."""
    each_class: Literal[True] | None = absent_unless_given()
    """True where all images of a class were drawn to be held out, so that one of them is trained on; else None."""
    added: AddedOptions | None = absent_unless_given()
    """The model, where another program trained it; None for a purifier that was made here."""
    denoiser: Name | None = absent_unless_given()
    """Id of the first autoencoder of a cascade, which denoises; None for what is one autoencoder."""
    reduction: Name | None = absent_unless_given()
    """Id of the second autoencoder of a cascade, whose code is the cascade's; None for what is one autoencoder."""

    @property
    def samples(self) -> bool:
        """Whether the purifier is random."""
        return self.options.get("sample") is True

    @property
    def is_baseline(self) -> bool:
        """Whether this is a baseline: a purifier that is not trained."""
        return self.network is None and self.added is None

    @property
    def parents(self) -> tuple[str, ...]:
        return tuple(id_ for id_ in (self.protects, self.denoiser, self.reduction) if id_)


class ClassifierRecipe(Record):
    """The recipe of a classifier."""

    kind: Literal["clf"] = "clf"
    model: Name
    """Kind of the classifier, a name of CLASSIFIERS; of an added model its library."""
    dataset: DatasetRef
    """The images that it was trained on."""
    autoencoder: Name | None
    """Id of the purifier in front of it; None: undefended."""
    options: NetworkOptions | LogisticOptions | PerceptronOptions | LayersOptions | ConvolutionOptions | AddedOptions
    """Shape and training of a network, the options of a logistic regression, or an added model."""
    seed: Seed
    """Seed of all that is random in training."""
    recipe_rev: Natural
    """Revision of the code: raised when the same recipe would give another classifier."""
    origin: Name | None = absent_unless_given()
    """Id of the entry that its weights come from: another classifier, or the purifier that was trained with it; None
    where the classifier was trained alone."""
    each_class: Literal[True] | None = absent_unless_given()
    """True where all images of a class were drawn to be held out, so that one of them is trained on; else None."""
    distilled: Name | None = absent_unless_given()
    """Id of the classifier on whose answers it was trained, in place of the labels; None: on the labels."""
    noise_level: PositiveReal | None = absent_unless_given()
    """Standard deviation of the Gaussian noise that was added to its training images before the purifier, in units of
    a pixel's range; None: none was."""
    retrained: RetrainOptions | None = absent_unless_given()
    """How it was retrained on adversarial examples of its training images; None: it was not."""
    code: LayerSize | None = absent_unless_given()
    """Numbers of its purifier's code, which it is trained on and classifies in place of purified images; None: it
    classifies images."""

    @property
    def added(self) -> AddedOptions | None:
        """The model, where another program trained it; None for a classifier that was trained here."""
        return self.options if isinstance(self.options, AddedOptions) else None

    @property
    def parents(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(id_ for id_ in (self.autoencoder, self.origin, self.distilled) if id_))


def _store(option: NamedOption) -> tuple[Any, Any]:
    """Return type and default of a recipe's field for a run option; the type refuses values that no attack can have."""
    row, known = option.row, {int: Annotated[int, Field(ge=option.row.least or 0, le=option.row.stored_most)]}
    type_ = row.stored or known.get(option.type) or {float: PositiveReal, str: Name}.get(option.type, option.type)
    if row.absent:
        return type_ | None, Field(default=None, exclude_if=lambda value: value is None, description=option.description)
    default = option.default if option.name in _DEFAULTED else ...
    return (type_ | None if option.optional else type_), Field(default=default, description=option.description)


_DEFAULTED = ("norm",)
"""Options that the earliest recipes did not store although every id depends on them."""

if TYPE_CHECKING:

    class _StoredOptions(Record, RunOptions): ...

else:
    _StoredOptions = create_model(
        "_StoredOptions", __base__=Record, **{name: _store(option) for name, option in RUN_OPTIONS.items()}
    )


class RunRecipe(_StoredOptions):
    """The recipe of a run: one attack under one threat model at one or several eps, with the fields of ``RunOptions``.

    An option that the attack does not take is None.
    """

    kind: Literal["run"] = "run"
    method: Name
    """The attack, a name of the table ATTACKS."""
    threat: Name
    """The threat model, a name of the table THREATS."""
    classifier: Name
    """Id of the attacked classifier."""
    twin: Name | None
    """Id of the undefended classifier that an oblivious attacker differentiates; None for other attackers."""
    dataset: DatasetRef
    """The attacked images."""
    eps: Radii
    """Radii of the norm's ball, in units of x, from 0 to the largest distance between two images."""
    recipe_rev: Natural
    """Revision of the code: raised when the same recipe would give other numbers."""
    surrogate: Name | None = absent_unless_given()
    """Id of the pipeline of another seed that a transfer attacker differentiates; None for other attackers."""
    examples: Digest | None = absent_unless_given()
    """SHA-256 of the adversarial examples that were made elsewhere, float32 (n, d); None for attacks made here."""

    @property
    def parents(self) -> tuple[str, ...]:
        return tuple(id_ for id_ in (self.classifier, self.twin, self.surrogate) if id_)


NOISE_OPTIONS = ("sigma", "samples", "select", "alpha", "seed")
"""Fields of a certificate's recipe that randomised smoothing has, and no other method."""


class CertificateRecipe(Record):
    """The recipe of a certificate: for each image, whether no perturbation of the ball changes its class."""

    kind: Literal["cert"] = "cert"
    method: Name
    """How it is proved, a name of the table CERTIFICATES."""
    norm: Norm
    """The norm of the ball."""
    classifier: Name
    """Id of the certified classifier, with its purifier."""
    dataset: DatasetRef
    """The certified images."""
    eps: Radii
    """Radii of the ball, in units of x."""
    limit: Count | None
    """How many test images were certified; None for all."""
    sample: Literal["stratified"] | None = absent_unless_given()
    """How they were chosen; None for the first ones."""
    sigma: PositiveReal | None = absent_unless_given()
    """Standard deviation of the noise of randomised smoothing, in units of x; None for other methods."""
    samples: Count | None = absent_unless_given()
    """Noisy copies that bound the probability of the chosen class; None for other methods."""
    select: Count | None = absent_unless_given()
    """Noisy copies that choose the class; None for other methods."""
    alpha: Share | None = absent_unless_given()
    """Probability that the certificate of an image is wrong; None for other methods, which prove."""
    seed: Seed | None = absent_unless_given()
    """Seed of the noise; None for other methods."""
    recipe_rev: Natural
    """Revision of the code: raised when the same recipe would give other results."""

    @property
    def parents(self) -> tuple[str, ...]:
        return (self.classifier,)

    @property
    def noise(self) -> dict[str, Any]:
        """The options of the noise; None for methods without noise."""
        return {name: getattr(self, name) for name in NOISE_OPTIONS}


Recipe = Annotated[
    AutoencoderRecipe | ClassifierRecipe | RunRecipe | CertificateRecipe | SurfaceRecipe | CodeAttackRecipe,
    Field(discriminator="kind"),
]


def entry_id(recipe: Recipe) -> str:
    """Return the id of a recipe: its kind and the first 12 hex digits of its SHA-256."""
    return name_recipe(recipe.model_dump(mode="json"))
