"""Baselines that other libraries compute, in NumPy and not in TensorFlow's graph: JPEG, and total variation.

They have no gradient here, so that an adaptive attacker takes another's (BPDA): that of the identity, or of a blur. XLA
cannot compile them, no file of Keras can hold them, and no bounds pass through them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

from advae.errors import UsageError
from advae.models.blurring import blur_matrix, make_blur
from advae.models.contracts import Purifier
from advae.models.model_kinds import Option, OwnOptions

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import AutoencoderRecipe, FloatArray, ImageShape

INSTALL_FILTERS = 'pip install "advae[filters]"'


def wrap_outside(purify: Callable[[FloatArray], FloatArray], shape: ImageShape) -> Purifier:
    """Return a purifier of a function of arrays: float32 (n, h, w, c) in [0, 1] -> the same shape and range."""
    # Not imported when a command starts.
    from advae.models.added.score_process import wrap_numpy

    def run(x: FloatArray) -> FloatArray:
        import numpy as np

        purified: FloatArray = purify(x.reshape(-1, *shape)).reshape(-1, shape.size)
        return np.clip(purified, 0.0, 1.0, out=purified)

    return Purifier(wrap_numpy(run, shape.size), differentiable=False)


# ---------------------------------------------------------------- JPEG

QUALITY = 75
"""Pillow's default, and that of Guo et al. 2018, arXiv:1711.00117."""

QUALITY_OPTIONS = {"quality": Option(QUALITY, "JPEG quality, 1 to 100")}

JPEG_BLOCK = 8
"""Side of the blocks that JPEG transforms."""

LONGEST_STACK, LARGEST_STACK = 60_000, 1 << 22
"""Most rows, and most pixels, of the picture that grey images are stacked to; JPEG has at most 65,500 rows."""


def build_jpeg(recipe: AutoencoderRecipe, arrays: Arrays) -> Purifier:
    """Return the image after JPEG compression: rounded to 8 bits, written by Pillow, and read again.

    Chroma of colour images has half the resolution in both directions, as Pillow's default is. Guo et al. 2018,
    arXiv:1711.00117; first Dziugaite et al. 2016, arXiv:1608.00853.
    """
    shape, quality = recipe.dataset.shape, int(recipe.options["quality"])

    def compress(images: FloatArray) -> FloatArray:
        import numpy as np

        pixels = np.rint(np.clip(np.nan_to_num(images), 0, 1) * 255).astype(np.uint8)
        written = _stack_and_compress(pixels[..., 0], quality) if shape.is_grey else _compress_each(pixels, quality)
        found: FloatArray = written.reshape(images.shape).astype(np.float32) / np.float32(255)
        return found

    return wrap_outside(compress, shape)


def _stack_and_compress(images: Any, quality: int) -> Any:
    """Return grey images, uint8 (n, h, w), after the compression of many of them as one picture.

    It is that of each image alone, because grey JPEG treats each block of 8 x 8 by itself, and fills the last blocks
    with the pixels of the border. It takes a tenth of the time.
    """
    import numpy as np

    n, height, width = images.shape
    padded = np.pad(images, ((0, 0), (0, -height % JPEG_BLOCK), (0, -width % JPEG_BLOCK)), mode="edge")
    _, high, wide = padded.shape
    size = max(1, min(LONGEST_STACK // high, LARGEST_STACK // (high * wide)))
    parts = [
        _compress(padded[first : first + size].reshape(-1, wide), quality).reshape(-1, high, wide)
        for first in range(0, n, size)
    ]
    return np.concatenate(parts)[:, :height, :width] if parts else images


def _compress_each(images: Any, quality: int) -> Any:
    """Return colour images, uint8 (n, h, w, 3), each compressed alone: chroma depends on neighbouring blocks."""
    import numpy as np

    return np.stack([_compress(image, quality) for image in images]) if len(images) else images


def _compress(pixels: Any, quality: int) -> Any:
    """Return a picture, uint8 (h, w) or (h, w, 3), as it is read from the JPEG that Pillow writes of it."""
    import numpy as np
    from PIL import Image

    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    with Image.open(stream, formats=("JPEG",)) as read:
        return np.asarray(read)


def check_quality(options: OwnOptions, shape: ImageShape) -> None:
    """Raise UsageError for an impossible quality."""
    quality = options["quality"]
    if not (type(quality) is int and 1 <= quality <= 100):
        raise UsageError(f"bad --quality {quality}: a whole number from 1 to 100")


# ---------------------------------------------------------------- total variation

TV_WEIGHT = 0.1
"""Default of scikit-image."""

TV_OPTIONS = {"tv_weight": Option(TV_WEIGHT, "Weight of the total variation; more of it removes more")}

STAND_IN_SIGMA = 1.0
"""Width of the blur, in pixels, whose derivative takes the place of the missing one. On 100 images of MNIST the robust
accuracy under PGD at 0.1 is 30 % with a width of 1 or 2, and 43 % with the identity."""

LARGEST_TV_WEIGHT = 100.0
"""Far more than enough to make any image one grey."""


def load_denoiser() -> Callable[..., FloatArray]:
    """Return scikit-image's denoise_tv_chambolle. Raises UsageError where scikit-image is not installed."""
    try:
        from skimage.restoration import denoise_tv_chambolle
    except ImportError as error:
        raise UsageError(f"--type total-variation needs scikit-image ({error}): {INSTALL_FILTERS}") from None
    found: Callable[..., FloatArray] = denoise_tv_chambolle
    return found


def build_total_variation(recipe: AutoencoderRecipe, arrays: Arrays) -> Purifier:
    """Return the image that is near x and has little total variation, by scikit-image's denoise_tv_chambolle.

    Each channel by itself, with the function's own tolerance and number of iterations. Rudin, Osher, Fatemi 1992 by
    the algorithm of Chambolle 2004; as a defence Guo et al. 2018, arXiv:1711.00117, who also drop pixels at random.
    BPDA takes the derivative of a blur: it removes fine patterns, as this does, and the identity's finds mostly such.
    Raises UsageError where scikit-image is not installed.
    """
    denoise = load_denoiser()
    weight = float(recipe.options["tv_weight"])

    def smooth(images: FloatArray) -> FloatArray:
        import numpy as np

        found = np.empty_like(images)
        for place, image in enumerate(images):
            found[place] = denoise(image, weight=weight, channel_axis=-1)
        return found

    shape = recipe.dataset.shape
    kernels = [blur_matrix(side, STAND_IN_SIGMA) for side in (shape.height, shape.width)]
    return replace(wrap_outside(smooth, shape), stand_in=make_blur(shape, *kernels))


def check_tv_weight(options: OwnOptions, shape: ImageShape) -> None:
    """Raise UsageError for an impossible weight."""
    weight = float(options["tv_weight"])
    if not (math.isfinite(weight) and 0 < weight <= LARGEST_TV_WEIGHT):
        raise UsageError(f"bad --tv-weight {weight}: above 0, at most {LARGEST_TV_WEIGHT:g}")
