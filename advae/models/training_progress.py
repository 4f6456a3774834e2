"""The state of a training between epochs: in memory, saved to a checkpoint, and restored from one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from advae.errors import CorruptError

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import History


class TrainingCheckpoint(Protocol):
    """The store of a training's state after each epoch, so that the training can continue after an interruption."""

    def load(self) -> Arrays | None:
        """Return the arrays that were saved last, None where no readable ones exist."""

    def save(self, arrays: Arrays) -> None:
        """Save arrays in place of those saved before."""


class _NoCheckpoint:
    def load(self) -> None:
        return None

    def save(self, arrays: Arrays) -> None:
        pass


NO_CHECKPOINT = _NoCheckpoint()
"""A checkpoint that saves nothing, for a training that is so short that it can be repeated."""


@dataclass(frozen=True)
class FinishedEpochs:
    """The epochs that a training has finished."""

    losses: tuple[float, ...] = ()
    """Training loss of each epoch."""
    measured: tuple[tuple[float, ...], ...] = ()
    """After each epoch, on the held-out images: the loss, and the shares that are measured."""
    seconds: float = 0.0
    """Seconds that these epochs took."""

    def add(self, loss: float, measured: Sequence[float], seconds: float) -> FinishedEpochs:
        """Return these epochs and one more. seconds: since the training began."""
        return FinishedEpochs((*self.losses, loss), (*self.measured, tuple(measured)), seconds)

    def as_history(self, shares: Sequence[str]) -> History:
        """Return the record that is stored. shares: its field for each share."""
        from advae.records import History

        validation, *measured = zip(*self.measured, strict=True)
        named: dict[str, Any] = dict(zip(shares, measured, strict=True))
        return History(loss=self.losses, validation_loss=validation, seconds=round(self.seconds, 3), **named)


class TrainingState:
    """Everything that the next epoch depends on: the weights and the optimizer's variables, in this order."""

    def __init__(self, variables: Sequence[Any]) -> None:
        self.variables = variables

    def save(self, checkpoint: TrainingCheckpoint, done: FinishedEpochs) -> None:
        """Save the variables and the finished epochs."""
        import numpy as np

        arrays = {str(n): np.asarray(variable) for n, variable in enumerate(self.variables)}
        checkpoint.save(
            arrays
            | {"losses": np.array(done.losses), "found": np.array(done.measured), "seconds": np.array([done.seconds])}
        )

    def resume(self, checkpoint: TrainingCheckpoint) -> FinishedEpochs:
        """Restore the saved state and return the finished epochs; no epochs where nothing was saved.

        Raises CorruptError for the checkpoint of another training.
        """
        arrays = checkpoint.load()
        if arrays is None:
            return FinishedEpochs()
        expected = {str(n): (tuple(variable.shape), variable.dtype) for n, variable in enumerate(self.variables)}
        found = {name: (array.shape, str(array.dtype)) for name, array in arrays.items() if name.isdigit()}
        if found != expected or set(arrays) - set(found) != {"losses", "found", "seconds"}:
            raise CorruptError("the checkpoint is of another training; --force starts again")
        for n, variable in enumerate(self.variables):
            variable.assign(arrays[str(n)])
        return FinishedEpochs(
            tuple(arrays["losses"].tolist()),
            tuple(map(tuple, arrays["found"].tolist())),
            float(arrays["seconds"][0]),
        )
