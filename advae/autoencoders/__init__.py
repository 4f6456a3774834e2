"""The autoencoders that purify a classifier's input: from a request to a recipe, to weights, to a purifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae import networks
from advae.autoencoders.kinds import AUTOENCODERS, Options, Purifier
from advae.autoencoders.losses import LOSSES
from advae.errors import CorruptError, UsageError, unknown
from advae.networks import Tensor
from advae.records import AutoencoderRecipe, Dataset, History, Scalar
from advae.requests import AutoencoderRequest
from advae.training import OnEpoch, train

if TYPE_CHECKING:
    from advae.networks import Arrays
    from advae.records import FloatArray

__all__ = [
    "AUTOENCODERS",
    "LOSSES",
    "Purifier",
    "fit_autoencoder",
    "make_recipe",
    "rescale_to_intensity",
    "restore_purifier",
]

RECIPE_REV = 1
"""Raised when the same recipe would give another autoencoder than before."""


def make_recipe(request: AutoencoderRequest, dataset: Dataset) -> AutoencoderRecipe:
    """Return the request with every default filled in.

    Raises UsageError for an unknown kind or name, an option that the kind does not have, a value out of range.
    """
    if request.type not in AUTOENCODERS:
        raise UsageError(unknown("autoencoder", request.type, AUTOENCODERS))
    options = _resolve_options(request.type, request.options)
    defaults = AUTOENCODERS[request.type].defaults(dataset.ref.side, options)
    loss = request.loss or defaults.loss
    if loss not in LOSSES:
        raise UsageError(unknown("loss", loss, LOSSES))
    network = networks.fill_in(request.network, dataset, code=defaults.code, activations=defaults.activations)
    AUTOENCODERS[request.type].check(options, request.options, network.activations)
    _check_output(network.activations[-1], loss)
    return AutoencoderRecipe(
        type=request.type,
        dataset=dataset.ref,
        network=network,
        loss=loss,
        rescale=request.rescale or defaults.rescale,
        options=options,
        seed=request.seed,
        recipe_rev=RECIPE_REV,
    )


def _check_output(output: str, loss: str) -> None:
    """Raise UsageError where a loss speaks of numbers that the output layer does not make."""
    made_by = {
        "categorical-crossentropy": ("relu", "sigmoid", "softplus", "exponential"),
        "binary-crossentropy": ("sigmoid",),
    }
    if output not in made_by.get(loss, networks.ACTIVATIONS):
        raise UsageError(f"--loss {loss} does not fit output {output}; it takes {', '.join(made_by[loss])}")


def _resolve_options(type_: str, given: Options) -> dict[str, Scalar]:
    """Return a kind's own options, the defaults where none is given."""
    kind = AUTOENCODERS[type_]
    for name in given:
        if name not in kind.options:
            owners = [other for other, row in AUTOENCODERS.items() if name in row.options]
            option = name.replace("_", "-")
            raise UsageError(f"--{option} does not fit --type {type_}; it is for {', '.join(owners) or 'none'}")
    return {name: option.default for name, option in kind.options.items()} | dict(given)


def rescale_to_intensity(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Return the reconstruction scaled to the total intensity of x and clipped to [0, 1]; zero stays zero."""
    from keras import ops

    totals = [ops.sum(images, axis=-1, keepdims=True) for images in (x, reconstruction)]
    return ops.clip(reconstruction * ops.divide_no_nan(*totals), 0.0, 1.0)


def _rescale(raw: Purifier) -> Purifier:
    """Return a purifier whose output is rescaled, with and without a draw."""
    sample = raw.sample
    return Purifier(
        mean=lambda x: rescale_to_intensity(x, raw.mean(x)),
        sample=None if sample is None else lambda x, draw: rescale_to_intensity(x, sample(x, draw)),
    )


def fit_autoencoder(recipe: AutoencoderRecipe, x: FloatArray, on_epoch: OnEpoch) -> tuple[Arrays, History]:
    """Return the weights of an autoencoder trained on x, float32 (n, d) in [0, 1], and its loss history.

    Raises DivergedError.
    """
    built = AUTOENCODERS[recipe.type].build(recipe)
    history = train(
        lambda batch, weights, seed: built.loss(batch[0], weights, seed),
        built.networks,
        (x,),
        options=recipe.network,
        seed=recipe.seed,
        on_epoch=on_epoch,
    )
    return networks.collect_weights(built.networks), history


def _refuse_unknown(recipe: AutoencoderRecipe) -> None:
    """Raise CorruptError for a recipe that ``make_recipe`` cannot have made: somebody else's, or a newer one."""
    kind = AUTOENCODERS[recipe.type]
    networks.refuse_unknown(recipe.network)
    if recipe.loss not in LOSSES:
        raise CorruptError(f"the recipe names a loss that this advae does not know: {recipe.loss!r}")
    kinds = {name: type(option.default) for name, option in kind.options.items()}
    # JSON has one kind of number.
    given = {name: float if type(value) is int else type(value) for name, value in recipe.options.items()}
    if given != kinds:
        raise CorruptError(f"the recipe's options are not those of {recipe.type}: {', '.join(recipe.options)}")
    try:
        kind.check(recipe.options, {}, recipe.network.activations)
    except UsageError as error:
        raise CorruptError(f"the recipe cannot be: {error}") from None


def restore_purifier(recipe: AutoencoderRecipe, arrays: Arrays) -> Purifier:
    """Return the purifier that the recipe and the weights of ``fit_autoencoder`` describe, rescaling included.

    Raises CorruptError where the weights do not fit, or the recipe is none of ours.
    """
    _refuse_unknown(recipe)
    networks.require_weights_of(recipe.network, recipe.dataset.side**2, 0, arrays)
    built = AUTOENCODERS[recipe.type].build(recipe)
    networks.put_weights(built.networks, arrays)
    return built.reconstruct if recipe.rescale == "none" else _rescale(built.reconstruct)
