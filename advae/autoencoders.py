"""The autoencoders that purify a classifier's input: builders, losses, and the table AUTOENCODERS.

Sivaslioglu, Catak, Sahinbas: layers and activations as in section 4, kinds as in sections 5.3 to 5.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from advae import networks
from advae.errors import UsageError, unknown
from advae.networks import Tensor
from advae.records import Activations, AutoencoderRecipe, AutoencoderRequest, Dataset, History, Scalar
from advae.training import OnEpoch, train

if TYPE_CHECKING:
    from advae.networks import Arrays
    from advae.records import FloatArray

RECIPE_REV = 1
"""Raised when the same recipe would give another autoencoder than before."""

Options = Mapping[str, Scalar]


@dataclass(frozen=True)
class Option:
    """An option that only one kind of autoencoder has: its default, which also gives its type, and its help text."""

    default: Scalar
    help: str


Purifier = Callable[[Tensor, Tensor], Tensor]
"""(x, draw) -> x', float32 (n, d) both; ``draw``, an int32 scalar, tells apart the draws of a sampling purifier."""


@dataclass(frozen=True)
class Autoencoder:
    """A built autoencoder: its networks, its training loss and its raw reconstruction (x, draw) -> (n, d)."""

    networks: tuple[Any, ...]
    loss: Callable[[Tensor, Tensor, Tensor], Tensor]
    reconstruct: Purifier


@dataclass(frozen=True)
class Defaults:
    """What a kind takes where the user names nothing: code size, activations, reconstruction loss, rescaling."""

    code: int
    activations: tuple[str, str, str, str]
    loss: str
    rescale: Literal["intensity", "none"]


@dataclass(frozen=True)
class AutoencoderKind:
    """A row of AUTOENCODERS.

    defaults: (side, options) -> Defaults; options: what only this kind has, with defaults; check: raises UsageError
    for options that cannot be.
    """

    summary: str
    build: Callable[[AutoencoderRecipe], Autoencoder]
    defaults: Callable[[int, Options], Defaults]
    options: Mapping[str, Option] = field(default_factory=dict)
    check: Callable[[Options], None] = lambda options: None


# ---------------------------------------------------------------- losses, per image, summed over pixels


