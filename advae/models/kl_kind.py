"""The row kl: an autoencoder that is trained in front of a frozen classifier so that its answers stay what they were.

Vacanti, Van Looveren 2020, arXiv:2002.09364: the loss is D_KL(M(x) || M(AE(x))), of the answers M of the classifier.
The paper's detector is a product, alibi-detect, whose defaults are taken where the paper leaves a choice: a temperature
of 1, and no reconstruction loss. Its optional distance between hidden layers is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from advae.batching import Tensor
from advae.errors import CorruptError, UsageError
from advae.models import layers
from advae.models.autoencoder_networks import NetworkKind, require_loss, require_network
from advae.models.fitting import Measure, Moment, train
from advae.models.layers import Weights
from advae.models.model_kinds import Choices, Option, OwnOptions, TrainingData, refuse_impossible
from advae.models.reconstruction import weighted_mean

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import Activations, AutoencoderRecipe, Dataset, History
    from advae.requests import AutoencoderRequest

TEMPERATURE, WEIGHT = "temperature", "reconstruction_weight"

KL_OPTIONS = {
    TEMPERATURE: Option(
        1.0, "Temperature of the answers to the image itself; below 1 makes them more certain, as the target"
    ),
    WEIGHT: Option(0.0, "Weight of the reconstruction loss per pixel; the KL divergence has weight 1"),
}


@dataclass(frozen=True)
class KlKind(NetworkKind):
    """The row of AUTOENCODERS that is trained on a frozen classifier's answers, without labels and attacks."""

    def needs_protected(self, options: OwnOptions) -> bool:
        """Return True: the answers that it keeps are those of a trained classifier."""
        return True

    def choose(self, request: AutoencoderRequest, dataset: Dataset) -> Choices:
        """Return the request with every default filled in. Raises UsageError for an unknown or impossible value."""
        choices = super().choose(request, dataset)
        _check_image_output(str(choices.loss), choices.rescale)
        return choices

    def fit(self, recipe: AutoencoderRecipe, data: TrainingData) -> tuple[Arrays, History]:
        """Return the trained weights and the history. Raises DivergedError, CorruptError for another's checkpoint."""
        if data.behind is None:
            raise CorruptError(f"an autoencoder of type {recipe.type} needs a classifier behind it")
        built = self.build(recipe)
        objective = KlObjective(recipe, built.reconstruct.mean, data.behind.classify)
        history = train(
            objective.loss,
            built.networks,
            (data.x, data.y.astype("int32")),
            data.y,
            options=require_network(recipe),
            seed=recipe.seed,
            on_epoch=data.on_epoch,
            measure=Measure(objective.measure, ("clean_accuracy",)),
            # The classifier may have operations that XLA makes slower, or does not have.
            xla=False,
            checkpoint=data.checkpoint,
        )
        return layers.collect_weights(built.networks), history

    def weights(self, recipe: AutoencoderRecipe) -> Weights:
        """Return the stored arrays, by name. Raises CorruptError for a recipe that ``choose`` cannot have made."""
        if not recipe.protects:
            _refuse_head(recipe)
        with refuse_impossible():
            _check_image_output(str(recipe.loss), recipe.rescale)
        return super().weights(recipe)

    @property
    def choose_head(self) -> Callable[[AutoencoderRecipe], NoReturn]:
        """Recipe -> CorruptError: no classifier is trained along with it, and a recipe without one is impossible."""
        return _refuse_head


@dataclass(frozen=True)
class KlObjective:
    """The training loss of a batch, and the measurements on the held-out images."""

    recipe: AutoencoderRecipe
    """Recipe of the autoencoder."""
    purify: Callable[[Tensor], Tensor]
    """x -> x'."""
    classify: Callable[[Tensor], Tensor]
    """Images -> logits of the frozen classifier."""

    def loss(self, batch: tuple[Tensor, ...], weights: Tensor, moment: Moment) -> Tensor:
        """Return D_KL(M(x) || M(x')) and, weighted, the reconstruction loss per pixel."""
        return self._weigh(batch[0], weights)[0]

    def measure(self, batch: tuple[Tensor, ...], weights: Tensor, moment: Moment) -> Tensor:
        """Return the loss and the clean accuracy of the classifier behind the autoencoder: float32 (2,)."""
        import tensorflow as tf

        x, y = batch
        loss, logits = self._weigh(x, weights)
        right = tf.cast(tf.argmax(logits, -1, output_type=y.dtype) == y, tf.float32)
        return tf.stack([loss, weighted_mean(right, weights)])

    def _weigh(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch, and the logits of its purified images."""
        import tensorflow as tf

        temperature, weight = (float(self.recipe.options[name]) for name in (TEMPERATURE, WEIGHT))
        purified = self.purify(x)
        logits = self.classify(purified)
        wanted = tf.nn.log_softmax(tf.stop_gradient(self.classify(x)) / temperature)
        losses = tf.reduce_sum(tf.exp(wanted) * (wanted - tf.nn.log_softmax(logits)), -1)
        if weight:
            losses += weight * require_loss(self.recipe)(x, purified) / x.shape[-1]
        return weighted_mean(losses, weights), logits


# ---------------------------------------------------------------- checks of a request and of a stored recipe


def _refuse_head(recipe: AutoencoderRecipe) -> NoReturn:
    raise CorruptError(f"the recipe of type {recipe.type} names no classifier that it was trained in front of")


def check_kl(options: OwnOptions, given: OwnOptions, activations: Activations) -> None:
    """Raise UsageError for an impossible value, and for an output that would be no image."""
    if not 0 < float(options[TEMPERATURE]) < math.inf:
        raise UsageError(f"bad --temperature {options[TEMPERATURE]}: above 0")
    if not 0 <= float(options[WEIGHT]) < math.inf:
        raise UsageError(f"bad --reconstruction-weight {options[WEIGHT]}: 0 or more")
    if activations[-1] != "sigmoid":
        raise UsageError(f"--type kl needs an output in (0, 1), a sigmoid, not {activations[-1]}")


def _check_image_output(loss: str, rescale: str | None) -> None:
    """Raise UsageError where the output would not be an image without rescaling."""
    if loss == "categorical-crossentropy":
        raise UsageError("--loss categorical-crossentropy does not fit --type kl: it leaves the output's scale open")
    if rescale == "intensity":
        raise UsageError("--rescale intensity does not fit --type kl, whose output is an image already")
