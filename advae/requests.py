"""Requests: the options that a user gave, before defaults are filled in and combinations are checked."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, Strict, ValidationError, create_model

from advae.errors import BudgetError, UsageError
from advae.records import (
    FEWEST_POINTS,
    LARGEST,
    MAX_HIDDEN,
    MOST_PAIRS,
    MOST_POINTS,
    MOST_WEIGHTS,
    SMALLEST,
    Activations,
    Count,
    LayerSize,
    PositiveReal,
    Record,
    Rescale,
    Scalar,
    Seed,
    vanishes,
)
from advae.run_options import (
    MOST_RETRAINED_EPS,
    MOST_RETRAINED_STEPS,
    MOST_ROUNDS,
    RUN_OPTIONS,
    NamedOption,
    Norm,
    RunOptions,
)
from advae.settings import IMAGE


class Request(Record):
    """Base of the requests. Raises UsageError instead of pydantic's ValidationError."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**_settle(values))
        except ValidationError as error:
            first = error.errors()[0]
            names = [part for part in first["loc"] if isinstance(part, str) and part != "options"]
            value = first["input"]
            # For a value of several possible types, pydantic names the first type that does not fit.
            finite = not isinstance(value, float) or math.isfinite(value)
            why = first["msg"].lower() if finite else "input should be a finite number"
            if names[0] == "retrain_eps" and isinstance(value, float):
                why += suggest_scale(value, MOST_RETRAINED_EPS)
            option = {"hidden": "hidden-size", "code": "code-size"}.get(names[0], names[0].replace("_", "-"))
            raise UsageError(f"bad --{option} {value!r}: {why}") from None


