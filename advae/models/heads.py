"""The head: the classifier that is trained along with an autoencoder, from the autoencoder's recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advae.errors import CorruptError
from advae.models.autoencoders import AUTOENCODERS
from advae.models.network_classifiers import describe_convolutions, describe_perceptron

if TYPE_CHECKING:
    from advae.records import AutoencoderRecipe, ClassifierRecipe

HEAD_RECIPE_REV = 1
"""Raised when the code would train another head for the same autoencoder."""


def describe_head(autoencoder: AutoencoderRecipe) -> ClassifierRecipe:
    """Return the recipe of the classifier that an autoencoder is trained with. Raises CorruptError if it has none."""
    from advae.records import ClassifierRecipe, ConvolutionOptions, entry_id

    choose, id_ = AUTOENCODERS[autoencoder.type].choose_head, entry_id(autoencoder)
    if choose is None:
        raise CorruptError(f"{id_}, of type {autoencoder.type}, is trained without a classifier")
    options = choose(autoencoder)
    return ClassifierRecipe(
        model="cnn" if isinstance(options, ConvolutionOptions) else "mlp",
        dataset=autoencoder.dataset,
        autoencoder=id_,
        options=options,
        seed=autoencoder.seed,
        recipe_rev=HEAD_RECIPE_REV,
        origin=id_,
    )


def build_head(autoencoder: AutoencoderRecipe) -> Any:
    """Return the untrained head of an autoencoder as a keras.Sequential: (n, d) -> logits, (n, classes)."""
    recipe = describe_head(autoencoder)
    describe = describe_convolutions if recipe.model == "cnn" else describe_perceptron
    return describe(recipe).build(recipe.seed)
