"""What an attack is to reach on a batch. It is made of functions, never of models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from advae.attacks.losses import margin_loss

Tensor = Any


@dataclass(frozen=True)
class Goal:
    """What an attack is to reach on a batch.

    logits: (x, draw) -> (n, classes), what the attacker differentiates; labels: int64 (n,), the classes to leave, or
    to reach where ``targeted``; loss: (labels, logits) -> (n,); lower, upper: the valid range, scalar or (n, d);
    norm: ``linf`` or ``l2``; seed: int32 (2,), of what the attack draws. draws: over how many draws of a pipeline that
    samples each look averages (expectation over transformation; Athalye et al. 2018, arXiv:1707.07397).
    """

    logits: Callable[[Tensor, Tensor], Tensor]
    labels: Tensor
    targeted: bool
    loss: Callable[[Tensor, Tensor], Tensor] | None
    lower: Tensor
    upper: Tensor
    norm: str = "linf"
    seed: Tensor = (0, 0)
    draws: int = 1

    def view(self, x: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
        """Return labels and logits of every draw of every sample: (n * draws,) and (n * draws, classes)."""
        import tensorflow as tf

        if self.draws == 1:
            return self.labels, self.logits(x, draw)
        # Copies in one batch: the purifier draws for each of them.
        return tf.repeat(self.labels, self.draws), self.logits(tf.repeat(x, self.draws, axis=0), draw)

    def look(self, x: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
        """Return losses and margins at x, (n,) both, each the mean over the draws.

        losses: what the attack raises, the loss of the labels to leave, or minus that of those to reach. margins: how
        far a sample is from fooling, below 0 where it is fooled, or has reached its target.
        """
        labels, logits = self.view(x, draw)
        sign = -1.0 if self.targeted else 1.0
        losses, margins = (self.loss or margin_loss)(labels, logits), margin_loss(labels, logits)
        return sign * self._average(losses), -sign * self._average(margins)

    def _average(self, values: Tensor) -> Tensor:
        import tensorflow as tf

        return values if self.draws == 1 else tf.reduce_mean(tf.reshape(values, (-1, self.draws)), axis=-1)
