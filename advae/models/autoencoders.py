"""The table AUTOENCODERS, with the builder of each kind and its row; the baselines have rows in it, too.

Sivaslioglu, Catak, Sahinbas: layers and activations as in section 4, kinds as in sections 5.3 to 5.5.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from advae.batching import Tensor
from advae.errors import UsageError, unknown
from advae.models import layers
from advae.models.autoencoder_networks import (
    BODY,
    CONV,
    Autoencoder,
    Defaults,
    NetworkKind,
    describe_coder,
    find_body,
    list_sizes,
    require_loss,
    require_network,
)
from advae.models.baselines import BASELINES
from advae.models.cascade import CascadeKind
from advae.models.cascade_stages import CASCADE
from advae.models.certified_kind import CertifiedKind
from advae.models.contracts import Purifier
from advae.models.kl_kind import KL_OPTIONS, KlKind, check_kl
from advae.models.model_kinds import AutoencoderKind, Option, OwnOptions
from advae.models.noises import NOISES, add_unclipped_noise
from advae.models.reconstruction import gaussian_kl, kl_sparsity, weighted_mean
from advae.models.robust import RobustKind

if TYPE_CHECKING:
    from advae.records import Activations, AutoencoderRecipe, ImageShape

# ---------------------------------------------------------------- vanilla


def _coder(recipe: AutoencoderRecipe, *, numbers_per_code: int = 1) -> tuple[Any, Any]:
    """Return the untrained encoder d-hidden-code and decoder code-hidden-d, or the convolutional ones."""
    if find_body(recipe) == CONV:
        return describe_coder(recipe, numbers_per_code).build(recipe.seed)
    first, code, second, output = require_network(recipe).activations
    encoder, decoder = list_sizes(recipe, numbers_per_code)
    # Encoder and decoder need different seeds, both from the recipe's.
    return (
        layers.dense_stack(encoder, (first, code), seed=2 * recipe.seed),
        layers.dense_stack(decoder, (second, output), seed=2 * recipe.seed + 1),
    )


def _reconstruct(encoder: Any, decoder: Any) -> Purifier:
    return Purifier(lambda x: decoder(encoder(x)), encode=encoder, decode=decoder)


def build_vanilla(recipe: AutoencoderRecipe) -> Autoencoder:
    """Return the plain autoencoder: reconstruct x from x."""
    encoder, decoder = _coder(recipe)
    distance = require_loss(recipe)

    def loss(x: Tensor, weights: Tensor, seed: Tensor) -> Tensor:
        return weighted_mean(distance(x, decoder(encoder(x))), weights)

    return Autoencoder((encoder, decoder), loss, _reconstruct(encoder, decoder))


# ---------------------------------------------------------------- sparse


def build_sparse(recipe: AutoencoderRecipe) -> Autoencoder:
    """Return an autoencoder with a sparse code: a KL penalty on its mean activation, or an L1 penalty."""
    import tensorflow as tf

    encoder, decoder = _coder(recipe)
    distance, rho, weight = require_loss(recipe), float(recipe.options["rho"]), float(recipe.options["sparsity_weight"])
    by_kl = recipe.options["penalty"] == "kl"

    def loss(x: Tensor, weights: Tensor, seed: Tensor) -> Tensor:
        code = encoder(x)
        mean_code = tf.reduce_sum(code * weights[:, None], axis=0) / tf.reduce_sum(weights)
        penalty = kl_sparsity(mean_code, rho) if by_kl else weighted_mean(tf.reduce_sum(tf.abs(code), -1), weights)
        return weighted_mean(distance(x, decoder(code)), weights) + weight * penalty

    return Autoencoder((encoder, decoder), loss, _reconstruct(encoder, decoder))


PENALTIES = ("kl", "l1")
"""Penalties on a sparse code."""


def _check_sparse(options: OwnOptions, given: OwnOptions, activations: Activations) -> None:
    if options["penalty"] not in PENALTIES:
        raise UsageError(unknown("penalty", str(options["penalty"]), PENALTIES))
    if options["penalty"] == "l1" and "rho" in given:
        raise UsageError("--rho does not fit --penalty l1; it is the target mean activation of kl")
    if options["penalty"] == "kl" and activations[1] != "sigmoid":
        raise UsageError(f"--penalty kl needs a code in (0, 1), a sigmoid, not {activations[1]}; l1 takes any")
    if not 0 < float(options["rho"]) < 1:
        raise UsageError(f"bad --rho {options['rho']}: a mean activation between 0 and 1")
    if not 0 <= float(options["sparsity_weight"]) < math.inf:
        raise UsageError(f"bad --sparsity-weight {options['sparsity_weight']}: 0 or more")


# ---------------------------------------------------------------- denoising


def build_denoising(recipe: AutoencoderRecipe) -> Autoencoder:
    """Return an autoencoder that is trained to reconstruct x from a corrupted x; as a purifier it adds no noise."""
    encoder, decoder = _coder(recipe)
    unclipped = bool(recipe.options.get("no_noise_clip"))
    corrupt = add_unclipped_noise if unclipped else NOISES[str(recipe.options["noise"])]
    distance, level = require_loss(recipe), float(recipe.options["noise_level"])

    def loss(x: Tensor, weights: Tensor, seed: Tensor) -> Tensor:
        return weighted_mean(distance(x, decoder(encoder(corrupt(x, level, seed)))), weights)

    return Autoencoder((encoder, decoder), loss, _reconstruct(encoder, decoder))


def _check_denoising(options: OwnOptions, given: OwnOptions, activations: Activations) -> None:
    if options["noise"] not in NOISES:
        raise UsageError(unknown("noise", str(options["noise"]), NOISES))
    if not 0 <= float(options["noise_level"]) <= 1:
        raise UsageError(f"bad --noise-level {options['noise_level']}: between 0 and 1")
    if options.get("no_noise_clip") and options["noise"] != "gaussian":
        raise UsageError(f"--no-noise-clip does not fit --noise {options['noise']}, which never leaves [0, 1]")


# ---------------------------------------------------------------- variational

MOMENTS = 2
"""Outputs of the encoder that describe one number of the code: its mean and its log variance."""


def build_variational(recipe: AutoencoderRecipe) -> Autoencoder:
    """Return the variational autoencoder. Its code is Gaussian; the purifier takes the mean or a random sample."""
    import tensorflow as tf
    from keras import ops

    encoder, decoder = _coder(recipe, numbers_per_code=MOMENTS)
    distance, kl_weight = require_loss(recipe), float(recipe.options["kl_weight"])

    def encode(x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = ops.split(encoder(x), MOMENTS, axis=-1)
        return mean, log_variance

    def draw_code(mean: Tensor, log_variance: Tensor, seed: Tensor) -> Tensor:
        return mean + tf.exp(0.5 * log_variance) * tf.random.stateless_normal(tf.shape(mean), seed)

    def loss(x: Tensor, weights: Tensor, seed: Tensor) -> Tensor:
        mean, log_variance = encode(x)
        reconstruction = decoder(draw_code(mean, log_variance, seed))
        return weighted_mean(distance(x, reconstruction) + kl_weight * gaussian_kl(mean, log_variance), weights)

    def sample(x: Tensor, draw: Tensor) -> Tensor:
        return decoder(draw_code(*encode(x), tf.stack([recipe.seed, draw])))

    def find_mean(x: Tensor) -> Tensor:
        return encode(x)[0]

    random = sample if recipe.options["sample"] else None
    purifier = Purifier(lambda x: decoder(find_mean(x)), random, encode=find_mean, moments=encode, decode=decoder)
    return Autoencoder((encoder, decoder), loss, purifier)


def _check_variational(options: OwnOptions, given: OwnOptions, activations: Activations) -> None:
    if not 0 <= float(options["kl_weight"]) < math.inf:
        raise UsageError(f"bad --kl-weight {options['kl_weight']}: 0 or more")


# ---------------------------------------------------------------- the table


CONV_CODE, CONV_HIDDEN, CONV_EPOCHS = 8, 64, 12
"""Channels of a convolutional code, a sixth of a colour image's values; filters; passes over the training images."""


