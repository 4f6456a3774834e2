"""The two squeezers of Xu et al. 2018, arXiv:1704.01155, as baselines: fewer bits for a pixel, and a median filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.batching import Tensor
from advae.errors import UsageError
from advae.models.contracts import Purifier
from advae.models.model_kinds import Option, OwnOptions

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import AutoencoderRecipe, ImageShape

BITS, COLOUR_BITS = 1, 5
"""Bits of a pixel, and of each channel of a colour pixel: those of the paper's best detectors on MNIST and CIFAR-10."""

MOST_BITS = 8
"""Bits of a pixel of an ordinary image."""

WINDOW = 2
"""Side of the median's window in the paper's best detectors, on all three of its datasets."""

LARGEST_WINDOW = 5
"""The median of n pixels takes about n * n comparisons."""


# ---------------------------------------------------------------- bit depth

BIT_OPTIONS = {"bits": Option(BITS, "Bits of a pixel, 1 to 8", explained=f"{BITS}, colour {COLOUR_BITS}")}


def choose_bits(shape: ImageShape) -> OwnOptions:
    """Return the number of bits where none is given."""
    return {"bits": BITS if shape.is_grey else COLOUR_BITS}


def build_bit_depth(recipe: AutoencoderRecipe, arrays: Arrays) -> Purifier:
    """Return x rounded to 2^bits grey values at equal distances, 0 and 1 among them; section 4.1 of the paper.

    A value in the middle goes to the even one of its neighbours, as NumPy rounds. The gradient is zero.
    """
    from keras import ops

    steps = float(2 ** int(recipe.options["bits"]) - 1)
    return Purifier(lambda x: ops.round(x * steps) / steps, differentiable=False)


def check_bits(options: OwnOptions, shape: ImageShape) -> None:
    """Raise UsageError for an impossible number of bits."""
    bits = options["bits"]
    if not (type(bits) is int and 1 <= bits <= MOST_BITS):
        raise UsageError(f"bad --bits {bits}: a whole number from 1 to {MOST_BITS}")


# ---------------------------------------------------------------- median

MEDIAN_OPTIONS = {"window": Option(WINDOW, f"Side of the median's window in pixels, 2 to {LARGEST_WINDOW}")}


def build_median(recipe: AutoencoderRecipe, arrays: Arrays) -> Purifier:
    """Return the median over a square window, for each channel; section 4.2 of the paper.

    Of a window with an even side, the pixel is in the lower right quarter, and of the two middle values the larger one
    is taken. Beyond the border the image is reflected, the border's pixels included. All this is what
    ``scipy.ndimage.median_filter`` does, which the paper's code calls. The median is one of the pixels, and the
    gradient is that pixel's. It consists of minima and maxima, which interval bounds pass exactly.
    """
    from keras import ops

    shape, window = recipe.dataset.shape, int(recipe.options["window"])

    def median(x: Tensor) -> Tensor:
        images = ops.reshape(x, (-1, *shape))
        for axis in (1, 2):
            images = _reflect(images, axis, shape[axis - 1], window)
        shifts = [(i, j) for i in range(window) for j in range(window)]
        values = [images[:, i : i + shape.height, j : j + shape.width] for i, j in shifts]
        return ops.reshape(_select(values, len(values) // 2), (-1, shape.size))

    return Purifier(median)


def _reflect(images: Tensor, axis: int, side: int, window: int) -> Tensor:
    """Return images, (n, h, w, c), with as many rows or columns more as a window needs, mirrored at the border."""
    from keras import ops

    before, after = window // 2, window - 1 - window // 2

    def cut(first: int, last: int) -> Tensor:
        return images[:, first:last] if axis == 1 else images[:, :, first:last]

    parts = [*(cut(i, i + 1) for i in reversed(range(before))), images]
    return ops.concatenate([*parts, *(cut(side - 1 - i, side - i) for i in range(after))], axis=axis)


def _select(values: list[Tensor], rank: int) -> Tensor:
    """Return at each place the value of a rank, 0 for the smallest: the largest ones are moved to the end, one by one.

    Minima and maxima only, because a sort of so few values takes several times as long.
    """
    from keras import ops

    ranked = list(values)
    for last in range(len(ranked) - 1, rank - 1, -1):
        for i in range(last):
            ranked[i], ranked[i + 1] = ops.minimum(ranked[i], ranked[i + 1]), ops.maximum(ranked[i], ranked[i + 1])
    return ranked[rank]


def check_window(options: OwnOptions, shape: ImageShape) -> None:
    """Raise UsageError for an impossible window, and for one that reaches beyond the reflected image."""
    window, side = options["window"], min(shape.height, shape.width)
    largest = min(LARGEST_WINDOW, 2 * side + 1)
    if not (type(window) is int and 2 <= window <= largest):
        raise UsageError(f"bad --window {window}: a whole number from 2 to {largest}, in pixels")
