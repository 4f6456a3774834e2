"""The interfaces of a row of AUTOENCODERS and of CLASSIFIERS, and the records that they take and return."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from advae.batching import Tensor
from advae.errors import CorruptError, UsageError, printable
from advae.models.contracts import Purifier
from advae.models.fitting import OnEpoch
from advae.models.layers import Weights
from advae.models.noises import NoisyView
from advae.models.training_progress import NO_CHECKPOINT, TrainingCheckpoint

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import (
        AutoencoderRecipe,
        ClassifierRecipe,
        ConvolutionOptions,
        Dataset,
        FloatArray,
        History,
        IntArray,
        LayersOptions,
        LogisticOptions,
        NetworkOptions,
        PerceptronOptions,
        Rescale,
        Scalar,
    )
    from advae.requests import AutoencoderRequest, ClassifierRequest

OwnOptions = Mapping[str, "Scalar"]
"""The options that only one kind of autoencoder has, by name."""

HeadOptions: TypeAlias = "PerceptronOptions | ConvolutionOptions"
"""Options of a classifier that is trained along with an autoencoder."""

ClassifierOptions: TypeAlias = (
    "NetworkOptions | LogisticOptions | PerceptronOptions | LayersOptions | ConvolutionOptions"
)

# ---------------------------------------------------------------- autoencoders


@dataclass(frozen=True)
class Option:
    """An option that only one kind of autoencoder has."""

    default: Scalar
    """Value where the user gives none; its type is the option's type."""
    help: str
    """One line for ``--help``, without the default."""
    since: int = 1
    """The kind's first ``recipe_rev`` that has the option; older recipes are read without it."""
    absent: bool = False
    """Whether a recipe lacks the option where it has its default."""
    explained: str | None = None
    """The default in words; None: the value itself."""
    choices: tuple[str, ...] = ()
    """The allowed names; empty where any value is allowed."""


@dataclass(frozen=True)
class Choices:
    """The fields of a recipe that only the kind of autoencoder can fill in."""

    network: NetworkOptions | None
    """Shape and training of the network; None for a baseline."""
    loss: str | None
    """Name of the reconstruction loss; None for a baseline."""
    rescale: Rescale
    """How the output is scaled."""
    options: dict[str, Scalar]
    """The kind's own options, complete."""


@dataclass(frozen=True)
class Behind:
    """The classifier behind an autoencoder during the autoencoder's training."""

    classify: Callable[[Tensor], Tensor]
    """x' -> logits."""
    networks: tuple[Any, ...] = ()
    """The networks of the classifier that are trained along; none where the classifier is frozen."""


@dataclass(frozen=True)
class TrainingData:
    """The input of an autoencoder's training."""

    x: FloatArray
    """Images, float32 (n, d) in [0, 1]."""
    y: IntArray
    """Labels, int64 (n,)."""
    on_epoch: OnEpoch
    """Function that is called after each epoch."""
    behind: Behind | None = None
    """The classifier that the autoencoder is trained in front of; None where there is none."""
    checkpoint: TrainingCheckpoint = NO_CHECKPOINT
    """Store of a long training's state after each epoch."""
    parts: tuple[Arrays, ...] = ()
    """Weights of the autoencoders that it consists of, one behind the other; empty where it consists of none."""


class AutoencoderKind(Protocol):
    """A row of AUTOENCODERS."""

    @property
    def summary(self) -> str:
        """One line for ``--help``."""

    @property
    def options(self) -> Mapping[str, Option]:
        """The options that only this kind has, by name."""

    @property
    def choose_head(self) -> Callable[[AutoencoderRecipe], HeadOptions] | None:
        """Recipe -> options of the classifier that is trained along; None where none is."""

    @property
    def recipe_rev(self) -> int:
        """Raised when the same recipe would give another autoencoder than before."""

    def needs_protected(self, options: OwnOptions) -> bool:
        """Return whether it can only be trained in front of a frozen classifier, which ``--protect`` names."""

    def choose(self, request: AutoencoderRequest, dataset: Dataset) -> Choices:
        """Return the request with every default filled in. Raises UsageError for an unknown or impossible value."""

    def fit(self, recipe: AutoencoderRecipe, data: TrainingData) -> tuple[Arrays, History | None]:
        """Return the fitted arrays, and the history of a kind that has epochs. Raises DivergedError."""

    def weights(self, recipe: AutoencoderRecipe) -> Weights:
        """Return the arrays that ``fit`` returns, by name, as they follow from the recipe; builds no network.

        Raises CorruptError for a recipe that ``choose`` cannot have made.
        """

    def restore(self, recipe: AutoencoderRecipe, arrays: Arrays, precision: str) -> Purifier:
        """Return the purifier that the recipe and the arrays of ``fit`` describe.

        precision: of its wide matrix products, ``float32`` or ``bfloat16``. Raises CorruptError for a recipe that
        ``choose`` cannot have made, and for arrays other than ``weights``, before any network is built.
        """

    def count_code(self, recipe: AutoencoderRecipe) -> int | None:
        """Return how many numbers ``Purifier.encode`` returns for an image; None where there is no code."""

    def count_products(self, recipe: AutoencoderRecipe) -> float:
        """Return how many multiplications it takes to purify one image, roughly."""

    def count_passes(self, recipe: AutoencoderRecipe) -> float:
        """Return how often a training step computes a forward and a backward pass of one image, roughly."""


