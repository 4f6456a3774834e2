"""Attacks on the code of an autoencoder: perturb an image until its code is that of another image.

For a pair of an original x_o and a target x_t they look for the d, with x_o + d in [0, 1], that minimises

    distance(code(x_o + d), code(x_t)) + C ||d||^2

for several weights C: a large C gives a small perturbation, a small C one that reaches the target. The distance is the
KL divergence of the two Gaussians where the code is Gaussian, KL(q(z | x_o + d) || q(z | x_t)), else the squared
distance of the codes. Tabacof, Tavares, Valle 2016, arXiv:1612.00155; Gondim-Ribeiro, Tabacof, Valle 2018,
arXiv:1806.04646.

Both minimise with SciPy's L-BFGS-B, one pair and one C after the other: ``l-bfgs-b`` does as they do. ``adam`` is the
default: projected Adam on all pairs and weights together, in one graph. On digits its areas are the same, in a
fraction of the time: .github/docs/attack-code.md has both measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae.batching import Tensor
from advae.tracing import loops_over_tensors, trace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import FloatArray

Find = Callable[["FloatArray", "FloatArray", "FloatArray", int], "FloatArray"]
"""(originals (m, d), codes of the targets (m, k), weights (m,), steps) -> adversarial examples (m, d), float32 in
[0, 1]."""

FIRST_STEP = 0.1
"""Adam's first step, in units of x; it decays to 0 along half a cosine."""

CORRECTIONS, PRECISION = 25, 10.0
"""L-BFGS-B's stored corrections, and its factr: the iterations end where the objective falls by less than this many
units of float64's precision, as in the paper's published code."""


@dataclass(frozen=True)
class CodeView:
    """The code of an autoencoder as the attack sees it."""

    describe: Callable[[Tensor], Tensor]
    """Images (m, d) -> what describes their codes, (m, k): the code, or mean and log variance beside each other."""
    distance: Callable[[Tensor, Tensor], Tensor]
    """(descriptions, descriptions of the targets) -> distance of each row, (m,), 0 or more."""


def view_code(
    encode: Callable[[Tensor], Tensor], moments: Callable[[Tensor], tuple[Tensor, Tensor]] | None
) -> CodeView:
    """Return the code of an encoder: Gaussian where there are moments (mean and log variance), else the code itself."""
    import tensorflow as tf

    if moments is None:
        return CodeView(lambda x: tf.reshape(encode(x), (tf.shape(x)[0], -1)), measure_squared_distance)
    return CodeView(lambda x: tf.concat(moments(x), axis=-1), measure_divergence)


def measure_squared_distance(codes: Tensor, targets: Tensor) -> Tensor:
    """Return the squared L2 distance of each code from its target, (m,)."""
    import tensorflow as tf

    return tf.reduce_sum((codes - targets) ** 2, axis=-1)


def measure_divergence(codes: Tensor, targets: Tensor) -> Tensor:
    """Return the KL divergence of each Gaussian from its target, (m,), in nats.

    codes, targets: means and log variances beside each other, (m, 2 k). The variances are those of single numbers.
    """
    import tensorflow as tf

    (mean, log_variance), (target, target_log_variance) = (tf.split(one, 2, axis=-1) for one in (codes, targets))
    ratio = log_variance - target_log_variance
    terms = tf.exp(ratio) + (mean - target) ** 2 * tf.exp(-target_log_variance) - 1.0 - ratio
    return 0.5 * tf.reduce_sum(terms, axis=-1)


