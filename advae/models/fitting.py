"""The compiled training loop that all networks share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from advae.batching import lend
from advae.errors import DivergedError
from advae.models.held_out import split
from advae.models.training_progress import NO_CHECKPOINT, TrainingCheckpoint, TrainingState
from advae.tracing import loops_over_tensors, trace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.batching import Tensor
    from advae.records import History, IntArray

    Array = NDArray[Any]

DIVERGED_HINT = "try a lower --learning-rate, another --seed or other --activations"
"""What can be done about a training that diverges."""

XLA_PAYS = 200_000
"""Fewest images, summed over all epochs, for which XLA saves more time than it takes to compile."""

EPOCH_STRIDE = 1_000_003
"""More than the batches of an epoch, so that no two batches of a training have the same seed."""


@dataclass(frozen=True)
class Epoch:
    """The progress of a training after an epoch."""

    number: int
    """Number of the epoch, from 1."""
    epochs: int
    """Number of epochs of the training."""
    loss: float
    """Mean training loss of the epoch."""
    validation_loss: float
    """Mean loss of the held-out images."""
    seconds: float
    """Seconds since the training began."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """What the training measures on the held-out images besides the loss, by its field of the history, in [0, 1]."""


class Moment(NamedTuple):
    """The position of a batch in the training."""

    seed: Tensor
    """int32 (2,), different for each batch."""
    progress: Tensor
    """float32 scalar in [0, 1], the share of the training before this batch."""


OnEpoch = Callable[[Epoch], None]
BatchLoss = Callable[["tuple[Tensor, ...]", "Tensor", Moment], "Tensor"]
"""(batch, weights, moment) -> scalar: weighted mean over the batch; a weight is 1, or 0 for padding."""


@dataclass(frozen=True)
class Measure:
    """What is measured on the held-out images after each epoch."""

    compute: BatchLoss
    """(batch, weights, moment) -> float32 (1 + number of shares,): the loss, then the shares; weighted means."""
    shares: tuple[str, ...]
    """Field of the history for each share."""


def train(
    loss: BatchLoss,
    networks: Sequence[Any],
    data: tuple[Array, ...],
    labels: IntArray,
    *,
    options: Schedule,
    seed: int,
    on_epoch: OnEpoch,
    decay: bool = False,
    clip: float | None = None,
    measure: Measure | None = None,
    xla: bool = True,
    checkpoint: TrainingCheckpoint = NO_CHECKPOINT,
) -> History:
    """Train networks in place with Adam and return the loss history.

    networks: what has ``trainable_variables`` and ``non_trainable_variables``, as Keras' networks have.

    data: arrays of equal length n, of which ``held_out.split`` holds out a twentieth. labels: int64 (n,).
    decay: warm up the learning rate over the first steps, then lower it to 0 along a half cosine.
    measure: computed on the held-out images after each epoch; None for the loss alone.
    clip: largest norm of a step's gradient, over all weights; None: any.
    xla: False for convolutions, which XLA makes slower on processors.
    checkpoint: saved to after every epoch; a resumed training gives the numbers of an uninterrupted one.

    One compiled call loops over the batches of an epoch; the last batch is padded with images of weight 0, so that all
    batches have one shape. Raises DivergedError at the first epoch whose loss is not finite.
    """
    import keras
    import numpy as np

    variables = [variable for network in networks for variable in network.trainable_variables]
    kept, held_out = split(labels, seed)
    batches = math.ceil(len(kept) / options.batch_size)
    optimizer = keras.optimizers.Adam(
        _warm_up_and_decay(options.learning_rate, options.epochs * batches) if decay else options.learning_rate,
        global_clipnorm=clip,
    )
    optimizer.build(variables)
    # Not copied: MNIST takes 188 MB.
    tensors = tuple(lend(array) for array in data)
    xla = xla and len(kept) * options.epochs >= XLA_PAYS
    run_epoch = _compile_pass(_descend(loss, variables, optimizer), tensors, options.batch_size, xla=xla)
    names = measure.shares if measure else ()
    run_validation = _compile_pass(
        measure.compute if measure else loss,
        tensors,
        options.batch_size,
        xla=xla,
        numbers=1 + len(names) if measure else None,
    )
    validation_batches = _lay_out_batches(held_out, options.batch_size)
    others = [variable for network in networks for variable in network.non_trainable_variables]
    state = TrainingState([*variables, *others, *optimizer.variables])
    done = state.resume(checkpoint)
    start = time.monotonic() - done.seconds
    for number in range(len(done.losses) + 1, options.epochs + 1):
        order = np.random.default_rng([seed, number]).permutation(kept)
        pace = np.array([number - 1, 1 / batches], np.float32) / options.epochs
        value = float(run_epoch(*_lay_out_batches(order, options.batch_size), [seed, number], pace))
        measured = np.ravel(run_validation(*validation_batches, [seed, 0], [1.0, 0.0])).astype(float).tolist()
        shares = dict(zip(names, measured[1:], strict=True))
        epoch = Epoch(number, options.epochs, value, measured[0], time.monotonic() - start, shares)
        _refuse_divergence(epoch)
        done = done.add(value, measured, epoch.seconds)
        if number < options.epochs:
            state.save(checkpoint, done)
        on_epoch(epoch)
    return done.as_history(names)


def _refuse_divergence(epoch: Epoch) -> None:
    if not (math.isfinite(epoch.loss) and math.isfinite(epoch.validation_loss)):
        raise DivergedError(
            f"training diverged: loss {epoch.loss} in epoch {epoch.number} of {epoch.epochs}, nothing was stored; "
            f"{DIVERGED_HINT}"
        )


WARMUP_PARTS = 20
"""The learning rate rises during the first 1 / WARMUP_PARTS of the training, because untrained weights diverge at the
full rate."""


def _warm_up_and_decay(learning_rate: float, steps: int) -> Any:
    from keras.optimizers.schedules import CosineDecay

    warmup = steps // WARMUP_PARTS
    return CosineDecay(0.0, max(1, steps - warmup), warmup_target=learning_rate, warmup_steps=warmup)


class Schedule(Protocol):
    """Epochs, batch size and learning rate of a training."""

    @property
    def epochs(self) -> int: ...

    @property
    def batch_size(self) -> int: ...

    @property
    def learning_rate(self) -> float: ...


# ---------------------------------------------------------------- batches


def _lay_out_batches(order: Array, size: int) -> tuple[Array, NDArray[np.float32]]:
    """Return positions and weights, both (batches, size), the last batch filled up with weight 0."""
    import numpy as np

    batches = math.ceil(len(order) / size)
    positions = np.zeros(batches * size, np.int32)
    positions[: len(order)] = order
    weights = (np.arange(batches * size) < len(order)).astype(np.float32)
    return positions.reshape(batches, size), weights.reshape(batches, size)


def _descend(loss: BatchLoss, variables: list[Any], optimizer: Any) -> BatchLoss:
    """Return ``loss`` followed by a step of the optimizer."""
    import tensorflow as tf

    def step(batch: tuple[Tensor, ...], weights: Tensor, moment: Moment) -> Tensor:
        with tf.GradientTape() as tape:
            value = loss(batch, weights, moment)
        optimizer.apply(tape.gradient(value, variables), variables)
        return value

    return step


def _compile_pass(
    visit: BatchLoss, tensors: tuple[Tensor, ...], size: int, *, xla: bool, numbers: int | None = None
) -> Any:
    """Return a compiled pass over batches: (positions, weights, seed, pace) -> mean over all images.

    pace: the progress at the first batch, and the progress of one batch. numbers: length of the vector that ``visit``
    returns, None for a scalar.
    """
    import tensorflow as tf

    @loops_over_tensors
    def run(positions: Tensor, weights: Tensor, seed: Tensor, pace: Tensor) -> Tensor:
        total = tf.constant(0.0) if numbers is None else tf.zeros(numbers)
        for i in tf.range(tf.shape(positions)[0]):
            batch = tuple(tf.gather(tensor, positions[i]) for tensor in tensors)
            step = seed[1] * EPOCH_STRIDE + i
            moment = Moment(tf.stack([seed[0], step]), pace[0] + pace[1] * tf.cast(i, tf.float32))
            total += visit(batch, weights[i], moment) * tf.reduce_sum(weights[i])
        return total / tf.reduce_sum(weights)

    spec = (
        *(tf.TensorSpec((None, size), tf.int32), tf.TensorSpec((None, size))),
        *(tf.TensorSpec((2,), tf.int32), tf.TensorSpec((2,))),
    )
    return trace(run, spec, xla=xla)