MAX_INTEGER = 2**53
"""Up to here each integer is a float."""


def fill_in_options(options: Mapping[str, Option], given: OwnOptions) -> dict[str, Scalar]:
    """Return a kind's own options, the defaults where none is given."""
    return {name: option.default for name, option in options.items()} | dict(given)


def require_own_options(recipe: AutoencoderRecipe, options: Mapping[str, Option], **more: type) -> None:
    """Raise CorruptError unless a recipe has the options that its kind had at its revision, by name and type.

    more: names and types of options that are not in the kind's table.
    """
    own = {
        name: type(option.default)
        for name, option in options.items()
        if option.since <= recipe.recipe_rev and (not option.absent or name in recipe.options)
    }
    # JSON does not distinguish integers from floats, and has no largest number.
    given = {
        name: float if type(value) is int and abs(value) <= MAX_INTEGER else type(value)
        for name, value in recipe.options.items()
    }
    if given != {name: float if kind is int else kind for name, kind in (own | more).items()}:
        raise CorruptError(f"the recipe's options are not those of {recipe.type}: {', '.join(recipe.options)}")


@contextmanager
def refuse_impossible() -> Iterator[None]:
    """Raise CorruptError in place of UsageError: a stored recipe has a value that no request can have."""
    try:
        yield
    except UsageError as error:
        raise CorruptError(f"impossible recipe: {printable(str(error))}") from None


# ---------------------------------------------------------------- classifiers


@dataclass(frozen=True)
class FittedClassifier:
    """A trained classifier: its arrays and the record of its training."""

    arrays: Arrays
    """The weights, by name."""
    history: History | None = None
    """Loss by epoch; None for a classifier without epochs."""
    converged: bool | None = None
    """Whether the solver converged; None where there is no such solver."""
    iterations: int | None = None
    """Iterations of the solver; None where there is no such solver."""


class ClassifierKind(Protocol):
    """A row of CLASSIFIERS."""

    @property
    def summary(self) -> str:
        """One line for ``--help``."""

    @property
    def linear(self) -> bool:
        """Whether the logits are affine in the image."""

    @property
    def holds_out(self) -> bool:
        """Whether some training images are held out to measure a validation loss."""

    @property
    def rebuild(self) -> Callable[[ClassifierRecipe, Arrays, int | None], Any] | None:
        """(recipe, arrays, iterations) -> the fitted scikit-learn estimator; None where there is none."""

    def choose(self, request: ClassifierRequest, dataset: Dataset) -> ClassifierOptions:
        """Return the options with every default filled in. Raises UsageError for one that does not fit the kind."""

    def fit(
        self,
        recipe: ClassifierRecipe,
        x: FloatArray,
        y: IntArray,
        on_epoch: OnEpoch,
        noisy: NoisyView | None = None,
    ) -> FittedClassifier:
        """Return the classifier trained on x, float32 (n, d) in [0, 1], and y, int64 (n,).

        noisy: how x is shown to the classifier, with fresh noise each time; None: x is shown as it is. Raises
        DivergedError.
        """

    def weights(self, recipe: ClassifierRecipe) -> Weights:
        """Return the arrays that ``fit`` returns, by name, as they follow from the recipe; builds no network.

        Raises CorruptError for a recipe that ``choose`` cannot have made.
        """

    def restore(self, recipe: ClassifierRecipe, arrays: Arrays, precision: str) -> Callable[[Tensor], Tensor]:
        """Return images -> logits. precision: as for an autoencoder.

        Raises CorruptError for arrays other than ``weights``, before any network is built.
        """
