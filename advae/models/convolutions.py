"""Convolutional layers: the coder of an autoencoder with ``--body conv``, and the stack of the classifier cnn.

Images come and go flat, (n, d); the layers reshape them. Only convolutions know height, width and channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from advae.models import layers

if TYPE_CHECKING:
    from advae.records import Activations, ImageShape

    Shapes = list[tuple[int, ...]]

WINDOW, STRIDES = 4, 2
"""Side of a filter in pixels, and stride, of the convolutions that halve the image."""

CODE_WINDOW = 3
"""Side of the filters around the code, in pixels."""


def filter_shapes(window: int, counts: Sequence[int]) -> Shapes:
    """Return the shapes of the weights of convolutions in a row. counts: channels before, and of each."""
    return [shape for before, n in pairwise(counts) for shape in ((window, window, before, n), (n,))]


def halve(shape: ImageShape, times: int) -> tuple[int, int]:
    """Return height and width after convolutions that halve the image, rounding up."""
    height, width = shape.height, shape.width
    for _ in range(times):
        height, width = -(-height // STRIDES), -(-width // STRIDES)
    return height, width


def _filters(count: int, window: int, strides: int, activation: str, seed: int, *, up: bool = False) -> Any:
    """Return an untrained convolution, weights by He et al. 2015. up: it doubles the image instead."""
    from keras import initializers
    from keras import layers as stock

    kind = stock.Conv2DTranspose if up else stock.Conv2D
    start = initializers.HeUniform(seed=seed)
    return kind(count, window, strides=strides, padding="same", activation=activation, kernel_initializer=start)


# ---------------------------------------------------------------- autoencoders


@dataclass(frozen=True)
class ConvolutionalCoder:
    """An encoder that halves the image twice, and a decoder that mirrors it.

    The code has a place for each 4 x 4 pixels. Encoder: filters hidden/2, hidden, then ``code`` channels at each place.
    Decoder: filters hidden, hidden/2, image.
    """

    shape: ImageShape
    """Height, width and channels of an image."""
    hidden: int
    """Filters of the inner convolutions; the outer ones have half as many."""
    code: int
    """Channels of the code at each place."""
    activations: Activations
    """Of the filters, the code, the decoder's filters and the output."""
    numbers_per_code: int = 1
    """Outputs of the encoder for each number of the code, 2 for mean and variance."""

    @property
    def places(self) -> tuple[int, int]:
        """Rows and columns of the code."""
        return halve(self.shape, 2)

    @property
    def outer(self) -> int:
        """Filters of the outer convolutions."""
        return -(-self.hidden // 2)

    def list_shapes(self) -> tuple[Shapes, Shapes]:
        """Return the shapes of the weights of encoder and decoder."""
        channels, (outer, hidden) = self.shape.channels, (self.outer, self.hidden)
        made = self.code * self.numbers_per_code
        # The kernel of a transposed convolution has its outputs before its inputs.
        up = [shape for into, n in ((hidden, outer), (outer, channels)) for shape in ((WINDOW, WINDOW, n, into), (n,))]
        return (
            filter_shapes(WINDOW, (channels, outer, hidden)) + filter_shapes(CODE_WINDOW, (hidden, made)),
            filter_shapes(CODE_WINDOW, (self.code, hidden)) + up,
        )

    def count_code(self) -> int:
        """Return how many numbers the code has, all places together."""
        return self.code * math.prod(self.places)

    def count_products(self) -> float:
        """Return how many multiplications one image takes."""
        outer, inner = (math.prod(halve(self.shape, times)) for times in (1, 2))
        doubled = inner * STRIDES**2
        encoder, decoder = ([math.prod(kernel) for kernel in shapes[::2]] for shapes in self.list_shapes())
        down = encoder[0] * outer + (encoder[1] + encoder[2]) * inner
        return float(down + (decoder[0] + decoder[1]) * inner + decoder[2] * doubled)

    def build(self, seed: int) -> tuple[Any, Any]:
        """Return the untrained encoder, (n, d) -> (n, numbers of the code), and decoder, back again."""
        import keras
        from keras import layers as stock

        first, code, second, output = self.activations
        seeds = layers.derive_seeds(seed, 6)
        (rows, columns), shape = self.places, self.shape
        encoder = [
            stock.Reshape(tuple(shape)),
            _filters(self.outer, WINDOW, STRIDES, first, seeds[0]),
            _filters(self.hidden, WINDOW, STRIDES, first, seeds[1]),
            _filters(self.code * self.numbers_per_code, CODE_WINDOW, 1, code, seeds[2]),
            # Channels first, so that the halves of the flat code are means and variances.
            stock.Permute((3, 1, 2)),
            stock.Flatten(),
        ]
        decoder = [
            stock.Reshape((self.code, rows, columns)),
            stock.Permute((2, 3, 1)),
            _filters(self.hidden, CODE_WINDOW, 1, second, seeds[3]),
            _filters(self.outer, WINDOW, STRIDES, second, seeds[4], up=True),
            _filters(shape.channels, WINDOW, STRIDES, output, seeds[5], up=True),
            *self._crop(),
            stock.Flatten(),
        ]
        return (
            keras.Sequential([keras.Input((shape.size,)), *encoder]),
            keras.Sequential([keras.Input((self.code * rows * columns,)), *decoder]),
        )

    def _crop(self) -> Iterator[Any]:
        """Yield the layer that removes the rows and columns that rounding up has added."""
        from keras import layers as stock

        more = [STRIDES**2 * n - side for n, side in zip(self.places, self.shape, strict=False)]
        if any(more):
            yield stock.Cropping2D(tuple((0, n) for n in more))


# ---------------------------------------------------------------- a classifier


@dataclass(frozen=True)
class ConvolutionalStack:
    """Two or three convolutions, the last two of which halve the image, a dense layer, and one logit for each class."""

    shape: ImageShape
    """Height, width and channels of an image."""
    filters: tuple[int, ...]
    """Filters of each convolution."""
    hidden: int
    """Units of the dense layer."""
    classes: int
    """Number of classes."""
    activation: str
    """Activation between the layers."""

    def list_shapes(self) -> Shapes:
        """Return the shapes of the weights."""
        dense = layers.dense_shapes((self._count_features(), self.hidden, self.classes))
        counts = (self.shape.channels, *self.filters)
        start = filter_shapes(CODE_WINDOW, counts[:-2])
        return start + filter_shapes(WINDOW, counts[-3:]) + dense

    def count_products(self) -> float:
        """Return how many multiplications one image takes."""
        kernels = [math.prod(kernel) for kernel in self.list_shapes()[::2]]
        places = [math.prod(halve(self.shape, times)) for times in (0, 1, 2)][-len(self.filters) :]
        return float(sum(map(math.prod, zip(kernels, (*places, 1, 1), strict=True))))

    def build(self, seed: int) -> Any:
        """Return the untrained network, (n, d) -> (n, classes), as a keras.Sequential."""
        import keras
        from keras import initializers
        from keras import layers as stock

        seeds = layers.derive_seeds(seed, 5)
        kinds = ((CODE_WINDOW, 1), (WINDOW, STRIDES), (WINDOW, STRIDES))[-len(self.filters) :]
        filters = [
            _filters(count, *kind, self.activation, one)
            for count, kind, one in zip(self.filters, kinds, seeds, strict=False)
        ]
        dense = [
            stock.Dense(units, activation=activation, kernel_initializer=initializers.HeUniform(seed=one))
            for units, activation, one in ((self.hidden, self.activation, seeds[3]), (self.classes, "linear", seeds[4]))
        ]
        start = [keras.Input((self.shape.size,)), stock.Reshape(tuple(self.shape))]
        return keras.Sequential([*start, *filters, stock.Flatten(), *dense])

    def _count_features(self) -> int:
        return math.prod(halve(self.shape, 2)) * self.filters[-1]
