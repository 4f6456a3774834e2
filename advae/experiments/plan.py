"""The plan of an experiment, a TOML file: the autoencoders and classifiers to train, and the attacks on them."""

from __future__ import annotations

import codecs
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from reprlib import Repr
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, Strict, ValidationError, create_model

from advae.arrayfiles import explain
from advae.datasets.table import is_own
from advae.errors import BudgetError, UsageError, unknown
from advae.paths import to_path
from advae.records import Activations, Record, Scalar, Seed
from advae.requests import (
    AttackRequest,
    AutoencoderRequest,
    ClassifierRequest,
    LogisticRequest,
    NetworkRequest,
    PlacementRequest,
    ask_option,
    parse_number,
    read_float,
)
from advae.run_options import RUN_OPTIONS, RunOptions

PAPER = Path(__file__).parent / "paper" / "plan.toml"
"""The plan of the paper's experiment."""

LONGEST = 1 << 20
"""Largest size of a plan, in bytes."""

NONE = "none"
"""The name in a plan for no purifier: the undefended classifier."""

OWN = "autoencoder"
"""The source in a plan that means the classifier that the autoencoder was trained in front of."""

PlannedNames = Annotated[tuple[str, ...], Field(min_length=1)]
# TOML has types: `true` and "100" are no numbers.
Number = Annotated[float, Strict()]
PlannedEps = Annotated[Number, BeforeValidator(lambda value: parse_number(value) if isinstance(value, str) else value)]
PlannedOptions = dict[str, Scalar | list[Scalar]]


if TYPE_CHECKING:

    class _PlannedOptions(Record, RunOptions): ...

else:
    _PlannedOptions = create_model(
        "_PlannedOptions",
        __base__=Record,
        **{name: ask_option(option, strict=True) for name, option in RUN_OPTIONS.items() if option.row.planned},
    )


class AttackPlan(_PlannedOptions):
    """Attacks on some pipelines: each method under each threat model, on each classifier behind each autoencoder.

    The options are those of ``advae attack``.
    """

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))

    classifiers: PlannedNames
    """Names of classifiers of the plan."""
    behind: PlannedNames
    """Names of autoencoders of the plan; ``none``: without a purifier."""
    methods: PlannedNames
    """Names of attacks."""
    threats: PlannedNames = ("adaptive",)
    """Names of threat models."""
    eps: Annotated[tuple[PlannedEps, ...], Field(min_length=1)]
    """Radii of the ball in units of x: numbers, or fractions such as "50/255"."""

    def list_requests(self, seed: int) -> list[AttackRequest]:
        """Return a request for each method under each threat model."""
        shared = self.model_dump(exclude={"classifiers", "behind", "methods", "threats"})
        return [
            AttackRequest(method=method, threat=threat, seed=seed, **shared)
            for method in self.methods
            for threat in self.threats
        ]


class PlannedNetwork(NetworkRequest, strict=True):
    """NetworkRequest that refuses text in place of TOML numbers."""

    activations: Annotated[Activations, Strict(False)] | None = None
    """Activation functions, as a TOML list; None: the default of the kind."""


class PlannedLogistic(LogisticRequest, strict=True):
    """LogisticRequest that refuses text in place of TOML numbers."""


class Experiment(Record):
    """The contents of a plan: trainings and attacks, which are repeated for each dataset and seed."""

    datasets: PlannedNames
    """Names of datasets, or paths of .npz files and of folders of images."""
    seeds: Annotated[tuple[Annotated[Seed, Strict()], ...], Field(min_length=1)] = (0,)
    """Seeds of trainings and attacks."""
    autoencoders: dict[str, PlannedOptions] = Field(default_factory=dict)
    """Name in the plan -> options of ``advae train-ae``."""
    classifiers: dict[str, PlannedOptions] = Field(default_factory=dict)
    """Name in the plan -> options of ``advae train-clf``."""
    attacks: Annotated[tuple[AttackPlan, ...], Field(min_length=1)]
    """The attacks, in groups that share their options."""

    @property
    def _trained(self) -> tuple[str, ...]:
        """The classifiers that are trained, by their names."""
        return tuple(name for name, options in self.classifiers.items() if "from" not in options)

    def find_protected(self, name: str) -> str | None:
        """Return the name of the classifier that an autoencoder is trained in front of; None where there is none."""
        protected = self.autoencoders[name].get("protect")
        if protected is None:
            return None
        if not isinstance(protected, str) or protected not in self._trained:
            raise UsageError(f"protect: {unknown('classifier', str(protected), self._trained)}")
        return protected

    def request_autoencoder(self, name: str, seed: int) -> AutoencoderRequest:
        """Return the request for an autoencoder of the plan. Raises UsageError."""
        options = _spell(self.autoencoders[name])
        options.pop("protect", None)
        network = _take(options, _NETWORK)
        if "type" not in options:
            raise UsageError("it has no type")
        known = _take(options, _AUTOENCODER)
        return AutoencoderRequest(network=PlannedNetwork(**network), options=options, seed=seed, **known)

    def request_classifier(self, name: str, seed: int) -> ClassifierRequest | PlacementRequest:
        """Return the request for a classifier of the plan. Raises UsageError."""
        options = _spell(self.classifiers[name])
        if "from" in options:
            return self._request_placement(options)
        network, logistic = _take(options, _NETWORK), _take(options, _LOGISTIC)
        if "model" not in options:
            raise UsageError("it has no model")
        model = options.pop("model")
        if options:
            known = [name.replace("_", "-") for name in ("model", *_NETWORK, *_LOGISTIC)]
            raise UsageError(unknown("option", next(iter(options)).replace("_", "-"), known))
        return ClassifierRequest(
            model=model,
            network=PlannedNetwork(**network) if network else None,
            logistic=PlannedLogistic(**logistic) if logistic else None,
            seed=seed,
        )

    def _request_placement(self, options: dict[str, Any]) -> PlacementRequest:
        """Return the request to put a trained classifier behind a purifier. Raises UsageError."""
        source = options.pop("from")
        if options:
            raise UsageError(f"a classifier with from has no other options, got {', '.join(options)}")
        if source not in (OWN, *self._trained):
            raise UsageError(f"from: {unknown('classifier', str(source), (OWN, *self._trained))}")
        return PlacementRequest(source=None if source == OWN else source)


