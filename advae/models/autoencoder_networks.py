"""The rows of AUTOENCODERS that the plain training loop trains: their network, loss and restored purifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from advae.batching import Tensor
from advae.errors import CorruptError, UsageError, unknown
from advae.models import layers
from advae.models.contracts import Purifier
from advae.models.convolutions import ConvolutionalCoder
from advae.models.fitting import train
from advae.models.layers import Weights
from advae.models.model_kinds import (
    Choices,
    Option,
    OwnOptions,
    TrainingData,
    fill_in_options,
    refuse_impossible,
    require_own_options,
)
from advae.models.reconstruction import RECONSTRUCTION_LOSSES, choose_loss

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.models.model_kinds import HeadOptions
    from advae.records import (
        Activations,
        AutoencoderRecipe,
        Dataset,
        History,
        ImageShape,
        NetworkOptions,
        Rescale,
        Scalar,
    )
    from advae.requests import AutoencoderRequest


@dataclass(frozen=True)
class Autoencoder:
    """A built autoencoder."""

    networks: tuple[Any, ...]
    """Encoder and decoder, keras.Sequential."""
    loss: Callable[[Tensor, Tensor, Tensor], Tensor]
    """(x, weights, seed) -> training loss of a batch, a scalar."""
    reconstruct: Purifier
    """The purifier before rescaling."""


@dataclass(frozen=True)
class Defaults:
    """The defaults of a kind that depend on the image or on its options."""

    code: int
    """Numbers in the code."""
    activations: Activations
    """Of hidden layer, code, hidden layer and output."""
    loss: str
    """Name of the reconstruction loss."""
    rescale: Rescale
    """How the output is scaled."""
    hidden: int | None = None
    """Units, or filters, of the hidden layers; None: the paper's share of an image's values."""
    epochs: int = layers.PAPER_EPOCHS
    """Passes over the training images."""


@dataclass(frozen=True)
class NetworkKind:
    """A row of AUTOENCODERS that is trained without a classifier."""

    summary: str
    """One line for ``--help``."""
    build: Callable[[AutoencoderRecipe], Autoencoder]
    """Recipe -> the untrained autoencoder."""
    defaults: Callable[[ImageShape, OwnOptions], Defaults]
    """(shape of an image, options) -> defaults."""
    more_options: Mapping[str, Option] = field(default_factory=dict)
    """The options that only this kind has, by name."""
    check: Callable[[OwnOptions, OwnOptions, Activations], None] = lambda options, given, activations: None
    """(options, those that were given, activations); raises UsageError for an impossible value."""
    numbers_per_code: int = 1
    """Outputs of the encoder for each number of the code: 2 for mean and variance."""
    recipe_rev = 1

    @property
    def choose_head(self) -> Callable[[AutoencoderRecipe], HeadOptions] | None:
        """None: it is trained without a classifier."""
        return None

    @property
    def options(self) -> Mapping[str, Option]:
        """The options of the kind, by name."""
        return {BODY: BODY_OPTION, **self.more_options}

    def needs_protected(self, options: OwnOptions) -> bool:
        """Return False: it is trained without a classifier."""
        return False

    def choose(self, request: AutoencoderRequest, dataset: Dataset) -> Choices:
        """Return the request with every default filled in. Raises UsageError for an unknown or impossible value."""
        options = fill_in_options(self.options, request.options)
        options[BODY] = choose_body(request.options.get(BODY), dataset.ref.shape)
        defaults = self.defaults(dataset.ref.shape, options)
        loss = choose_loss(request.loss, defaults.loss)
        network = layers.fill_in(
            request.network,
            dataset,
            hidden=defaults.hidden,
            code=defaults.code,
            activations=defaults.activations,
            epochs=defaults.epochs,
        )
        self.check(options, request.options, network.activations)
        _check_loss_fits(loss, network.activations[-1])
        # Recipes did not have these options before there was another value than the default.
        left_out = {name: option.default for name, option in self.options.items() if option.absent}
        stored = {name: value for name, value in options.items() if left_out.get(name) != value}
        return Choices(network, loss, request.rescale or defaults.rescale, stored)

    def fit(self, recipe: AutoencoderRecipe, data: TrainingData) -> tuple[Arrays, History | None]:
        """Return the trained weights and the loss history. Raises DivergedError."""
        built = self.build(recipe)
        history = train(
            lambda batch, weights, moment: built.loss(batch[0], weights, moment.seed),
            built.networks,
            (data.x,),
            data.y,
            options=require_network(recipe),
            seed=recipe.seed,
            on_epoch=data.on_epoch,
            xla=find_body(recipe) == DENSE,
        )
        return layers.collect_weights(built.networks), history

    def weights(self, recipe: AutoencoderRecipe) -> Weights:
        """Return the stored arrays, by name. Raises CorruptError for a recipe that ``choose`` cannot have made."""
        network = require_network(recipe)
        layers.refuse_unknown_activations(network.activations)
        require_loss(recipe)
        require_own_options(recipe, self.options)
        with refuse_impossible():
            self.check(recipe.options, {}, network.activations)
            choose_body(recipe.options.get(BODY), recipe.dataset.shape)
        if find_body(recipe) == CONV:
            return layers.name_weights(*describe_coder(recipe, self.numbers_per_code).list_shapes())
        return layers.name_weights(*map(layers.dense_shapes, list_sizes(recipe, self.numbers_per_code)))

    def restore(self, recipe: AutoencoderRecipe, arrays: Arrays, precision: str) -> Purifier:
        """Return the purifier, rescaling included. Raises CorruptError for an impossible recipe or other weights."""
        layers.require_weights(self.weights(recipe), arrays)
        built = self.build(recipe)
        layers.put_weights(built.networks, arrays)
        layers.set_precision(built.networks, precision)
        return built.reconstruct if recipe.rescale == "none" else _rescale(built.reconstruct)

    def count_code(self, recipe: AutoencoderRecipe) -> int:
        """Return how many numbers its code has; of a random code its mean."""
        return count_network_code(recipe)

    def count_products(self, recipe: AutoencoderRecipe) -> float:
        """Return how many multiplications it takes to purify one image."""
        return describe_coder(recipe).count_products() if find_body(recipe) == CONV else count_dense_products(recipe)

    def count_passes(self, recipe: AutoencoderRecipe) -> float:
        """Return 1: the loss is that of the images themselves."""
        return 1.0


# ---------------------------------------------------------------- the body

BODY, CONV, DENSE = "body", "conv", "dense"

BODY_OPTION = Option(
    DENSE,
    "Layers: conv, or dense; certified also threshold, or none",
    absent=True,
    explained="conv for colour and from 32 x 32 pixels on, and for robust; threshold for certified; else dense",
    choices=(CONV, DENSE, "threshold", "none"),
)


def choose_body(given: Scalar | None, shape: ImageShape) -> str:
    """Return the body that was given, else the default for images of a shape. Raises UsageError for an unknown one."""
    if given is None:
        return CONV if shape.suits_convolutions else DENSE
    if given not in (CONV, DENSE):
        raise UsageError(unknown("body", str(given), (CONV, DENSE)))
    return str(given)


def find_body(recipe: AutoencoderRecipe) -> str:
    """Return the body of a recipe of a network."""
    return str(recipe.options.get(BODY, DENSE))


def describe_coder(recipe: AutoencoderRecipe, numbers_per_code: int = 1) -> ConvolutionalCoder:
    """Return the encoder and the decoder of a convolutional body, not built."""
    network = require_network(recipe)
    return ConvolutionalCoder(recipe.dataset.shape, network.hidden, network.code, network.activations, numbers_per_code)


def count_network_code(recipe: AutoencoderRecipe) -> int:
    """Return how many numbers the code of dense layers, or of a convolutional coder, has."""
    network = require_network(recipe)
    return describe_coder(recipe).count_code() if find_body(recipe) == CONV else network.code


def require_network(recipe: AutoencoderRecipe) -> NetworkOptions:
    """Return the shape and training of a recipe's network. Raises CorruptError where it has none."""
    if recipe.network is None:
        raise CorruptError(f"the recipe of type {recipe.type} has no network")
    return recipe.network


