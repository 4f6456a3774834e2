"""The table BASELINES: purifiers that are no autoencoders, to compare autoencoders with; and the simplest of them.

If a blur, a projection or a threshold raises the robust accuracy as much as an autoencoder, then the autoencoder's
training has added no robustness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.errors import UsageError
from advae.models import layers, outside_the_graph, squeezing
from advae.models.baseline_kind import CODE, BaselineKind
from advae.models.blurring import blur_matrix, make_blur
from advae.models.contracts import Purifier
from advae.models.model_kinds import Option, OwnOptions

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import AutoencoderRecipe, FloatArray, ImageShape

# ---------------------------------------------------------------- blur


def compute_blur(recipe: AutoencoderRecipe, x: FloatArray) -> Arrays:
    """Return the matrices of the blur; they do not depend on the images."""
    sigma = float(recipe.options["sigma"])
    return {name: blur_matrix(side, sigma) for name, (side, _) in _list_kernels(recipe).items()}


def _list_kernels(recipe: AutoencoderRecipe) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the matrices of the blur: one for a square image, else one for each direction."""
    height, width, _ = recipe.dataset.shape
    sides = {"kernel": height} if height == width else {"kernel": height, "across": width}
    return {name: (side, side) for name, side in sides.items()}


def build_blur(recipe: AutoencoderRecipe, arrays: Arrays) -> Purifier:
    """Return the blur as a linear map, G X G^T for each channel X."""
    return Purifier(make_blur(recipe.dataset.shape, arrays["kernel"], arrays.get("across", arrays["kernel"])))


def _check_blur(options: OwnOptions, shape: ImageShape) -> None:
    side = max(shape.height, shape.width)
    if not 0 < float(options["sigma"]) <= side:
        raise UsageError(f"bad --sigma {options['sigma']}: above 0, at most {side}, the side of an image")


# ---------------------------------------------------------------- pca


def compute_pca(recipe: AutoencoderRecipe, x: FloatArray) -> Arrays:
    """Return mean and first principal components of the training images, (d,) and (code size, d)."""
    import numpy as np

    size, (n, d) = int(recipe.options[CODE]), x.shape
    mean = x.mean(axis=0, dtype=np.float64)
    if n < d:
        vectors = np.linalg.svd(x - mean, full_matrices=False)[2]
    else:
        # In parts, to avoid a float64 copy of all images. The largest eigenvalue of eigh is the last.
        parts = (x[first : first + ROWS] - mean for first in range(0, n, ROWS))
        vectors = np.linalg.eigh(sum(part.T @ part for part in parts))[1].T[::-1]
    return {"mean": mean.astype(np.float32), "components": vectors[:size].astype(np.float32, order="C")}


ROWS = 10_000
"""Images of one part."""


def build_pca(recipe: AutoencoderRecipe, arrays: Arrays) -> Purifier:
    """Return the projection on the components, clipped to [0, 1]: an encoder and a decoder that are both linear."""
    from keras import ops

    mean, components = arrays["mean"], arrays["components"]
    size, pixels = components.shape
    stack = layers.dense_stack((pixels, size, pixels), ("linear", "linear"), seed=0)
    stack.set_weights([components.T, -components @ mean, components, mean])
    encode, decode = stack.layers
    return Purifier(lambda x: ops.clip(stack(x), 0.0, 1.0), clips=True, encode=encode, decode=decode)


def _check_pca(options: OwnOptions, shape: ImageShape) -> None:
    size = options[CODE]
    if not (type(size) is int and 1 <= size <= shape.size):
        raise UsageError(f"bad --code-size {size}: at most {shape.size} components for images of {shape}")


# ---------------------------------------------------------------- binary


def build_binary(recipe: AutoencoderRecipe, arrays: Arrays) -> Purifier:
    """Return the step function: 1 above the threshold, else 0. Its gradient is zero, not None."""
    from keras import ops

    threshold = float(recipe.options["threshold"])
    return Purifier(lambda x: ops.relu(ops.sign(x - threshold)), differentiable=False)


def _check_binary(options: OwnOptions, shape: ImageShape) -> None:
    from advae.requests import suggest_scale

    if not 0 < float(options["threshold"]) < 1:
        raise UsageError(
            f"bad --threshold {options['threshold']}: between 0 and 1{suggest_scale(float(options['threshold']), 1)}"
        )


# ---------------------------------------------------------------- the table

JPEG_PRODUCTS, TV_PRODUCTS = 100, 20_000
"""By their times beside a network's, not counted."""


def _compute_nothing(recipe: AutoencoderRecipe, x: FloatArray) -> Arrays:
    return {}


def _list_nothing(recipe: AutoencoderRecipe) -> dict[str, tuple[int, ...]]:
    return {}


BASELINES: dict[str, BaselineKind] = {
    "blur": BaselineKind(
        "baseline: Gaussian blur",
        compute_blur,
        _list_kernels,
        build_blur,
        _check_blur,
        {"sigma": Option(1.0, "Width of the Gaussian in pixels")},
        affine=True,
    ),
    "pca": BaselineKind(
        "baseline: --code-size principal components",
        compute_pca,
        lambda recipe: {
            "mean": (recipe.dataset.shape.size,),
            "components": (int(recipe.options[CODE]), recipe.dataset.shape.size),
        },
        build_pca,
        _check_pca,
        has_code=True,
    ),
    "binary": BaselineKind(
        "baseline: black or white; not differentiable",
        _compute_nothing,
        _list_nothing,
        build_binary,
        _check_binary,
        {"threshold": Option(0.5, "Grey value in (0, 1) above which a pixel becomes white")},
    ),
    "bit-depth": BaselineKind(
        "baseline: fewer grey values",
        _compute_nothing,
        _list_nothing,
        squeezing.build_bit_depth,
        squeezing.check_bits,
        squeezing.BIT_OPTIONS,
        defaults=squeezing.choose_bits,
        expected=False,
    ),
    "median": BaselineKind(
        "baseline: median of the pixels around",
        _compute_nothing,
        _list_nothing,
        squeezing.build_median,
        squeezing.check_window,
        squeezing.MEDIAN_OPTIONS,
        expected=False,
    ),
    "jpeg": BaselineKind(
        "baseline: JPEG compression",
        _compute_nothing,
        _list_nothing,
        outside_the_graph.build_jpeg,
        outside_the_graph.check_quality,
        outside_the_graph.QUALITY_OPTIONS,
        in_graph=False,
        expected=False,
        products=JPEG_PRODUCTS,
    ),
    "total-variation": BaselineKind(
        "baseline: smooth areas, sharp edges",
        _compute_nothing,
        _list_nothing,
        outside_the_graph.build_total_variation,
        outside_the_graph.check_tv_weight,
        outside_the_graph.TV_OPTIONS,
        in_graph=False,
        expected=False,
        products=TV_PRODUCTS,
        require=outside_the_graph.load_denoiser,
    ),
}
