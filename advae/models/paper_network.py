"""nn: the paper's stack, then one logit a class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advae.batching import Tensor
from advae.errors import CorruptError, UsageError
from advae.models import layers
from advae.models.classifier_contract import Fitted, Logits
from advae.models.fitting import Moment, OnEpoch, Schedule, train
from advae.models.layers import Weights
from advae.settings import FLOAT32

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import ClassifierRecipe, Dataset, FloatArray, IntArray, NetworkOptions
    from advae.requests import ClassifierRequest


def fill_in_network(request: ClassifierRequest, dataset: Dataset) -> NetworkOptions:
    """Return the request with every default filled in. Raises UsageError for what does not fit."""
    from advae.requests import NetworkRequest

    if request.logistic is not None:
        raise UsageError(f"--C, --intercept and --max-iter do not fit --model {request.model}; they are for lr")
    return layers.fill_in(
        request.network or NetworkRequest(), dataset, code=dataset.ref.side, activations=layers.PAPER_ACTIVATIONS
    )


def _require_options(recipe: ClassifierRecipe) -> NetworkOptions:
    from advae.records import NetworkOptions

    if not isinstance(recipe.options, NetworkOptions):
        raise CorruptError(f"the recipe of a {recipe.model} classifier has no network options")
    layers.refuse_unknown_activations(recipe.options.activations)
    return recipe.options


def _list_sizes(recipe: ClassifierRecipe) -> tuple[int, ...]:
    options, pixels = _require_options(recipe), recipe.dataset.side**2
    return pixels, options.hidden, options.code, options.hidden, pixels, len(recipe.dataset.classes)


def list_weights(recipe: ClassifierRecipe) -> Weights:
    """Return the network's weights, by name, as they follow from the recipe. Raises CorruptError for one not ours."""
    return layers.name_weights(layers.dense_shapes(_list_sizes(recipe)))


def _build_network(recipe: ClassifierRecipe) -> Any:
    activations = (*_require_options(recipe).activations, "linear")
    return layers.dense_stack(_list_sizes(recipe), activations, seed=recipe.seed)


def fit_network(recipe: ClassifierRecipe, x: FloatArray, y: IntArray, on_epoch: OnEpoch) -> Fitted:
    """Return the network trained with cross-entropy. x: (n, d) in [0, 1]; y: (n,). Raises DivergedError."""
    options = _require_options(recipe)
    return fit_layers(_build_network(recipe), x, y, options=options, seed=recipe.seed, on_epoch=on_epoch)


def fit_layers(network: Any, x: FloatArray, y: IntArray, *, options: Schedule, seed: int, on_epoch: OnEpoch) -> Fitted:
    """Return a network trained, in place too, with cross-entropy. Raises DivergedError."""
    import tensorflow as tf

    def loss(batch: tuple[Tensor, ...], weights: Tensor, moment: Moment) -> Tensor:
        images, labels = batch
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, network(images))
        return tf.reduce_sum(losses * weights) / tf.reduce_sum(weights)

    data = (x, y.astype("int32"))
    # At a constant rate the accuracy after the last epoch jumps by half a point from seed to seed.
    history = train(loss, (network,), data, y, options=options, seed=seed, on_epoch=on_epoch, decay=True)
    return Fitted(layers.collect_weights((network,)), history=history)


def restore_network(recipe: ClassifierRecipe, arrays: Arrays, precision: str = FLOAT32) -> Logits:
    """Return the network's logits function. Raises CorruptError where the weights do not fit."""
    layers.require_weights(list_weights(recipe), arrays)
    network = _build_network(recipe)
    layers.put_weights((network,), arrays)
    layers.set_precision((network,), precision)
    return lambda x: network(x)
