"""Batch normalisation while a classifier is trained, folded into its weights, so that what is stored has none of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from advae.batching import Tensor

MOMENTUM = 0.95
"""Share of a running statistic that stays after a batch."""

VARIANCE_FLOOR = 1e-5
"""Added to each variance, which may be 0."""


class NormalisedClassifier:
    """A keras.Sequential whose hidden layers are normalised by the statistics of clean batches.

    Each hidden layer has a kernel W, a scale g and a shift b: with the mean m and the deviation s of W x over the
    clean images of a batch, its output is activation(g (W x - m) / s + b). That is the layer with the kernel W g / s
    and the bias b - m g / s, and the bounds are computed of that layer, as Shi et al. 2021, arXiv:2103.17268,
    section 3.2, propose: bounds and clean images see the same statistics.
    """

    def __init__(self, network: Any) -> None:
        """Take the layers of a network. network: keras.Sequential of layers with a kernel and of others."""
        import keras

        self.network = network
        weighted = [layer for layer in network.layers if hasattr(layer, "kernel")]
        self.hidden, self.last = weighted[:-1], weighted[-1]

        def make(start: str, *, trainable: bool) -> list[Any]:
            return [
                keras.Variable(keras.initializers.get(start)(layer.bias.shape), trainable=trainable)
                for layer in self.hidden
            ]

        self.scales = make("ones", trainable=True)
        self.means, self.variances = make("zeros", trainable=False), make("ones", trainable=False)

    @property
    def trainable_variables(self) -> list[Any]:
        """The weights of the network, of which hidden biases are the shifts, and the scales."""
        return [*self.network.trainable_variables, *self.scales]

    @property
    def non_trainable_variables(self) -> list[Any]:
        """The running statistics."""
        return [*self.means, *self.variances]

    def run(self, x: Tensor, weights: Tensor) -> tuple[Tensor, list[tuple[Any, Tensor]]]:
        """Return the logits of a clean batch, (n, classes), and the folded weights by its statistics, by variable.

        The running statistics follow. x: (n, d); weights: (n,), 1, or 0 for padding.
        """
        folded: list[tuple[Any, Tensor]] = []
        hidden = {id(layer): place for place, layer in enumerate(self.hidden)}
        for layer in self.network.layers:
            place = hidden.get(id(layer))
            if place is None:
                x = layer(x)
                continue
            raw = _weigh(layer, x)
            mean, variance = _find_moments(raw, weights)
            for running, found in ((self.means[place], mean), (self.variances[place], variance)):
                running.assign(MOMENTUM * running + (1 - MOMENTUM) * found)
            factor, shift = self._fold(place, mean, variance)
            x = layer.activation(raw * factor + shift)
            folded += [(layer.kernel, layer.kernel * factor), (layer.bias, shift)]
        return x, folded

    def fold(self) -> list[tuple[Any, Tensor]]:
        """Return the folded weights by the running statistics, by variable."""
        return list(self._fold_running())

    def settle(self) -> None:
        """Set the network's weights to the folded ones; afterwards it is an ordinary network."""
        for variable, value in self.fold():
            variable.assign(value)

    def _fold_running(self) -> Iterator[tuple[Any, Tensor]]:
        for place, layer in enumerate(self.hidden):
            factor, shift = self._fold(place, self.means[place].value, self.variances[place].value)
            yield layer.kernel, layer.kernel * factor
            yield layer.bias, shift

    def _fold(self, place: int, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Return the factor of the outputs of a layer without bias, and what is added then."""
        import tensorflow as tf

        factor = self.scales[place] * tf.math.rsqrt(variance + VARIANCE_FLOOR)
        return factor, self.hidden[place].bias - mean * factor


def _find_moments(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance over images and places, (channels,) both. values: (n, ..., channels); weights: (n,)."""
    import tensorflow as tf

    flat = tf.reshape(values, (tf.shape(values)[0], -1, values.shape[-1]))
    count = tf.reduce_sum(weights) * tf.cast(tf.shape(flat)[1], weights.dtype)
    mean, square = (
        tf.linalg.matvec(tf.reduce_sum(one, 1), weights, transpose_a=True) / count for one in (flat, tf.square(flat))
    )
    # Rounding can make it less than 0.
    return mean, tf.maximum(square - tf.square(mean), 0.0)


def _weigh(layer: Any, x: Tensor) -> Tensor:
    """Return the output of a layer without its bias and its activation."""
    import keras

    weigh = keras.ops.matmul if isinstance(layer, keras.layers.Dense) else layer.convolution_op
    return weigh(x, layer.kernel)
