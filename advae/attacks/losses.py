"""Losses over logits that attacks maximise, and the table LOSSES. All are (labels, logits) -> (n,)."""

from __future__ import annotations

from collections.abc import Callable

from advae.batching import Tensor


def cross_entropy(labels: Tensor, logits: Tensor) -> Tensor:
    """Return softmax cross-entropy.

    Where the logits are large, float32 rounds p to one-hot and the gradient to zero: the attack then stands still and
    the model looks robust. Carlini and Wagner 2017, arXiv:1608.04644, section V.
    """
    import tensorflow as tf

    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


LEAD = 10.0
"""By how much the label may lead before its logits are scaled down: softmax then leaves 5e-5 to the others, which
float32 still tells from 0, and the gradient still points at the nearest of them."""


def scaled_cross_entropy(labels: Tensor, logits: Tensor) -> Tensor:
    """Return cross-entropy that cannot saturate: logits are divided so that the label leads by LEAD at most.

    Where it leads by less this is plain cross-entropy. The divisor is under stop_gradient: it scales each sample's
    gradient and does not turn it. Dividing by the largest magnitude instead does not saturate either, but flattens
    softmax until the gradient pulls towards all classes alike: on digits BIM at 0.1 then left 43 % instead of 23 %.
    """
    import tensorflow as tf

    lead = tf.stop_gradient(-margin_loss(labels, logits))
    return cross_entropy(labels, logits / tf.maximum(lead / LEAD, 1.0)[:, None])


def margin_loss(labels: Tensor, logits: Tensor) -> Tensor:
    """Return the largest other logit minus the label's: above 0 where the label is not predicted.

    Carlini and Wagner 2017, arXiv:1608.04644, f_6 without its lower end. It cannot saturate.
    """
    import tensorflow as tf

    own = tf.gather(logits, labels, axis=-1, batch_dims=1)
    others = tf.where(tf.one_hot(labels, logits.shape[-1], True, False, dtype=tf.bool), logits.dtype.min, logits)
    return tf.reduce_max(others, axis=-1) - own


NORMALISED = 3
"""From how many classes on ``dlr_loss`` is a ratio."""


def dlr_loss(labels: Tensor, logits: Tensor) -> Tensor:
    """Return the difference-of-logits-ratio loss: the margin divided by z_1 - z_3 of the sorted logits.

    Shift and scale of the logits do not move it. With two classes there is no third, and the margin divided by z_1 -
    z_2 would be 1 or -1 everywhere, without a gradient: the margin itself is returned. Croce and Hein 2020,
    arXiv:2003.01690, equation 6.
    """
    import tensorflow as tf

    if logits.shape[-1] < NORMALISED:
        return margin_loss(labels, logits)
    top = tf.math.top_k(logits, NORMALISED).values
    return tf.math.divide_no_nan(margin_loss(labels, logits), top[:, 0] - top[:, -1])


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "scaled": scaled_cross_entropy,
    "ce": cross_entropy,
    "margin": margin_loss,
    "dlr": dlr_loss,
}
