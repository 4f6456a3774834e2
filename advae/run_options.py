"""The table of the options of an attack, one row for each.

Made from it: the request, the plan's TOML, the options of ``advae attack``, the recipe of a run, the columns of JSON
and CSV, the command that a report shows, and the glossary. A new option needs a row of ``RunOptions`` and the code that
uses it. The annotations are read when the module is loaded, so this file does not postpone them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, get_args, get_origin, get_type_hints

from advae.settings import FLOAT32, PRECISIONS

Norm = Literal["linf", "l2"]
NORMS: tuple[Norm, ...] = get_args(Norm)

STRATIFIED = "stratified"
SAMPLINGS = (STRATIFIED,)
"""The values of ``--sample``."""

DEFAULT_LOSS = "scaled"
"""The loss that an attack maximises, unless its row or the user says otherwise."""

QUERIES = 1_000
"""Queries of a score-based attack for each image, unless the user says otherwise."""

ENSEMBLE_QUERIES = 5_000
"""The same for the score-based attack of an ensemble."""

IMAGES, RESULT = "The images", "The result"
"""Headings in ``--help`` of the options on which images are used, and on what is stored and shown."""

LARGEST_SEED = 2**31 - 1
MOST_STEPS = 1_000_000

MOST_ROUNDS, MOST_RETRAINED_EPS, MOST_RETRAINED_STEPS = 1_000, 1.0, 10_000
"""Largest values of the options of ``train-clf`` that retrain a classifier on an attack."""


class AttackRow(Protocol):
    """The fields of a row of ATTACKS that defaults of options depend on; they are described there."""

    @property
    def steps(self) -> int | None: ...
    @property
    def stride(self) -> float: ...
    @property
    def restarts(self) -> int | None: ...
    @property
    def loss(self) -> str | None: ...
    @property
    def target(self) -> int | None: ...
    @property
    def unclipped(self) -> object | None: ...
    @property
    def sized(self) -> bool: ...
    @property
    def queries(self) -> int | None: ...


@dataclass(frozen=True, kw_only=True)
class RunOption:
    """A row of the table; name, type and default are those of the field that it belongs to."""

    help: str
    """For ``--help``; may name ``{attacks}`` that take it, their ``{defaults}``, and its ``{choices}``."""
    meaning: str
    """For the glossary of the report: the meaning of the stored value, and of null or an absent value."""
    unit: str | None = None
    """Unit of the number; None for a number without unit and for other types."""
    metavar: str | None = None
    """Name of the value in ``--help``; None for a switch."""
    flag: str | None = None
    """Spelling of a switch that turns off a default; None where the spelling follows from the name."""
    choices: tuple[str, ...] = ()
    """The allowed names; empty where another table has them, or any value is allowed."""
    least: int | None = None
    """Smallest allowed whole number; None for other types."""
    most: int | None = None
    """Largest whole number that a user may give; None where the attack or the dataset decides."""
    stored_most: int = 2**53
    """Largest whole number in a stored recipe."""
    stored: Any = None
    """Type of the stored value where a recipe allows fewer values than a request; None where it is the same."""
    absent: bool = False
    """Whether recipes omit the option where it is None, so that ids made before the option existed do not change."""
    planned: bool = True
    """Whether a plan's attacks take it."""
    shared: bool = False
    """Whether it sets the images or the budget, which all attacks of a comparison share."""
    printed: bool = True
    """Whether ``attack --json`` prints it."""
    crafts: bool = True
    """Whether it decides how adversarial examples are made, not which images are attacked or what is stored."""
    goal: bool = False
    """Of one that crafts: whether it says what the attack aims at, not how hard it tries."""
    named: Callable[[Any], str] | None = None
    """Value other than None and the default -> what an attack's name says of it, for people. None: nothing."""
    panel: str | None = None
    """Heading in ``--help``; None for the first group."""
    own: Callable[[AttackRow], Any] | None = None
    """Attack -> its own default, None for an attack that does not take the option. None: every attack takes it."""
    resolved: bool = True
    """Whether the recipe stores the attack's own default where the user gives no value; False: it stores None."""


