"""The row robust: an autoencoder that is trained on adversarial examples, in front of a classifier."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae.errors import CorruptError, UsageError, unknown
from advae.models import layers
from advae.models.autoencoder_networks import CONV, count_dense_products, describe_coder, require_loss, require_network
from advae.models.contracts import Purifier
from advae.models.fitting import Measure, train
from advae.models.layers import Weights
from advae.models.model_kinds import (
    Choices,
    Option,
    OwnOptions,
    TrainingData,
    fill_in_options,
    refuse_impossible,
    require_own_options,
)
from advae.models.network_classifiers import CNN_HIDDEN, FILTERS
from advae.models.reconstruction import choose_loss
from advae.models.robust_networks import BODIES, build_robust, has_coder, list_robust_weights
from advae.models.robust_training import RobustObjective

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.models.model_kinds import HeadOptions
    from advae.records import Activations, AutoencoderRecipe, Dataset, History
    from advae.requests import AutoencoderRequest

ROBUST_ACTIVATIONS: Activations = ("leaky_relu", "leaky_relu", "leaky_relu", "sigmoid")
"""Leaky, because the zero gradient of ReLU for negative inputs would mask gradients from the training attacks."""

ROBUST_OPTIONS = {
    "body": Option(CONV, "Layers: conv, or dense"),
    "train_eps": Option(
        0.3,
        "L-infinity radius of the training attacks or bounds, in units of a pixel's range",
        explained="0.3, certified 0.34, below 256 pixels 0.1; colour 8/255; cascade 0.25",
    ),
    "train_steps": Option(5, "Iterations of each training attack, from a random point", explained="5, colour 1"),
    "warmup": Option(0.4, "Share of the training during which the radius grows from 0"),
    "trades_beta": Option(
        4.0, "Weight of the TRADES divergence under attack; the clean cross-entropy has weight 1", since=2
    ),
    "reconstruction_weight": Option(
        10.0,
        "Weight of the reconstruction loss per pixel; the clean cross-entropy, of kl the divergence, has weight 1",
        explained="10, certified 0.1 (conv and dense: 5), kl 0",
    ),
}

COLOUR_OPTIONS = {"train_eps": 8 / 255, "train_steps": 1}
"""Defaults for colour images. One step from a random point is the fast training of Wong et al. 2020,
arXiv:2001.03994."""

ROBUST_EPOCHS = 20
COLOUR_HIDDEN, COLOUR_CODE, COLOUR_EPOCHS = 32, 8, 4
"""Filters, channels of the code and epochs where both halves are convolutions: 57,000 images of 32 x 32 x 3 take 15
minutes of processor time."""
ROBUST_LEARNING_RATE = 3e-3
"""Higher than Adam's default, so that fewer epochs suffice; it decays to 0 over the training."""


