"""The one compiled training loop that autoencoders and the neural classifier share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from advae.batching import lend
from advae.errors import CorruptError, DivergedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.batching import Tensor
    from advae.records import History, IntArray

    Array = NDArray[Any]

HELD_OUT = 20
"""One training image in 20 is never trained on; the validation loss is taken on these."""


XLA_PAYS = 200_000
"""Examples to train on, those of all epochs together, from which on XLA saves the seconds that it takes to compile."""

EPOCH_STRIDE = 1_000_003
"""More than an epoch has batches."""


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch; seconds since the training began.

    accuracies: in [0, 1], on the held-out images, clean and under attack, of what is trained against attacks.
    """

    number: int
    epochs: int
    loss: float
    validation_loss: float
    seconds: float
    accuracies: tuple[float, float] | None = None


class Moment(NamedTuple):
    """Where in its training a batch is met.

    seed: int32 (2,), no other batch has it; progress: float32 scalar, the share of the training that lies behind.
    """

    seed: Tensor
    progress: Tensor


OnEpoch = Callable[[Epoch], None]
BatchLoss = Callable[["tuple[Tensor, ...]", "Tensor", Moment], "Tensor"]
"""(batch, weights, moment) -> scalar: mean over the batch of ``weights``, which are 1, and 0 for padding."""


class Checkpoint(Protocol):
    """Where a training keeps how far it has come, so that it can go on from there."""

    def load(self) -> dict[str, Array] | None:
        """Return the arrays that were saved last, None where there are none that can be read."""

    def save(self, arrays: dict[str, Array]) -> None:
        """Keep arrays in the place of those saved before."""


class _NoCheckpoint:
    def load(self) -> None:
        return None

    def save(self, arrays: dict[str, Array]) -> None:
        pass


NO_CHECKPOINT = _NoCheckpoint()
"""Of trainings that are repeated sooner than they are worth keeping."""


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
    measure: BatchLoss | None = None,
    xla: bool = True,
    checkpoint: Checkpoint = NO_CHECKPOINT,
) -> History:
    """Train networks in place with Adam and return the loss history.

    decay: let the learning rate rise over the first steps, and fall to 0 along a half cosine over all others. measure:
    what to find on the held-out images after each epoch, float32 (3,): loss, and accuracies clean and under attack;
    None for the loss alone. xla: False for networks of convolutions, which XLA makes slow on processors: they run as a
    graph, and so does what is trained too shortly for compiling to pay. checkpoint: is saved to after every epoch, and
    gone on from: the numbers are those of a training that was never interrupted.

    data: arrays of equal length n; a twentieth, drawn by ``seed``, is held out for validation, but never all images of
    a class. labels: int64 (n,). An epoch is one call of one program that loops over the batches, so that Python is met
    once an epoch; the last, short batch is padded with weight 0 and costs no second trace. Raises DivergedError at the
    first epoch whose loss is not finite.
    """
    import keras
    import numpy as np

    variables = [variable for network in networks for variable in network.trainable_variables]
    kept, held_out = split(labels, seed)
    batches = math.ceil(len(kept) / options.batch_size)
    optimizer = keras.optimizers.Adam(
        _rise_and_fall(options.learning_rate, options.epochs * batches) if decay else options.learning_rate
    )
    optimizer.build(variables)
    # All of MNIST is 188 MB, and it is there already.
    tensors = tuple(lend(array) for array in data)
    xla = xla and len(kept) * options.epochs >= XLA_PAYS
    run_epoch = _compile_pass(_descend(loss, variables, optimizer), tensors, options.batch_size, xla=xla)
    look = _compile_pass(measure or loss, tensors, options.batch_size, xla=xla, numbers=3 if measure else None)
    fixed = _lay_out_batches(held_out, options.batch_size)
    state = _State([*variables, *optimizer.variables])
    done = state.resume(checkpoint)
    start = time.monotonic() - done.seconds
    for number in range(len(done.losses) + 1, options.epochs + 1):
        order = np.random.default_rng([seed, number]).permutation(kept)
        pace = np.array([number - 1, 1 / batches], np.float32) / options.epochs
        value = float(run_epoch(*_lay_out_batches(order, options.batch_size), [seed, number], pace))
        found = np.ravel(look(*fixed, [seed, 0], [1.0, 0.0])).astype(float).tolist()
        accuracies = (found[1], found[2]) if measure else None
        epoch = Epoch(number, options.epochs, value, found[0], time.monotonic() - start, accuracies)
        _refuse_divergence(epoch)
        done = done.add(value, found, epoch.seconds)
        if number < options.epochs:
            state.save(checkpoint, done)
        on_epoch(epoch)
    return done.as_history()


def _refuse_divergence(epoch: Epoch) -> None:
    if not (math.isfinite(epoch.loss) and math.isfinite(epoch.validation_loss)):
        raise DivergedError(
            f"training diverged: loss {epoch.loss} in epoch {epoch.number} of {epoch.epochs}, nothing was stored; "
            "try a lower --learning-rate, another --seed or other --activations"
        )


RISING = 20
"""The first of so many parts of a training in which the learning rate rises: at once it is too much for new weights."""


def _rise_and_fall(learning_rate: float, steps: int) -> Any:
    from keras.optimizers.schedules import CosineDecay

    rising = steps // RISING
    return CosineDecay(0.0, max(1, steps - rising), warmup_target=learning_rate, warmup_steps=rising)


