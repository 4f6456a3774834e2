"""The training objective of a certified autoencoder: interval bounds through it and the classifier behind it.

Gowal et al. 2018, arXiv:1810.12715: the loss is that of the clean images and that of the worst logits inside the ball,
as the bounds have them. The radius and the second loss's weight grow from 0 over the first part of the training. With
``relu_stability`` there is the term of Xiao et al. 2019, arXiv:1809.03008, section 3: -tanh(1 + l u) for a ReLU whose
input lies between l and u, which is least where both have one sign.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae.batching import Tensor
from advae.intervals import Bounds, bound_margins, make_box
from advae.models.autoencoder_networks import require_loss
from advae.models.fitting import Moment
from advae.models.normalised_training import NormalisedClassifier
from advae.models.reconstruction import weighted_mean

if TYPE_CHECKING:
    from advae.records import AutoencoderRecipe

SHARES = ("clean_accuracy", "certified_accuracy", "unstable_relus")
"""Fields of the history that are measured after each epoch."""


@dataclass(frozen=True)
class CertifiedObjective:
    """The training loss of a batch, and the measurements on the held-out images."""

    recipe: AutoencoderRecipe
    """Recipe of the autoencoder, with the options of the training."""
    purify: Callable[[Tensor], Tensor]
    """x -> x'."""
    classify: Callable[[Tensor], Tensor]
    """x' -> logits."""
    network: Any
    """x -> logits as a keras.Function of both, whose operations have bounds."""
    head: NormalisedClassifier | None
    """The classifier where it is trained along; None where it is frozen."""

    def loss(self, batch: tuple[Tensor, ...], weights: Tensor, moment: Moment) -> Tensor:
        """Return the weighted sum of both cross-entropies, the reconstruction loss and the stability term."""
        import tensorflow as tf

        warmup = self._option("warmup")
        grown = tf.minimum(moment.progress / warmup, 1.0) if warmup else 1.0
        purified = self.purify(batch[0])
        logits, folded = self.head.run(purified, weights) if self.head else (self.classify(purified), [])
        return self._weigh(batch, weights, (purified, logits), folded, grown)[0]

    def measure(self, batch: tuple[Tensor, ...], weights: Tensor, moment: Moment) -> Tensor:
        """Return the loss, the clean and the certified accuracy, and the share of unstable ReLUs: float32 (4,)."""
        import keras
        import tensorflow as tf

        x, y = batch
        folded = self.head.fold() if self.head else []
        purified = self.purify(x)
        with keras.StatelessScope(state_mapping=folded):
            logits = self.classify(purified)
        loss, margins, stability = self._weigh(batch, weights, (purified, logits), folded, 1.0)
        clean = tf.argmax(logits, -1, output_type=y.dtype) == y
        # The margin to the image's own class is 0.
        certified = tf.reduce_sum(tf.cast(margins <= 0, tf.int32), -1) == 1
        shares = (*(tf.cast(right, tf.float32) for right in (clean, certified)), stability.share)
        return tf.stack([loss, *(weighted_mean(one, weights) for one in shares)])

    def _weigh(
        self,
        batch: tuple[Tensor, ...],
        weights: Tensor,
        clean: tuple[Tensor, Tensor],
        folded: list[tuple[Any, Tensor]],
        grown: Tensor | float,
    ) -> tuple[Tensor, Tensor, Stability]:
        """Return the loss of a batch, the lower bounds of its margins, and what its ReLUs can do.

        clean: the purified images and their logits. folded: weights of the head in place of its own. grown: how far the
        radius and the weight of the bounds have grown, 0 to 1.
        """
        import keras
        import tensorflow as tf

        x, y = batch
        purified, logits = clean
        inputs: list[Bounds] = []
        with keras.StatelessScope(state_mapping=folded):
            box = make_box(x, grown * self._option("train_eps"), sound=False)
            margins = bound_margins(self.network, box, y, sound=False, see_relu=inputs.append)
        stability = Stability(inputs, tf.zeros_like(margins[:, 0]))
        entropies = [tf.nn.sparse_softmax_cross_entropy_with_logits(y, one) for one in (logits, -margins)]
        share = grown * (1 - self._option("kappa"))
        losses = (1 - share) * entropies[0] + share * entropies[1]
        losses += self._option("reconstruction_weight") * require_loss(self.recipe)(x, purified) / x.shape[-1]
        if weight := self._option("relu_stability"):
            losses += weight * stability.penalty
        return weighted_mean(losses, weights), margins, stability

    def _option(self, name: str) -> float:
        return float(self.recipe.options.get(name, 0.0))


@dataclass(frozen=True)
class Stability:
    """What the ReLUs of a network can do for the images of each box."""

    inputs: list[Bounds]
    """The bounds of the inputs of each layer of ReLUs, (n, ...)."""
    nothing: Tensor
    """Zeros, (n,): what a network without ReLUs has."""

    @property
    def share(self) -> Tensor:
        """The share of ReLUs whose input can have either sign, (n,)."""
        import tensorflow as tf

        return self._average(lambda x: tf.cast((x.low < 0) & (x.high > 0), tf.float32))

    @property
    def penalty(self) -> Tensor:
        """The mean of -tanh(1 + l u) over all ReLUs, (n,)."""
        import tensorflow as tf

        return self._average(lambda x: -tf.tanh(1 + x.low * x.high))

    def _average(self, measure: Callable[[Bounds], Tensor]) -> Tensor:
        import tensorflow as tf

        found = [tf.reshape(measure(one), (-1, one.low.shape[1:].num_elements())) for one in self.inputs]
        count = sum(one.shape[1] for one in found)
        return sum((tf.reduce_sum(one, -1) for one in found), self.nothing) / max(count, 1)
