"""The table BASELINES: purifiers that are no autoencoders, to compare autoencoders with.

If a blur, a projection or a threshold raises the robust accuracy as much as an autoencoder, then the autoencoder's
training has added no robustness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from advae.batching import Tensor
from advae.errors import CorruptError, UsageError
from advae.models import layers
from advae.models.contracts import Purifier
from advae.models.layers import Weight, Weights
from advae.models.model_kinds import (
    Choices,
    Option,
    OwnOptions,
    TrainingData,
    fill_in_options,
    refuse_impossible,
    require_own_options,
)

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import AutoencoderRecipe, Dataset, FloatArray, ImageShape
    from advae.requests import AutoencoderRequest

ULP = 2.0**-24
"""Largest relative rounding error of one float32 operation."""


@dataclass(frozen=True)
class BaselineKind:
    """A row of BASELINES: no network, nothing is trained, and the output is in [0, 1] without rescaling."""

    summary: str
    """One line for ``--help``."""
    compute: Callable[[AutoencoderRecipe, FloatArray], Arrays]
    """(recipe, training images) -> the arrays that are stored, float32."""
    shapes: Callable[[AutoencoderRecipe], dict[str, tuple[int, ...]]]
    """Recipe -> the shapes of those arrays, by name."""
    build: Callable[[AutoencoderRecipe, Arrays], Purifier]
    """(recipe, arrays) -> the purifier."""
    check: Callable[[OwnOptions, ImageShape], None]
    """(options, shape of an image); raises UsageError for an impossible value."""
    options: Mapping[str, Option] = field(default_factory=dict)
    """The options that only this kind has, by name."""
    has_code: bool = False
    """Whether the kind takes ``--code-size``, which is then one of the recipe's options."""
    affine: bool = False
    """Whether the output is affine in the image."""
    choose_head = None
    recipe_rev = 1

    def choose(self, request: AutoencoderRequest, dataset: Dataset) -> Choices:
        """Return the request with every default filled in. Raises UsageError for an impossible value."""
        _refuse_network_options(request, has_code=self.has_code)
        options = fill_in_options(self.options, request.options)
        if self.has_code:
            options[CODE] = _choose_code_size(request.network.code, dataset)
        self.check(options, dataset.ref.shape)
        return Choices(network=None, loss=None, rescale="none", options=options)

    def fit(self, recipe: AutoencoderRecipe, data: TrainingData) -> tuple[Arrays, None]:
        """Return the arrays; there are no epochs, so there is no history."""
        return self.compute(recipe, data.x), None

    def weights(self, recipe: AutoencoderRecipe) -> Weights:
        """Return the stored arrays, by name. Raises CorruptError for a recipe that ``choose`` cannot have made."""
        if (recipe.network, recipe.loss, recipe.rescale) != (None, None, "none"):
            raise CorruptError(f"the recipe of a baseline, {recipe.type}, has a network, a loss or rescaling")
        require_own_options(recipe, self.options, **({CODE: int} if self.has_code else {}))
        with refuse_impossible():
            self.check(recipe.options, recipe.dataset.shape)
        return {name: Weight(shape) for name, shape in self.shapes(recipe).items()}

    def restore(self, recipe: AutoencoderRecipe, arrays: Arrays, precision: str) -> Purifier:
        """Return the purifier, in float32 whatever the precision: no baseline has wide layers.

        Raises CorruptError for an impossible recipe or other arrays.
        """
        layers.require_weights(self.weights(recipe), arrays)
        return self.build(recipe, arrays)

    def count_products(self, recipe: AutoencoderRecipe) -> float:
        """Return more multiplications than most baselines take: it is never the largest part of a pipeline."""
        return float(recipe.dataset.shape.size * len(recipe.dataset.classes))

    def count_passes(self, recipe: AutoencoderRecipe) -> float:
        """Return 0: nothing is trained."""
        return 0.0


CODE = "code_size"
"""Name of the code's size among the options of a baseline; a network's recipe has it among the sizes of layers."""


def _refuse_network_options(request: AutoencoderRequest, *, has_code: bool) -> None:
    """Raise UsageError for an option of a network, of its training or of its output."""
    given = [name for name in request.network.model_fields_set if getattr(request.network, name) is not None]
    names = {"hidden": "hidden-size", "code": "code-size"}
    refused = {names.get(name, name.replace("_", "-")) for name in given if not (has_code and name == "code")}
    if request.loss is not None:
        refused.add("loss")
    if refused:
        raise UsageError(f"--{min(refused)} does not fit --type {request.type}, a baseline: it has no network")
    if request.rescale not in (None, "none"):
        raise UsageError(
            f"--rescale {request.rescale} does not fit --type {request.type}, a baseline: its output is in [0, 1]"
        )


# ---------------------------------------------------------------- blur


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
    from keras import ops

    kernel, across = arrays["kernel"], arrays.get("across", arrays["kernel"])
    (height, width, channels), size = recipe.dataset.shape, recipe.dataset.shape.size

    def blur(x: Tensor) -> Tensor:
        images = ops.reshape(x, (-1, height, width) if channels == 1 else (-1, height, width, channels))
        if channels > 1:
            images = ops.moveaxis(images, -1, 1)
        blurred = ops.matmul(ops.matmul(kernel, images), across.T)
        if channels > 1:
            blurred = ops.moveaxis(blurred, 1, -1)
        # Needed on hardware whose products are less precise than float32.
        return ops.clip(ops.reshape(blurred, (-1, size)), 0.0, 1.0)

    return Purifier(blur)


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
    return Purifier(lambda x: ops.clip(stack(x), 0.0, 1.0), clips=True)


def _choose_code_size(given: int | None, dataset: Dataset) -> int:
    """Return the number of components: the given one, else the autoencoders' default code size. Raises UsageError."""
    n, pixels = dataset.x_train.shape
    size = min(layers.default_code_size(dataset.ref.shape), n) if given is None else given
    if size > n:
        raise UsageError(f"bad --code-size {size}: at most {min(n, pixels)} components for {n} images")
    return size


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

BASELINES: dict[str, BaselineKind] = {
    "blur": BaselineKind(
        "a baseline, no autoencoder: Gaussian blur",
        compute_blur,
        _list_kernels,
        build_blur,
        _check_blur,
        {"sigma": Option(1.0, "Width of the Gaussian in pixels")},
        affine=True,
    ),
    "pca": BaselineKind(
        "a baseline, no autoencoder: projection on --code-size principal components",
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
        "a baseline, no autoencoder: black or white; not differentiable",
        lambda recipe, x: {},
        lambda recipe: {},
        build_binary,
        _check_binary,
        {"threshold": Option(0.5, "Grey value in (0, 1) above which a pixel becomes white")},
    ),
}
