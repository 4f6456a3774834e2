"""The robust kind: trained on attacks that are made on the fly through itself and the classifier behind it.

Madry et al. 2018, arXiv:1706.06083: the inner maximisation by projected gradient steps, here on purifier and classifier
together. Zhang et al. 2019, arXiv:1901.08573 (TRADES): what is maximised, and then minimised, is how far the answer
moves, which leaves fewer places where a gradient misleads than the cross-entropy under attack does. And a
reconstruction term, which keeps the purifier's output an image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from advae.batching import Tensor
from advae.errors import CorruptError, UsageError, printable, unknown
from advae.models import layers
from advae.models.autoencoder_networks import require_loss, require_network
from advae.models.contracts import Choices, Lesson, Option, Options, Purifier, fill_in_options, require_options
from advae.models.fitting import Moment, train
from advae.models.layers import Weights
from advae.models.reconstruction import LOSSES, weighted_mean

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import Activations, AutoencoderRecipe, Dataset, History
    from advae.requests import AutoencoderRequest

ACTIVATIONS: Activations = ("leaky_relu", "leaky_relu", "leaky_relu", "sigmoid")
"""Where a ReLU is off it sends no gradient back, which misleads the steps of an attack, those of the training first."""

OPTIONS = {
    "body": Option("conv", "What looks at the image first: conv, or dense"),
    "train_eps": Option(0.3, "L-infinity radius of the attacks that it is trained on, in units of a pixel's range"),
    "train_steps": Option(5, "Steps of each of them, from a random point"),
    "warmup": Option(0.4, "Share of the training over which their radius grows from 0"),
    "trades_beta": Option(
        4.0, "Weight of how far attacks move the answers against the cross-entropy on clean images", since=2
    ),
    "reconstruction_weight": Option(10.0, "Weight of the reconstruction loss per pixel against the cross-entropy"),
}

EPOCHS = 20
LEARNING_RATE = 3e-3
"""Higher than Adam's own, so that fewer epochs will do; it falls to 0 over the training."""

STRIDE = 2.5
"""A step is STRIDE * eps / steps, so that the ball can be crossed from wherever an attack begins."""

WATCHED = 2
"""How many times as many steps the attack has that is watched on the held-out images."""


@dataclass(frozen=True)
class RobustKind:
    """The row of AUTOENCODERS that is trained together with, or for, the classifier behind it."""

    summary: str = "trained against attacks through itself and its classifier"
    options = OPTIONS
    adversarial = True
    recipe_rev = 2

    def choose(self, request: AutoencoderRequest, dataset: Dataset) -> Choices:
        """Return the request with every default filled in. Raises UsageError for what does not exist or fit."""
        options = fill_in_options(self.options, request.options)
        _check_options(options)
        loss = request.loss or "squared-error"
        if loss not in LOSSES:
            raise UsageError(unknown("loss", loss, LOSSES))
        # 64 numbers for 28 x 28.
        code = max(1, round(dataset.ref.side * 16 / 7))
        network = layers.fill_in(
            request.network,
            dataset,
            code=code,
            activations=ACTIVATIONS,
            epochs=EPOCHS,
            learning_rate=LEARNING_RATE,
        )
        _check_output(network.activations, loss, request.rescale)
        return Choices(network, loss, "none", options)

    def fit(self, recipe: AutoencoderRecipe, lesson: Lesson) -> tuple[Arrays, History]:
        """Return the trained weights and the history; the classifier behind is trained along in place, or is frozen.

        Raises DivergedError, and CorruptError for a checkpoint of another training.
        """
        behind = lesson.behind
        if behind is None:
            raise CorruptError(f"an autoencoder of type {recipe.type} needs a classifier behind it")
        built = build_robust(recipe)
        goal = Goal(recipe, lambda x: built[1](built[0](x)), behind.classify)
        history = train(
            goal.loss,
            (*built, *behind.networks),
            (lesson.x, lesson.y.astype("int32")),
            lesson.y,
            options=require_network(recipe),
            seed=recipe.seed,
            on_epoch=lesson.on_epoch,
            decay=True,
            measure=goal.measure,
            xla=recipe.options["body"] != "conv",
            checkpoint=lesson.checkpoint,
        )
        return layers.collect_weights(built), history

    def weights(self, recipe: AutoencoderRecipe) -> Weights:
        """Return the arrays that are stored. Raises CorruptError for a recipe that is not ours."""
        _refuse_unknown(recipe)
        body, (encoder, decoder) = _find_body(recipe), _list_sizes(recipe)
        return layers.name_weights(body.shapes(recipe) + layers.dense_shapes(encoder), layers.dense_shapes(decoder))

    def restore(self, recipe: AutoencoderRecipe, arrays: Arrays, precision: str) -> Purifier:
        """Return the purifier. Raises CorruptError for a recipe or weights that are not ours."""
        layers.require_weights(self.weights(recipe), arrays)
        encoder, decoder = built = build_robust(recipe)
        layers.put_weights(built, arrays)
        layers.set_precision(built, precision)
        return Purifier(lambda x: decoder(encoder(x)), encode=encoder, decode=decoder)


