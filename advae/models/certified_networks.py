"""The networks of a certified autoencoder, and their initial weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from advae.batching import Tensor
from advae.models import layers
from advae.models.autoencoder_networks import (
    CONV,
    DENSE,
    count_dense_products,
    describe_coder,
    list_sizes,
    require_network,
)
from advae.models.layers import Weights

if TYPE_CHECKING:
    from advae.records import AutoencoderRecipe, ImageShape

    Shapes = list[tuple[int, ...]]

THRESHOLD, NONE = "threshold", "none"

HEAD_FILTERS, HEAD_HIDDEN = (32, 64), 128
"""Filters of the two convolutions of the classifier that is trained along, and units of its dense layer."""

CODER_HIDDEN, CODER_CODE = 32, 4
"""Filters of a convolutional body, and channels of its code at each place."""

SLOPE, DEFAULT_SLOPE = "slope", 20.0
"""The option of the threshold's initial slope, and its default, with which values from 0.475 to 0.525 stay grey."""


@dataclass(frozen=True)
class CertifiedBody:
    """One choice of layers between the image and the purified image."""

    summary: str
    """What it is, in a few words."""
    build: Callable[[AutoencoderRecipe], tuple[Any, ...]]
    """Recipe -> networks, one behind the other, from (n, d) to (n, d) in [0, 1]."""
    list_shapes: Callable[[AutoencoderRecipe], tuple[Shapes, ...]]
    """Recipe -> the shapes of each network's weights."""
    count_products: Callable[[AutoencoderRecipe], float]
    """Recipe -> multiplications for one image."""
    has_code: bool
    """Whether the first network is an encoder and the second one a decoder."""
    choose_sizes: Callable[[ImageShape], tuple[int, int]]
    """Shape of an image -> default units, or filters, of the hidden layers, and numbers, or channels, of the code.
    Without a code the first is the size of the classifier's dense layer."""


def build_certified(recipe: AutoencoderRecipe) -> tuple[Any, ...]:
    """Return the untrained networks of a purifier, one behind the other; none where images stay as they are."""
    return find_certified_body(recipe).build(recipe)


def list_certified_weights(recipe: AutoencoderRecipe) -> Weights:
    """Return the weights of those networks, by name, as they follow from the recipe; builds no network."""
    return layers.name_weights(*find_certified_body(recipe).list_shapes(recipe))


def find_certified_body(recipe: AutoencoderRecipe) -> CertifiedBody:
    """Return the layers that a recipe asks for."""
    return CERTIFIED_BODIES[str(recipe.options["body"])]


def compose(networks: Sequence[Any]) -> Callable[[Tensor], Tensor]:
    """Return x -> the output of the last network."""
    return lambda x: reduce(lambda value, network: network(value), networks, x)


def draw_initial_weights(networks: Iterable[Any], seed: int) -> None:
    """Set kernels to N(0, sqrt(2 pi) / fan_in), for which the bounds neither grow nor shrink from layer to layer.

    Shi et al. 2021, arXiv:2103.17268, section 3.1. With the usual initial weights they grow by orders of magnitude.
    """
    import keras
    import numpy as np

    rng = np.random.default_rng([seed, 1])
    for layer in (layer for network in networks for layer in network.layers if hasattr(layer, "kernel")):
        shape = tuple(layer.kernel.shape)
        # The kernel of a transposed convolution has its outputs before its inputs.
        inputs = shape[:-2] + shape[-1:] if isinstance(layer, keras.layers.Conv2DTranspose) else shape[:-1]
        deviation = math.sqrt(2 * math.pi) / math.prod(inputs)
        layer.kernel.assign(rng.normal(0.0, deviation, shape).astype(np.float32))


OUTPUT_SLOPE = 8.0
"""Initial slope of the output layer's input in a body with a code: a sigmoid of 8 x - 4 goes from 0.02 to 0.98."""


