"""What corrupts the input of a denoising autoencoder, and the table NOISES. All are (x, level, seed) -> x_tilde."""

from __future__ import annotations

from collections.abc import Callable

from advae.batching import Tensor


def add_gaussian_noise(x: Tensor, level: float, seed: Tensor) -> Tensor:
    """Return x plus noise of standard deviation ``level``, clipped to [0, 1]."""
    import tensorflow as tf

    return tf.clip_by_value(x + level * tf.random.stateless_normal(tf.shape(x), seed), 0.0, 1.0)


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
