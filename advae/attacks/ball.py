"""The eps-ball around the images: projection into it, random points of it, and the random-noise baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.attacks.image_draws import draw_normal, draw_uniform
from advae.batching import Tensor

if TYPE_CHECKING:
    from advae.attacks.goals import Goal


def project(goal: Goal, x: Tensor, x_raw: Tensor, eps: Tensor) -> Tensor:
    """Return x_raw projected into the eps-ball around x, then clipped to the valid range."""
    import tensorflow as tf
    from cleverhans.tf2.utils import clip_eta

    return tf.clip_by_value(x + clip_eta(x_raw - x, norm_order(goal.norm), eps), goal.lower, goal.upper)


def random_point(goal: Goal, x: Tensor, eps: Tensor) -> Tensor:
    """Return a perturbation drawn uniformly from the eps-ball, float32 (n, d); it belongs to the image."""
    import tensorflow as tf

    pixels = x.shape[1]
    if goal.norm == "linf":
        return eps * (2.0 * draw_uniform(goal.seeded_keys, 0, pixels) - 1.0)
    radius = draw_uniform(goal.seeded_keys, 1, 1) ** (1.0 / pixels)
    return eps * radius * tf.math.l2_normalize(draw_normal(goal.seeded_keys, 0, pixels), axis=-1)


def random_direction(goal: Goal, x: Tensor, eps: Tensor) -> Tensor:
    """Return a random perturbation whose norm is exactly eps, float32 (n, d): that of ``random_point``, prolonged."""
    import tensorflow as tf

    drawn = random_point(goal, x, eps)
    lengths = tf.norm(drawn, ord=norm_order(goal.norm), axis=-1, keepdims=True)
    return eps * tf.math.divide_no_nan(drawn, lengths)


def noise(goal: Goal, x: Tensor, *, eps: Tensor) -> Tensor:
    """Return x with random noise of norm exactly eps, clipped to the valid range; the model is not used.

    x: float32 (n, d); eps: float32 scalar, in units of x. L-infinity: random signs times eps. L2: a direction drawn
    uniformly, of length eps.
    """
    import tensorflow as tf

    drawn = tf.random.stateless_normal(tf.shape(x), goal.seed)
    direction = tf.where(drawn < 0.0, -1.0, 1.0) if goal.norm == "linf" else tf.math.l2_normalize(drawn, axis=-1)
    return tf.clip_by_value(x + eps * direction, goal.lower, goal.upper)


def round_to_8_bits(x: Tensor) -> Tensor:
    """Return images in [0, 1] as a file of 8 bits a pixel gives them back."""
    import tensorflow as tf

    return tf.round(x * 255.0) / 255.0


def norm_order(norm: str) -> float:
    """Return the order of a norm as CleverHans takes it."""
    import numpy as np

    return {"linf": np.inf, "l2": 2}[norm]


def keep(goal: Goal, x: Tensor, *, eps: Tensor) -> Tensor:
    """Return x unchanged, which an adversarial example from a file counts as where it is farther than eps."""
    return x
