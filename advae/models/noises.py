"""Noise that models are trained on: the table NOISES, and purified noisy images for a classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from advae.batching import Tensor
from advae.models.contracts import Purifier


def add_unclipped_noise(x: Tensor, level: float, seed: Tensor) -> Tensor:
    """Return x plus noise of standard deviation ``level``, which may leave [0, 1]."""
    import tensorflow as tf

    return x + level * tf.random.stateless_normal(tf.shape(x), seed)


def add_gaussian_noise(x: Tensor, level: float, seed: Tensor) -> Tensor:
    """Return x plus noise of standard deviation ``level``, clipped to [0, 1]."""
    import tensorflow as tf

    return tf.clip_by_value(add_unclipped_noise(x, level, seed), 0.0, 1.0)


def mask_pixels(x: Tensor, level: float, seed: Tensor) -> Tensor:
    """Return x with a share ``level`` of the pixels set to 0."""
    import tensorflow as tf

    return tf.where(tf.random.stateless_uniform(tf.shape(x), seed) < level, 0.0, x)


def add_salt_and_pepper(x: Tensor, level: float, seed: Tensor) -> Tensor:
    """Return x with a share ``level`` of the pixels set to 0 or 1, half each."""
    import tensorflow as tf

    u = tf.random.stateless_uniform(tf.shape(x), seed)
    return tf.where(u < level / 2, 0.0, tf.where(u < level, 1.0, x))


NOISES: dict[str, Callable[[Tensor, float, Tensor], Tensor]] = {
    "gaussian": add_gaussian_noise,
    "masking": mask_pixels,
    "salt-and-pepper": add_salt_and_pepper,
}
"""Noise for the input of a denoising autoencoder: (x, level, seed) -> corrupted x."""


@dataclass(frozen=True)
class NoisyView:
    """What a classifier is shown in training in place of images: the images plus Gaussian noise, purified.

    The noise is added before the purifier and is not clipped, as in randomised smoothing (Salman et al. 2020,
    arXiv:2003.01908, section 4).
    """

    level: float
    """Standard deviation of the noise, in units of a pixel's range."""
    purify: Purifier | None = None
    """The purifier in front of the classifier; None for an undefended classifier."""

    def show(self, x: Tensor, seed: Tensor) -> Tensor:
        """Return the purified noisy images, without a gradient. x: (n, d); seed: int32 (2,), of noise and draw."""
        import tensorflow as tf

        noisy = add_unclipped_noise(x, self.level, seed)
        return tf.stop_gradient(noisy if self.purify is None else self.purify(noisy, seed[1]))
