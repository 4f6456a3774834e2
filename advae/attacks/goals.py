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
    norm: ``linf`` or ``l2``; seed: int32 (2,), of what the attack draws.
    """

    logits: Callable[[Tensor, Tensor], Tensor]
    labels: Tensor
    targeted: bool
    loss: Callable[[Tensor, Tensor], Tensor] | None
    lower: Tensor
    upper: Tensor
    norm: str = "linf"
    seed: Tensor = (0, 0)

    def raise_loss(self, logits: Tensor) -> Tensor:
        """Return what the attack raises, (n,): the loss of the labels to leave, or minus that of those to reach."""
        losses = (self.loss or margin_loss)(self.labels, logits)
        return -losses if self.targeted else losses

    def margins(self, logits: Tensor) -> Tensor:
        """Return how far each sample is from fooling, (n,): below 0 where it is fooled, or has reached its target."""
        return margin_loss(self.labels, logits) * (1.0 if self.targeted else -1.0)
