"""What every row of AUTOENCODERS makes, and what it has to offer for that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from advae.batching import Tensor
from advae.errors import CorruptError
from advae.models.fitting import NO_CHECKPOINT, Checkpoint, OnEpoch
from advae.models.layers import Weights

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import AutoencoderRecipe, Dataset, FloatArray, History, IntArray, NetworkOptions, Rescale, Scalar
    from advae.requests import AutoencoderRequest

Options = Mapping[str, "Scalar"]


@dataclass(frozen=True)
class Option:
    """An option that only one kind of autoencoder has: its default, which also gives its type, and its help text.

    since: the kind's first ``recipe_rev`` that has it; older recipes are read without it.
    """

    default: Scalar
    help: str
    since: int = 1


@dataclass(frozen=True)
class Purifier:
    """(x, draw) -> x', float32 (n, d) both; ``draw``, an int32 scalar, tells apart the draws of one that samples.

    mean: x -> x' without a draw, in stock layers and keras.ops, so that a ``keras.Input`` can take the place of x;
    sample: (x, draw) -> x', None for a purifier that does not sample. differentiable: False where the gradient is
    zero almost everywhere, and so says nothing to an attacker, who must take another in its place. clips: whether
    values are cut off at 0 and 1, where the gradient ends. encode: x -> code, of one that samples its mean, and decode:
    code -> raw reconstruction; None where there is no code.
    """

    mean: Callable[[Tensor], Tensor]
    sample: Callable[[Tensor, Tensor], Tensor] | None = None
    differentiable: bool = True
    clips: bool = False
    encode: Callable[[Tensor], Tensor] | None = None
    decode: Callable[[Tensor], Tensor] | None = None

    @property
    def samples(self) -> bool:
        return self.sample is not None

    def __call__(self, x: Tensor, draw: Tensor) -> Tensor:
        return self.mean(x) if self.sample is None else self.sample(x, draw)


@dataclass(frozen=True)
class Choices:
    """What a kind makes of a request: those fields of its recipe that only the kind can fill in."""

    network: NetworkOptions | None
    loss: str | None
    rescale: Rescale
    options: dict[str, Scalar]


@dataclass(frozen=True)
class Behind:
    """The classifier behind an autoencoder while that is trained.

    classify: x' -> logits; networks: those of it that are trained along, none of a classifier that stays as it is.
    """

    classify: Callable[[Tensor], Tensor]
    networks: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Lesson:
    """What an autoencoder is fitted on: x, float32 (n, d) in [0, 1], and y, int64 (n,), their labels.

    behind: the classifier that it is trained in front of, None for a kind that knows of none. checkpoint: where a long
    training keeps how far it has come.
    """

    x: FloatArray
    y: IntArray
    on_epoch: OnEpoch
    behind: Behind | None = None
    checkpoint: Checkpoint = NO_CHECKPOINT


class AutoencoderKind(Protocol):
    """A row of AUTOENCODERS.

    options: what only this kind has, by name; adversarial: whether it is trained in front of a classifier, on attacks;
    recipe_rev: raised when the same recipe would give another autoencoder than before.
    """

    @property
    def summary(self) -> str: ...

    @property
    def options(self) -> Mapping[str, Option]: ...

    @property
    def adversarial(self) -> bool: ...

    @property
    def recipe_rev(self) -> int: ...

    def choose(self, request: AutoencoderRequest, dataset: Dataset) -> Choices:
        """Return the request with every default filled in. Raises UsageError for what does not exist or fit."""

    def fit(self, recipe: AutoencoderRecipe, lesson: Lesson) -> tuple[Arrays, History | None]:
        """Return the fitted arrays, and the history where there were epochs. Raises DivergedError."""

    def weights(self, recipe: AutoencoderRecipe) -> Weights:
        """Return the arrays that ``fit`` returns, by name, as they follow from the recipe; nothing is built.

        Raises CorruptError for a recipe that ``choose`` cannot have made.
        """

    def restore(self, recipe: AutoencoderRecipe, arrays: Arrays, precision: str) -> Purifier:
        """Return the purifier that the recipe and the arrays of ``fit`` describe.

        precision: of its wide matrix products, ``float32`` or ``bfloat16``. Raises CorruptError for a recipe that
        ``choose`` cannot have made, and for arrays other than ``weights``, before memory is taken for what the recipe
        claims.
        """


MAX_INTEGER = 2**53
"""The largest up to which each integer is a float."""


def fill_in_options(options: Mapping[str, Option], given: Options) -> dict[str, Scalar]:
    """Return a kind's own options, the defaults where none is given."""
    return {name: option.default for name, option in options.items()} | dict(given)


def require_options(recipe: AutoencoderRecipe, options: Mapping[str, Option], **more: type) -> None:
    """Raise CorruptError unless a recipe has the options that its kind had at its revision, by name and type.

    more: options beside the kind's own.
    """
    own = {name: type(option.default) for name, option in options.items() if option.since <= recipe.recipe_rev}
    # JSON has one kind of number, and no largest one.
    given = {
        name: float if type(value) is int and abs(value) <= MAX_INTEGER else type(value)
        for name, value in recipe.options.items()
    }
    if given != {name: float if kind is int else kind for name, kind in (own | more).items()}:
        raise CorruptError(f"the recipe's options are not those of {recipe.type}: {', '.join(recipe.options)}")
