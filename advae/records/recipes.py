"""Recipes: all that decides a result, so that their digest can be the result's identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, create_model

from advae.identity import name_recipe
from advae.records.base import LARGEST, MAX_ITEMS, Name, Natural, Record, Scalar, absent_unless_given
from advae.records.datasets import MAX_SIDE, DatasetRef
from advae.run_options import RUN_OPTIONS, NamedOption, RunOptions

Activations = tuple[Name, Name, Name, Name]
"""Of the first hidden layer, the code, the second hidden layer and the output."""

MAX_LAYER = 65_536
LayerSize = Annotated[int, Field(ge=1, le=MAX_LAYER)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
PositiveReal = Annotated[float, Field(gt=0, le=LARGEST)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Rescale = Literal["intensity", "none"]
OwnOptions = Annotated[dict[Name, Scalar], Field(max_length=1000)]
Radius = Annotated[float, Field(ge=0, le=MAX_SIDE)]
Radii = Annotated[tuple[Radius, ...], Field(fail_fast=True, min_length=1, max_length=MAX_ITEMS)]
"""In units of x, whose longest way in L2 is the side of an image."""


class NetworkOptions(Record):
    """Shape and training of the paper's five-layer stack d - hidden - code - hidden - d."""

    hidden: LayerSize
    code: LayerSize
    activations: Activations
    epochs: Count
    batch_size: Count
    learning_rate: PositiveReal


class PerceptronOptions(Record):
    """Shape and training of a perceptron d - hidden - narrow - classes. activation: in between, None for ReLU."""

    hidden: LayerSize
    narrow: LayerSize
    activation: Name | None = absent_unless_given()
    epochs: Count
    batch_size: Count
    learning_rate: PositiveReal


class LogisticOptions(Record):
    """Options of scikit-learn's LogisticRegression; C in its unit, for pixels in [0, 1]."""

    C: PositiveReal
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
    options: OwnOptions
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


def _store(option: NamedOption) -> tuple[Any, Any]:
    """Return type and default of the field that holds a run option in a recipe: it refuses what no attack can have."""
    row, known = option.row, {int: Annotated[int, Field(ge=option.row.least or 0, le=option.row.stored_most)]}
    type_ = row.stored or known.get(option.type) or {float: PositiveReal, str: Name}.get(option.type, option.type)
    if row.absent:
        return type_ | None, Field(default=None, exclude_if=lambda value: value is None, description=option.description)
    default = option.default if option.name in _DEFAULTED else ...
    return (type_ | None if option.optional else type_), Field(default=default, description=option.description)


_DEFAULTED = ("norm",)
"""Absent from the earliest recipes although it is in the identity of all."""

if TYPE_CHECKING:

    class _StoredOptions(Record, RunOptions): ...

else:
    _StoredOptions = create_model(
        "_StoredOptions", __base__=Record, **{name: _store(option) for name, option in RUN_OPTIONS.items()}
    )


class RunRecipe(_StoredOptions):
    """One attack under one threat model at one or several eps, with every option of the table ``RunOptions``.

    An option that the attack does not take is None.
    """

    kind: Literal["run"] = "run"
    method: Name
    """The attack, a name of the table ATTACKS."""
    threat: Name
    """The threat model, a name of the table THREATS."""
    classifier: Name
    """Id of the attacked classifier."""
    twin: Name | None
    """Id of the undefended classifier that an oblivious attacker differentiates; None for other attackers."""
    dataset: DatasetRef
    """The attacked images."""
    eps: Radii
    """Radii of the norm's ball, in units of x, from 0 to the largest distance between two images."""
    recipe_rev: Natural
    """Revision of the code: raised when the same recipe would give other numbers."""
    surrogate: Name | None = absent_unless_given()
    """Id of the pipeline of another seed that a transfer attacker differentiates; None for other attackers."""

    @property
    def parents(self) -> tuple[str, ...]:
        return tuple(id_ for id_ in (self.classifier, self.twin, self.surrogate) if id_)


Recipe = Annotated[AutoencoderRecipe | ClassifierRecipe | RunRecipe, Field(discriminator="kind")]


def entry_id(recipe: AutoencoderRecipe | ClassifierRecipe | RunRecipe) -> str:
    """Return the id that a recipe stands for: its kind and the first 12 hex digits of its SHA-256."""
    return name_recipe(recipe.model_dump(mode="json"))