@dataclass(eq=False)
class RunOptions:
    """The table. Each row has a name, a type, a RunOption and a default.

    The order is that of the command that a report shows.
    """

    norm: Annotated[
        Norm,
        RunOption(
            help="Norm of eps: {choices}.",
            meaning="The norm that bounds the perturbation: linf, the largest change of a pixel, or l2, Euclidean.",
            metavar="NORM",
            choices=NORMS,
            shared=True,
            goal=True,
            named={"l2": "L2"}.__getitem__,
        ),
    ] = "linf"
    target: Annotated[
        int | None,
        RunOption(
            help="Class to reach, after --classes by its new number; default {defaults}, or the last class.",
            meaning="The label that the attack aims at; null for an attack that has no fixed one.",
            metavar="CLASS",
            least=0,
            stored_most=65_535,
            goal=True,
            own=lambda row: row.target,
        ),
    ] = None
    steps: Annotated[
        int | None,
        RunOption(
            help="Iterations; default {defaults}.",
            meaning="Iterations of an iterative attack; null for one that has none.",
            metavar="N",
            least=1,
            most=MOST_STEPS,
            named="{} steps".format,
            own=lambda row: None if row.queries else row.steps,
        ),
    ] = None
    step_size: Annotated[
        float | None,
        RunOption(
            help="Step size; default eps / steps, times {defaults}.",
            meaning="Step size; null for the attack's own share of eps.",
            unit="units of an image's range",
            metavar="X",
            printed=False,
            own=lambda row: row.stride if row.steps is not None and row.sized else None,
            resolved=False,
        ),
    ] = None
    restarts: Annotated[
        int | None,
        RunOption(
            help="Random restarts of {attacks}; the best one counts.",
            meaning="Random restarts of the attack, the best of which counts; null or absent for one without a choice.",
            metavar="N",
            least=1,
            most=1000,
            absent=True,
            named=lambda restarts: f"{restarts} restarts" if restarts > 1 else "",
            own=lambda row: row.restarts,
        ),
    ] = None
    queries: Annotated[
        int | None,
        RunOption(
            help="Queries for each image, of {attacks}; default {defaults}.",
            meaning="Queries of a score-based attack for each image; absent for other attacks.",
            metavar="N",
            least=1,
            most=MOST_STEPS,
            absent=True,
            own=lambda row: row.queries,
        ),
    ] = None
    draws: Annotated[
        int | None,
        RunOption(
            help="EOT samples: each gradient is the mean over so many samples of a random purifier; default 16.",
            meaning="EOT samples: over how many samples of a random purifier each gradient is averaged; absent for a "
            "purifier that does not sample.",
            metavar="N",
            least=1,
            most=1000,
            absent=True,
        ),
    ] = None
    loss: Annotated[
        str | None,
        RunOption(
            help=f"Loss to maximise: {{choices}}; default {DEFAULT_LOSS}, of apgd dlr; ce saturates in float32.",
            meaning="The loss that the attack maximises; null for one that has no choice.",
            metavar="LOSS",
            named=lambda loss: "" if loss == DEFAULT_LOSS else str(loss),
            own=lambda row: row.loss,
        ),
    ] = None
    precision: Annotated[
        str | None,
        RunOption(
            help="Precision of the products that craft the attack: float32, the default, or bfloat16, faster on "
            "processors made for it; results are always scored in float32.",
            meaning="Precision of the matrix products by which the attack was crafted; absent for float32, in which "
            "everything is scored.",
            metavar="P",
            choices=PRECISIONS,
            stored=Literal["bfloat16"],
            absent=True,
            # Attacks without a loss query logits or search for the nearest point; rounding hides small differences.
            own=lambda row: FLOAT32 if row.loss else None,
            resolved=False,
        ),
    ] = None
    clip: Annotated[
        bool,
        RunOption(
            help="The paper's protocol (linear attacks): not projected, not clipped, not a valid result.",
            meaning="Whether the adversarial example is projected into the budget and clipped to its range; without, "
            "it is no valid result.",
            flag="--no-clip",
            goal=True,
            named=lambda _: "not clipped",
            own=lambda row: True if row.unclipped else None,
            resolved=False,
        ),
    ] = True
    limit: Annotated[
        int | None,
        RunOption(
            help="Only the first N test images, or --sample of N.",
            meaning="How many test images were attacked; null for all.",
            metavar="N",
            least=1,
            most=MOST_STEPS,
            shared=True,
            crafts=False,
            panel=IMAGES,
        ),
    ] = None
    sample: Annotated[
        str | None,
        RunOption(
            help=f"How --limit chooses: {STRATIFIED} draws N test images, each class in proportion, always the same.",
            meaning=f"How the attacked images were chosen: {STRATIFIED}, drawn with each class in proportion; absent "
            "for the first ones.",
            metavar="HOW",
            choices=SAMPLINGS,
            stored=Literal["stratified"],
            absent=True,
            shared=True,
            crafts=False,
            panel=IMAGES,
        ),
    ] = None
    save_adversarial: Annotated[
        bool,
        RunOption(
            help="Store the adversarial examples with the run.",
            meaning="Whether all adversarial examples were stored with the run.",
            planned=False,
            printed=False,
            crafts=False,
            panel=RESULT,
        ),
    ] = False
    seed: Annotated[
        int,
        RunOption(
            help="Seed of all that is random.",
            meaning="Seed of all that is random in the attack.",
            metavar="N",
            least=0,
            most=LARGEST_SEED,
            stored_most=LARGEST_SEED,
            planned=False,
            shared=True,
            crafts=False,
        ),
    ] = 0


