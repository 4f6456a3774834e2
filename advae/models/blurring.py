"""A Gaussian blur of images as a linear map."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from advae.batching import Tensor

if TYPE_CHECKING:
    from advae.records import FloatArray, ImageShape

ULP = 2.0**-24
"""Largest relative rounding error of one float32 operation."""


def blur_matrix(side: int, sigma: float) -> FloatArray:
    """Return G, float32 (side, side): G X G^T is the image X blurred by a Gaussian of ``sigma`` pixels.

    Each row is normalised, at the border over the existing pixels, so that a constant image stays constant. The sum is
    1 minus the largest rounding error of the product, so that white stays below 1 and no clip removes its gradient.
    """
    import numpy as np

    # For a tiny sigma the distance overflows to infinity, and its weight is then 0.
    with np.errstate(over="ignore"):
        distances = (np.arange(side)[:, None] - np.arange(side)) / sigma
        weights = np.exp(-0.5 * distances**2)
    kernel: FloatArray = (weights / weights.sum(axis=1, keepdims=True) * (1 - (side + 2) * ULP)).astype(np.float32)
    return kernel


def make_blur(shape: ImageShape, kernel: FloatArray, across: FloatArray) -> Callable[[Tensor], Tensor]:
    """Return images, float32 (n, d), -> G X H^T for each channel X.

    kernel: G, float32 (height, height); across: H, float32 (width, width).
    """
    from keras import ops

    (height, width, channels), size = shape, shape.size

    def blur(x: Tensor) -> Tensor:
        images = ops.reshape(x, (-1, height, width) if channels == 1 else (-1, height, width, channels))
        if channels > 1:
            images = ops.moveaxis(images, -1, 1)
        blurred = ops.matmul(ops.matmul(kernel, images), across.T)
        if channels > 1:
            blurred = ops.moveaxis(blurred, 1, -1)
        # Needed on hardware whose products are less precise than float32.
        return ops.clip(ops.reshape(blurred, (-1, size)), 0.0, 1.0)

    return blur
