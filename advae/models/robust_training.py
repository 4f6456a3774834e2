"""The training objective of a robust autoencoder: adversarial training through it and the classifier behind it.

Madry et al. 2018, arXiv:1706.06083: the inner maximisation by projected gradient steps, here through purifier and
classifier together. Zhang et al. 2019, arXiv:1901.08573 (TRADES): the attack maximises the divergence between the clean
and the adversarial output, and the training minimises it; this masks gradients less than the cross-entropy under attack
does. The reconstruction loss makes the output resemble the image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae.batching import Tensor
from advae.models.autoencoder_networks import require_loss
from advae.models.fitting import Moment
from advae.models.reconstruction import weighted_mean
from advae.tracing import loops_over_tensors

if TYPE_CHECKING:
    from advae.records import AutoencoderRecipe

STRIDE = 2.5
"""The step size is STRIDE * eps / steps, so that an attack can reach any point of the ball from any other."""

VALIDATION_STEPS = 2
"""Steps of the attack on the held-out images, as a multiple of the training attack's steps."""


@dataclass(frozen=True)
class RobustObjective:
    """The training loss of a batch, and the measurements on the held-out images."""

    recipe: AutoencoderRecipe
    """Recipe of the autoencoder, with the options of the training attack."""
    purify: Callable[[Tensor], Tensor]
    """x -> x'."""
    classify: Callable[[Tensor], Tensor]
    """x' -> logits."""

    def loss(self, batch: tuple[Tensor, ...], weights: Tensor, moment: Moment) -> Tensor:
        """Return cross-entropy plus, both weighted, the divergence under attack and the reconstruction loss."""
        import tensorflow as tf

        warmup = float(self.recipe.options["warmup"])
        grown = tf.minimum(moment.progress / warmup, 1.0) if warmup else 1.0
        eps = grown * float(self.recipe.options["train_eps"])
        logits = self._answer(batch[0])
        answers = tf.stop_gradient(tf.nn.softmax(logits))

        def divergence(images: Tensor) -> Tensor:
            return tf.nn.softmax_cross_entropy_with_logits(answers, self._answer(images))

        steps = int(self.recipe.options["train_steps"])
        x_adv = tf.stop_gradient(perturb(divergence, batch[0], eps=eps, steps=steps, seed=moment.seed))
        return self._weigh(batch, weights, logits, x_adv)[0]

    def measure(self, batch: tuple[Tensor, ...], weights: Tensor, moment: Moment) -> Tensor:
        """Return the loss, the clean accuracy, and the robust accuracy under PGD at the full radius: float32 (3,)."""
        import tensorflow as tf

        x, y = batch

        def cross_entropy(images: Tensor) -> Tensor:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(y, self._answer(images))

        eps, steps = float(self.recipe.options["train_eps"]), VALIDATION_STEPS * int(self.recipe.options["train_steps"])
        logits = self._answer(x)
        loss, moved = self._weigh(
            batch, weights, logits, perturb(cross_entropy, x, eps=eps, steps=steps, seed=moment.seed)
        )
        right = [tf.cast(tf.argmax(found, -1, output_type=y.dtype) == y, tf.float32) for found in (logits, moved)]
        return tf.stack([loss, *(weighted_mean(one, weights) for one in right)])

    def _answer(self, images: Tensor) -> Tensor:
        return self.classify(self.purify(images))

    def _weigh(
        self, batch: tuple[Tensor, ...], weights: Tensor, logits: Tensor, x_adv: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch and its logits under attack. logits: of the clean images."""
        import tensorflow as tf

        x, y = batch
        purified = self.purify(x_adv)
        moved = self.classify(purified)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
        clean, attacked = tf.nn.log_softmax(logits), tf.nn.log_softmax(moved)
        divergence = tf.reduce_sum(tf.exp(clean) * (clean - attacked), -1)
        distance = require_loss(self.recipe)(x, purified) / x.shape[-1]
        beta, weight = (float(self.recipe.options[name]) for name in ("trades_beta", "reconstruction_weight"))
        return weighted_mean(entropy + beta * divergence + weight * distance, weights), moved


@loops_over_tensors
def perturb(loss: Callable[[Tensor], Tensor], x: Tensor, *, eps: Tensor, steps: int, seed: Tensor) -> Tensor:
    """Return x after ``steps`` signed-gradient steps from a random point of the eps-ball, inside it and in [0, 1].

    loss: images -> losses to maximise, (n,); x: float32 (n, d) in [0, 1]; eps: L-infinity radius in units of x. It
    returns the last iterate, not the best one as the attack ``pgd`` does, which would cost one more evaluation. Madry
    et al. 2018, arXiv:1706.06083, section 2.1.
    """
    import tensorflow as tf

    lower, upper = tf.maximum(x - eps, 0.0), tf.minimum(x + eps, 1.0)
    x_adv = tf.clip_by_value(x + eps * tf.random.stateless_uniform(tf.shape(x), seed, -1.0, 1.0), lower, upper)
    for _ in tf.range(steps):
        with tf.GradientTape() as tape:
            tape.watch(x_adv)
            losses = loss(x_adv)
        gradient = tape.gradient(losses, x_adv)
        x_adv = tf.clip_by_value(x_adv + STRIDE * eps / steps * tf.sign(gradient), lower, upper)
    return x_adv