_NETWORK = {"hidden_size": "hidden", "code_size": "code"} | {
    name: name for name in ("activations", "epochs", "batch_size", "learning_rate")
}
_LOGISTIC = {name: name for name in ("C", "intercept", "max_iter")}
_AUTOENCODER = {name: name for name in ("type", "loss", "rescale")}
"""Option name of the command line, with underscores -> field of the request."""

AUTOENCODER_OPTIONS = (*_AUTOENCODER, "protect", *_NETWORK)
"""Options of every kind of autoencoder in a plan, with underscores."""


def _spell(options: PlannedOptions) -> dict[str, Any]:
    """Return the options with underscores. Raises UsageError for one that is given twice."""
    spelled: dict[str, Any] = {}
    for name, value in options.items():
        field = name.replace("-", "_")
        if field in spelled:
            raise UsageError(f"{field.replace('_', '-')} is given twice, with '-' and with '_'")
        spelled[field] = value
    return spelled


def _take(options: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Remove the options with these names, and return them by field."""
    return {field: options.pop(name) for name, field in names.items() if name in options}


def read_experiment(path: Path | None = None) -> Experiment:
    """Return the plan of a TOML file; path: None for the paper's plan. Paths are relative to the file.

    Raises UsageError for a file that cannot be read, is no TOML, or uses a name that it does not define.
    """
    path = path or PAPER
    try:
        text = _decode(_read(path))
    except UnicodeDecodeError as error:
        raise UsageError(f"bad plan {path}: not UTF-8 text, at byte {error.start}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read plan {path}: {explain(error)}") from None
    try:
        experiment = Experiment.model_validate(tomllib.loads(text, parse_float=read_float))
    except ValidationError as error:
        raise UsageError(f"bad plan {path}: {_explain(error)}") from None
    except RecursionError:
        raise UsageError(f"bad plan {path}: its tables or lists are nested too deeply") from None
    # ValueError is also raised for a number with more digits than Python reads.
    except (ValueError, BudgetError) as error:
        raise UsageError(f"bad plan {path}: {error}") from None
    for problem in _find_problems(experiment):
        raise UsageError(f"bad plan {path}: {problem}")
    places = tuple(_place(name, path.parent) for name in experiment.datasets)
    return experiment.model_copy(update={"datasets": places})


def _read(path: Path) -> bytes:
    """Return the bytes of a plan, also from a pipe. Raises ValueError for too long a plan; OSError."""
    with path.open("rb") as stream:
        content = stream.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} bytes")
    return content


def _decode(content: bytes) -> str:
    """Return the text of a plan: UTF-8, or as some Windows programs write it, with a byte order mark or in UTF-16."""
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    # TOML does not allow a lone carriage return as the end of a line.
    return content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


_SHORT = Repr()
"""Shows a value of a plan in one line; long values are shortened."""
_SHORT.maxstring = _SHORT.maxother = 200


def _explain(error: ValidationError) -> str:
    """Return the first error that pydantic found, with its place in the file.

    An unknown name comes before a missing one, because it is often the same name mistyped.
    """
    first = min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    # For a missing field pydantic shows the whole table.
    got = "" if first["type"] == "missing" else f", got {_SHORT.repr(first['input'])}"
    return f"{place[:200]}: {first['msg'].lower()}{got}"


def _find_problems(experiment: Experiment) -> Iterator[str]:
    """Yield each error in the names and options of a plan."""
    if NONE in experiment.autoencoders:
        yield f"autoencoders.{NONE}: the name means no autoencoder"
    if OWN in experiment.classifiers:
        yield f"classifiers.{OWN}: the name means the classifier that an autoencoder was trained with"
    for name in experiment.autoencoders:
        yield from _try(f"autoencoders.{name}", partial(experiment.request_autoencoder, name, 0))
        yield from _try(f"autoencoders.{name}", partial(experiment.find_protected, name))
    for name in experiment.classifiers:
        yield from _try(f"classifiers.{name}", partial(experiment.request_classifier, name, 0))
    for index, plan in enumerate(experiment.attacks):
        place = f"attacks[{index}]"
        yield from _find_unknown(f"{place}.classifiers", plan.classifiers, tuple(experiment.classifiers))
        yield from _find_unknown(f"{place}.behind", plan.behind, (NONE, *experiment.autoencoders))
        yield from _try(place, partial(plan.list_requests, 0))


def _try(place: str, action: Callable[[], object]) -> Iterator[str]:
    try:
        action()
    except UsageError as error:
        yield f"{place}: {error}"


def _find_unknown(place: str, names: PlannedNames, known: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if name not in known:
            yield f"{place}: {unknown('name', name, known)}"


def _place(name: str, folder: Path) -> str:
    """Return a dataset's name, or the path of an .npz or a folder, which is relative to the plan."""
    path = folder / to_path(name)
    return str(path) if is_own(name, path) else name