# ---------------------------------------------------------------- what is built


def build_robust(recipe: AutoencoderRecipe) -> tuple[Any, Any]:
    """Return the untrained encoder d-body-hidden/4-hidden-code and decoder code-hidden-d, weights by He et al. 2015."""
    import keras

    first, code, second, output = require_network(recipe).activations
    seeds = iter(layers.name_seeds(recipe.seed, 16))
    body = _find_body(recipe).build(recipe, seeds)
    (_, *narrowing), (inner, *widening) = _list_sizes(recipe)

    def dense(size: int, activation: str) -> Any:
        kernel = keras.initializers.HeUniform(seed=next(seeds))
        return keras.layers.Dense(size, activation=activation, kernel_initializer=kernel)

    encoder = [*body, *map(dense, narrowing, (first, first, code))]
    decoder = map(dense, widening, (second, output))
    return (
        keras.Sequential([keras.Input((recipe.dataset.side**2,)), *encoder]),
        keras.Sequential([keras.Input((inner,)), *decoder]),
    )


def _list_sizes(recipe: AutoencoderRecipe) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the sizes of the dense layers: features of the body, hidden/4, hidden, code; and code, hidden, d."""
    shape, features = require_network(recipe), _find_body(recipe).features(recipe)
    narrow = layers.narrow_size(shape.hidden)
    return (features, narrow, shape.hidden, shape.code), (shape.code, shape.hidden, recipe.dataset.side**2)


@dataclass(frozen=True)
class Body:
    """What looks at the image first.

    build: (recipe, seeds) -> layers from (n, d) to (n, features); shapes: of their weights, in order; features: how
    many numbers they make of an image.
    """

    build: Callable[[AutoencoderRecipe, Iterator[int]], list[Any]]
    shapes: Callable[[AutoencoderRecipe], list[tuple[int, ...]]]
    features: Callable[[AutoencoderRecipe], int]


def _find_body(recipe: AutoencoderRecipe) -> Body:
    return BODIES[str(recipe.options["body"])]


PIXELWISE = ((2.0, 2.0, -2.0, -2.0), (0.0, -1.0, 2.0, 1.0))
"""Kernel and bias of four functions of a single pixel that come first, before training: it and its complement, each
from 0 and from the middle on. An attack on grey values ends at a threshold, which is found sooner from here."""

FILTERS, WINDOW, PACE = (16, 32), 4, 2
"""Of the convolutions after them: how many filters each has, how wide they are, and by how much they move."""


def _conv(recipe: AutoencoderRecipe, seeds: Iterator[int]) -> list[Any]:
    import numpy as np
    from keras import initializers, layers

    side, activation = recipe.dataset.side, require_network(recipe).activations[0]
    # For each pixel value some of the four are on, so no gradient is lost. Revision 1 had the network's activation.
    pixelwise = layers.Conv2D(len(PIXELWISE[0]), 1, activation="relu" if recipe.recipe_rev > 1 else activation)
    pixelwise.build((None, side, side, 1))
    kernel, bias = (np.array(values, np.float32) for values in PIXELWISE)
    pixelwise.set_weights([kernel.reshape(pixelwise.kernel.shape), bias])
    filters = [
        layers.Conv2D(
            count,
            WINDOW,
            strides=PACE,
            padding="same",
            activation=activation,
            kernel_initializer=initializers.HeUniform(seed=next(seeds)),
        )
        for count in FILTERS
    ]
    return [layers.Reshape((side, side, 1)), pixelwise, *filters, layers.Flatten()]


def _conv_shapes(recipe: AutoencoderRecipe) -> list[tuple[int, ...]]:
    counts = (len(PIXELWISE[0]), *FILTERS)
    filters = [shape for before, n in pairwise(counts) for shape in ((WINDOW, WINDOW, before, n), (n,))]
    return [(1, 1, 1, counts[0]), (counts[0],), *filters]


def _conv_features(recipe: AutoencoderRecipe) -> int:
    side = recipe.dataset.side
    for _ in FILTERS:
        side = -(-side // PACE)
    return side * side * FILTERS[-1]


def _dense(recipe: AutoencoderRecipe, seeds: Iterator[int]) -> list[Any]:
    from keras import initializers, layers

    shape, kernel = require_network(recipe), initializers.HeUniform(seed=next(seeds))
    return [layers.Dense(shape.hidden, activation=shape.activations[0], kernel_initializer=kernel)]


def _dense_shapes(recipe: AutoencoderRecipe) -> list[tuple[int, ...]]:
    return layers.dense_shapes((recipe.dataset.side**2, require_network(recipe).hidden))


BODIES: dict[str, Body] = {
    "conv": Body(_conv, _conv_shapes, _conv_features),
    "dense": Body(_dense, _dense_shapes, lambda recipe: require_network(recipe).hidden),
}


# ---------------------------------------------------------------- what it is trained for


@dataclass(frozen=True)
class Goal:
    """What is minimised, and what is watched. purify: x -> x'; classify: x' -> logits."""

    recipe: AutoencoderRecipe
    purify: Callable[[Tensor], Tensor]
    classify: Callable[[Tensor], Tensor]

    def loss(self, batch: tuple[Tensor, ...], weights: Tensor, moment: Moment) -> Tensor:
        """Return cross-entropy plus weighted how far attacks move the answers and the output from the clean image."""
        import tensorflow as tf

        warmup = float(self.recipe.options["warmup"])
        grown = tf.minimum(moment.progress / warmup, 1.0) if warmup else 1.0
        eps = grown * float(self.recipe.options["train_eps"])
        logits = self._answer(batch[0])
        answers = tf.stop_gradient(tf.nn.softmax(logits))

        def climb(images: Tensor) -> Tensor:
            return tf.nn.softmax_cross_entropy_with_logits(answers, self._answer(images))

        steps = int(self.recipe.options["train_steps"])
        x_adv = tf.stop_gradient(perturb(climb, batch[0], eps=eps, steps=steps, seed=moment.seed))
        return self._weigh(batch, weights, logits, x_adv)[0]

    def measure(self, batch: tuple[Tensor, ...], weights: Tensor, moment: Moment) -> Tensor:
        """Return that loss and accuracies, clean and under PGD at the full radius: float32 (3,)."""
        import tensorflow as tf

        x, y = batch

        def climb(images: Tensor) -> Tensor:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(y, self._answer(images))

        eps, steps = float(self.recipe.options["train_eps"]), WATCHED * int(self.recipe.options["train_steps"])
        logits = self._answer(x)
        loss, moved = self._weigh(batch, weights, logits, perturb(climb, x, eps=eps, steps=steps, seed=moment.seed))
        right = [tf.cast(tf.argmax(found, -1, output_type=y.dtype) == y, tf.float32) for found in (logits, moved)]
        return tf.stack([loss, *(weighted_mean(one, weights) for one in right)])

    def _answer(self, images: Tensor) -> Tensor:
        return self.classify(self.purify(images))

    def _weigh(
        self, batch: tuple[Tensor, ...], weights: Tensor, logits: Tensor, x_adv: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch, whose clean logits are given, under attack, and the logits there."""
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


