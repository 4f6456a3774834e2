"""The row certified: a purifier that is trained, with the classifier behind it, on interval bounds of both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae.errors import CorruptError, UsageError, unknown
from advae.models import layers
from advae.models.autoencoder_networks import BODY, CONV, DENSE, count_network_code, require_loss, require_network
from advae.models.certified_networks import (
    CERTIFIED_BODIES,
    DEFAULT_SLOPE,
    HEAD_FILTERS,
    HEAD_HIDDEN,
    SLOPE,
    THRESHOLD,
    build_certified,
    compose,
    draw_initial_weights,
    find_certified_body,
    list_certified_weights,
)
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
from advae.models.reconstruction import choose_loss

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.models.model_kinds import HeadOptions
    from advae.records import Activations, AutoencoderRecipe, Dataset, History, ImageShape, Scalar
    from advae.requests import AutoencoderRequest

CERTIFIED_ACTIVATIONS: Activations = ("relu", "relu", "relu", "sigmoid")
"""Of a body with a code. The slope of ReLU is at most 1, so it does not widen bounds."""

STABILITY = "relu_stability"

CERTIFIED_OPTIONS = {
    BODY: Option(THRESHOLD, "Layers: threshold, conv, dense, or none"),
    SLOPE: Option(
        DEFAULT_SLOPE,
        "Initial slope of the threshold; 1 leaves images as they are",
        absent=True,
        explained="20, fewer than 256 pixels 2",
    ),
    "train_eps": Option(0.34, "L-infinity radius of the bounds, in units of a pixel's range"),
    "warmup": Option(0.4, "Share of the training during which the radius and the weight of the bounds grow from 0"),
    "kappa": Option(
        0.4, "Weight of the clean cross-entropy once the radius has grown; that of the bounds has 1 - kappa"
    ),
    STABILITY: Option(
        0.0, "Weight of the term that makes ReLUs keep one sign inside the radius (Xiao et al. 2019)", absent=True
    ),
    "reconstruction_weight": Option(
        0.1, "Weight of the reconstruction loss per pixel of clean images; both cross-entropies have 1 together"
    ),
}

CODE_WEIGHT = 5.0
"""Weight of the reconstruction loss of a body with a code, where none is given: with less its images cannot be
recognised, and fewer of them are certified."""

COLOUR_EPS = 8 / 255
"""Radius of the bounds of colour images, where none is given."""

FEW_PIXELS, FEW_PIXELS_EPS, FEW_PIXELS_SLOPE = 256, 0.1, 2.0
"""Grey images of fewer pixels have another radius and slope, where none is given: their lines are one or two pixels
wide and mostly grey, so that a large change of each pixel makes another digit of them."""

CERTIFIED_EPOCHS = 16
CERTIFIED_LEARNING_RATE = 2e-3
LARGEST_GRADIENT = 10.0
"""A step's gradient with a larger norm is shortened to this one: while the radius grows, single batches have much
larger ones."""


@dataclass(frozen=True)
class CertifiedKind:
    """The row of AUTOENCODERS that is trained in front of a classifier on bounds of what any perturbation can do."""

    summary: str = "trained on bounds of what any attack can do"
    """One line for ``--help``."""
    options = CERTIFIED_OPTIONS
    recipe_rev = 1

    def needs_protected(self, options: OwnOptions) -> bool:
        """Return False: without one, a classifier is trained along."""
        return False

    def choose(self, request: AutoencoderRequest, dataset: Dataset) -> Choices:
        """Return the request with every default filled in. Raises UsageError for an unknown or impossible value."""
        shape = dataset.ref.shape
        defaults = _choose_defaults(shape, request.options.get(BODY, THRESHOLD))
        options = fill_in_options(self.options, defaults | dict(request.options))
        _check_options(options)
        loss = choose_loss(request.loss, "squared-error")
        body = CERTIFIED_BODIES[str(options[BODY])]
        if not body.has_code:
            _refuse_code(request, str(options[BODY]))
        hidden, code = body.choose_sizes(shape)
        network = layers.fill_in(
            request.network,
            dataset,
            hidden=hidden,
            code=code,
            activations=CERTIFIED_ACTIVATIONS,
            epochs=CERTIFIED_EPOCHS,
            learning_rate=CERTIFIED_LEARNING_RATE,
        )
        _check_image_output(network.activations, loss, request.rescale)
        return Choices(network, loss, "none", _drop_defaults(options))

    def fit(self, recipe: AutoencoderRecipe, data: TrainingData) -> tuple[Arrays, History]:
        """Return the trained weights and the history; a classifier that is trained along is changed in place.

        Raises DivergedError, CorruptError for the checkpoint of another training, and UsageError where the classifier
        has an operation without bounds, or where nothing can be trained.
        """
        # Not imported when a command starts.
        from advae.intervals import trace_network
        from advae.models.certified_training import SHARES, CertifiedObjective
        from advae.models.normalised_training import NormalisedClassifier

        behind = data.behind
        if behind is None:
            raise CorruptError(f"an autoencoder of type {recipe.type} needs a classifier behind it")
        built = build_certified(recipe)
        if not (built or behind.networks):
            raise UsageError("--body none has nothing to train in front of a classifier that stays as it is")
        purify, head = compose(built), None
        if behind.networks:
            (network,) = behind.networks
            draw_initial_weights((network,), recipe.seed)
            head = NormalisedClassifier(network)
        objective = CertifiedObjective(
            recipe,
            purify,
            behind.classify,
            trace_network(lambda x: behind.classify(purify(x)), recipe.dataset.shape.size),
            head,
        )
        history = train(
            objective.loss,
            (*built, *([head] if head else ())),
            (data.x, data.y.astype("int32")),
            data.y,
            options=require_network(recipe),
            seed=recipe.seed,
            on_epoch=data.on_epoch,
            decay=True,
            clip=LARGEST_GRADIENT,
            measure=Measure(objective.measure, SHARES),
            xla=False,
            checkpoint=data.checkpoint,
        )
        if head:
            head.settle()
        return layers.collect_weights(built), history

    def weights(self, recipe: AutoencoderRecipe) -> Weights:
        """Return the stored arrays, by name. Raises CorruptError for a recipe that ``choose`` cannot have made."""
        require_own_options(recipe, CERTIFIED_OPTIONS)
        require_loss(recipe)
        activations = require_network(recipe).activations
        with refuse_impossible():
            _check_options(recipe.options)
            _check_image_output(activations, str(recipe.loss), recipe.rescale)
        layers.refuse_unknown_activations(activations)
        return list_certified_weights(recipe)

    def restore(self, recipe: AutoencoderRecipe, arrays: Arrays, precision: str) -> Purifier:
        """Return the purifier. Raises CorruptError for an impossible recipe or other weights."""
        layers.require_weights(self.weights(recipe), arrays)
        built = build_certified(recipe)
        layers.put_weights(built, arrays)
        layers.set_precision(built, precision)
        if find_certified_body(recipe).has_code:
            encoder, decoder = built
            return Purifier(compose(built), encode=encoder, decode=decoder)
        return Purifier(compose(built), clips=bool(built))

    def choose_head(self, recipe: AutoencoderRecipe) -> HeadOptions:
        """Return the options of the classifier that is trained along, a convolutional one with ReLUs."""
        from advae.records import ConvolutionOptions

        network = require_network(recipe)
        return ConvolutionOptions(
            filters=HEAD_FILTERS,
            hidden=HEAD_HIDDEN if find_certified_body(recipe).has_code else network.hidden,
            activation="relu",
            **{name: getattr(network, name) for name in ("epochs", "batch_size", "learning_rate")},
        )

    def count_code(self, recipe: AutoencoderRecipe) -> int | None:
        """Return how many numbers its code has; None for a body without a code."""
        return count_network_code(recipe) if find_certified_body(recipe).has_code else None

    def count_products(self, recipe: AutoencoderRecipe) -> float:
        """Return how many multiplications it takes to purify one image."""
        return find_certified_body(recipe).count_products(recipe)

    def count_passes(self, recipe: AutoencoderRecipe) -> float:
        """Return 3: of the clean image, the centre and the radius of its box."""
        return 3.0


# ---------------------------------------------------------------- checks of a request and of a stored recipe


def _choose_defaults(shape: ImageShape, body: Scalar) -> dict[str, Scalar]:
    """Return the defaults that the images and the body decide."""
    defaults: dict[str, Scalar] = {}
    if not shape.is_grey:
        defaults["train_eps"] = COLOUR_EPS
    elif shape.size < FEW_PIXELS:
        defaults["train_eps"] = FEW_PIXELS_EPS
        defaults |= {SLOPE: FEW_PIXELS_SLOPE} if body == THRESHOLD else {}
    if body in (CONV, DENSE):
        defaults["reconstruction_weight"] = CODE_WEIGHT
    return defaults


def _check_options(options: OwnOptions) -> None:
    from advae.requests import suggest_scale

    if options[BODY] not in CERTIFIED_BODIES:
        raise UsageError(unknown("body", str(options[BODY]), CERTIFIED_BODIES))
    eps = float(options["train_eps"])
    if not 0 < eps <= 1:
        raise UsageError(
            f"bad --train-eps {eps}: above 0, at most 1, in units of a pixel's range{suggest_scale(eps, 1)}"
        )
    for name in ("warmup", "kappa"):
        if not 0 <= float(options[name]) <= 1:
            raise UsageError(f"bad --{name} {options[name]}: between 0 and 1")
    slope = options.get(SLOPE, DEFAULT_SLOPE)
    if options[BODY] != THRESHOLD and slope != DEFAULT_SLOPE:
        raise UsageError(f"--slope does not fit --body {options[BODY]}; it is for {THRESHOLD}")
    if not 1 <= float(slope) <= 1000:
        raise UsageError(f"bad --slope {slope}: 1 to 1000")
    for name in (STABILITY, "reconstruction_weight"):
        if not 0 <= float(options.get(name, 0.0)) < math.inf:
            raise UsageError(f"bad --{name.replace('_', '-')} {options[name]}: 0 or more")


def _drop_defaults(options: dict[str, Scalar]) -> dict[str, Scalar]:
    """Return the options as a recipe has them: those that are absent by default only where they have another value."""
    return {
        name: value
        for name, value in options.items()
        if not (CERTIFIED_OPTIONS[name].absent and value == CERTIFIED_OPTIONS[name].default)
    }


def _refuse_code(request: AutoencoderRequest, body: str) -> None:
    """Raise UsageError for what only layers with a code have."""
    given = {"--code-size": request.network.code, "--activations": request.network.activations}
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"{name} does not fit --body {body}, which has no code; it is for conv and dense")


def _check_image_output(activations: Activations, loss: str, rescale: str | None) -> None:
    """Raise UsageError where the output would not be an image without rescaling."""
    if activations[-1] != "sigmoid":
        raise UsageError(f"--type certified needs an output in (0, 1), a sigmoid, not {activations[-1]}")
    if loss == "categorical-crossentropy":
        raise UsageError(
            "--loss categorical-crossentropy does not fit --type certified: it leaves the output's scale open"
        )
    if rescale == "intensity":
        raise UsageError(
            "--rescale intensity does not fit --type certified: the bounds of a quotient of two sums are loose"
        )
