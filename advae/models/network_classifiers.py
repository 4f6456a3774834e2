"""The rows nn, mlp and cnn: networks with one logit for each class, trained with cross-entropy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from advae.batching import Tensor
from advae.errors import CorruptError, UsageError
from advae.models import layers
from advae.models.convolutions import ConvolutionalStack
from advae.models.fitting import Moment, OnEpoch, Schedule, train
from advae.models.layers import Weights
from advae.models.model_kinds import ClassifierOptions, FittedClassifier
from advae.models.noises import NoisyView

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import (
        ClassifierRecipe,
        ConvolutionOptions,
        Dataset,
        FloatArray,
        IntArray,
        LayersOptions,
        NetworkOptions,
        PerceptronOptions,
    )
    from advae.requests import ClassifierRequest, NetworkRequest


class Stack(Protocol):
    """The layers of a classifier, not built."""

    def list_shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of the weights."""

    def count_products(self) -> float:
        """Return how many multiplications one image takes."""

    def build(self, seed: int) -> Any:
        """Return the untrained network, (n, d) -> (n, classes), as a keras.Sequential."""


@dataclass(frozen=True)
class DenseStack:
    """A stack of dense layers."""

    sizes: tuple[int, ...]
    """Values of an image, units of each layer, and last the number of classes."""
    activations: tuple[str, ...]
    """Activation function of each layer."""

    def list_shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of the weights."""
        return layers.dense_shapes(self.sizes)

    def count_products(self) -> float:
        """Return how many multiplications one image takes."""
        return float(sum(before * after for before, after in pairwise(self.sizes)))

    def build(self, seed: int) -> Any:
        """Return the untrained network."""
        return layers.dense_stack(self.sizes, self.activations, seed=seed)


@dataclass(frozen=True)
class NetworkClassifierKind:
    """A row of CLASSIFIERS that is a network."""

    summary: str
    """One line for ``--help``."""
    fill_in: Callable[[ClassifierRequest, NetworkRequest, Dataset], ClassifierOptions]
    """(request, its network, dataset) -> options with every default; raises UsageError."""
    describe: Callable[[ClassifierRecipe], Stack]
    """Recipe -> its layers; raises CorruptError for another kind's recipe."""
    xla: bool = True
    """False for convolutions, which XLA makes slower on processors."""
    linear = False
    holds_out = True
    rebuild = None

    def choose(self, request: ClassifierRequest, dataset: Dataset) -> ClassifierOptions:
        """Return the options with every default filled in. Raises UsageError for one that does not fit the kind."""
        from advae.requests import NetworkRequest

        if request.logistic is not None:
            raise UsageError(f"--C, --intercept and --max-iter do not fit --model {request.model}; they are for lr")
        return self.fill_in(request, request.network or NetworkRequest(), dataset)

    def fit(
        self,
        recipe: ClassifierRecipe,
        x: FloatArray,
        y: IntArray,
        on_epoch: OnEpoch,
        noisy: NoisyView | None = None,
    ) -> FittedClassifier:
        """Return the stack trained with cross-entropy. x: (n, d) in [0, 1]; y: (n,). Raises DivergedError."""
        import tensorflow as tf

        network = self.describe(recipe).build(recipe.seed)

        def loss(batch: tuple[Tensor, ...], weights: Tensor, moment: Moment) -> Tensor:
            images, labels = batch
            images = noisy.show(images, moment.seed) if noisy else images
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, network(images))
            return tf.reduce_sum(losses * weights) / tf.reduce_sum(weights)

        history = train(
            loss,
            (network,),
            (x, y.astype("int32")),
            y,
            options=_find_schedule(recipe),
            seed=recipe.seed,
            on_epoch=on_epoch,
            # At a constant learning rate the final accuracy varies by half a point with the seed.
            decay=True,
            # A purifier may have convolutions, or ask another process.
            xla=self.xla and not (noisy and noisy.purify),
        )
        return FittedClassifier(layers.collect_weights((network,)), history=history)

    def weights(self, recipe: ClassifierRecipe) -> Weights:
        """Return the stack's weights, by name. Raises CorruptError for another kind's recipe."""
        return layers.name_weights(self.describe(recipe).list_shapes())

    def restore(self, recipe: ClassifierRecipe, arrays: Arrays, precision: str) -> Callable[[Tensor], Tensor]:
        """Return images -> logits. Raises CorruptError where the weights do not fit."""
        layers.require_weights(self.weights(recipe), arrays)
        network = self.describe(recipe).build(recipe.seed)
        layers.put_weights((network,), arrays)
        layers.set_precision((network,), precision)
        return lambda x: network(x)


def _find_schedule(recipe: ClassifierRecipe) -> Schedule:
    """Return epochs, batch size and learning rate. Raises CorruptError for what is not trained in epochs."""
    from advae.records import AddedOptions, LogisticOptions

    if isinstance(recipe.options, LogisticOptions | AddedOptions):
        raise CorruptError(f"the recipe of a {recipe.model} classifier has no epochs")
    return recipe.options


# ---------------------------------------------------------------- nn


def fill_in_paper_network(request: ClassifierRequest, network: NetworkRequest, dataset: Dataset) -> NetworkOptions:
    """Return the options of the paper's network with every default filled in. Raises UsageError."""
    return layers.fill_in(
        network, dataset, code=layers.default_code_size(dataset.ref.shape), activations=layers.PAPER_ACTIVATIONS
    )