def _conv_defaults(code_activation: str, loss: str = "squared-error") -> Defaults:
    """Return defaults of a convolutional body, whose output is an image in (0, 1): it needs no rescaling."""
    activations = ("leaky_relu", code_activation, "leaky_relu", "sigmoid")
    return Defaults(CONV_CODE, activations, loss, "none", CONV_HIDDEN, CONV_EPOCHS)


def _paper_defaults(shape: ImageShape, options: OwnOptions) -> Defaults:
    if options[BODY] == CONV:
        return _conv_defaults("leaky_relu")
    return Defaults(layers.default_code_size(shape), layers.PAPER_ACTIVATIONS, "categorical-crossentropy", "intensity")


def _sparse_defaults(shape: ImageShape, options: OwnOptions) -> Defaults:
    """Return a sigmoid code for KL, which needs a mean activation in (0, 1), and a ReLU code for L1."""
    code = "sigmoid" if options["penalty"] == "kl" else "relu"
    if options[BODY] == CONV:
        return _conv_defaults(code)
    activations = ("relu", code, "exponential", "softplus")
    return Defaults(layers.default_code_size(shape), activations, "categorical-crossentropy", "intensity")


def _variational_defaults(shape: ImageShape, options: OwnOptions) -> Defaults:
    """Return a code of 2 numbers, as in the paper's section 5.5; a sigmoid output needs no rescaling."""
    if options[BODY] == CONV:
        return _conv_defaults("linear", "binary-crossentropy")
    return Defaults(2, ("relu", "linear", "relu", "sigmoid"), "binary-crossentropy", "none")