class Schedule(Protocol):
    """How long and in what steps something is trained."""

    @property
    def epochs(self) -> int: ...

    @property
    def batch_size(self) -> int: ...

    @property
    def learning_rate(self) -> float: ...


# ---------------------------------------------------------------- how far it has come


@dataclass(frozen=True)
class _Done:
    """The epochs that lie behind: their losses, what was found after each of them, and the seconds that they took."""

    losses: tuple[float, ...] = ()
    found: tuple[tuple[float, ...], ...] = ()
    seconds: float = 0.0

    def add(self, loss: float, found: Sequence[float], seconds: float) -> _Done:
        return _Done((*self.losses, loss), (*self.found, tuple(found)), seconds)

    def as_history(self) -> History:
        from advae.records import History

        validation, *accuracies = zip(*self.found, strict=True)
        clean, attacked = accuracies or (None, None)
        return History(
            loss=self.losses,
            validation_loss=validation,
            seconds=round(self.seconds, 3),
            clean_accuracy=clean,
            attacked_accuracy=attacked,
        )


class _State:
    """All that the next epoch rests on: the weights and the optimizer's variables, in this order."""

    def __init__(self, variables: Sequence[Any]) -> None:
        self.variables = variables

    def save(self, checkpoint: Checkpoint, done: _Done) -> None:
        import numpy as np

        arrays = {str(n): np.asarray(variable) for n, variable in enumerate(self.variables)}
        checkpoint.save(
            arrays
            | {"losses": np.array(done.losses), "found": np.array(done.found), "seconds": np.array([done.seconds])}
        )

    def resume(self, checkpoint: Checkpoint) -> _Done:
        """Put back what was saved and return the epochs that lie behind it; none where nothing was.

        Raises CorruptError for what is of another training.
        """
        arrays = checkpoint.load()
        if arrays is None:
            return _Done()
        expected = {str(n): (tuple(variable.shape), variable.dtype) for n, variable in enumerate(self.variables)}
        found = {name: (array.shape, str(array.dtype)) for name, array in arrays.items() if name.isdigit()}
        if found != expected or set(arrays) - set(found) != {"losses", "found", "seconds"}:
            raise CorruptError("the checkpoint is of another training; --force begins anew")
        for n, variable in enumerate(self.variables):
            variable.assign(arrays[str(n)])
        return _Done(
            tuple(arrays["losses"].tolist()),
            tuple(map(tuple, arrays["found"].tolist())),
            float(arrays["seconds"][0]),
        )


# ---------------------------------------------------------------- batches


def split(labels: IntArray, seed: int) -> tuple[IntArray, IntArray]:
    """Return the positions to train on and those held out. Drawn, since a user's images may be sorted by class.

    labels: (n,). Of a class of which all images were drawn, one changes places with an image of a class of which more
    are left; where no class has more, it is trained on and held out.
    """
    import numpy as np

    kept, held_out = _draw_split(len(labels), seed)
    for label in np.setdiff1d(labels[held_out], labels[kept]):
        place = np.flatnonzero(labels[held_out] == label)[0]
        _, classes, counts = np.unique(labels[kept], return_inverse=True, return_counts=True)
        spare = np.flatnonzero(counts[classes] > 1)
        if len(spare):
            kept[spare[0]], held_out[place] = held_out[place], kept[spare[0]]
        else:
            kept = np.append(kept, held_out[place])
    return kept, held_out


def needs_each_class(labels: IntArray, seed: int) -> Literal[True] | None:
    """Return True where ``split`` returns another split than the one drawn, else None, for the recipe."""
    import numpy as np

    kept, held_out = _draw_split(len(labels), seed)
    return True if len(np.setdiff1d(labels[held_out], labels[kept])) else None


def _draw_split(n: int, seed: int) -> tuple[IntArray, IntArray]:
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

    def step(batch: tuple[Tensor, ...], weights: Tensor, moment: Moment) -> Tensor:
        with tf.GradientTape() as tape:
            value = loss(batch, weights, moment)
        optimizer.apply(tape.gradient(value, variables), variables)
        return value

    return step


def _compile_pass(
    visit: BatchLoss, tensors: tuple[Tensor, ...], size: int, *, xla: bool, numbers: int | None = None
) -> Any:
    """Return the program of a pass over batches: (positions, weights, seed, pace) -> mean over all examples.

    pace: the progress at the first batch, and what each batch adds. numbers: how many ``visit`` returns, None for a
    scalar.
    """
    import tensorflow as tf

    def run(positions: Tensor, weights: Tensor, seed: Tensor, pace: Tensor) -> Tensor:
        total = tf.constant(0.0) if numbers is None else tf.zeros(numbers)
        for i in tf.range(tf.shape(positions)[0]):
            batch = tuple(tf.gather(tensor, positions[i]) for tensor in tensors)
            # Each epoch's batches begin at a multiple of their own, so that no two see the same noise.
            step = seed[1] * EPOCH_STRIDE + i
            moment = Moment(tf.stack([seed[0], step]), pace[0] + pace[1] * tf.cast(i, tf.float32))
            total += visit(batch, weights[i], moment) * tf.reduce_sum(weights[i])
        return total / tf.reduce_sum(weights)

    spec = (
        *(tf.TensorSpec((None, size), tf.int32), tf.TensorSpec((None, size))),
        *(tf.TensorSpec((2,), tf.int32), tf.TensorSpec((2,))),
    )
    return tf.function(run, jit_compile=xla, input_signature=spec)
