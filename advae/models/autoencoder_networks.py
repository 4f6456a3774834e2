"""The kinds of autoencoder that are networks: what a row says of one, how it is trained and brought back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from advae.batching import Tensor
from advae.errors import CorruptError, UsageError, printable, unknown
from advae.models import layers
from advae.models.contracts import Choices, Lesson, Option, Options, Purifier, fill_in_options, require_options
from advae.models.fitting import train
from advae.models.layers import Weights
from advae.models.reconstruction import LOSSES

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import Activations, AutoencoderRecipe, Dataset, History, NetworkOptions, Rescale
    from advae.requests import AutoencoderRequest


@dataclass(frozen=True)
class Autoencoder:
    """A built autoencoder: its networks, its training loss and its raw reconstruction."""

    networks: tuple[Any, ...]
    loss: Callable[[Tensor, Tensor, Tensor], Tensor]
    reconstruct: Purifier


@dataclass(frozen=True)
class Defaults:
    """What a kind takes where the user names nothing: code size, activations, reconstruction loss, rescaling."""

    code: int
    activations: Activations
    loss: str
    rescale: Rescale


@dataclass(frozen=True)
class NetworkKind:
    """A row of AUTOENCODERS that is trained by the compiled loop.

    defaults: (side, options) -> Defaults; options: what only this kind has, with defaults; check: (options, those
    that were given, activations) -> None, raises UsageError for what cannot be; numbers_per_code: as for
    ``list_sizes``.
    """

    summary: str
    build: Callable[[AutoencoderRecipe], Autoencoder]
    defaults: Callable[[int, Options], Defaults]
    options: Mapping[str, Option] = field(default_factory=dict)
    check: Callable[[Options, Options, Activations], None] = lambda options, given, activations: None
    numbers_per_code: int = 1
    adversarial = False
    recipe_rev = 1

    def choose(self, request: AutoencoderRequest, dataset: Dataset) -> Choices:
        """Return the request with every default filled in. Raises UsageError for what does not exist or fit."""
        options = fill_in_options(self.options, request.options)
        defaults = self.defaults(dataset.ref.side, options)
        loss = request.loss or defaults.loss
        if loss not in LOSSES:
            raise UsageError(unknown("loss", loss, LOSSES))
        network = layers.fill_in(request.network, dataset, code=defaults.code, activations=defaults.activations)
        self.check(options, request.options, network.activations)
        _check_output(network.activations[-1], loss)
        return Choices(network, loss, request.rescale or defaults.rescale, options)

    def fit(self, recipe: AutoencoderRecipe, lesson: Lesson) -> tuple[Arrays, History | None]:
        """Return the trained weights and the loss history. Raises DivergedError."""
        built = self.build(recipe)
        history = train(
            lambda batch, weights, moment: built.loss(batch[0], weights, moment.seed),
            built.networks,
            (lesson.x,),
            lesson.y,
            options=require_network(recipe),
            seed=recipe.seed,
            on_epoch=lesson.on_epoch,
        )
        return layers.collect_weights(built.networks), history

    def weights(self, recipe: AutoencoderRecipe) -> Weights:
        """Return the arrays that are stored. Raises CorruptError for a recipe that is not ours."""
        self._refuse_unknown(recipe)
        return layers.name_weights(*map(layers.dense_shapes, list_sizes(recipe, self.numbers_per_code)))

    def restore(self, recipe: AutoencoderRecipe, arrays: Arrays, precision: str) -> Purifier:
        """Return the purifier, rescaling included. Raises CorruptError for a recipe or weights that are not ours."""
        layers.require_weights(self.weights(recipe), arrays)
        built = self.build(recipe)
        layers.put_weights(built.networks, arrays)
        layers.set_precision(built.networks, precision)
        return built.reconstruct if recipe.rescale == "none" else _rescale(built.reconstruct)

    def _refuse_unknown(self, recipe: AutoencoderRecipe) -> None:
        """Raise CorruptError for a recipe that ``choose`` cannot have made: somebody else's, or a newer one."""
        network = require_network(recipe)
        layers.refuse_unknown_activations(network.activations)
        require_loss(recipe)
        require_options(recipe, self.options)
        try:
            self.check(recipe.options, {}, network.activations)
        except UsageError as error:
            raise CorruptError(f"the recipe cannot be: {printable(str(error))}") from None


def require_network(recipe: AutoencoderRecipe) -> NetworkOptions:
    """Return the shape and training of a recipe's network. Raises CorruptError where it has none."""
    if recipe.network is None:
        raise CorruptError(f"the recipe of type {recipe.type} has no network")
    return recipe.network


def list_sizes(recipe: AutoencoderRecipe, numbers_per_code: int = 1) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the sizes d, hidden, code of the encoder and code, hidden, d of the decoder.

    numbers_per_code: how many outputs of the encoder describe one number of the code, 2 for mean and variance.
    """
    shape, pixels = require_network(recipe), recipe.dataset.side**2
    return (pixels, shape.hidden, numbers_per_code * shape.code), (shape.code, shape.hidden, pixels)


def require_loss(recipe: AutoencoderRecipe) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a recipe's reconstruction loss. Raises CorruptError where it names none of ours."""
    if recipe.loss not in LOSSES:
        raise CorruptError(f"the recipe names a loss that this advae does not know: {recipe.loss!r}")
    return LOSSES[recipe.loss]


def _check_output(output: str, loss: str) -> None:
    """Raise UsageError where a loss speaks of numbers that the output layer does not make."""
    made_by = {
        "categorical-crossentropy": ("relu", "sigmoid", "softplus", "exponential"),
        "binary-crossentropy": ("sigmoid",),
    }
    if output not in made_by.get(loss, layers.ACTIVATIONS):
        raise UsageError(f"--loss {loss} does not fit output {output}; it takes {', '.join(made_by[loss])}")


def rescale_to_intensity(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Return the reconstruction scaled to the total intensity of x and clipped to [0, 1]; zero stays zero."""
    from keras import ops

    totals = [ops.sum(images, axis=-1, keepdims=True) for images in (x, reconstruction)]
    return ops.clip(reconstruction * ops.divide_no_nan(*totals), 0.0, 1.0)


def _rescale(raw: Purifier) -> Purifier:
    """Return a purifier whose output is rescaled, with and without a draw."""
    sample = raw.sample
    return replace(
        raw,
        mean=lambda x: rescale_to_intensity(x, raw.mean(x)),
        sample=None if sample is None else lambda x, draw: rescale_to_intensity(x, sample(x, draw)),
        clips=True,
    )
