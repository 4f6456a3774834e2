"""The rows nn and mlp: stacks of dense layers with one logit for each class, trained with cross-entropy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from advae.batching import Tensor
from advae.errors import CorruptError, UsageError
from advae.models import layers
from advae.models.fitting import Moment, OnEpoch, Schedule, train
from advae.models.layers import Weights
from advae.models.model_kinds import ClassifierOptions, FittedClassifier

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import (
        AutoencoderRecipe,
        ClassifierRecipe,
        Dataset,
        FloatArray,
        IntArray,
        NetworkOptions,
        PerceptronOptions,
    )
    from advae.requests import ClassifierRequest, NetworkRequest


class Stack(NamedTuple):
    """A stack of dense layers, not built."""

    sizes: tuple[int, ...]
    """Pixels of an image, units of each layer, and last the number of classes."""
    activations: tuple[str, ...]
    """Activation function of each layer."""
    schedule: Schedule
    """Epochs, batch size and learning rate of the training."""


@dataclass(frozen=True)
class DenseKind:
    """A row of CLASSIFIERS that is a stack of dense layers."""

    summary: str
    """One line for ``--help``."""
    fill_in: Callable[[ClassifierRequest, NetworkRequest, Dataset], ClassifierOptions]
    """(request, its network, dataset) -> options with every default; raises UsageError."""
    describe: Callable[[ClassifierRecipe], Stack]
    """Recipe -> its layers; raises CorruptError for another kind's recipe."""
    linear = False
    holds_out = True
    rebuild = None

    def choose(self, request: ClassifierRequest, dataset: Dataset) -> ClassifierOptions:
        """Return the options with every default filled in. Raises UsageError for one that does not fit the kind."""
        from advae.requests import NetworkRequest

        if request.logistic is not None:
            raise UsageError(f"--C, --intercept and --max-iter do not fit --model {request.model}; they are for lr")
        return self.fill_in(request, request.network or NetworkRequest(), dataset)

    def fit(self, recipe: ClassifierRecipe, x: FloatArray, y: IntArray, on_epoch: OnEpoch) -> FittedClassifier:
        """Return the stack trained with cross-entropy. x: (n, d) in [0, 1]; y: (n,). Raises DivergedError."""
        import tensorflow as tf

        stack = self.describe(recipe)
        network = _build(stack, recipe.seed)

        def loss(batch: tuple[Tensor, ...], weights: Tensor, moment: Moment) -> Tensor:
            images, labels = batch
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, network(images))
            return tf.reduce_sum(losses * weights) / tf.reduce_sum(weights)

        data, schedule = (x, y.astype("int32")), stack.schedule
        # At a constant learning rate the final accuracy varies by half a point with the seed.
        history = train(loss, (network,), data, y, options=schedule, seed=recipe.seed, on_epoch=on_epoch, decay=True)
        return FittedClassifier(layers.collect_weights((network,)), history=history)

    def weights(self, recipe: ClassifierRecipe) -> Weights:
        """Return the stack's weights, by name. Raises CorruptError for another kind's recipe."""
        return layers.name_weights(layers.dense_shapes(self.describe(recipe).sizes))

    def restore(self, recipe: ClassifierRecipe, arrays: Arrays, precision: str) -> Callable[[Tensor], Tensor]:
        """Return images -> logits. Raises CorruptError where the weights do not fit."""
        layers.require_weights(self.weights(recipe), arrays)
        network = _build(self.describe(recipe), recipe.seed)
        layers.put_weights((network,), arrays)
        layers.set_precision((network,), precision)
        return lambda x: network(x)


def _build(stack: Stack, seed: int) -> Any:
    return layers.dense_stack(stack.sizes, stack.activations, seed=seed)


# ---------------------------------------------------------------- nn


def fill_in_paper_network(request: ClassifierRequest, network: NetworkRequest, dataset: Dataset) -> NetworkOptions:
    """Return the options of the paper's network with every default filled in. Raises UsageError."""
    return layers.fill_in(
        network, dataset, code=layers.default_code_size(dataset.ref.shape), activations=layers.PAPER_ACTIVATIONS
    )


