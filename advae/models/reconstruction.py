"""The table RECONSTRUCTION_LOSSES, each per image and summed over pixels, and penalties on the code."""

from __future__ import annotations

from collections.abc import Callable

from advae.batching import Tensor
from advae.errors import UsageError, unknown


def _categorical_crossentropy(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Return Keras' cross-entropy, which ignores the scale of the reconstruction (hence ``--rescale``)."""
    import keras

    return keras.losses.categorical_crossentropy(x, reconstruction)


def _binary_crossentropy(x: Tensor, reconstruction: Tensor) -> Tensor:
    import keras

    return keras.losses.binary_crossentropy(x, reconstruction) * x.shape[-1]


def _squared_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    import tensorflow as tf

    return tf.reduce_sum(tf.square(x - reconstruction), axis=-1)


RECONSTRUCTION_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "categorical-crossentropy": _categorical_crossentropy,
    "binary-crossentropy": _binary_crossentropy,
    "squared-error": _squared_error,
}


def choose_loss(given: str | None, default: str) -> str:
    """Return the name of the loss that was given, else the default. Raises UsageError for an unknown name."""
    loss = given or default
    if loss not in RECONSTRUCTION_LOSSES:
        raise UsageError(unknown("loss", loss, RECONSTRUCTION_LOSSES))
    return loss


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return the mean of per-image values, (n,), over those whose weight is 1; the others are padding."""
    import tensorflow as tf

    return tf.reduce_sum(values * weights) / tf.reduce_sum(weights)


def kl_sparsity(mean_activation: Tensor, rho: float) -> Tensor:
    """Return sum_j KL(rho || rho_hat_j) of Bernoulli variables. mean_activation: (code,), in (0, 1).

    Ng, CS294A lecture notes, Sparse autoencoder; the paper's section 5.3.
    """
    import tensorflow as tf

    # A unit whose activation is 0 for a whole batch would make the logarithm infinite.
    rho_hat = tf.clip_by_value(mean_activation, 1e-6, 1 - 1e-6)
    off = (1 - rho) * tf.math.log((1 - rho) / (1 - rho_hat))
    return tf.reduce_sum(rho * tf.math.log(rho / rho_hat) + off)


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, exp(log_variance)) || N(0, I)) for each sample, (n, code) -> (n,).

    Kingma and Welling 2014, arXiv:1312.6114, appendix B.
    """
    import tensorflow as tf

    return 0.5 * tf.reduce_sum(tf.square(mean) + tf.exp(log_variance) - 1.0 - log_variance, axis=-1)
