"""Interval arithmetic: plain, for training, and sound, so that it contains every float32 evaluation of a network.

What sound means. A box holds float32 images. Each operation of a network, computed in float32 with round to nearest,
returns numbers inside the returned interval, for all images of the box, in whatever order its sums are taken, with or
without fused multiply-add, and with or without flushing numbers below 2^-126 to zero. The ends are computed in
float64. Write u = 2^-24 for the largest relative error of one float32 operation (Higham 2002, Accuracy and Stability
of Numerical Algorithms, section 2.2).

- A sum of n products, in any order: the result differs from the exact one by at most gamma_n times the sum of |w| |x|,
  where gamma_n = n u / (1 - n u) (section 3.1). A bias is one more term with |b|. A fused multiply-add rounds less
  often, so the bound holds for it, too. Where a processor flushes to zero, an input loses at most |w| 2^-126 of a term,
  a weight 2^-126 |x|, a product or a partial sum 2^-126.
- An affine layer is applied to centre c and radius r of its input: the centre becomes W c + b, the radius |W| r. All
  inputs have |x| <= |c| + r, so that spread and rounding are one product with |W|:
  |W| (r + gamma_n (|c| + r)) + gamma_n |b|.
- Our own rounding in float64, whose unit is 2^-53, is covered by the same terms: 8 (n + 8) 2^-53 is added to gamma_n.
- One rounded operation (a sum or a product of two numbers, a quotient): rounding never reverses an order, so both ends
  are computed and moved outward by u times their size, and by 2^-126.
- An activation is computed by an approximation. Its error was measured on TensorFlow's kernels for float32 inputs of
  all sizes: at most 7.7 u of the result for softplus, 7.4 u for sigmoid, 5.5 u for tanh, 2.0 u for the exponential, and
  1.5 u absolute for elu. The allowance is 16 u, twice the largest. ReLU, clip, maxima and pooling by maxima are exact
  but for numbers below 2^-126 that they flush to zero; whatever follows allows for that in its input.
- Overflow has no bounds: an image for which one end exceeds 1e30 has none at all. Every rounding error is a part of the
  radius, and at least u times the partial sums that it is of, so that below this limit no partial sum exceeds
  1e30 / u, which is less than the largest float32.

What it does not cover. TensorFloat-32, bfloat16 and float16 round more coarsely, and are refused. A convolution by
Winograd's or a Fourier transform is no sum of products of weights and inputs. On processors TensorFlow computes
convolutions directly; on a GPU, cuDNN may choose such a transform. The bounds may be computed on both, but the
predictions that they are to hold for must come from a processor, or from a network without convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from advae.batching import Tensor

UNIT = 2.0**-24
"""Largest relative rounding error of one float32 operation."""

OWN_UNIT = 2.0**-53
"""Largest relative rounding error of one float64 operation."""

TINY = 2.0**-126
"""The smallest float32 that no processor flushes to zero."""

LARGEST_END = 1e30
"""Beyond it an interval is unbounded."""

SMALL_WEIGHT = 2.0**-100
"""Added to each |w|: gamma times it is more than the 2^-126 that are lost where a weight is flushed to zero."""

ACTIVATION_UNITS = 16.0
"""Stated error of an activation in units of 2^-24."""


@dataclass(frozen=True)
class Bounds:
    """A box: for each image and value the smallest and the largest number."""

    low: Tensor
    """Lower ends, (n, ...)."""
    high: Tensor
    """Upper ends, (n, ...)."""
    fold: Fold | None = None
    """The affine layer whose output it is, over the last axis; None for any other interval."""

    @property
    def magnitude(self) -> Tensor:
        """The largest absolute values, (n, ...)."""
        import tensorflow as tf

        return tf.maximum(tf.abs(self.low), tf.abs(self.high))


@dataclass(frozen=True)
class Fold:
    """An affine layer and its input, which bound differences of its outputs more tightly than the outputs do."""

    source: Bounds
    """The input, (n, m)."""
    kernel: Tensor
    """Weights, (m, k)."""
    bias: Tensor
    """Bias, (k,)."""
    terms: int
    """Terms of one sum, bias included."""


def rounding_factor(terms: int) -> float:
    """Return gamma_n of a float32 sum of n terms in any order, our own float64 rounding included; see above."""
    spread = terms * UNIT
    return math.inf if spread >= 1 else spread / (1 - spread) + 8 * (terms + 8) * OWN_UNIT


@dataclass(frozen=True)
class Arithmetic:
    """How ends are computed: plain, or sound."""

    sound: bool
    """Whether the interval is to contain every float32 evaluation."""
    dtype: str
    """Dtype of the ends: float64 where sound, else the box's."""
    uniform: bool = False
    """Whether the distance of sound ends from plain ones is to bound the rounding of any value inside, of an affine
    network: both ends move as far as the one that moves further."""
    see_relu: Callable[[Bounds], None] | None = None
    """Is given the interval of the input of each ReLU; None: nothing is."""

    def constant(self, value: Any) -> Tensor:
        """Return a constant of a network, which is float32 there, as a tensor of this arithmetic."""
        import tensorflow as tf

        return tf.cast(tf.cast(value, tf.float32), self.dtype)

    def widen(self, interval: Bounds, error: Tensor | float) -> Bounds:
        """Return an interval moved outward by an error; the same one where plain."""
        if not self.sound:
            return interval
        return Bounds(interval.low - error, interval.high + error)

    def round(self, interval: Bounds, units: float = 1.0, floor: float = TINY) -> Bounds:
        """Return an interval moved outward by some units of its ends' size, and by ``floor``; the same where plain."""
        import tensorflow as tf

        if not self.sound:
            return interval
        share = units * UNIT * (1 + 2.0**-20)
        if self.uniform:
            return self.widen(interval, share * interval.magnitude + floor)
        low, high = interval.low, interval.high
        return Bounds(low - share * tf.abs(low) - floor, high + share * tf.abs(high) + floor)

    def affine(
        self, x: Bounds, apply: Callable[[Tensor, Tensor], Tensor], kernel: Tensor, bias: Tensor | None, terms: int
    ) -> Bounds:
        """Return the interval of ``apply(x, kernel) + bias``, where ``apply`` is linear in both.

        bias: None for none. terms: of the longest sum of one output, bias included.
        """
        import tensorflow as tf

        centre, radius = find_centre(x)
        weights = tf.abs(kernel)
        if self.sound:
            gamma = rounding_factor(terms)
            radius += gamma * (tf.abs(centre) + radius) + TINY
            weights += SMALL_WEIGHT
        middle, spread = apply(centre, kernel), apply(radius, weights)
        if bias is not None:
            middle += bias
        if self.sound:
            spread += (0.0 if bias is None else gamma * tf.abs(bias)) + 4 * (terms + 2) * TINY
        return Bounds(middle - spread, middle + spread)


def find_centre(x: Bounds) -> tuple[Tensor, Tensor]:
    """Return centre and radius of an interval."""
    return (x.low + x.high) / 2, (x.high - x.low) / 2