def describe_paper_network(recipe: ClassifierRecipe) -> Stack:
    """Return the paper's five layers, then one logit a class. Raises CorruptError for another kind's recipe."""
    from advae.records import NetworkOptions

    options, pixels = recipe.options, recipe.dataset.shape.size
    if not isinstance(options, NetworkOptions):
        raise CorruptError(f"the recipe of a {recipe.model} classifier has no network options")
    layers.refuse_unknown_activations(options.activations)
    sizes = (pixels, options.hidden, options.code, options.hidden, pixels, len(recipe.dataset.classes))
    return Stack(sizes, (*options.activations, "linear"), options)


# ---------------------------------------------------------------- mlp

PERCEPTRON_ACTIVATION = "leaky_relu"
"""It has a gradient for negative inputs, too; the zero gradients of ReLU would mask gradients from attacks."""


def fill_in_perceptron(request: ClassifierRequest, network: NetworkRequest, dataset: Dataset) -> PerceptronOptions:
    """Return the options of the perceptron with every default filled in. Raises UsageError."""
    from advae.records import PerceptronOptions

    if network.activations or network.code:
        raise UsageError(f"--activations and --code-size do not fit --model {request.model}; they are for nn")
    hidden = network.hidden or layers.default_hidden_size(dataset.ref.shape)
    return PerceptronOptions(
        hidden=hidden,
        narrow=layers.narrow_size(hidden),
        activation=PERCEPTRON_ACTIVATION,
        epochs=network.epochs or layers.PAPER_EPOCHS,
        batch_size=network.batch_size or layers.default_batch_size(len(dataset.x_train)),
        learning_rate=network.learning_rate or layers.PAPER_LEARNING_RATE,
    )


def describe_perceptron(recipe: ClassifierRecipe) -> Stack:
    """Return two hidden layers, then one logit a class. Raises CorruptError for another kind's recipe."""
    from advae.records import PerceptronOptions

    options = recipe.options
    if not isinstance(options, PerceptronOptions):
        raise CorruptError(f"the recipe of a {recipe.model} classifier has no perceptron options")
    between = options.activation or "relu"
    layers.refuse_unknown_activations((between,))
    sizes = (recipe.dataset.shape.size, options.hidden, options.narrow, len(recipe.dataset.classes))
    return Stack(sizes, (between, between, "linear"), options)


# ---------------------------------------------------------------- the head of a robust autoencoder

HEAD_RECIPE_REV = 1
"""Raised when the code would train another head for the same autoencoder."""


def describe_head(autoencoder: AutoencoderRecipe) -> ClassifierRecipe:
    """Return the recipe of the classifier that an autoencoder is trained with. Raises CorruptError for a baseline."""
    from advae.records import ClassifierRecipe, PerceptronOptions, entry_id

    shape = autoencoder.network
    if shape is None:
        raise CorruptError(f"an autoencoder of type {autoencoder.type} has no network")
    id_ = entry_id(autoencoder)
    return ClassifierRecipe(
        model="mlp",
        dataset=autoencoder.dataset,
        autoencoder=id_,
        options=PerceptronOptions(
            hidden=shape.hidden,
            narrow=layers.narrow_size(shape.hidden),
            activation=shape.activations[2],
            epochs=shape.epochs,
            batch_size=shape.batch_size,
            learning_rate=shape.learning_rate,
        ),
        seed=autoencoder.seed,
        recipe_rev=HEAD_RECIPE_REV,
        origin=id_,
    )


def build_head(autoencoder: AutoencoderRecipe) -> Any:
    """Return the untrained head of an autoencoder as a keras.Sequential: (n, d) -> logits, (n, classes)."""
    recipe = describe_head(autoencoder)
    return _build(describe_perceptron(recipe), recipe.seed)
