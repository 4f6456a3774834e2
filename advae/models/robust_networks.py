"""The networks of a robust autoencoder: an encoder, whose first layers are called the body, and a decoder."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae.models import layers
from advae.models.autoencoder_networks import CONV, describe_coder, find_body, require_network
from advae.models.convolutions import STRIDES, WINDOW, filter_shapes, halve
from advae.models.layers import Weights

if TYPE_CHECKING:
    from advae.records import AutoencoderRecipe


def build_robust(recipe: AutoencoderRecipe) -> tuple[Any, Any]:
    """Return the untrained encoder d-body-hidden/4-hidden-code and decoder code-hidden-d, weights by He et al. 2015.

    For colour images with convolutions, the encoder and the decoder of the other kinds.
    """
    import keras

    if has_coder(recipe):
        return describe_coder(recipe).build(recipe.seed)
    first, code, second, output = require_network(recipe).activations
    seeds = iter(layers.derive_seeds(recipe.seed, 16))
    body = _find_body(recipe).build(recipe, seeds)
    (_, *narrowing), (inner, *widening) = _list_dense_sizes(recipe)

    def dense(size: int, activation: str) -> Any:
        kernel = keras.initializers.HeUniform(seed=next(seeds))
        return keras.layers.Dense(size, activation=activation, kernel_initializer=kernel)

    encoder = [*body, *map(dense, narrowing, (first, first, code))]
    decoder = map(dense, widening, (second, output))
    return (
        keras.Sequential([keras.Input((recipe.dataset.shape.size,)), *encoder]),
        keras.Sequential([keras.Input((inner,)), *decoder]),
    )


def has_coder(recipe: AutoencoderRecipe) -> bool:
    """Return whether encoder and decoder are those of the other kinds with convolutions: for colour images."""
    return find_body(recipe) == CONV and not recipe.dataset.shape.is_grey


def list_robust_weights(recipe: AutoencoderRecipe) -> Weights:
    """Return the weights of encoder and decoder, by name, as they follow from the recipe; builds no network."""
    if has_coder(recipe):
        return layers.name_weights(*describe_coder(recipe).list_shapes())
    encoder, decoder = _list_dense_sizes(recipe)
    body = _find_body(recipe).shapes(recipe)
    return layers.name_weights(body + layers.dense_shapes(encoder), layers.dense_shapes(decoder))


def _list_dense_sizes(recipe: AutoencoderRecipe) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the sizes of the dense layers: features of the body, hidden/4, hidden, code; and code, hidden, d."""
    shape, features = require_network(recipe), _find_body(recipe).features(recipe)
    narrow = layers.narrow_size(shape.hidden)
    return (features, narrow, shape.hidden, shape.code), (shape.code, shape.hidden, recipe.dataset.shape.size)


@dataclass(frozen=True)
class Body:
    """The first layers of the encoder."""

    build: Callable[[AutoencoderRecipe, Iterator[int]], list[Any]]
    """(recipe, seeds) -> layers from (n, d) to (n, features)."""
    shapes: Callable[[AutoencoderRecipe], list[tuple[int, ...]]]
    """Recipe -> the shapes of their weights, in order."""
    features: Callable[[AutoencoderRecipe], int]
    """Recipe -> number of outputs for each image."""


def _find_body(recipe: AutoencoderRecipe) -> Body:
    return BODIES[str(recipe.options["body"])]


PIXELWISE = ((2.0, 2.0, -2.0, -2.0), (0.0, -1.0, 2.0, 1.0))
"""Initial kernel and bias of four functions of one value p of a pixel: max(2p, 0), max(2p - 1, 0), max(2 - 2p, 0) and
max(1 - 2p, 0). The best defence of grey values is a threshold, and from these weights training finds it sooner."""

BODY_FILTERS = (16, 32)
"""Number of filters of each of the convolutions that follow; each halves the image."""


def _conv(recipe: AutoencoderRecipe, seeds: Iterator[int]) -> list[Any]:
    import numpy as np
    from keras import initializers, layers

    shape, activation = recipe.dataset.shape, require_network(recipe).activations[0]
    # ReLU masks no gradient here: for each pixel value one of the four functions has a gradient. Revision 1 used the
    # network's activation.
    pixelwise = layers.Conv2D(len(PIXELWISE[0]), 1, activation="relu" if recipe.recipe_rev > 1 else activation)
    pixelwise.build((None, *shape))
    kernel, bias = (np.array(values, np.float32) for values in PIXELWISE)
    pixelwise.set_weights([kernel.reshape(pixelwise.kernel.shape), bias])
    filters = [
        layers.Conv2D(
            count,
            WINDOW,
            strides=STRIDES,
            padding="same",
            activation=activation,
            kernel_initializer=initializers.HeUniform(seed=next(seeds)),
        )
        for count in BODY_FILTERS
    ]
    return [layers.Reshape(tuple(shape)), pixelwise, *filters, layers.Flatten()]


def _conv_shapes(recipe: AutoencoderRecipe) -> list[tuple[int, ...]]:
    functions = len(PIXELWISE[0])
    return [(1, 1, 1, functions), (functions,), *filter_shapes(WINDOW, (functions, *BODY_FILTERS))]


def _count_conv_features(recipe: AutoencoderRecipe) -> int:
    return math.prod(halve(recipe.dataset.shape, len(BODY_FILTERS))) * BODY_FILTERS[-1]


def _dense(recipe: AutoencoderRecipe, seeds: Iterator[int]) -> list[Any]:
    from keras import initializers, layers

    shape, kernel = require_network(recipe), initializers.HeUniform(seed=next(seeds))
    return [layers.Dense(shape.hidden, activation=shape.activations[0], kernel_initializer=kernel)]


def _dense_shapes(recipe: AutoencoderRecipe) -> list[tuple[int, ...]]:
    return layers.dense_shapes((recipe.dataset.shape.size, require_network(recipe).hidden))


BODIES: dict[str, Body] = {
    "conv": Body(_conv, _conv_shapes, _count_conv_features),
    "dense": Body(_dense, _dense_shapes, lambda recipe: require_network(recipe).hidden),
}
