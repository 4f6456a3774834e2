"""What a row of BASELINES is: a purifier without a network, which has a recipe and arrays like an autoencoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from advae.errors import CorruptError, UsageError
from advae.models import layers
from advae.models.contracts import Purifier
from advae.models.layers import Weight, Weights
from advae.models.model_kinds import (
    Choices,
    Option,
    OwnOptions,
    TrainingData,
    fill_in_options,
    refuse_impossible,
    require_own_options,
)

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import AutoencoderRecipe, Dataset, FloatArray, ImageShape
    from advae.requests import AutoencoderRequest


@dataclass(frozen=True)
class BaselineKind:
    """A row of BASELINES: no network, nothing is trained, and the output is in [0, 1] without rescaling."""

    summary: str
    """One line for ``--help``."""
    compute: Callable[[AutoencoderRecipe, FloatArray], Arrays]
    """(recipe, training images) -> the arrays that are stored, float32."""
    shapes: Callable[[AutoencoderRecipe], dict[str, tuple[int, ...]]]
    """Recipe -> the shapes of those arrays, by name."""
    build: Callable[[AutoencoderRecipe, Arrays], Purifier]
    """(recipe, arrays) -> the purifier."""
    check: Callable[[OwnOptions, ImageShape], None]
    """(options, shape of an image); raises UsageError for an impossible value."""
    options: Mapping[str, Option] = field(default_factory=dict)
    """The options that only this kind has, by name."""
    has_code: bool = False
    """Whether the kind takes ``--code-size``, which is then one of the recipe's options."""
    affine: bool = False
    """Whether the output is affine in the image."""
    in_graph: bool = True
    """Whether operations of Keras compute it; False where another library does, which Keras cannot export."""
    defaults: Callable[[ImageShape], OwnOptions] = lambda shape: {}
    """Shape of an image -> the defaults that depend on it, by name."""
    expected: bool = True
    """Whether a report that compares autoencoders with baselines says NOT RUN where this one is missing. False for
    defences of their own, which the comparison has only where they were run."""
    products: int | None = None
    """Multiplications for each value of an image, roughly; None: as many as there are classes."""
    require: Callable[[], object] = lambda: None
    """Raises UsageError where a library that computes it is not installed; called before a plan computes anything."""
    choose_head = None
    recipe_rev = 1

    def needs_protected(self, options: OwnOptions) -> bool:
        """Return False: nothing is trained."""
        return False

    def choose(self, request: AutoencoderRequest, dataset: Dataset) -> Choices:
        """Return the request with every default filled in. Raises UsageError for an impossible value."""
        _refuse_network_options(request, has_code=self.has_code)
        self.require()
        options = fill_in_options(self.options, {**self.defaults(dataset.ref.shape), **request.options})
        if self.has_code:
            options[CODE] = _choose_code_size(request.network.code, dataset)
        self.check(options, dataset.ref.shape)
        return Choices(network=None, loss=None, rescale="none", options=options)

    def fit(self, recipe: AutoencoderRecipe, data: TrainingData) -> tuple[Arrays, None]:
        """Return the arrays; there are no epochs, so there is no history."""
        return self.compute(recipe, data.x), None

    def weights(self, recipe: AutoencoderRecipe) -> Weights:
        """Return the stored arrays, by name. Raises CorruptError for a recipe that ``choose`` cannot have made."""
        if (recipe.network, recipe.loss, recipe.rescale) != (None, None, "none"):
            raise CorruptError(f"the recipe of a baseline, {recipe.type}, has a network, a loss or rescaling")
        require_own_options(recipe, self.options, **({CODE: int} if self.has_code else {}))
        with refuse_impossible():
            self.check(recipe.options, recipe.dataset.shape)
        return {name: Weight(shape) for name, shape in self.shapes(recipe).items()}

    def restore(self, recipe: AutoencoderRecipe, arrays: Arrays, precision: str) -> Purifier:
        """Return the purifier, in float32 whatever the precision: no baseline has wide layers.

        Raises CorruptError for an impossible recipe or other arrays.
        """
        layers.require_weights(self.weights(recipe), arrays)
        return self.build(recipe, arrays)

    def count_code(self, recipe: AutoencoderRecipe) -> int | None:
        """Return how many numbers its code has; None where it has no code."""
        return int(recipe.options[CODE]) if self.has_code else None

    def count_products(self, recipe: AutoencoderRecipe) -> float:
        """Return how many multiplications it takes to purify one image, roughly.

        Of most baselines more than they take: they are never the largest part of a pipeline.
        """
        return float(recipe.dataset.shape.size * (self.products or len(recipe.dataset.classes)))

    def count_passes(self, recipe: AutoencoderRecipe) -> float:
        """Return 0: nothing is trained."""
        return 0.0


CODE = "code_size"
"""Name of the code's size among the options of a baseline; a network's recipe has it among the sizes of layers."""


def _refuse_network_options(request: AutoencoderRequest, *, has_code: bool) -> None:
    """Raise UsageError for an option of a network, of its training or of its output."""
    given = [name for name in request.network.model_fields_set if getattr(request.network, name) is not None]
    names = {"hidden": "hidden-size", "code": "code-size"}
    refused = {names.get(name, name.replace("_", "-")) for name in given if not (has_code and name == "code")}
    if request.loss is not None:
        refused.add("loss")
    if refused:
        raise UsageError(f"--{min(refused)} does not fit --type {request.type}, a baseline: it has no network")
    if request.rescale not in (None, "none"):
        raise UsageError(
            f"--rescale {request.rescale} does not fit --type {request.type}, a baseline: its output is in [0, 1]"
        )


def _choose_code_size(given: int | None, dataset: Dataset) -> int:
    """Return the number of components: the given one, else the autoencoders' default code size. Raises UsageError."""
    n, pixels = dataset.x_train.shape
    size = min(layers.default_code_size(dataset.ref.shape), n) if given is None else given
    if size > n:
        raise UsageError(f"bad --code-size {size}: at most {min(n, pixels)} components for {n} images")
    return size