def describe_paper_network(recipe: ClassifierRecipe) -> DenseStack:
    """Return the paper's five layers, then one logit a class. Raises CorruptError for another kind's recipe."""
    from advae.records import NetworkOptions

    options, pixels = recipe.options, recipe.dataset.shape.size
    if not isinstance(options, NetworkOptions):
        raise CorruptError(f"the recipe of a {recipe.model} classifier has no network options")
    layers.refuse_unknown_activations(options.activations)
    sizes = (pixels, options.hidden, options.code, options.hidden, pixels, len(recipe.dataset.classes))
    return DenseStack(sizes, (*options.activations, "linear"))


# ---------------------------------------------------------------- mlp

PERCEPTRON_ACTIVATION = "leaky_relu"
"""It has a gradient for negative inputs, too; the zero gradients of ReLU would mask gradients from attacks."""


LAYERS_ACTIVATION = "relu"
"""Between the layers of ``--layers``, as in the networks of the papers that give the sizes of their layers."""


def fill_in_perceptron(
    request: ClassifierRequest, network: NetworkRequest, dataset: Dataset
) -> PerceptronOptions | LayersOptions:
    """Return the options of the perceptron with every default filled in. Raises UsageError."""
    from advae.records import LayersOptions, PerceptronOptions

    _refuse_four_layers(request, network)
    schedule: dict[str, Any] = {
        "epochs": network.epochs or layers.PAPER_EPOCHS,
        "batch_size": network.batch_size or layers.default_batch_size(len(dataset.x_train)),
        "learning_rate": network.learning_rate or layers.PAPER_LEARNING_RATE,
    }
    if request.layers:
        if network.hidden:
            raise UsageError("--hidden-size and --layers exclude each other: both give the sizes of the hidden layers")
        return LayersOptions(layers=request.layers, activation=LAYERS_ACTIVATION, **schedule)
    hidden = network.hidden or layers.default_hidden_size(dataset.ref.shape)
    narrow = layers.narrow_size(hidden)
    return PerceptronOptions(hidden=hidden, narrow=narrow, activation=PERCEPTRON_ACTIVATION, **schedule)


def _refuse_four_layers(request: ClassifierRequest, network: NetworkRequest) -> None:
    """Raise UsageError for options of the paper's four hidden layers."""
    if network.activations or network.code:
        raise UsageError(f"--activations and --code-size do not fit --model {request.model}; they are for nn")


def describe_perceptron(recipe: ClassifierRecipe) -> DenseStack:
    """Return the hidden layers, then one logit a class. Raises CorruptError for another kind's recipe."""
    from advae.records import LayersOptions, PerceptronOptions

    options = recipe.options
    if not isinstance(options, PerceptronOptions | LayersOptions):
        raise CorruptError(f"the recipe of a {recipe.model} classifier has no perceptron options")
    hidden = options.layers if isinstance(options, LayersOptions) else (options.hidden, options.narrow)
    between = options.activation or "relu"
    layers.refuse_unknown_activations((between,))
    sizes = (recipe.code or recipe.dataset.shape.size, *hidden, len(recipe.dataset.classes))
    return DenseStack(sizes, (*(between for _ in hidden), "linear"))


# ---------------------------------------------------------------- cnn

FILTERS = (16, 32, 64)
"""Filters of the three convolutions: on two processors an epoch of 60,000 small colour images takes half a minute."""

DISTILLED_BATCH = 64
DISTILLED_REV = 1
"""Raised when the code would train another surrogate on the same answers."""

CNN_HIDDEN = 128
CNN_EPOCHS = 12


def fill_in_convolutions(request: ClassifierRequest, network: NetworkRequest, dataset: Dataset) -> ConvolutionOptions:
    """Return the options of the convolutional network with every default filled in. Raises UsageError."""
    from advae.records import ConvolutionOptions

    _refuse_four_layers(request, network)
    return ConvolutionOptions(
        filters=FILTERS,
        hidden=network.hidden or CNN_HIDDEN,
        activation=PERCEPTRON_ACTIVATION,
        epochs=network.epochs or CNN_EPOCHS,
        batch_size=network.batch_size or layers.default_batch_size(len(dataset.x_train)),
        learning_rate=network.learning_rate or layers.PAPER_LEARNING_RATE,
    )


def describe_convolutions(recipe: ClassifierRecipe) -> ConvolutionalStack:
    """Return the convolutional network. Raises CorruptError for another kind's recipe."""
    from advae.records import ConvolutionOptions

    options = recipe.options
    if not isinstance(options, ConvolutionOptions):
        raise CorruptError(f"the recipe of a {recipe.model} classifier has no convolutions")
    layers.refuse_unknown_activations((options.activation,))
    classes = len(recipe.dataset.classes)
    return ConvolutionalStack(recipe.dataset.shape, options.filters, options.hidden, classes, options.activation)


def describe_distilled(classifier: ClassifierRecipe) -> ClassifierRecipe:
    """Return the recipe of the convolutional network that is trained on a classifier's answers, purifier included."""
    from advae.records import ClassifierRecipe, ConvolutionOptions, entry_id

    return ClassifierRecipe(
        model="cnn",
        dataset=classifier.dataset,
        autoencoder=None,
        options=ConvolutionOptions(
            filters=FILTERS,
            hidden=CNN_HIDDEN,
            activation=PERCEPTRON_ACTIVATION,
            epochs=CNN_EPOCHS,
            batch_size=DISTILLED_BATCH,
            learning_rate=layers.PAPER_LEARNING_RATE,
        ),
        seed=0,
        recipe_rev=DISTILLED_REV,
        distilled=entry_id(classifier),
    )
