"""mlp: two hidden layers, then one logit a class; the head that a robust autoencoder is trained with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advae.errors import CorruptError, UsageError
from advae.models import layers
from advae.models.classifier_contract import Fitted, Logits
from advae.models.fitting import OnEpoch
from advae.models.layers import Weights
from advae.models.paper_network import fit_layers
from advae.settings import FLOAT32

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import (
        AutoencoderRecipe,
        ClassifierRecipe,
        Dataset,
        FloatArray,
        IntArray,
        PerceptronOptions,
    )
    from advae.requests import ClassifierRequest

ACTIVATION = "leaky_relu"
"""Sends a gradient back where it is off, too, so that an attacker's steps, in training and after, are not misled."""

RECIPE_REV = 1
"""Raised when the head of the same autoencoder would be another than before."""


def fill_in_perceptron(request: ClassifierRequest, dataset: Dataset) -> PerceptronOptions:
    """Return the request with every default filled in. Raises UsageError for what does not fit."""
    from advae.records import PerceptronOptions
    from advae.requests import NetworkRequest

    network = request.network or NetworkRequest()
    if request.logistic is not None:
        raise UsageError(f"--C, --intercept and --max-iter do not fit --model {request.model}; they are for lr")
    if network.activations or network.code:
        raise UsageError(f"--activations and --code-size do not fit --model {request.model}; they are for nn")
    hidden = network.hidden or layers.default_hidden_size(dataset.ref.side)
    return PerceptronOptions(
        hidden=hidden,
        narrow=layers.narrow_size(hidden),
        activation=ACTIVATION,
        epochs=network.epochs or layers.EPOCHS,
        batch_size=network.batch_size or layers.default_batch_size(len(dataset.x_train)),
        learning_rate=network.learning_rate or layers.LEARNING_RATE,
    )


def _require_options(recipe: ClassifierRecipe) -> PerceptronOptions:
    from advae.records import PerceptronOptions

    if not isinstance(recipe.options, PerceptronOptions):
        raise CorruptError(f"the recipe of a {recipe.model} classifier has no perceptron options")
    layers.refuse_unknown_activations((recipe.options.activation or "relu",))
    return recipe.options


def _list_sizes(recipe: ClassifierRecipe) -> tuple[int, ...]:
    options = _require_options(recipe)
    return recipe.dataset.side**2, options.hidden, options.narrow, len(recipe.dataset.classes)


def list_weights(recipe: ClassifierRecipe) -> Weights:
    """Return the network's weights, by name, as they follow from the recipe. Raises CorruptError for one not ours."""
    return layers.name_weights(layers.dense_shapes(_list_sizes(recipe)))


def _build_perceptron(recipe: ClassifierRecipe) -> Any:
    between = _require_options(recipe).activation or "relu"
    return layers.dense_stack(_list_sizes(recipe), (between, between, "linear"), seed=recipe.seed)


def fit_perceptron(recipe: ClassifierRecipe, x: FloatArray, y: IntArray, on_epoch: OnEpoch) -> Fitted:
    """Return the perceptron trained with cross-entropy. x: (n, d) in [0, 1]; y: (n,). Raises DivergedError."""
    options = _require_options(recipe)
    return fit_layers(_build_perceptron(recipe), x, y, options=options, seed=recipe.seed, on_epoch=on_epoch)


def restore_perceptron(recipe: ClassifierRecipe, arrays: Arrays, precision: str = FLOAT32) -> Logits:
    """Return the perceptron's logits function. Raises CorruptError where the weights do not fit."""
    layers.require_weights(list_weights(recipe), arrays)
    network = _build_perceptron(recipe)
    layers.put_weights((network,), arrays)
    layers.set_precision((network,), precision)
    return lambda x: network(x)


# ---------------------------------------------------------------- trained along with an autoencoder


def describe_head(autoencoder: AutoencoderRecipe) -> ClassifierRecipe:
    """Return the recipe of the classifier that an autoencoder is trained with. Raises CorruptError for a control."""
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
        recipe_rev=RECIPE_REV,
        origin=id_,
    )


def build_head(autoencoder: AutoencoderRecipe) -> Any:
    """Return that classifier as a keras.Sequential, untrained: (n, d) -> logits, (n, classes)."""
    return _build_perceptron(describe_head(autoencoder))
