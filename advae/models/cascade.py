"""The row cascade: an autoencoder that denoises, then one that reduces, or one of the two alone.

Sahay, Mahfuz, El Gamal 2018, arXiv:1812.03087. The layers are those of the authors' published scripts
(github.com/rajeevsahay/ae-defenses): d - N - N/2 - N/4 - N/2 - N - d with N = 256, linear, and d - K - d.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from advae.batching import Tensor
from advae.errors import CorruptError, UsageError, unknown
from advae.models import layers
from advae.models.autoencoder_networks import require_loss, require_network
from advae.models.cascade_stages import (
    BOTH,
    CASCADE_ACTIVATIONS,
    CASCADE_PARTS,
    DENOISE,
    EPS,
    REDUCE,
    STAGES,
    build_stages,
    cut_network,
    find_stages,
    join_weights,
    list_layer_sizes,
    name_stages,
)
from advae.models.contracts import Purifier
from advae.models.fitting import Moment, train
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
from advae.models.reconstruction import choose_loss, weighted_mean

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import Activations, AutoencoderRecipe, Dataset, History
    from advae.requests import AutoencoderRequest

CASCADE_HIDDEN = 256

CASCADE_OPTIONS = {
    STAGES: Option(
        BOTH,
        "The denoiser and then the reduction, both; or one of them alone, denoise or reduce",
        choices=(BOTH, DENOISE, REDUCE),
    ),
    EPS: Option(0.25, "L-infinity radius of the FGSM images that the denoiser is trained on", absent=True),
}


@dataclass(frozen=True)
class CascadeKind:
    """The row of AUTOENCODERS that consists of two autoencoders, each of them an entry of its own.

    The denoiser is trained on images and their FGSM images on a frozen classifier, and returns the images. The
    reduction is trained on the images. A cascade of both is not trained: it holds the weights of the two.
    """

    summary: str = "denoises FGSM images, then reduces them"
    """One line for ``--help``."""
    options = CASCADE_OPTIONS
    choose_head = None
    recipe_rev = 1

    def needs_protected(self, options: OwnOptions) -> bool:
        """Return whether it is trained in front of a frozen classifier: the reduction alone is not."""
        return options.get(STAGES, BOTH) != REDUCE

    def choose(self, request: AutoencoderRequest, dataset: Dataset) -> Choices:
        """Return the request with every default filled in. Raises UsageError for an unknown or impossible value."""
        options = fill_in_options(self.options, request.options)
        stages = str(options[STAGES])
        _check_options(options)
        if stages == REDUCE:
            if EPS in request.options:
                raise UsageError(f"--train-eps does not fit --stages {REDUCE}, which is trained on no attack")
            del options[EPS]
        given = request.network
        if stages == DENOISE and given.code:
            raise UsageError(f"--code-size does not fit --stages {DENOISE}, whose layers --hidden-size decides")
        if stages == REDUCE and given.hidden:
            raise UsageError(f"--hidden-size does not fit --stages {REDUCE}, which has one layer, of --code-size")
        network = layers.fill_in(
            given,
            dataset,
            hidden=CASCADE_HIDDEN,
            code=layers.default_code_size(dataset.ref.shape),
            activations=CASCADE_ACTIVATIONS,
        )
        loss = choose_loss(request.loss, "squared-error")
        _check_image_output(network.activations, loss, request.rescale)
        cut = cut_network(network, stages)
        if cut.activations != network.activations:
            ours = ",".join(CASCADE_ACTIVATIONS)
            place = "last" if stages == DENOISE else "first"
            raise UsageError(
                f"--stages {stages} does not have the {place} two of --activations; leave them as in {ours}"
            )
        return Choices(cut, loss, "none", options)

    def fit(self, recipe: AutoencoderRecipe, data: TrainingData) -> tuple[Arrays, History | None]:
        """Return the trained weights and the history; of a cascade of both the weights of its parts, and no history.

        Raises DivergedError, and CorruptError for the checkpoint of another training.
        """
        if find_stages(recipe) == BOTH:
            return join_weights(data.parts), None
        built = build_stages(recipe)
        encoder, decoder = built
        loss = _find_loss(recipe, lambda x: decoder(encoder(x)), data)
        history = train(
            loss,
            built,
            (data.x, data.y.astype("int32")),
            data.y,
            options=require_network(recipe),
            seed=recipe.seed,
            on_epoch=data.on_epoch,
            # The classifier may have operations that XLA makes slower, or does not have.
            xla=find_stages(recipe) == REDUCE,
            checkpoint=data.checkpoint,
        )
        return layers.collect_weights(built), history

    def weights(self, recipe: AutoencoderRecipe) -> Weights:
        """Return the stored arrays, by name. Raises CorruptError for a recipe that ``choose`` cannot have made."""
        _require_possible(recipe)
        return layers.name_weights(*map(layers.dense_shapes, list_layer_sizes(recipe)))

    def restore(self, recipe: AutoencoderRecipe, arrays: Arrays, precision: str) -> Purifier:
        """Return the purifier. Raises CorruptError for an impossible recipe or other weights."""
        layers.require_weights(self.weights(recipe), arrays)
        built = build_stages(recipe)
        layers.put_weights(built, arrays)
        layers.set_precision(built, precision)
        *before, decoder = built

        def encode(x: Tensor) -> Tensor:
            for network in before:
                x = network(x)
            return x

        return Purifier(lambda x: decoder(encode(x)), encode=encode, decode=decoder)

    def count_code(self, recipe: AutoencoderRecipe) -> int:
        """Return how many numbers its code has; of the denoiser alone its narrowest layer."""
        return require_network(recipe).code

    def count_products(self, recipe: AutoencoderRecipe) -> float:
        """Return how many multiplications it takes to purify one image."""
        return float(sum(before * after for sizes in list_layer_sizes(recipe) for before, after in pairwise(sizes)))

    def count_passes(self, recipe: AutoencoderRecipe) -> float:
        """Return 2 for the denoiser, which is shown each image twice, 1 for the reduction, 0 for both, not trained."""
        return {DENOISE: 2.0, REDUCE: 1.0}.get(find_stages(recipe), 0.0)


# ---------------------------------------------------------------- training


def _find_loss(
    recipe: AutoencoderRecipe, purify: Callable[[Tensor], Tensor], data: TrainingData
) -> Callable[[tuple[Tensor, ...], Tensor, Moment], Tensor]:
    """Return the training loss of a batch of images and labels: of the denoiser, or of the reduction."""
    import tensorflow as tf

    distance = require_loss(recipe)
    if find_stages(recipe) == REDUCE:
        return lambda batch, weights, moment: weighted_mean(distance(batch[0], purify(batch[0])), weights)
    if data.behind is None:
        raise CorruptError(f"an autoencoder of type {recipe.type} needs a classifier behind it")
    classify, eps = data.behind.classify, float(recipe.options[EPS])

    def denoise(batch: tuple[Tensor, ...], weights: Tensor, moment: Moment) -> Tensor:
        x, y = batch
        shown = tf.concat([x, perturb_once(classify, x, y, eps)], 0)
        return weighted_mean(distance(tf.concat([x, x], 0), purify(shown)), tf.concat([weights, weights], 0))

    return denoise


def perturb_once(classify: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, eps: float) -> Tensor:
    """Return x moved by eps along the sign of the gradient of the cross-entropy, clipped to [0, 1]; no gradient of it.

    x: float32 (n, d) in [0, 1]; y: int32 (n,). Goodfellow et al. 2015, arXiv:1412.6572, section 4.
    """
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, classify(x))
    return tf.stop_gradient(tf.clip_by_value(x + eps * tf.sign(tape.gradient(losses, x)), 0.0, 1.0))


# ---------------------------------------------------------------- checks of a request and of a stored recipe


def _require_possible(recipe: AutoencoderRecipe) -> None:
    """Raise CorruptError for a recipe that no request can have made."""
    require_own_options(recipe, CASCADE_OPTIONS)
    require_loss(recipe)
    network, stages = require_network(recipe), find_stages(recipe)
    layers.refuse_unknown_activations(network.activations)
    with refuse_impossible():
        _check_options(recipe.options)
        _check_image_output(network.activations, str(recipe.loss), recipe.rescale)
    attacked = stages != REDUCE
    if (EPS in recipe.options, recipe.protects is not None) != (attacked, attacked):
        raise CorruptError(f"the recipe of a cascade, {STAGES} {stages}, has a part of another one")
    if cut_network(network, stages) != network or _names_others(recipe):
        raise CorruptError(f"the recipe of a cascade, {STAGES} {stages}, names other stages than its own")


def _names_others(recipe: AutoencoderRecipe) -> bool:
    """Return whether a recipe has other ids of its two autoencoders than follow from it."""
    without = recipe.model_copy(update=dict.fromkeys(CASCADE_PARTS))
    return name_stages(without) != recipe


def _check_options(options: OwnOptions) -> None:
    from advae.requests import suggest_scale

    if options[STAGES] not in (BOTH, DENOISE, REDUCE):
        raise UsageError(unknown("stages", str(options[STAGES]), (BOTH, DENOISE, REDUCE)))
    eps = float(options.get(EPS, CASCADE_OPTIONS[EPS].default))
    if not 0 < eps <= 1:
        raise UsageError(
            f"bad --train-eps {eps}: above 0, at most 1, in units of a pixel's range{suggest_scale(eps, 1)}"
        )


def _check_image_output(activations: Activations, loss: str, rescale: str | None) -> None:
    """Raise UsageError where an output would not be an image without rescaling."""
    if (activations[1], activations[3]) != ("sigmoid", "sigmoid"):
        raise UsageError(
            f"--type cascade needs outputs in (0, 1): sigmoid second and last in --activations, not "
            f"{activations[1]} and {activations[3]}"
        )
    if loss == "categorical-crossentropy":
        raise UsageError(
            "--loss categorical-crossentropy does not fit --type cascade: it leaves the output's scale open"
        )
    if rescale == "intensity":
        raise UsageError("--rescale intensity does not fit --type cascade, whose output is an image already")