def draw_selections(networks: Sequence[Any], seed: int) -> None:
    """Set kernels so that each output is one of its inputs, drawn at random; the last layer's go through a steep line.

    The bounds of a selection are as wide as those of what is selected, and so is the signal, however many layers there
    are. Behind small random weights the signal of an autoencoder vanishes before the bounds do.
    """
    import keras
    import numpy as np

    rng = np.random.default_rng([seed, 2])
    weighted = [layer for network in networks for layer in network.layers if hasattr(layer, "kernel")]
    for layer in weighted:
        up = isinstance(layer, keras.layers.Conv2DTranspose)
        slope = OUTPUT_SLOPE if layer is weighted[-1] else 1.0
        shape = tuple(layer.kernel.shape)
        # The kernel of a transposed convolution has its outputs before its inputs; each pixel gets the sum of 2 x 2.
        rows = np.zeros((math.prod(shape[:-1]), shape[-1]) if up else (shape[-1], math.prod(shape[:-1])), np.float32)
        rows[np.arange(len(rows)), rng.integers(rows.shape[1], size=len(rows))] = slope / 4 if up else slope
        layer.kernel.assign((rows if up else rows.T).reshape(shape))
        layer.bias.assign(np.full(layer.bias.shape, -slope / 2 if slope > 1 else 0.0, np.float32))


# ---------------------------------------------------------------- the bodies


def _build_threshold(recipe: AutoencoderRecipe) -> tuple[Any, ...]:
    import keras
    import numpy as np
    from keras import layers as stock

    shape, slope = recipe.dataset.shape, float(recipe.options.get(SLOPE, DEFAULT_SLOPE))
    line = stock.Conv2D(shape.channels, 1)
    network = keras.Sequential(
        [
            keras.Input((shape.size,)),
            stock.Reshape(tuple(shape)),
            line,
            stock.ReLU(max_value=1.0),
            stock.Flatten(),
        ]
    )
    kernel = slope * np.eye(shape.channels, dtype=np.float32)
    # Grey of one half stays as it is.
    line.set_weights([kernel[None, None], np.full(shape.channels, (1 - slope) / 2, np.float32)])
    return (network,)


def _list_threshold_shapes(recipe: AutoencoderRecipe) -> tuple[Shapes, ...]:
    channels = recipe.dataset.shape.channels
    return ([(1, 1, channels, channels), (channels,)],)


def _build_coder(recipe: AutoencoderRecipe) -> tuple[Any, ...]:
    built = describe_coder(recipe).build(recipe.seed)
    draw_selections(built, recipe.seed)
    return built


def _build_dense(recipe: AutoencoderRecipe) -> tuple[Any, ...]:
    first, code, second, output = require_network(recipe).activations
    encoder, decoder = list_sizes(recipe)
    built = tuple(
        layers.dense_stack(sizes, names, seed=recipe.seed)
        for sizes, names in ((encoder, (first, code)), (decoder, (second, output)))
    )
    draw_selections(built, recipe.seed)
    return built


CERTIFIED_BODIES: dict[str, CertifiedBody] = {
    THRESHOLD: CertifiedBody(
        "a threshold for each pixel, which is learned",
        _build_threshold,
        _list_threshold_shapes,
        lambda recipe: float(recipe.dataset.shape.size * recipe.dataset.shape.channels),
        has_code=False,
        choose_sizes=lambda shape: (HEAD_HIDDEN, 1),
    ),
    CONV: CertifiedBody(
        "a convolutional autoencoder with a code of rows and columns",
        _build_coder,
        lambda recipe: describe_coder(recipe).list_shapes(),
        lambda recipe: describe_coder(recipe).count_products(),
        has_code=True,
        choose_sizes=lambda shape: (CODER_HIDDEN, CODER_CODE),
    ),
    DENSE: CertifiedBody(
        "a dense autoencoder",
        _build_dense,
        lambda recipe: tuple(map(layers.dense_shapes, list_sizes(recipe))),
        count_dense_products,
        has_code=True,
        choose_sizes=lambda shape: (layers.default_hidden_size(shape), layers.default_code_size(shape)),
    ),
    NONE: CertifiedBody(
        "no purifier, to see what it brings",
        lambda recipe: (),
        lambda recipe: (),
        lambda recipe: 0.0,
        has_code=False,
        choose_sizes=lambda shape: (HEAD_HIDDEN, 1),
    ),
}
"""The values of ``--body``."""