def _categorical_crossentropy(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Keras divides the reconstruction by its sum: the loss fixes it only up to a scale (hence ``--rescale``)."""
    import keras

    return keras.losses.categorical_crossentropy(x, reconstruction)


def _binary_crossentropy(x: Tensor, reconstruction: Tensor) -> Tensor:
    import keras

    return keras.losses.binary_crossentropy(x, reconstruction) * x.shape[-1]


def _squared_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    import tensorflow as tf

    return tf.reduce_sum(tf.square(x - reconstruction), axis=-1)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "categorical-crossentropy": _categorical_crossentropy,
    "binary-crossentropy": _binary_crossentropy,
    "squared-error": _squared_error,
}


def _weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    import tensorflow as tf

    return tf.reduce_sum(values * weights) / tf.reduce_sum(weights)


# ---------------------------------------------------------------- vanilla


def _coder(recipe: AutoencoderRecipe) -> tuple[Any, Any]:
    """Return the untrained encoder d-hidden-code and decoder code-hidden-d."""
    shape, pixels = recipe.network, recipe.dataset.side**2
    first, code, second, output = shape.activations
    # The two halves draw from different streams of the one seed.
    encoder = networks.dense_stack(pixels, (shape.hidden, shape.code), (first, code), seed=2 * recipe.seed)
    decoder = networks.dense_stack(shape.code, (shape.hidden, pixels), (second, output), seed=2 * recipe.seed + 1)
    return encoder, decoder


def build_vanilla(recipe: AutoencoderRecipe) -> Autoencoder:
    """Return the plain autoencoder: reconstruct x from x."""
    encoder, decoder = _coder(recipe)
    distance = LOSSES[recipe.loss]

    def loss(x: Tensor, weights: Tensor, seed: Tensor) -> Tensor:
        return _weighted_mean(distance(x, decoder(encoder(x))), weights)

    return Autoencoder((encoder, decoder), loss, lambda x, draw: decoder(encoder(x)))


# ---------------------------------------------------------------- sparse


def kl_sparsity(mean_activation: Tensor, rho: float) -> Tensor:
    """Return sum_j KL(rho || rho_hat_j) of Bernoulli variables. mean_activation: (code,), in (0, 1).

    Ng, CS294A lecture notes, Sparse autoencoder; the paper's section 5.3.
    """
    import tensorflow as tf

    # A unit that is off for a whole batch would make the logarithm infinite.
    rho_hat = tf.clip_by_value(mean_activation, 1e-6, 1 - 1e-6)
    off = (1 - rho) * tf.math.log((1 - rho) / (1 - rho_hat))
    return tf.reduce_sum(rho * tf.math.log(rho / rho_hat) + off)


def build_sparse(recipe: AutoencoderRecipe) -> Autoencoder:
    """Return an autoencoder whose code is pressed to be mostly off, by KL on its mean or by L1 on its size."""
    import tensorflow as tf

    encoder, decoder = _coder(recipe)
    distance, rho, weight = LOSSES[recipe.loss], float(recipe.options["rho"]), float(recipe.options["sparsity_weight"])
    by_kl = recipe.options["penalty"] == "kl"

    def loss(x: Tensor, weights: Tensor, seed: Tensor) -> Tensor:
        code = encoder(x)
        mean_code = tf.reduce_sum(code * weights[:, None], axis=0) / tf.reduce_sum(weights)
        penalty = kl_sparsity(mean_code, rho) if by_kl else _weighted_mean(tf.reduce_sum(tf.abs(code), -1), weights)
        return _weighted_mean(distance(x, decoder(code)), weights) + weight * penalty

    return Autoencoder((encoder, decoder), loss, lambda x, draw: decoder(encoder(x)))


def _check_sparse(options: Options) -> None:
    if options["penalty"] not in ("kl", "l1"):
        raise UsageError(unknown("penalty", str(options["penalty"]), ("kl", "l1")))
    if not 0 < float(options["rho"]) < 1:
        raise UsageError(f"bad --rho {options['rho']}: a mean activation between 0 and 1")
    if not 0 <= float(options["sparsity_weight"]) < math.inf:
        raise UsageError(f"bad --sparsity-weight {options['sparsity_weight']}: 0 or more")


# ---------------------------------------------------------------- denoising


def add_gaussian_noise(x: Tensor, level: float, seed: Tensor) -> Tensor:
    """Return x plus noise of standard deviation ``level``, clipped to [0, 1]."""
    import tensorflow as tf

    return tf.clip_by_value(x + level * tf.random.stateless_normal(tf.shape(x), seed), 0.0, 1.0)


def mask_pixels(x: Tensor, level: float, seed: Tensor) -> Tensor:
    """Return x with a share ``level`` of the pixels set to 0."""
    import tensorflow as tf

    return tf.where(tf.random.stateless_uniform(tf.shape(x), seed) < level, 0.0, x)


def add_salt_and_pepper(x: Tensor, level: float, seed: Tensor) -> Tensor:
    """Return x with a share ``level`` of the pixels set to 0 or 1, half each."""
    import tensorflow as tf

    u = tf.random.stateless_uniform(tf.shape(x), seed)
    return tf.where(u < level / 2, 0.0, tf.where(u < level, 1.0, x))


NOISES: dict[str, Callable[[Tensor, float, Tensor], Tensor]] = {
    "gaussian": add_gaussian_noise,
    "masking": mask_pixels,
    "salt-and-pepper": add_salt_and_pepper,
}


def build_denoising(recipe: AutoencoderRecipe) -> Autoencoder:
    """Return an autoencoder that reconstructs x from a corrupted x; it purifies without adding noise."""
    encoder, decoder = _coder(recipe)
    distance, corrupt = LOSSES[recipe.loss], NOISES[str(recipe.options["noise"])]
    level = float(recipe.options["noise_level"])

    def loss(x: Tensor, weights: Tensor, seed: Tensor) -> Tensor:
        return _weighted_mean(distance(x, decoder(encoder(corrupt(x, level, seed)))), weights)

    return Autoencoder((encoder, decoder), loss, lambda x, draw: decoder(encoder(x)))


def _check_denoising(options: Options) -> None:
    if options["noise"] not in NOISES:
        raise UsageError(unknown("noise", str(options["noise"]), NOISES))
    if not 0 <= float(options["noise_level"]) <= 1:
        raise UsageError(f"bad --noise-level {options['noise_level']}: between 0 and 1")


# ---------------------------------------------------------------- variational


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, exp(log_variance)) || N(0, I)) for each sample, (n, code) -> (n,).

    Kingma and Welling 2014, arXiv:1312.6114, appendix B.
    """
    import tensorflow as tf

    return 0.5 * tf.reduce_sum(tf.square(mean) + tf.exp(log_variance) - 1.0 - log_variance, axis=-1)


def build_variational(recipe: AutoencoderRecipe) -> Autoencoder:
    """Return the variational autoencoder with a Gaussian code; ``sample`` purifies with a draw, else with the mean."""
    import tensorflow as tf

    shape, pixels = recipe.network, recipe.dataset.side**2
    first, code, second, output = shape.activations
    encoder = networks.dense_stack(pixels, (shape.hidden, 2 * shape.code), (first, code), seed=2 * recipe.seed)
    decoder = networks.dense_stack(shape.code, (shape.hidden, pixels), (second, output), seed=2 * recipe.seed + 1)
    distance, kl_weight, sample = LOSSES[recipe.loss], float(recipe.options["kl_weight"]), recipe.options["sample"]

    def draw_code(mean: Tensor, log_variance: Tensor, seed: Tensor) -> Tensor:
        return mean + tf.exp(0.5 * log_variance) * tf.random.stateless_normal(tf.shape(mean), seed)

    def loss(x: Tensor, weights: Tensor, seed: Tensor) -> Tensor:
        mean, log_variance = tf.split(encoder(x), 2, axis=-1)
        reconstruction = decoder(draw_code(mean, log_variance, seed))
        return _weighted_mean(distance(x, reconstruction) + kl_weight * gaussian_kl(mean, log_variance), weights)

    def reconstruct(x: Tensor, draw: Tensor) -> Tensor:
        mean, log_variance = tf.split(encoder(x), 2, axis=-1)
        return decoder(draw_code(mean, log_variance, tf.stack([recipe.seed, draw])) if sample else mean)

    return Autoencoder((encoder, decoder), loss, reconstruct)


def _check_variational(options: Options) -> None:
    if not 0 <= float(options["kl_weight"]) < math.inf:
        raise UsageError(f"bad --kl-weight {options['kl_weight']}: 0 or more")


# ---------------------------------------------------------------- the table


def _paper_defaults(side: int, options: Options) -> Defaults:
    return Defaults(side, ("relu", "relu", "exponential", "softplus"), "categorical-crossentropy", "intensity")


def _sparse_defaults(side: int, options: Options) -> Defaults:
    """KL speaks of a mean activation in (0, 1), so its code is a sigmoid; L1 presses a ReLU code to zero."""
    code = "sigmoid" if options["penalty"] == "kl" else "relu"
    return Defaults(side, ("relu", code, "exponential", "softplus"), "categorical-crossentropy", "intensity")


def _variational_defaults(side: int, options: Options) -> Defaults:
    """A latent plane, as in the paper's section 5.5; the sigmoid output is in [0, 1] as it stands."""
    return Defaults(2, ("relu", "linear", "relu", "sigmoid"), "binary-crossentropy", "none")


AUTOENCODERS: dict[str, AutoencoderKind] = {
    "vanilla": AutoencoderKind("reconstructs x from x through a narrow code", build_vanilla, _paper_defaults),
    "sparse": AutoencoderKind(
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
    "denoising": AutoencoderKind(
        "reconstructs x from a corrupted x",
        build_denoising,
        _paper_defaults,
        {
            "noise": Option("gaussian", f"What corrupts the input: {', '.join(NOISES)}"),
            "noise_level": Option(0.3, "Standard deviation, or share of pixels"),
        },
        _check_denoising,
    ),
    "variational": AutoencoderKind(
        "a Gaussian code, purifies with its mean or a draw",
        build_variational,
        _variational_defaults,
        {
            "kl_weight": Option(1.0, "Weight of the code's KL to N(0, I)"),
            "sample": Option(False, "Purify with a draw of the code instead of its mean"),
        },
        _check_variational,
    ),
}


# ---------------------------------------------------------------- from a request to a purifier


def make_recipe(request: AutoencoderRequest, dataset: Dataset) -> AutoencoderRecipe:
    """Return the request with every default filled in.

    Raises UsageError for an unknown kind or name, an option that the kind does not have, a value out of range.
    """
    if request.type not in AUTOENCODERS:
        raise UsageError(unknown("autoencoder", request.type, AUTOENCODERS))
    options = _resolve_options(request.type, request.options)
    defaults = AUTOENCODERS[request.type].defaults(dataset.ref.side, options)
    loss = request.loss or defaults.loss
    if loss not in LOSSES:
        raise UsageError(unknown("loss", loss, LOSSES))
    network = networks.fill_in(request.network, dataset, code=defaults.code, activations=defaults.activations)
    _check_ranges(network.activations, loss, options)
    return AutoencoderRecipe(
        type=request.type,
        dataset=dataset.ref,
        network=network,
        loss=loss,
        rescale=request.rescale or defaults.rescale,
        options=options,
        seed=request.seed,
        recipe_rev=RECIPE_REV,
    )


def _check_ranges(activations: Activations, loss: str, options: Options) -> None:
    """Raise UsageError where a loss speaks of numbers that the layer before it does not make."""
    _, code, _, output = activations
    if options.get("penalty") == "kl" and code != "sigmoid":
        raise UsageError(f"--penalty kl needs a code in (0, 1), a sigmoid, not {code}; --penalty l1 takes any")
    made_by = {
        "categorical-crossentropy": ("relu", "sigmoid", "softplus", "exponential"),
        "binary-crossentropy": ("sigmoid",),
    }
    if output not in made_by.get(loss, networks.ACTIVATIONS):
        raise UsageError(f"--loss {loss} does not fit output {output}; it takes {', '.join(made_by[loss])}")


def _resolve_options(type_: str, given: Options) -> dict[str, Scalar]:
    """Return a kind's own options, the defaults where none is given."""
    kind = AUTOENCODERS[type_]
    for name in given:
        if name not in kind.options:
            owners = [other for other, row in AUTOENCODERS.items() if name in row.options]
            option = name.replace("_", "-")
            raise UsageError(f"--{option} does not fit --type {type_}; it is for {', '.join(owners) or 'none'}")
    options = {name: option.default for name, option in kind.options.items()} | dict(given)
    if options.get("penalty") == "l1" and "rho" in given:
        raise UsageError("--rho does not fit --penalty l1; it is the mean activation that kl aims at")
    kind.check(options)
    return options


def rescale_to_intensity(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Return the reconstruction scaled to the total intensity of x and clipped to [0, 1]; zero stays zero."""
    import tensorflow as tf

    totals = [tf.reduce_sum(images, axis=-1, keepdims=True) for images in (x, reconstruction)]
    return tf.clip_by_value(reconstruction * tf.math.divide_no_nan(*totals), 0.0, 1.0)


def _purify_with(autoencoder: Autoencoder, recipe: AutoencoderRecipe) -> Purifier:
    if recipe.rescale == "none":
        return autoencoder.reconstruct
    return lambda x, draw: rescale_to_intensity(x, autoencoder.reconstruct(x, draw))


def fit_autoencoder(recipe: AutoencoderRecipe, x: FloatArray, on_epoch: OnEpoch) -> tuple[Arrays, History]:
    """Return the weights of an autoencoder trained on x, float32 (n, d) in [0, 1], and its loss history.

    Raises DivergedError.
    """
    built = AUTOENCODERS[recipe.type].build(recipe)
    history = train(
        lambda batch, weights, seed: built.loss(batch[0], weights, seed),
        built.networks,
        (x,),
        options=recipe.network,
        seed=recipe.seed,
        on_epoch=on_epoch,
    )
    return networks.collect_weights(built.networks), history


def restore_purifier(recipe: AutoencoderRecipe, arrays: Arrays) -> Purifier:
    """Return the purifier that the recipe and the weights of ``fit_autoencoder`` describe, rescaling included.

    Raises CorruptError where the weights do not fit.
    """
    built = AUTOENCODERS[recipe.type].build(recipe)
    networks.put_weights(built.networks, arrays)
    return _purify_with(built, recipe)
