"""The kinds of autoencoder: each builder, and its row in the table AUTOENCODERS, which the controls share.

Sivaslioglu, Catak, Sahinbas: layers and activations as in section 4, kinds as in sections 5.3 to 5.5.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from advae.batching import Tensor
from advae.errors import UsageError, unknown
from advae.models import layers
from advae.models.autoencoder_networks import (
    Autoencoder,
    Defaults,
    NetworkKind,
    list_sizes,
    require_loss,
    require_network,
)
from advae.models.baselines import BASELINES
from advae.models.contracts import AutoencoderKind, Option, Options, Purifier
from advae.models.corruptions import NOISES
from advae.models.reconstruction import gaussian_kl, kl_sparsity, weighted_mean
from advae.models.robust import RobustKind

if TYPE_CHECKING:
    from advae.records import Activations, AutoencoderRecipe

# ---------------------------------------------------------------- vanilla


def _coder(recipe: AutoencoderRecipe, *, numbers_per_code: int = 1) -> tuple[Any, Any]:
    """Return the untrained encoder d-hidden-code and decoder code-hidden-d."""
    first, code, second, output = require_network(recipe).activations
    encoder, decoder = list_sizes(recipe, numbers_per_code)
    # The two halves draw from different streams of the one seed.
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
    """Return an autoencoder whose code is pressed to be mostly off, by KL on its mean or by L1 on its size."""
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


def _check_sparse(options: Options, given: Options, activations: Activations) -> None:
    if options["penalty"] not in ("kl", "l1"):
        raise UsageError(unknown("penalty", str(options["penalty"]), ("kl", "l1")))
    if options["penalty"] == "l1" and "rho" in given:
        raise UsageError("--rho does not fit --penalty l1; it is the mean activation that kl aims at")
    if options["penalty"] == "kl" and activations[1] != "sigmoid":
        raise UsageError(f"--penalty kl needs a code in (0, 1), a sigmoid, not {activations[1]}; l1 takes any")
    if not 0 < float(options["rho"]) < 1:
        raise UsageError(f"bad --rho {options['rho']}: a mean activation between 0 and 1")
    if not 0 <= float(options["sparsity_weight"]) < math.inf:
        raise UsageError(f"bad --sparsity-weight {options['sparsity_weight']}: 0 or more")


# ---------------------------------------------------------------- denoising


def build_denoising(recipe: AutoencoderRecipe) -> Autoencoder:
    """Return an autoencoder that reconstructs x from a corrupted x; it purifies without adding noise."""
    encoder, decoder = _coder(recipe)
    distance, corrupt = require_loss(recipe), NOISES[str(recipe.options["noise"])]
    level = float(recipe.options["noise_level"])

    def loss(x: Tensor, weights: Tensor, seed: Tensor) -> Tensor:
        return weighted_mean(distance(x, decoder(encoder(corrupt(x, level, seed)))), weights)

    return Autoencoder((encoder, decoder), loss, _reconstruct(encoder, decoder))


def _check_denoising(options: Options, given: Options, activations: Activations) -> None:
    if options["noise"] not in NOISES:
        raise UsageError(unknown("noise", str(options["noise"]), NOISES))
    if not 0 <= float(options["noise_level"]) <= 1:
        raise UsageError(f"bad --noise-level {options['noise_level']}: between 0 and 1")


# ---------------------------------------------------------------- variational

MOMENTS = 2
"""Outputs of the encoder that describe one number of the code: its mean and its log variance."""


def build_variational(recipe: AutoencoderRecipe) -> Autoencoder:
    """Return the variational autoencoder with a Gaussian code; ``sample`` purifies with a draw, else with the mean."""
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

    draws = sample if recipe.options["sample"] else None
    purifier = Purifier(lambda x: decoder(find_mean(x)), draws, encode=find_mean, decode=decoder)
    return Autoencoder((encoder, decoder), loss, purifier)


def _check_variational(options: Options, given: Options, activations: Activations) -> None:
    if not 0 <= float(options["kl_weight"]) < math.inf:
        raise UsageError(f"bad --kl-weight {options['kl_weight']}: 0 or more")


# ---------------------------------------------------------------- the table


def _paper_defaults(side: int, options: Options) -> Defaults:
    return Defaults(side, layers.PAPER_ACTIVATIONS, "categorical-crossentropy", "intensity")


def _sparse_defaults(side: int, options: Options) -> Defaults:
    """KL speaks of a mean activation in (0, 1), so its code is a sigmoid; L1 presses a ReLU code to zero."""
    code = "sigmoid" if options["penalty"] == "kl" else "relu"
    return Defaults(side, ("relu", code, "exponential", "softplus"), "categorical-crossentropy", "intensity")


def _variational_defaults(side: int, options: Options) -> Defaults:
    """A latent plane, as in the paper's section 5.5; the sigmoid output is in [0, 1] as it stands."""
    return Defaults(2, ("relu", "linear", "relu", "sigmoid"), "binary-crossentropy", "none")


AUTOENCODERS: dict[str, AutoencoderKind] = {
    "vanilla": NetworkKind("reconstructs x from x through a narrow code", build_vanilla, _paper_defaults),
    "sparse": NetworkKind(
        "a code that is mostly off, by KL to a mean activation or by L1",
        build_sparse,
        _sparse_defaults,
        {
            "penalty": Option("kl", "What presses the code: kl, on a sigmoid code, or l1, on a ReLU code"),
            "rho": Option(0.05, "Mean activation of a unit that kl aims at"),
            "sparsity_weight": Option(0.5, "Weight of the penalty against the reconstruction loss"),
        },
        _check_sparse,
    ),
    "denoising": NetworkKind(
        "reconstructs x from a corrupted x",
        build_denoising,
        _paper_defaults,
        {
            "noise": Option("gaussian", f"What corrupts the input: {', '.join(NOISES)}"),
            "noise_level": Option(0.3, "Standard deviation, or share of pixels"),
        },
        _check_denoising,
    ),
    "variational": NetworkKind(
        "a Gaussian code, purifies with its mean or a draw",
        build_variational,
        _variational_defaults,
        {
            "kl_weight": Option(1.0, "Weight of the code's KL to N(0, I)"),
            "sample": Option(False, "Purify with a draw of the code instead of its mean"),
        },
        _check_variational,
        numbers_per_code=MOMENTS,
    ),
    "robust": RobustKind(),
    **BASELINES,
}
