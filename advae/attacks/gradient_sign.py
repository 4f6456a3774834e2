"""Gradient-sign attacks on any differentiable pipeline, through CleverHans: FGSM, targeted FGSM, BIM.

Each is traced into its caller's graph, with eps, step size and step count as tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.attacks.losses import margin_loss
from advae.batching import Tensor
from advae.tracing import keep_from_autograph, loops_over_tensors

if TYPE_CHECKING:
    from advae.attacks.goals import Goal


def fgsm(goal: Goal, x: Tensor, *, eps: Tensor) -> Tensor:
    """Return x moved by one signed-gradient step of size eps, clipped to the valid range.

    x: float32 (n, d); eps: float32 scalar, L-infinity radius in units of x. Targeted where the goal is.
    Goodfellow et al. 2015, arXiv:1412.6572, section 4; Kurakin et al. 2017, arXiv:1611.01236, for the targeted form.
    """
    return _sign_step(goal, x, eps, draw=0)


@loops_over_tensors
def bim(goal: Goal, x: Tensor, *, eps: Tensor, step_size: Tensor, steps: Tensor) -> Tensor:
    """Return x after ``steps`` signed-gradient steps, each followed by projection into the eps-ball and the range.

    It is CleverHans' projected_gradient_descent without random start, in the same order of operations; CleverHans'
    loop compares eps in Python and cannot be compiled with eps as a tensor. ``pgd`` clips in another order, so that one
    shared loop would change results. Kurakin et al. 2017, arXiv:1607.02533.
    """
    import numpy as np
    import tensorflow as tf
    from cleverhans.tf2.utils import clip_eta

    x_adv = x
    for i in tf.range(steps):
        moved = _sign_step(goal, x_adv, step_size, draw=i)
        x_adv = tf.clip_by_value(x + clip_eta(moved - x, np.inf, eps), goal.lower, goal.upper)
    return x_adv


def loss_gradient(goal: Goal, x: Tensor) -> Tensor:
    """Return the gradient at x, float32 (n, d); ``fgsm`` and the first step of ``bim`` use its sign."""
    from cleverhans.tf2.utils import compute_gradient

    see, loss = (keep_from_autograph(one) for one in (lambda images: goal.view(images, 0)[1], goal.loss or margin_loss))
    return compute_gradient(see, loss, x, _repeat_labels(goal), goal.targeted)


def margin_gradient(goal: Goal, x: Tensor) -> Tensor:
    """Return the gradient of the margins at x, float32 (n, d); 0 where the pipeline has no gradient."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(goal.look(x, 0)[1])
    return tape.gradient(total, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _sign_step(goal: Goal, x: Tensor, size: Tensor, *, draw: Tensor) -> Tensor:
    """Return x moved by one step; a pixel whose gradient is not a number is unchanged."""
    import numpy as np
    import tensorflow as tf
    from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method

    # CleverHans 4.0's own range check raises with NumPy 2; the evaluation checks ranges instead.
    moved = fast_gradient_method(
        keep_from_autograph(lambda images: goal.view(images, draw)[1]),
        x,
        size,
        np.inf,
        loss_fn=goal.loss and keep_from_autograph(goal.loss),
        clip_min=goal.lower,
        clip_max=goal.upper,
        y=_repeat_labels(goal),
        targeted=goal.targeted,
        sanity_checks=False,
    )
    return tf.where(tf.math.is_nan(moved), x, moved)


def _repeat_labels(goal: Goal) -> Tensor:
    """Return the labels of ``goal.view``, repeated for EOT samples, because CleverHans takes them as an argument."""
    import tensorflow as tf

    return goal.labels if goal.eot_samples == 1 else tf.repeat(goal.labels, goal.eot_samples)