@dataclass(frozen=True)
class RobustKind:
    """The row of AUTOENCODERS that is trained in front of a classifier, which is trained along or frozen."""

    summary: str = "trained on attacks on it and its classifier"
    """One line for ``--help``."""
    options = ROBUST_OPTIONS
    recipe_rev = 2

    def needs_protected(self, options: OwnOptions) -> bool:
        """Return False: without one, a classifier is trained along."""
        return False

    def choose(self, request: AutoencoderRequest, dataset: Dataset) -> Choices:
        """Return the request with every default filled in. Raises UsageError for an unknown or impossible value."""
        shape = dataset.ref.shape
        options = fill_in_options(self.options, ({} if shape.is_grey else COLOUR_OPTIONS) | dict(request.options))
        _check_options(options)
        loss = choose_loss(request.loss, "squared-error")
        coder = options["body"] == CONV and not shape.is_grey
        # 64 numbers for 28 x 28.
        code = max(1, round(shape.diameter * 16 / 7))
        network = layers.fill_in(
            request.network,
            dataset,
            hidden=COLOUR_HIDDEN if coder else None,
            code=COLOUR_CODE if coder else code,
            activations=ROBUST_ACTIVATIONS,
            epochs=COLOUR_EPOCHS if coder else ROBUST_EPOCHS,
            learning_rate=ROBUST_LEARNING_RATE,
        )
        _check_image_output(network.activations, loss, request.rescale)
        return Choices(network, loss, "none", options)

    def fit(self, recipe: AutoencoderRecipe, data: TrainingData) -> tuple[Arrays, History]:
        """Return the trained weights and the history; a classifier that is trained along is changed in place.

        Raises DivergedError, and CorruptError for the checkpoint of another training.
        """
        behind = data.behind
        if behind is None:
            raise CorruptError(f"an autoencoder of type {recipe.type} needs a classifier behind it")
        encoder, decoder = built = build_robust(recipe)
        objective = RobustObjective(recipe, lambda x: decoder(encoder(x)), behind.classify)
        history = train(
            objective.loss,
            (*built, *behind.networks),
            (data.x, data.y.astype("int32")),
            data.y,
            options=require_network(recipe),
            seed=recipe.seed,
            on_epoch=data.on_epoch,
            decay=True,
            measure=Measure(objective.measure, ("clean_accuracy", "attacked_accuracy")),
            xla=recipe.options["body"] != CONV,
            checkpoint=data.checkpoint,
        )
        return layers.collect_weights(built), history

    def weights(self, recipe: AutoencoderRecipe) -> Weights:
        """Return the stored arrays, by name. Raises CorruptError for a recipe that ``choose`` cannot have made."""
        require_own_options(recipe, ROBUST_OPTIONS)
        require_loss(recipe)
        activations = require_network(recipe).activations
        with refuse_impossible():
            _check_options(recipe.options)
            _check_image_output(activations, str(recipe.loss), recipe.rescale)
        layers.refuse_unknown_activations(activations)
        return list_robust_weights(recipe)

    def restore(self, recipe: AutoencoderRecipe, arrays: Arrays, precision: str) -> Purifier:
        """Return the purifier. Raises CorruptError for an impossible recipe or other weights."""
        layers.require_weights(self.weights(recipe), arrays)
        encoder, decoder = built = build_robust(recipe)
        layers.put_weights(built, arrays)
        layers.set_precision(built, precision)
        return Purifier(lambda x: decoder(encoder(x)), encode=encoder, decode=decoder)

    def choose_head(self, recipe: AutoencoderRecipe) -> HeadOptions:
        """Return the options of the classifier that is trained along: convolutional behind convolutions."""
        from advae.records import ConvolutionOptions, PerceptronOptions

        network = require_network(recipe)
        schedule = {name: getattr(network, name) for name in ("epochs", "batch_size", "learning_rate")}
        activation = network.activations[2]
        if has_coder(recipe):
            return ConvolutionOptions(filters=FILTERS, hidden=CNN_HIDDEN, activation=activation, **schedule)
        narrow = layers.narrow_size(network.hidden)
        return PerceptronOptions(hidden=network.hidden, narrow=narrow, activation=activation, **schedule)

    def count_code(self, recipe: AutoencoderRecipe) -> int:
        """Return how many numbers its code has."""
        return describe_coder(recipe).count_code() if has_coder(recipe) else require_network(recipe).code

    def count_products(self, recipe: AutoencoderRecipe) -> float:
        """Return how many multiplications it takes to purify one image, without those of a dense one's body."""
        return describe_coder(recipe).count_products() if has_coder(recipe) else count_dense_products(recipe)

    def count_passes(self, recipe: AutoencoderRecipe) -> float:
        """Return 1 and two thirds of the attack's steps, which need no gradient of the weights."""
        return 1 + int(recipe.options["train_steps"]) * 2 / 3


# ---------------------------------------------------------------- checks of a request and of a stored recipe


def _check_options(options: OwnOptions) -> None:
    from advae.requests import suggest_scale

    if options["body"] not in BODIES:
        raise UsageError(unknown("body", str(options["body"]), BODIES))
    eps = float(options["train_eps"])
    if not 0 < eps <= 1:
        raise UsageError(
            f"bad --train-eps {eps}: above 0, at most 1, in units of a pixel's range{suggest_scale(eps, 1)}"
        )
    if not 1 <= int(options["train_steps"]) <= 1000:
        raise UsageError(f"bad --train-steps {options['train_steps']}: 1 to 1000")
    if not 0 <= float(options["warmup"]) <= 1:
        raise UsageError(f"bad --warmup {options['warmup']}: a share of the training, between 0 and 1")
    for name in {"trades_beta", "reconstruction_weight"} & options.keys():
        if not 0 <= float(options[name]) < math.inf:
            raise UsageError(f"bad --{name.replace('_', '-')} {options[name]}: 0 or more")


def _check_image_output(activations: Activations, loss: str, rescale: str | None) -> None:
    """Raise UsageError where the output would not be an image without rescaling."""
    if activations[-1] != "sigmoid":
        raise UsageError(f"--type robust needs an output in (0, 1), a sigmoid, not {activations[-1]}")
    if loss == "categorical-crossentropy":
        raise UsageError(
            "--loss categorical-crossentropy does not fit --type robust: it leaves the output's scale open"
        )
    if rescale == "intensity":
        raise UsageError("--rescale intensity does not fit --type robust, whose output is an image already")
