"""The paper's one-step attacks on logistic regression (sections 5.2.1 and 6), through any purifier in front of it.

With weights W (K x d), p = softmax(W x + b), one-hot t of the true class and f of the target:

    non-targeted  g = sum_k (1 - t_k) (w_k - sum_c p_c w_c)
    targeted      g = sum_k f_k (w_k - sum_c p_c w_c)

Since w_k - sum_c p_c w_c is the gradient of log p_k, g is the gradient of sum_k a_k log p_k with a = 1 - t or f. Behind
a purifier it is the vector-Jacobian product of the whole pipeline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.batching import Tensor

if TYPE_CHECKING:
    from advae.attacks.goals import Goal
    from advae.records import IntArray


def linear_direction(goal: Goal, x: Tensor) -> Tensor:
    """Return g at x, float32 (n, d)."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        labels, logits = goal.view(x, 0)
        marked = tf.one_hot(labels, logits.shape[-1])
        log_p = tf.nn.log_softmax(logits)
        objective = tf.reduce_sum((marked if goal.targeted else 1.0 - marked) * log_p)
    return tape.gradient(objective, x)


def _finite_direction(goal: Goal, x: Tensor) -> Tensor:
    """Return g, with 0 where it is not finite, for example behind an exponential layer that overflows."""
    import tensorflow as tf

    g = linear_direction(goal, x)
    return tf.where(tf.math.is_finite(g), g, 0.0)


def scaled_direction(goal: Goal, x: Tensor) -> Tensor:
    """Return g / max |g|; the largest magnitude of a pixel is 1, and the perturbation at any eps is eps times this."""
    import tensorflow as tf

    g = _finite_direction(goal, x)
    return tf.math.divide_no_nan(g, tf.reduce_max(tf.abs(g), axis=-1, keepdims=True))


def paper_direction(goal: Goal, x: Tensor) -> Tensor:
    """Return g / max g, scaled as in the paper.

    The maximum is that of g, not of |g|, so that the magnitude of a pixel with negative g may exceed 1.
    """
    import tensorflow as tf

    g = _finite_direction(goal, x)
    return tf.math.divide_no_nan(g, tf.reduce_max(g, axis=-1, keepdims=True))


def linear_step(goal: Goal, x: Tensor, *, eps: Tensor) -> Tensor:
    """Return x + eps * g / max |g|: the largest change of a pixel is eps."""
    return x + eps * scaled_direction(goal, x)


def natural_targets(confusion: IntArray) -> tuple[int, ...]:
    """Return for each true class the most frequent wrong prediction, ties to the lowest label.

    confusion: int64 (K, K) after the non-targeted attack, rows = true class.
    """
    import numpy as np

    mistakes = confusion.copy()
    np.fill_diagonal(mistakes, -1)
    return tuple(int(target) for target in mistakes.argmax(axis=1))


def non_natural_targets(confusion: IntArray) -> tuple[int, ...]:
    """Return for each true class the least frequent wrong class, ties to the lowest label."""
    import numpy as np

    mistakes = confusion.copy()
    np.fill_diagonal(mistakes, np.iinfo(mistakes.dtype).max)
    return tuple(int(target) for target in mistakes.argmin(axis=1))
