"""The one compiled training loop that autoencoders and the neural classifier share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae.batching import lend
from advae.errors import DivergedError
from advae.records import History, NetworkOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.networks import Tensor

    Array = NDArray[Any]

HELD_OUT = 20
"""One training image in 20 is never trained on; the validation loss is taken on these."""


EPOCH_STRIDE = 1_000_003
"""More than an epoch has batches."""


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch; seconds since the training began."""

    number: int
    epochs: int
    loss: float
    validation_loss: float
    seconds: float


OnEpoch = Callable[[Epoch], None]
BatchLoss = Callable[["tuple[Tensor, ...]", "Tensor", "Tensor"], "Tensor"]
"""(batch, weights, seed) -> scalar: mean over the batch of ``weights``, which are 1, and 0 for padding."""


def train(
    loss: BatchLoss,
    networks: Sequence[Any],
    data: tuple[Array, ...],
    *,
    options: NetworkOptions,
    seed: int,
    on_epoch: OnEpoch,
    decay: bool = False,
) -> History:
    """Train networks in place with Adam and return the loss history.

    decay: let the learning rate fall to 0 along a half cosine over the training.

    data: arrays of equal length n; a twentieth, drawn by ``seed``, is held out for validation. An epoch is one call
    of one XLA program that loops over the batches, so that Python is met once an epoch; the last, short batch is
    padded with weight 0 and costs no second trace. Raises DivergedError at the first epoch whose loss is not finite.
    """
    import keras
    import numpy as np

    variables = [variable for network in networks for variable in network.trainable_variables]
    kept, held_out = split(len(data[0]), seed)
    steps = options.epochs * math.ceil(len(kept) / options.batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(options.learning_rate, steps)
    optimizer = keras.optimizers.Adam(schedule if decay else options.learning_rate)
    optimizer.build(variables)
    # All of MNIST is 188 MB, and it is there already.
    tensors = tuple(lend(array) for array in data)
    run_epoch = _compile_pass(_descend(loss, variables, optimizer), tensors, options.batch_size)
    measure = _compile_pass(loss, tensors, options.batch_size)
    fixed = _lay_out_batches(held_out, options.batch_size)
    losses, validation_losses, start = [], [], time.monotonic()
    for number in range(1, options.epochs + 1):
        order = np.random.default_rng([seed, number]).permutation(kept)
        losses.append(float(run_epoch(*_lay_out_batches(order, options.batch_size), [seed, number])))
        validation_losses.append(float(measure(*fixed, [seed, 0])))
        if not (math.isfinite(losses[-1]) and math.isfinite(validation_losses[-1])):
            raise DivergedError(
                f"training diverged: loss {losses[-1]} in epoch {number} of {options.epochs}, nothing was stored; "
                "try a lower --learning-rate, another --seed or other --activations"
            )
        on_epoch(Epoch(number, options.epochs, losses[-1], validation_losses[-1], time.monotonic() - start))
    return History(
        loss=tuple(losses), validation_loss=tuple(validation_losses), seconds=round(time.monotonic() - start, 3)
    )


def split(n: int, seed: int) -> tuple[Array, Array]:
    """Return the positions to train on and those held out. Drawn, since a user's images may be sorted by class."""
    import numpy as np

    order = np.random.default_rng([seed, 0]).permutation(n)
    held_out = max(1, n // HELD_OUT)
    return order[held_out:], order[:held_out]


def _lay_out_batches(order: Array, size: int) -> tuple[Array, NDArray[np.float32]]:
    """Return positions and weights, both (batches, size), the last batch filled up with weight 0."""
    import numpy as np

    batches = math.ceil(len(order) / size)
    positions = np.zeros(batches * size, np.int32)
    positions[: len(order)] = order
    weights = (np.arange(batches * size) < len(order)).astype(np.float32)
    return positions.reshape(batches, size), weights.reshape(batches, size)


def _descend(loss: BatchLoss, variables: list[Any], optimizer: Any) -> BatchLoss:
    """Return ``loss`` that also lets the optimizer take a step."""
    import tensorflow as tf

    def step(batch: tuple[Tensor, ...], weights: Tensor, seed: Tensor) -> Tensor:
        with tf.GradientTape() as tape:
            value = loss(batch, weights, seed)
        optimizer.apply(tape.gradient(value, variables), variables)
        return value

    return step


def _compile_pass(visit: BatchLoss, tensors: tuple[Tensor, ...], size: int) -> Any:
    """Return the XLA program of a pass over batches: (positions, weights, seed) -> mean loss over all examples."""
    import tensorflow as tf

    def run(positions: Tensor, weights: Tensor, seed: Tensor) -> Tensor:
        total = tf.constant(0.0)
        for i in tf.range(tf.shape(positions)[0]):
            batch = tuple(tf.gather(tensor, positions[i]) for tensor in tensors)
            # Each epoch's batches begin at a multiple of their own, so that no two see the same noise.
            step = seed[1] * EPOCH_STRIDE + i
            total += visit(batch, weights[i], tf.stack([seed[0], step])) * tf.reduce_sum(weights[i])
        return total / tf.reduce_sum(weights)

    spec = (tf.TensorSpec((None, size), tf.int32), tf.TensorSpec((None, size)), tf.TensorSpec((2,), tf.int32))
    return tf.function(run, jit_compile=True, input_signature=spec)
