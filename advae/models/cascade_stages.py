"""The two stages of a cascade: which autoencoders it consists of, and their layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advae.models import layers
from advae.models.autoencoder_networks import require_network

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import Activations, AutoencoderRecipe, NetworkOptions

CASCADE = "cascade"
"""The kind of autoencoder that has stages."""

STAGES = "stages"
BOTH, DENOISE, REDUCE = "both", "denoise", "reduce"
"""The option, and its values: the cascade, or one of its two autoencoders alone."""

CASCADE_PARTS = ("denoiser", "reduction")
"""The fields of a cascade's recipe with the ids of its two autoencoders."""

EPS = "train_eps"
"""The option that the denoiser alone has."""

CASCADE_ACTIVATIONS: Activations = ("linear", "sigmoid", "relu", "sigmoid")
"""Of the denoiser's hidden layers, its output, the code, and the reduction's output, as in the authors' scripts."""


def find_stages(recipe: AutoencoderRecipe) -> str:
    """Return the stages of a cascade's recipe."""
    return str(recipe.options.get(STAGES))


def list_stages(recipe: AutoencoderRecipe) -> tuple[AutoencoderRecipe, ...]:
    """Return the recipes of the denoiser and of the reduction of a cascade of both; none of anything else.

    They are those of ``--stages denoise`` and ``reduce`` with the same options, so that cascades of several code sizes
    have one denoiser.
    """
    if recipe.type != CASCADE or recipe.added or find_stages(recipe) != BOTH:
        return ()
    network = require_network(recipe)

    def take(stages: str, **changes: object) -> AutoencoderRecipe:
        options = {name: value for name, value in recipe.options.items() if name != EPS or stages == DENOISE}
        cut = {
            "network": cut_network(network, stages),
            "options": options | {STAGES: stages},
            **dict.fromkeys(CASCADE_PARTS),
        }
        return recipe.model_copy(update=cut | changes)

    return take(DENOISE), take(REDUCE, protects=None)


def name_stages(recipe: AutoencoderRecipe) -> AutoencoderRecipe:
    """Return a recipe with the ids of the autoencoders that it consists of, as they follow from the recipe."""
    from advae.records import entry_id

    stages = list_stages(recipe)
    return recipe.model_copy(update=dict(zip(CASCADE_PARTS, map(entry_id, stages), strict=True))) if stages else recipe


def cut_network(network: NetworkOptions, stages: str) -> NetworkOptions:
    """Return the shape and training of one stage: what the other stage alone has is set to one value."""
    first, output, code, last = network.activations
    if stages == DENOISE:
        activations = (first, output, *CASCADE_ACTIVATIONS[2:])
        return network.model_copy(update={"code": layers.narrow_size(network.hidden), "activations": activations})
    if stages == REDUCE:
        activations = (*CASCADE_ACTIVATIONS[:2], code, last)
        return network.model_copy(update={"hidden": network.code, "activations": activations})
    return network


def list_layer_sizes(recipe: AutoencoderRecipe) -> list[tuple[int, ...]]:
    """Return the sizes of the layers of each network: encoder and decoder of the denoiser, then of the reduction."""
    network, pixels, stages = require_network(recipe), recipe.dataset.shape.size, find_stages(recipe)
    wide = network.hidden
    narrowing = (pixels, wide, -(-wide // 2), layers.narrow_size(wide))
    sizes = [narrowing, narrowing[::-1]] if stages != REDUCE else []
    return sizes + ([(pixels, network.code), (network.code, pixels)] if stages != DENOISE else [])


def build_stages(recipe: AutoencoderRecipe) -> tuple[Any, ...]:
    """Return the untrained networks, one behind the other, from (n, d) to (n, d) in (0, 1)."""
    first, output, code, last = require_network(recipe).activations
    stages, activations = find_stages(recipe), list[tuple[str, ...]]()
    if stages != REDUCE:
        activations += [(first, first, first), (first, first, output)]
    if stages != DENOISE:
        activations += [(code,), (last,)]
    # All networks need different seeds.
    seeds = layers.derive_seeds(recipe.seed, len(activations))
    each = zip(list_layer_sizes(recipe), activations, seeds, strict=True)
    return tuple(layers.dense_stack(sizes, names, seed=seed) for sizes, names, seed in each)


def join_weights(parts: tuple[Arrays, ...]) -> Arrays:
    """Return the weights of autoencoders of two networks each, one behind the other."""
    joined = {}
    for place, arrays in enumerate(parts):
        for name, array in arrays.items():
            network, _, weight = name.partition(".")
            joined[f"{int(network) + 2 * place}.{weight}"] = array
    return joined
