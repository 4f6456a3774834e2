"""Goals and small models that the tests of the attacks share."""

from __future__ import annotations

from typing import Any

import numpy as np

from advae.attacks import find_loss
from advae.attacks.goals import Goal


def make_goal(
    logits: Any,
    labels: Any,
    *,
    targeted: bool = False,
    loss: str = "scaled",
    upper: float = 1.0,
    norm: str = "linf",
    seed: int = 0,
) -> Goal:
    import tensorflow as tf

    def look(x: Any, draw: Any) -> Any:
        return logits(x)

    chosen = tf.constant([seed, 0])
    return Goal(look, tf.constant(labels, tf.int64), targeted, find_loss(loss), 0.0, upper, norm=norm, seed=chosen)


def binary_model(w: Any) -> Any:
    """Return the logits [0, x . w]."""
    import tensorflow as tf

    def logits(images: Any) -> Any:
        z = images @ tf.constant(w[:, None])
        return tf.concat([tf.zeros_like(z), z], axis=-1)

    return logits


def linear_model(rng: np.random.Generator, classes: int, pixels: int) -> tuple[Any, Any, Any]:
    import tensorflow as tf

    weights, bias = rng.normal(size=(classes, pixels)).astype("f4"), rng.normal(size=classes).astype("f4")
    return weights, bias, lambda x: x @ tf.constant(weights.T) + tf.constant(bias)


def small_network(seed: int, pixels: int = 36) -> Any:
    from advae.models.layers import dense_stack

    return dense_stack((pixels, 24, 10), ("relu", "linear"), seed=seed)
