"""Goals and small models that the tests of the attacks share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from advae.attacks import find_loss
from advae.attacks.goals import Goal
from advae.tracing import trace


@cache
def _look_at(logits: Any) -> Callable[[Any, Any], Any]:
    """Return logits as a Goal takes them: the same function for the same model, so that it is traced once."""
    return lambda x, draw: logits(x)


def make_goal(
    logits: Any,
    labels: Any,
    *,
    targeted: bool = False,
    loss: str = "scaled",
    upper: float = 1.0,
    norm: str = "linf",
    seed: int = 0,
    shape: tuple[int, int, int] | None = None,
) -> Goal:
    import tensorflow as tf

    chosen, labels = tf.constant([seed, 0]), tf.constant(labels, tf.int64)
    return Goal(_look_at(logits), labels, targeted, find_loss(loss), 0.0, upper, norm=norm, seed=chosen, shape=shape)


@cache
def _compile(
    attack: Any, logits: Any, loss: Any, norm: str, targeted: bool, shape: Any, pixels: int, bounds: int
) -> Any:
    """Return an attack on any number of images, traced as the evaluation traces it.

    bounds: the rank of the upper bound of a pixel, 0 or 2.
    """
    import tensorflow as tf

    def run(x: Any, labels: Any, upper: Any, seed: Any, eps: Any, steps: Any) -> Any:
        goal = Goal(logits, labels, targeted, loss, 0.0, upper, norm=norm, seed=seed, shape=shape)
        return attack(goal, x, eps=eps, step_size=eps, steps=steps)

    real, whole, images = tf.float32, tf.int32, tf.TensorSpec((None, pixels), tf.float32)
    upper = tf.TensorSpec((), real) if bounds == 0 else images
    scalars = [tf.TensorSpec((2,), whole), tf.TensorSpec((), real), tf.TensorSpec((), whole)]
    return trace(run, [images, tf.TensorSpec((None,), tf.int64), upper, *scalars])


def run_attack(attack: Any, goal: Goal, x: Any, eps: float, steps: int) -> Any:
    """Return x as an attack moves it; goals that differ only in labels, seed and upper bound share one trace."""
    import tensorflow as tf

    upper = tf.convert_to_tensor(goal.upper)
    compiled = _compile(
        attack, goal.logits, goal.loss, goal.norm, goal.targeted, goal.shape, x.shape[1], upper.shape.rank
    )
    varying = (goal.labels, upper, goal.seed)
    return compiled(tf.constant(x), *varying, tf.constant(eps), tf.constant(steps)).numpy()


def binary_model(w: Any) -> Any:
    """Return the logits [0, x . w]: the same function for the same w, so that an attack on it is traced once."""
    return _make_binary_model(tuple(w.tolist()))


@cache
def _make_binary_model(values: tuple[float, ...]) -> Any:
    import tensorflow as tf

    w = np.array(values, "f4")

    def logits(images: Any) -> Any:
        z = images @ tf.constant(w[:, None])
        return tf.concat([tf.zeros_like(z), z], axis=-1)

    return logits


def linear_model(rng: np.random.Generator, classes: int, pixels: int) -> tuple[Any, Any, Any]:
    import tensorflow as tf

    weights, bias = rng.normal(size=(classes, pixels)).astype("f4"), rng.normal(size=classes).astype("f4")
    return weights, bias, lambda x: x @ tf.constant(weights.T) + tf.constant(bias)


@cache
def small_network(seed: int, pixels: int = 36) -> Any:
    from advae.models.layers import dense_stack

    return dense_stack((pixels, 24, 10), ("relu", "linear"), seed=seed)