def perturb(climb: Callable[[Tensor], Tensor], x: Tensor, *, eps: Tensor, steps: int, seed: Tensor) -> Tensor:
    """Return the end of ``steps`` signed-gradient steps from a random point of the eps-ball, inside it and in [0, 1].

    climb: images -> losses to raise, (n,); x: float32 (n, d) in [0, 1]; eps: L-infinity radius in units of x. Unlike
    the attack that judges, it keeps no best iterate: that costs a look more, and training wants what is near. Madry et
    al. 2018, arXiv:1706.06083, section 2.1.
    """
    import tensorflow as tf

    lower, upper = tf.maximum(x - eps, 0.0), tf.minimum(x + eps, 1.0)
    x_adv = tf.clip_by_value(x + eps * tf.random.stateless_uniform(tf.shape(x), seed, -1.0, 1.0), lower, upper)
    for _ in tf.range(steps):
        with tf.GradientTape() as tape:
            tape.watch(x_adv)
            losses = climb(x_adv)
        gradient = tape.gradient(losses, x_adv)
        x_adv = tf.clip_by_value(x_adv + STRIDE * eps / steps * tf.sign(gradient), lower, upper)
    return x_adv


# ---------------------------------------------------------------- what cannot be


def _check_options(options: Options) -> None:
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


def _check_output(activations: Activations, loss: str, rescale: str | None) -> None:
    """Raise UsageError where the output would not be an image as it stands."""
    if activations[-1] != "sigmoid":
        raise UsageError(f"--type robust needs an output in (0, 1), a sigmoid, not {activations[-1]}")
    if loss == "categorical-crossentropy":
        raise UsageError("--loss categorical-crossentropy leaves the scale open; --type robust takes the other losses")
    if rescale == "intensity":
        raise UsageError("--rescale intensity does not fit --type robust, whose output is an image as it stands")


def _refuse_unknown(recipe: AutoencoderRecipe) -> None:
    """Raise CorruptError for a recipe that ``choose`` cannot have made: somebody else's, or a newer one."""
    require_options(recipe, OPTIONS)
    require_loss(recipe)
    try:
        _check_options(recipe.options)
        _check_output(require_network(recipe).activations, str(recipe.loss), recipe.rescale)
    except UsageError as error:
        raise CorruptError(f"the recipe cannot be: {printable(str(error))}") from None
    layers.refuse_unknown_activations(require_network(recipe).activations)
