"""What an attack climbs: losses over logits, and the table LOSSES. All are (labels, logits) -> (n,)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Tensor = Any


def cross_entropy(labels: Tensor, logits: Tensor) -> Tensor:
    """Return softmax cross-entropy.

    Where the logits are large, float32 rounds p to one-hot and the gradient to zero: the attack then stands still and
    the model looks robust. Carlini and Wagner 2017, arXiv:1608.04644, section V.
    """
    import tensorflow as tf

    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def scaled_cross_entropy(labels: Tensor, logits: Tensor) -> Tensor:
    """Return cross-entropy on logits divided by their largest magnitude, which cannot saturate.

    The divisor is under stop_gradient: it scales each sample's gradient and does not turn it.
    """
    import tensorflow as tf

    magnitude = tf.stop_gradient(tf.reduce_max(tf.abs(logits), axis=-1, keepdims=True))
    return cross_entropy(labels, tf.math.divide_no_nan(logits, magnitude))


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"scaled": scaled_cross_entropy, "ce": cross_entropy}