def _settle(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with 0 for -0.0, so that both give one recipe. Raises UsageError for numbers below float32.

    An eps below float32 is allowed: ``note_zero`` tells the user that it is 0.
    """
    settled = dict(values)
    for name, value in values.items():
        if isinstance(value, dict):
            settled[name] = _settle(value)
        elif isinstance(value, float) and vanishes(value):
            if value:
                option = name.replace("_", "-")
                raise UsageError(f"bad --{option} {value!r}: it is 0 in float32; the smallest number is {SMALLEST:.2g}")
            settled[name] = 0.0
    return settled


class NetworkRequest(Request):
    """Requested NetworkOptions; None: the default for the kind, the image's side and the dataset's size."""

    hidden: LayerSize | None = None
    """Units of the hidden layer."""
    code: LayerSize | None = None
    """Units of the code layer."""
    activations: Activations | None = None
    """Activation functions of the layers."""
    epochs: Count | None = None
    """Passes over the training images."""
    batch_size: Count | None = None
    """Images of one training step."""
    learning_rate: PositiveReal | None = None
    """Learning rate of Adam."""


class LogisticRequest(Request):
    """Requested LogisticOptions; None: the paper's choice."""

    C: Annotated[float, Field(ge=1e-9, le=LARGEST)] | None = None
    """Inverse of the regularisation strength, as in scikit-learn."""
    intercept: bool | None = None
    """Whether the model has an intercept."""
    max_iter: Count | None = None
    """Most iterations of the solver."""


class AutoencoderRequest(Request):
    """The request of ``train-ae``."""

    type: str
    """Autoencoder type or baseline."""
    network: NetworkRequest = NetworkRequest()
    """Layers and training."""
    loss: str | None = None
    """Name of the training loss; None: the default of the type."""
    rescale: Rescale | None = None
    """What happens to the raw output; None: the default of the type."""
    options: dict[str, Scalar] = Field(default_factory=dict)
    """Options of the type, by name."""
    seed: Seed = 0
    """Seed of initial weights, order of the images and noise."""


class RetrainRequest(Request):
    """The request to retrain a classifier on adversarial examples; the fields are named as the options are."""

    retrain: Annotated[int, Field(ge=1, le=MOST_ROUNDS)] | None = None
    """Most rounds."""
    retrain_method: str | None = None
    """The attack; None: the default."""
    retrain_eps: Annotated[float, Field(gt=0, le=MOST_RETRAINED_EPS)] | None = None
    """Its L-infinity radius, in units of x."""
    retrain_steps: Annotated[int, Field(ge=1, le=MOST_RETRAINED_STEPS)] | None = None
    """Its iterations; None: its own default."""
    retrain_limit: Count | None = None
    """How many training images are attacked; None: all."""


class ClassifierRequest(Request):
    """The request of ``train-clf``."""

    model: str
    """Kind of classifier."""
    network: NetworkRequest | None = None
    """Options of ``nn`` and ``mlp``; None: all defaults."""
    logistic: LogisticRequest | None = None
    """Options of ``lr``; None: all defaults."""
    noise_level: Annotated[PositiveReal, Strict()] | None = None
    """Standard deviation of the noise that is added to training images before the purifier; None: none is."""
    retraining: RetrainRequest | None = None
    """How it is retrained on adversarial examples; None: it is not."""
    layers: Annotated[tuple[Annotated[LayerSize, Strict()], ...], Field(min_length=1, max_length=MAX_HIDDEN)] | None = (
        None
    )
    """Units of each hidden layer of ``mlp``; None: the default layers."""
    on: str = IMAGE
    """What it is trained on, one of SHOWN."""
    seed: Seed = 0
    """Seed of initial weights and order of the images."""


class AddRequest(Request):
    """The request of ``add-clf`` and ``add-ae``; None: found by asking the model."""

    input_range: tuple[float, float] | None = None
    """The values that the model takes for black and white."""
    mean: Annotated[tuple[float, ...], Field(min_length=1, max_length=3)] | None = None
    """Mean that is subtracted from them, one for all channels or one for each; None: none is."""
    std: Annotated[tuple[PositiveReal, ...], Field(min_length=1, max_length=3)] | None = None
    """Deviation that they are then divided by; None: they are not."""
    channels: Literal["first", "last"] | None = None
    """Where the model's input has the channels."""
    outputs: Literal["logits", "probabilities"] | None = None
    """What a classifier returns."""
    trust: tuple[str, ...] = ()
    """Full names of types in a .skops file that the user trusts."""


class PlacementRequest(Request):
    """The request to put a trained classifier behind an autoencoder without training it again."""

    source: str | None = None
    """The classifier's name in the plan; None: the classifier that the autoencoder was trained with."""


class EntryRequest(Request):
    """The request to take an entry of the registry in place of a training."""

    ref: str
    """Id, prefix or tag of the entry."""


def ask_option(option: NamedOption, *, strict: bool = False) -> tuple[Any, Any]:
    """Return type and default of the request's field for a run option. strict: refuse text in place of a number.

    Limits that depend on the attack or the dataset are checked when the recipe is made.
    """
    bounds = Field(ge=option.row.least, le=option.row.most) if option.row.most else Field()
    type_ = Annotated[option.type, Strict(), bounds] if strict and option.type in (int, float, bool) else None
    type_ = type_ or Annotated[option.type, bounds]
    return (type_ | None if option.optional else type_), Field(default=option.default, description=option.description)


if TYPE_CHECKING:

    class _AskedOptions(Request, RunOptions): ...

else:
    _AskedOptions = create_model(
        "_AskedOptions", __base__=Request, **{name: ask_option(option) for name, option in RUN_OPTIONS.items()}
    )


class AttackRequest(_AskedOptions):
    """The request of ``attack``, for one method under one threat model; None: the method's own default."""

    method: str
    """Name of the attack."""
    threat: str
    """Name of the threat model."""
    eps: tuple[float, ...]
    """Radii of the ball in the request's norm, in units of x; each in [0, 1] for linf."""
    examples: str | None = None
    """SHA-256 of the adversarial examples of ``--from-file``; None for attacks that are made here."""


class CertificateRequest(Request):
    """The request of ``certify``; None: what fits the pipeline, or the method's own default."""

    method: str | None = None
    """How it is proved, a name of CERTIFICATES."""
    norm: Norm | None = None
    """The norm of the ball."""
    eps: tuple[float, ...]
    """Radii of the ball, in units of x."""
    limit: Count | None = None
    """How many test images are certified."""
    sample: str | None = None
    """How they are chosen; None: the first ones."""
    sigma: PositiveReal | None = None
    """Standard deviation of the noise of randomised smoothing, in units of x."""
    samples: Count | None = None
    """Noisy copies that bound the probability of the chosen class."""
    select: Count | None = None
    """Noisy copies that choose the class."""
    alpha: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Probability that the certificate of an image is wrong."""
    seed: Seed | None = None
    """Seed of the noise."""


class SurfaceRequest(Request):
    """The request of ``surface``; None: the default."""

    radius: Annotated[float, Field(gt=0, le=1)] | None = None
    """Largest step along each axis of the plane, in units of x."""
    points: Annotated[int, Field(ge=FEWEST_POINTS, le=MOST_POINTS)] | None = None
    """Points along each axis, an odd number."""
    clip: bool = True
    """Whether points outside [0, 1] are clipped."""
    seed: Seed = 0
    """Seed of the random direction."""


class CodeAttackRequest(Request):
    """The request of ``attack-code``; None: the default."""

    pairs: Annotated[int, Field(ge=1, le=MOST_PAIRS)] = 25
    """Pairs of an original and a target image."""
    target: Annotated[int, Field(ge=0)] | None = None
    """Class of all targets; None: any class but the original's."""
    limit: Count | None = None
    """How many first test images the pairs are drawn from; None: all."""
    points: Annotated[int, Field(ge=2, le=MOST_WEIGHTS)] = 41
    """Weights that are tried on each pair; of 41, each is twice the one before it."""
    optimizer: str = "adam"
    """What minimises, a name of CODE_OPTIMIZERS."""
    steps: Count | None = None
    """Iterations for each weight; None: the default of what minimises."""
    seed: Seed = 0
    """Seed of the pairs."""


def suggest_scale(value: float, most: float) -> str:
    """Return the end of an error line for a number above ``most`` that may be a grey level of 0 to 255."""
    return f"; did you mean {value:g}/255?" if most < value <= 255 * most else ""


def suggest_point(eps: Sequence[float]) -> str | None:
    """Return ``0.1`` for ``0,1``, which may have a decimal comma; None unless 0 precedes a whole number."""
    pairs = (f"0.{after:.0f}" for before, after in pairwise(eps) if before == 0 and float(after).is_integer())
    return next(pairs, None)


def note_zero(eps: Sequence[float]) -> str | None:
    """Return a note on an eps of 0, which often comes from a decimal comma; None without such an eps."""
    if any(map(vanishes, eps)):
        return f"an eps below {SMALLEST:.2g} is 0 in float32: robust accuracy there is the clean accuracy"
    if len(eps) == 1 or 0 not in eps:
        return None
    point = suggest_point(eps)
    meant = f"; did you mean {point}, with a decimal point?" if point else ""
    return f"eps 0 changes no image: robust accuracy there is the clean accuracy{meant}"


def read_float(text: str) -> float:
    """Return the number that a text gives; a nonzero number below the smallest float becomes the smallest float, not 0.

    Raises ValueError.
    """
    number = float(text)
    if number == 0 and re.search("[1-9]", text.lower().partition("e")[0]):
        return math.copysign(math.ulp(0.0), number)
    return number


def parse_number(text: str) -> float:
    """Return the value of a decimal number or a fraction, such as ``0.1`` or ``50/255``. Raises BudgetError."""
    numerator, slash, denominator = text.partition("/")
    try:
        top, bottom = read_float(numerator), float(denominator) if slash else 1.0
        number = top / bottom or math.copysign(min(abs(top), math.ulp(0.0)), top)
    except (ValueError, ZeroDivisionError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise BudgetError(f"bad eps {text!r}: a number in [0, 1], or a fraction such as 50/255")
    return number
