"""Recipes: all that decides a result, so that their digest can be the result's identity."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from advae.identity import name_recipe
from advae.records.base import LARGEST, MAX_ITEMS, Label, Name, Natural, Positive, Record, Scalar, absent_unless_given
from advae.records.datasets import MAX_SIDE, DatasetRef

Activations = tuple[Name, Name, Name, Name]
"""Of the first hidden layer, the code, the second hidden layer and the output."""

MAX_LAYER = 65_536
LayerSize = Annotated[int, Field(ge=1, le=MAX_LAYER)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Rate = Annotated[float, Field(gt=0, le=LARGEST)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Rescale = Literal["intensity", "none"]
Norm = Literal["linf", "l2"]
Options = Annotated[dict[Name, Scalar], Field(max_length=1000)]
Eps = Annotated[float, Field(ge=0, le=MAX_SIDE)]
Radii = Annotated[tuple[Eps, ...], Field(fail_fast=True, min_length=1, max_length=MAX_ITEMS)]
"""In units of x, whose longest way in L2 is the side of an image."""


class NetworkOptions(Record):
    """Shape and training of the paper's five-layer stack d - hidden - code - hidden - d."""

    hidden: LayerSize
    code: LayerSize
    activations: Activations
    epochs: Count
    batch_size: Count
    learning_rate: Rate


class PerceptronOptions(Record):
    """Shape and training of a perceptron d - hidden - narrow - classes. activation: in between, None for ReLU."""

    hidden: LayerSize
    narrow: LayerSize
    activation: Name | None = absent_unless_given()
    epochs: Count
    batch_size: Count
    learning_rate: Rate


class LogisticOptions(Record):
    """Options of scikit-learn's LogisticRegression; C in its unit, for pixels in [0, 1]."""

    C: Rate
    intercept: bool
    max_iter: Count


class AutoencoderRecipe(Record):
    """options: what only this type of autoencoder has, by name (``rho``, ``noise_level``, ...).

    A control (blur, ...) is of this kind too: network and loss are None, since nothing is trained. protects: id of the
    classifier that this one was trained in front of, which stayed as it was; None where there was none, or where it
    was trained along. each_class: True where the images that were drawn to be held out were all of a class, so that one
    of them is trained on; None where the drawn ones are held out.
    """

    kind: Literal["ae"] = "ae"
    type: Name
    dataset: DatasetRef
    network: NetworkOptions | None
    loss: Name | None
    rescale: Rescale
    options: Options
    seed: Seed
    recipe_rev: Natural
    protects: Name | None = absent_unless_given()
    each_class: Literal[True] | None = absent_unless_given()

    @property
    def is_baseline(self) -> bool:
        """Whether this is no autoencoder, but what one is to be compared with."""
        return self.network is None

    @property
    def parents(self) -> tuple[str, ...]:
        return (self.protects,) if self.protects else ()


class ClassifierRecipe(Record):
    """autoencoder: id of the purifier that the classifier stands behind, or None.

    origin: where its weights were taken from, None where it was trained behind that purifier: the id of a classifier
    that was put behind it as it is, or of the purifier itself, whose training trained both.
    """

    kind: Literal["clf"] = "clf"
    model: Name
    dataset: DatasetRef
    autoencoder: Name | None
    options: NetworkOptions | LogisticOptions | PerceptronOptions
    seed: Seed
    recipe_rev: Natural
    origin: Name | None = absent_unless_given()
    each_class: Literal[True] | None = absent_unless_given()

    @property
    def parents(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(id_ for id_ in (self.autoencoder, self.origin) if id_))


class RunRecipe(Record):
    """One attack under one threat model at one or several eps.

    eps: radii of the norm's ball, in units of x. step_size: None stands for the attack's own multiple of eps / steps.
    restarts: from how many random points, the best of which counts. limit: how many test images, None for all; sample:
    how they are chosen, None for the first ones. clip: False is the paper's protocol, neither projected nor clipped.
    twin: the undefended classifier that an oblivious attacker uses; surrogate: the pipeline of another seed that a
    transfer attacker uses. draws: over how many draws of a purifier that samples each gradient is averaged; queries: of
    a score-based attack, for each sample. precision: of the products by which the attack is crafted, None for float32,
    in which every result is scored.
    Options that a method does not have are None.
    """

    kind: Literal["run"] = "run"
    method: Name
    threat: Name
    norm: Norm = "linf"
    classifier: Name
    twin: Name | None
    dataset: DatasetRef
    eps: Radii
    target: Label | None
    steps: Positive | None
    step_size: Rate | None
    loss: Name | None
    clip: bool
    limit: Positive | None
    save_adversarial: bool
    seed: Seed
    recipe_rev: Natural
    # Not in the identity of what has none: runs from before there were such options keep their ids.
    restarts: Positive | None = absent_unless_given()
    surrogate: Name | None = absent_unless_given()
    draws: Positive | None = absent_unless_given()
    queries: Positive | None = absent_unless_given()
    precision: Literal["bfloat16"] | None = absent_unless_given()
    sample: Literal["stratified"] | None = absent_unless_given()

    @property
    def parents(self) -> tuple[str, ...]:
        return tuple(id_ for id_ in (self.classifier, self.twin, self.surrogate) if id_)


Recipe = Annotated[AutoencoderRecipe | ClassifierRecipe | RunRecipe, Field(discriminator="kind")]


def entry_id(recipe: AutoencoderRecipe | ClassifierRecipe | RunRecipe) -> str:
    """Return the id that a recipe stands for: its kind and the first 12 hex digits of its SHA-256."""
    return name_recipe(recipe.model_dump(mode="json"))
