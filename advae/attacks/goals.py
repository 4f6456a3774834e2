"""The goal of an attack on a batch, made of functions, not of models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from advae.attacks.image_draws import mix
from advae.attacks.losses import margin_loss
from advae.batching import Tensor
from advae.tracing import loops_over_tensors

COMPARISON_DRAWS = 64
"""Fresh draws by which points are compared where the pipeline samples: a share is then known to within 6 points."""

CONFIRMED_SHARE = 0.75
"""Share of COMPARISON_DRAWS, in [0, 1], that confirms a success; a point that succeeds on half of all draws does not
reach it by chance."""


@dataclass(frozen=True)
class Goal:
    """The goal of an attack on a batch of n samples."""

    logits: Callable[[Tensor, Tensor], Tensor]
    """(x, draw) -> (n, classes), the logits that the attacker differentiates."""
    labels: Tensor
    """int64 (n,): the true classes, or the target classes where ``targeted``."""
    targeted: bool
    """Whether the attack aims at ``labels`` instead of away from them."""
    loss: Callable[..., Tensor] | None
    """(labels, logits) -> (n,), or (labels, logits, rivals) where there are any; None: the margin loss."""
    lower: Tensor
    """Smallest valid pixel, scalar or (n, d)."""
    upper: Tensor
    """Largest valid pixel, scalar or (n, d)."""
    norm: str = "linf"
    """Norm of the budget: ``linf`` or ``l2``."""
    shape: tuple[int, int, int] | None = None
    """Height, width and channels of an image; None for a grey square."""
    seed: Tensor = (0, 0)
    """Seed of the attack's own randomness, int32 (2,)."""
    eot_samples: int = 1
    """Draws over which each gradient is averaged (expectation over transformation; Athalye et al. 2018,
    arXiv:1707.07397)."""
    noisy: bool = False
    """Whether each evaluation of the pipeline uses another draw, so that one success is not yet a reliable one."""
    first_unseen: int = 0
    """The first draw that no step of the attack uses."""
    keys: Tensor | None = None
    """Keys of the random numbers that belong to each image, uint32 (n,); None: its position."""
    rivals: Tensor | None = None
    """The class towards which each sample is moved, int64 (n,); any misclassification is a success. None: no class."""
    stops: bool = False
    """Whether an image leaves the attack at its first success, because the attacker asks the very function that is
    scored."""

    def list_keys(self) -> Tensor:
        """Return the keys of the images, uint32 (n,)."""
        import tensorflow as tf

        return tf.cast(tf.range(tf.shape(self.labels)[0]), tf.uint32) if self.keys is None else self.keys

    @property
    def seeded_keys(self) -> Tensor:
        """The keys of the images' random numbers in this run, uint32 (n,)."""
        return mix(self.list_keys(), self.seed[0])

    def view(self, x: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
        """Return labels and logits of every EOT sample of every image: (m,) and (m, classes), m = n * EOT samples."""
        import tensorflow as tf

        if self.eot_samples == 1:
            return self.labels, self.logits(x, draw)
        # The images are repeated in one batch, because the purifier samples for each row.
        return tf.repeat(self.labels, self.eot_samples), self.logits(tf.repeat(x, self.eot_samples, axis=0), draw)

    def look(self, x: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
        """Return losses and margins at x, (n,) both, each the mean over the EOT samples.

        losses: the objective that the attack maximises, the loss of the true classes, or minus that of the targets.
        margins: distance of a sample from success, in logits; below 0 where it is misclassified, or reaches its target.
        """
        labels, logits = self.view(x, draw)
        sign = -1.0 if self.targeted else 1.0
        rivals = () if self.rivals is None else (self._repeat(self.rivals),)
        losses, margins = (self.loss or margin_loss)(labels, logits, *rivals), margin_loss(labels, logits)
        return sign * self._average(losses), -sign * self._average(margins)

    @loops_over_tensors
    def measure_success(self, x: Tensor, block: int) -> tuple[Tensor, Tensor]:
        """Return the shares of COMPARISON_DRAWS with a success at x, and the mean margins: (n,) both.

        block: number of the block of fresh draws; points are compared on the same block.
        """
        import tensorflow as tf

        looks = -(-COMPARISON_DRAWS // self.eot_samples)
        shares, means = tf.zeros_like(x[:, 0]), tf.zeros_like(x[:, 0])
        for k in tf.range(looks):
            labels, logits = self.view(x, self.first_unseen + block * looks + k)
            margins = (1.0 if self.targeted else -1.0) * margin_loss(labels, logits)
            shares += self._average(tf.cast(margins < 0.0, tf.float32)) / looks
            means += self._average(margins) / looks
        return shares, means

    def _repeat(self, values: Tensor) -> Tensor:
        import tensorflow as tf

        return values if self.eot_samples == 1 else tf.repeat(values, self.eot_samples)

    def _average(self, values: Tensor) -> Tensor:
        import tensorflow as tf

        return values if self.eot_samples == 1 else tf.reduce_mean(tf.reshape(values, (-1, self.eot_samples)), axis=-1)


def narrow(goal: Goal, rows: Tensor) -> Goal:
    """Return the goal for the samples in ``rows``."""
    import tensorflow as tf

    lower, upper = (
        tf.gather(bound, rows) if tf.convert_to_tensor(bound).shape.rank else bound
        for bound in (goal.lower, goal.upper)
    )
    keys = tf.gather(goal.list_keys(), rows)
    rivals = None if goal.rivals is None else tf.gather(goal.rivals, rows)
    return replace(goal, labels=tf.gather(goal.labels, rows), lower=lower, upper=upper, keys=keys, rivals=rivals)


def select(where: Tensor, ones: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return for each sample the values of ``ones`` where ``where`` is true, else those of ``others``.

    where: bool (n,); ones, others: tensors (n,) or (n, d), in pairs of the same shape.
    """
    import tensorflow as tf

    return tuple(
        tf.where(where[:, None] if one.shape.rank == 2 else where, one, other)
        for one, other in zip(ones, others, strict=True)
    )


def is_ahead(share: Tensor, margin: Tensor, best_share: Tensor, lowest: Tensor) -> Tensor:
    """Return which points are better than the best, bool: more successful draws, or as many and a lower margin."""
    return (share > best_share) | ((share == best_share) & (margin < lowest))