def _measure(view: CodeView, x: Tensor, x_adv: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the objective of each row, (m,)."""
    import tensorflow as tf

    return view.distance(view.describe(x_adv), targets) + weights * tf.reduce_sum((x_adv - x) ** 2, axis=-1)


def compile_adam(view: CodeView) -> Find:
    """Return the attack by projected Adam; of each row it returns the iterate of the lowest objective."""
    import tensorflow as tf

    run = trace(lambda x, targets, weights, steps: _descend(view, x, targets, weights, steps))

    def find(x: FloatArray, targets: FloatArray, weights: FloatArray, steps: int) -> FloatArray:
        found: FloatArray = run(*map(tf.constant, (x, targets, weights)), tf.constant(steps)).numpy()
        return found

    return find


@loops_over_tensors
def _descend(view: CodeView, x: Tensor, targets: Tensor, weights: Tensor, steps: Tensor) -> Tensor:
    """Return the best iterate of Adam from x, clipped to [0, 1] at each step.

    Kingma and Ba 2015, arXiv:1412.6980, algorithm 1. The objective is divided by 1 + C, which changes no direction and
    keeps its gradients in the range of float32; a gradient that is not finite counts as 0.
    """
    import tensorflow as tf

    scale = 1.0 / (1.0 + weights)
    x_adv, mean, square = x, tf.zeros_like(x), tf.zeros_like(x)
    found, lowest = x, tf.fill(tf.shape(weights), float("inf"))
    for i in tf.range(steps):
        with tf.GradientTape() as tape:
            tape.watch(x_adv)
            values = scale * _measure(view, x, x_adv, targets, weights)
        gradient = tape.gradient(values, x_adv)
        better = values < lowest
        lowest, found = tf.where(better, values, lowest), tf.where(better[:, None], x_adv, found)
        gradient = tf.where(tf.math.is_finite(gradient), gradient, 0.0)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        t, share = tf.cast(i + 1, tf.float32), tf.cast(i, tf.float32) / tf.cast(steps, tf.float32)
        rate = FIRST_STEP * 0.5 * (1.0 + tf.cos(math.pi * share))
        step = rate * mean / (1.0 - 0.9**t) / (tf.sqrt(square / (1.0 - 0.999**t)) + 1e-12)
        x_adv = tf.clip_by_value(x_adv - step, 0.0, 1.0)
    better = scale * _measure(view, x, x_adv, targets, weights) < lowest
    return tf.where(better[:, None], x_adv, found)


def compile_lbfgs(view: CodeView) -> Find:
    """Return the attack by SciPy's L-BFGS-B, which keeps the bounds of the pixels exactly, row by row from x."""
    import numpy as np
    import tensorflow as tf
    from scipy.optimize import minimize

    look = trace(lambda x, x_adv, targets, weight: _look(view, x, x_adv, targets, weight))

    def find_one(x: FloatArray, target: FloatArray, weight: np.float32, steps: int) -> FloatArray:
        fixed = tf.constant(x[None]), tf.constant(target[None]), tf.constant(weight)

        def measure(x_adv: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            value, gradient = look(fixed[0], tf.constant(x_adv[None].astype(np.float32)), *fixed[1:])
            return float(value), gradient.numpy().astype(np.float64)

        limits = {"maxiter": steps, "maxcor": CORRECTIONS, "ftol": PRECISION * np.finfo(np.float64).eps}
        start = x.astype(np.float64)
        found = minimize(measure, start, jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * len(x), options=limits)
        best: FloatArray = (found.x if found.fun < measure(start)[0] else start).astype(np.float32)
        return best

    def find(x: FloatArray, targets: FloatArray, weights: FloatArray, steps: int) -> FloatArray:
        return np.stack([find_one(*row, steps) for row in zip(x, targets, weights, strict=True)])

    return find


def _look(view: CodeView, x: Tensor, x_adv: Tensor, targets: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the objective of one image and its gradient, (d,)."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x_adv)
        value = _measure(view, x, x_adv, targets, weight)
    return value[0], tape.gradient(value, x_adv)[0]


@dataclass(frozen=True)
class CodeOptimizer:
    """A row of CODE_OPTIMIZERS."""

    summary: str
    """One line for ``--help``."""
    compile: Callable[[CodeView], Find]
    """Code -> the attack on it."""
    steps: int
    """Default number of iterations."""
    together: bool
    """Whether many rows are attacked in one call."""


CODE_OPTIMIZERS: dict[str, CodeOptimizer] = {
    "adam": CodeOptimizer("projected Adam, all pairs and weights together", compile_adam, 500, together=True),
    "l-bfgs-b": CodeOptimizer("SciPy's L-BFGS-B, one after the other", compile_lbfgs, 1000, together=False),
}
"""What minimises the objective, by name."""

EXPONENTS = -20.0, 20.0
"""Exponents to base 2 of the smallest and the largest weight C."""


def list_trade_offs(points: int) -> NDArray[np.float64]:
    """Return the weights C, float64 (points,), evenly spaced in their logarithm, the smallest first."""
    import numpy as np

    weights: NDArray[np.float64] = 2.0 ** np.linspace(*EXPONENTS, points)
    return weights