@dataclass(frozen=True)
class NamedOption:
    """A row of the table RUN_OPTIONS."""

    name: str
    """Name of the field in requests and recipes."""
    type: Any
    """``int``, ``float``, ``str``, ``bool`` or a Literal, without None."""
    optional: bool
    """Whether None is a value."""
    default: Any
    """Value where the user gives none."""
    row: RunOption
    """Help, meaning, limits and uses."""

    @property
    def flag(self) -> str:
        """The option as the command line spells it."""
        return self.row.flag or f"--{self.name.replace('_', '-')}"

    @property
    def word(self) -> str:
        """The option as the command line spells it, without its dashes."""
        return self.flag.removeprefix("--")

    @property
    def inverted(self) -> bool:
        """Whether the command line's switch turns off what is on by default."""
        return self.default is True

    @property
    def description(self) -> str:
        """What a stored value means, with its unit."""
        return f"{self.row.meaning[:-1]}, in {self.row.unit}." if self.row.unit else self.row.meaning

    def fits(self, attack: AttackRow) -> bool:
        """Return whether an attack takes the option."""
        return self.row.own is None or self.row.own(attack) is not None

    def fill_in(self, attack: AttackRow, given: Any) -> Any:
        """Return what a recipe stores: what was asked for, else the attack's own default."""
        return self.row.own(attack) if self.row.own and self.row.resolved and given is None else given


def _read(name: str, annotation: Any) -> NamedOption:
    type_, row = get_args(annotation)
    types = [type_] if get_origin(type_) is Literal else list(get_args(type_)) or [type_]
    optional = type(None) in types
    return NamedOption(name, types[0], optional, getattr(RunOptions, name), row)


RUN_OPTIONS: dict[str, NamedOption] = {
    name: _read(name, annotation) for name, annotation in get_type_hints(RunOptions, include_extras=True).items()
}


def list_crafting() -> list[str]:
    """Return the names of the options that decide how adversarial examples are made."""
    return [name for name, option in RUN_OPTIONS.items() if option.row.crafts]


def values_of(recipe: object, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the options of a recipe or a request, by name. names: None for all."""
    return {name: getattr(recipe, name) for name in (RUN_OPTIONS if names is None else names)}


def write_options(recipe: object) -> dict[str, Any]:
    """Return the options of a recipe as on a command line: option without dashes -> value.

    None or False: the option is omitted; True: a switch.
    """
    return {option.word: _write_option(option, getattr(recipe, name)) for name, option in RUN_OPTIONS.items()}


def _write_option(option: NamedOption, value: Any) -> Any:
    if isinstance(value, bool):
        return value != option.default
    return None if isinstance(value, str) and value == option.default else value