def list_sizes(recipe: AutoencoderRecipe, numbers_per_code: int = 1) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the sizes d, hidden, code of the encoder and code, hidden, d of the decoder.

    numbers_per_code: outputs of the encoder for each number of the code, 2 for mean and variance.
    """
    shape, pixels = require_network(recipe), recipe.dataset.shape.size
    return (pixels, shape.hidden, numbers_per_code * shape.code), (shape.code, shape.hidden, pixels)


def count_dense_products(recipe: AutoencoderRecipe) -> float:
    """Return how many multiplications one image takes in the dense layers of ``list_sizes``."""
    network, pixels = require_network(recipe), recipe.dataset.shape.size
    return 2.0 * network.hidden * (pixels + network.code)


def require_loss(recipe: AutoencoderRecipe) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a recipe's reconstruction loss. Raises CorruptError where the table has none of that name."""
    if recipe.loss not in RECONSTRUCTION_LOSSES:
        raise CorruptError(f"the recipe names a loss that this advae does not know: {recipe.loss!r}")
    return RECONSTRUCTION_LOSSES[recipe.loss]


def _check_loss_fits(loss: str, output: str) -> None:
    """Raise UsageError where a loss is not defined on all values that the output layer can have."""
    made_by = {
        "categorical-crossentropy": ("relu", "sigmoid", "softplus", "exponential"),
        "binary-crossentropy": ("sigmoid",),
    }
    if output not in made_by.get(loss, layers.ACTIVATIONS):
        raise UsageError(f"--loss {loss} does not fit output {output}; it takes {', '.join(made_by[loss])}")


def rescale_to_intensity(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Return the reconstruction scaled to the pixel sum of x and clipped to [0, 1]; a zero image stays zero."""
    from keras import ops

    totals = [ops.sum(images, axis=-1, keepdims=True) for images in (x, reconstruction)]
    return ops.clip(reconstruction * ops.divide_no_nan(*totals), 0.0, 1.0)


def _rescale(raw: Purifier) -> Purifier:
    """Return a purifier whose output is rescaled, random or not."""
    sample = raw.sample
    return replace(
        raw,
        mean=lambda x: rescale_to_intensity(x, raw.mean(x)),
        sample=None if sample is None else lambda x, draw: rescale_to_intensity(x, sample(x, draw)),
        clips=True,
    )
