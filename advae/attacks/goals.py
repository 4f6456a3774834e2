"""What an attack is to reach on a batch. It is made of functions, never of models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from advae.attacks.losses import margin_loss
from advae.batching import Tensor

SURVEYED = 64
"""Fresh draws by which points are compared where the pipeline samples: a share is then known to within 6 points."""

MOST = 0.75
"""The share of fresh draws that must be fooled for a success: of SURVEYED, one half is not taken for it by accident."""


@dataclass(frozen=True)
class Goal:
    """What an attack is to reach on a batch.

    logits: (x, draw) -> (n, classes), what the attacker differentiates; labels: int64 (n,), the classes to leave, or
    to reach where ``targeted``; loss: (labels, logits) -> (n,); lower, upper: the valid range, scalar or (n, d);
    norm: ``linf`` or ``l2``; seed: int32 (2,), of what the attack draws. draws: over how many draws of a pipeline that
    samples each look averages (expectation over transformation; Athalye et al. 2018, arXiv:1707.07397). noisy: whether
    each look meets other draws, so that one success is no success; fresh: the first draw that no step looks at.
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
    noisy: bool = False
    fresh: int = 0

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

    def survey(self, x: Tensor, block: int) -> tuple[Tensor, Tensor]:
        """Return the shares of SURVEYED fresh draws that are fooled at x, and the mean margins: (n,) both.

        block: which of the fresh draws; points that are compared are looked at by the same ones.
        """
        import tensorflow as tf

        looks = -(-SURVEYED // self.draws)
        shares, means = tf.zeros_like(x[:, 0]), tf.zeros_like(x[:, 0])
        for k in tf.range(looks):
            labels, logits = self.view(x, self.fresh + block * looks + k)
            margins = (1.0 if self.targeted else -1.0) * margin_loss(labels, logits)
            shares += self._average(tf.cast(margins < 0.0, tf.float32)) / looks
            means += self._average(margins) / looks
        return shares, means

    def _average(self, values: Tensor) -> Tensor:
        import tensorflow as tf

        return values if self.draws == 1 else tf.reduce_mean(tf.reshape(values, (-1, self.draws)), axis=-1)


def is_ahead(share: Tensor, margin: Tensor, best_share: Tensor, lowest: Tensor) -> Tensor:
    """Return which points fool a larger share of fresh draws than the best ones so far, or as many by more: bool."""
    return (share > best_share) | ((share == best_share) & (margin < lowest))