def _kl_defaults(shape: ImageShape, options: OwnOptions) -> Defaults:
    """Return layers like a robust one's: leaky, because attacks go through them, and an output in (0, 1)."""
    if options[BODY] == CONV:
        return _conv_defaults("leaky_relu")
    activations = ("leaky_relu", "leaky_relu", "leaky_relu", "sigmoid")
    return Defaults(layers.default_code_size(shape), activations, "squared-error", "none")


AUTOENCODERS: dict[str, AutoencoderKind] = {
    "vanilla": NetworkKind("reconstructs x from x through a narrow code", build_vanilla, _paper_defaults),
    "sparse": NetworkKind(
        "a sparse code, by a KL or an L1 penalty",
        build_sparse,
        _sparse_defaults,
        {
            "penalty": Option(
                "kl", "Penalty on the code: kl, on a sigmoid code, or l1, on a ReLU code", choices=PENALTIES
            ),
            "rho": Option(0.05, "Target mean activation of the kl penalty"),
            "sparsity_weight": Option(0.5, "Weight of the penalty; the reconstruction loss has weight 1"),
        },
        _check_sparse,
    ),
    "denoising": NetworkKind(
        "reconstructs x from a corrupted x",
        build_denoising,
        _paper_defaults,
        {
            "noise": Option(
                "gaussian", f"Noise on the input while training: {', '.join(NOISES)}", choices=tuple(NOISES)
            ),
            "noise_level": Option(0.3, "Level of that noise: a standard deviation, or a share of the pixels"),
            "no_noise_clip": Option(
                False,
                "Do not clip gaussian noise to [0, 1], for randomised smoothing; --rescale none fits, as noise changes "
                "an image's total",
                absent=True,
            ),
        },
        _check_denoising,
    ),
    "variational": NetworkKind(
        "a Gaussian code; purifies with its mean or a random sample",
        build_variational,
        _variational_defaults,
        {
            "kl_weight": Option(1.0, "Weight of the KL divergence of the code from N(0, I)"),
            "sample": Option(False, "Purify with a random sample of the code instead of its mean"),
        },
        _check_variational,
        numbers_per_code=MOMENTS,
    ),
    "robust": RobustKind(),
    "certified": CertifiedKind(),
    "kl": KlKind(
        "keeps the answers of the classifier --protect",
        build_vanilla,
        _kl_defaults,
        KL_OPTIONS,
        check_kl,
    ),
    CASCADE: CascadeKind(),
    **BASELINES,
}
