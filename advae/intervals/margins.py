"""Lower bounds of the differences of logits, which decide whether a prediction can change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from advae.batching import Tensor
from advae.intervals.arithmetic import SMALL_WEIGHT, TINY, Bounds, Fold, find_centre, rounding_factor
from advae.intervals.bounding import bound


def bound_margins(
    function: Any, box: Bounds, y: Tensor, *, sound: bool, see_relu: Callable[[Bounds], None] | None = None
) -> Tensor:
    """Return lower bounds of logit_y - logit_j for all images of a box, (n, classes), 0 at j = y.

    Where the last layer is affine its weights are subtracted first: the difference of two logits varies less than the
    logits do. function, box, sound, see_relu: as ``bound`` takes them; y: int (n,). Where sound and all others are
    above 0, every float32 evaluation of the network on the box predicts y. Raises UsageError as ``bound`` does.
    """
    return find_margins(bound(function, box, sound=sound, see_relu=see_relu), y, sound=sound)


def find_margins(logits: Bounds, y: Tensor, *, sound: bool) -> Tensor:
    """Return lower bounds of logit_y - logit_j from the interval of the logits, as ``bound_margins`` returns them."""
    import tensorflow as tf

    rows = tf.range(tf.shape(y)[0], dtype=y.dtype)
    own = tf.stack([rows, y], axis=1)
    margins = tf.gather_nd(logits.low, own)[:, None] - logits.high
    if logits.fold is not None:
        folded = _fold_last(logits.fold, y, sound=sound)
        # What has no bounds keeps none: its margins are minus infinity.
        margins = tf.where(tf.math.is_finite(margins), folded, margins) if sound else folded
    if sound:
        margins -= 8 * TINY
    return tf.tensor_scatter_nd_update(margins, own, tf.zeros_like(margins[:, 0]))


def _fold_last(fold: Fold, y: Tensor, *, sound: bool) -> Tensor:
    """Return lower bounds of the differences of an affine layer's outputs, (n, classes)."""
    import tensorflow as tf

    centre, radius = find_centre(fold.source)
    products = tf.matmul(centre, fold.kernel) + fold.bias
    middle = tf.gather(products, y, axis=1, batch_dims=1)[:, None] - products
    # (n, m, classes): for each image the weights of its label minus those of each class.
    apart = tf.gather(tf.transpose(fold.kernel), y)[:, :, None] - fold.kernel
    margins = middle - tf.einsum("nm,nmk->nk", radius, tf.abs(apart))
    if not sound:
        return margins
    error = _bound_rounding(fold, tf.abs(centre) + radius)
    return margins - error - tf.gather(error, y, axis=1, batch_dims=1)[:, None]


def _bound_rounding(fold: Fold, magnitude: Tensor) -> Tensor:
    """Return how far float32 outputs of an affine layer can be from exact ones, (n, classes).

    As ``Arithmetic.affine`` has it, our own rounding of the difference of two outputs included.
    """
    import tensorflow as tf

    gamma = rounding_factor(fold.terms)
    spread = tf.matmul(gamma * magnitude + TINY, tf.abs(fold.kernel) + SMALL_WEIGHT)
    return spread + gamma * tf.abs(fold.bias) + 4 * (fold.terms + 2) * TINY
