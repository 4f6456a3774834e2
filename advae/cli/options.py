"""The options that commands share, in groups: each group is parsed into one value for the command's function."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from advae.attacks import ATTACKS
from advae.autoencoders import AUTOENCODERS
from advae.classifiers import CLASSIFIERS
from advae.cli.session import Session, default_home
from advae.datasets import DATASETS
from advae.errors import AdvaeError, BudgetError, UsageError
from advae.networks import ACTIVATIONS
from advae.records import Kind, NetworkRequest
from advae.registry import KINDS, LATEST, Registry
from advae.threats import THREATS

# ---------------------------------------------------------------- completion


def complete_names(names: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a completion of one name, or of the last one in a list with commas."""
    names = list(names)

    def complete(incomplete: str) -> list[str]:
        done, comma, _ = incomplete.rpartition(",")
        return [done + comma + name for name in names]

    return complete


def complete_refs(*kinds: Kind) -> Callable[[typer.Context, str], list[str]]:
    """Return a completion of ids, tags and ``latest`` of some kinds, from the home that the line names."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        registry = Registry(Path(ctx.params.get("home") or default_home()))
        try:
            ids = [id_ for kind in kinds or KINDS for id_ in registry.ids(kind)]
            tags = [tag for id_, names in registry.tags().items() if id_ in ids for tag in names]
        except (AdvaeError, OSError):
            # An error line in the middle of what somebody is typing helps nobody.
            return []
        return [*tags, LATEST, *ids]

    return complete


def describe_rows(table: Mapping[str, Any]) -> str:
    """Return what the rows of a table are, for help texts."""
    return "; ".join(f"{name}: {row.summary}" for name, row in table.items())


# ---------------------------------------------------------------- single options

_FOLDERS = " and ".join(f"{row.folder}/" for row in DATASETS.values() if row.folder)

DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="NAME|PATH.npz",
        help=f"{', '.join(DATASETS)}, or an .npz of your own images.",
        autocompletion=complete_names(DATASETS),
    ),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        envvar="ADVAE_DATA_DIR",
        help=f"Folder with {_FOLDERS}.",
    ),
]
SeedOption = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, max=2**31 - 1, help="Of everything that is drawn.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Compute again and replace the entry.")]
TagOption = Annotated[str | None, typer.Option("--tag", metavar="NAME", help="Name the entry.")]
TypeOption = Annotated[
    str,
    typer.Option(
        "--type",
        metavar="TYPE",
        help=f"{describe_rows(AUTOENCODERS)}.",
        autocompletion=complete_names(AUTOENCODERS),
    ),
]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="MODEL",
        help=f"{describe_rows(CLASSIFIERS)}.",
        autocompletion=complete_names(CLASSIFIERS),
    ),
]
MethodOption = Annotated[
    str,
    typer.Option(
        "--method", metavar="M[,M...]", help=f"{describe_rows(ATTACKS)}.", autocompletion=complete_names(ATTACKS)
    ),
]
ThreatOption = Annotated[
    str,
    typer.Option(
        "--threat",
        metavar="T[,T...]",
        help=f"What the attacker knows: {', '.join(THREATS)}.",
        autocompletion=complete_names(THREATS),
    ),
]


def split_names(option: str, text: str) -> list[str]:
    """Return the names of a list with commas, each once, in order. Raises UsageError where there is none."""
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise UsageError(f"{option} is empty: one name, or several with commas")
    return names


def parse_eps(text: str) -> tuple[float, ...]:
    """Return the radii of ``0.1,0.2`` or ``50/255``, not yet checked against [0, 1]. Raises BudgetError."""
    return tuple(_parse_number(part.strip()) for part in text.split(","))


def _parse_number(text: str) -> float:
    numerator, slash, denominator = text.partition("/")
    try:
        number = float(numerator) / float(denominator) if slash else float(numerator)
    except (ValueError, ZeroDivisionError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise BudgetError(f"bad eps {text!r}: a number in [0, 1], or a fraction such as 50/255")
    return number


def parse_activations(text: str | None) -> tuple[str, str, str, str] | None:
    """Return the four names of ``relu,relu,exponential,softplus``. Raises UsageError where there are not four."""
    if text is None:
        return None
    names = [part.strip() for part in text.split(",")]
    if len(names) != 4:
        raise UsageError(
            f"bad --activations {text!r}: four names (hidden, code, hidden, output), of {', '.join(ACTIVATIONS)}"
        )
    first, code, second, output = names
    return first, code, second, output


# ---------------------------------------------------------------- groups


@dataclass(frozen=True)
class Group:
    """Options that many commands take, and how their values become one. options: name -> (annotation, default)."""

    options: Mapping[str, tuple[Any, Any]]
    build: Callable[[dict[str, Any]], Any]


def grouped(**groups: Group) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command the options of its groups; its function gets one value a group.

    Typer reads a command's options from its signature, so the decorated function is given a longer one.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        own = [parameter for name, parameter in signature.parameters.items() if name not in groups]
        shared = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
            for group in groups.values()
            for name, (annotation, default) in group.options.items()
        ]

        @functools.wraps(function)
        def command(**values: Any) -> None:
            built = {
                name: group.build({option: values.pop(option) for option in group.options})
                for name, group in groups.items()
            }
            function(**values, **built)

        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + shared
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return decorate


def _option(type_: Any, *names: str, **settings: Any) -> Any:
    return Annotated[type_, typer.Option(*names, **settings)]


_GENERAL = "Everywhere"

SESSION = Group(
    {
        "home": (
            _option(
                Path | None,
                "--home",
                metavar="DIR",
                envvar="ADVAE_HOME",
                help="The registry.",
                rich_help_panel=_GENERAL,
                is_eager=True,
            ),
            None,
        ),
        "as_json": (_option(bool, "--json", help="Print one JSON document.", rich_help_panel=_GENERAL), False),
        "quiet": (_option(bool, "-q", "--quiet", help="Nothing but data and errors.", rich_help_panel=_GENERAL), False),
        "verbose": (_option(bool, "-v", "--verbose", help="More on stderr.", rich_help_panel=_GENERAL), False),
        "no_color": (_option(bool, "--no-color", help="No colours on stderr.", rich_help_panel=_GENERAL), False),
    },
    lambda v: Session(v["home"] or default_home(), v["quiet"], v["verbose"], not v["no_color"], v["as_json"]),
)

_NETWORK = "Network"

NETWORK = Group(
    {
        "epochs": (
            _option(int | None, "--epochs", metavar="N", min=1, help="Default 35.", rich_help_panel=_NETWORK),
            None,
        ),
        "batch_size": (
            _option(
                int | None,
                "--batch-size",
                metavar="N",
                min=1,
                help="Default 256, less for small datasets.",
                rich_help_panel=_NETWORK,
            ),
            None,
        ),
        "learning_rate": (
            _option(
                float | None,
                "--learning-rate",
                metavar="X",
                help="Of Adam, at the start; default 0.001.",
                rich_help_panel=_NETWORK,
            ),
            None,
        ),
        "hidden": (
            _option(
                int | None,
                "--hidden-size",
                metavar="N",
                min=1,
                max=65_536,
                help="Default 9/14 of the pixels.",
                rich_help_panel=_NETWORK,
            ),
            None,
        ),
        "code": (
            _option(
                int | None,
                "--code-size",
                metavar="N",
                min=1,
                max=65_536,
                help="Default: the kind's, mostly the image's side.",
                rich_help_panel=_NETWORK,
            ),
            None,
        ),
        "activations": (
            _option(
                str | None,
                "--activations",
                metavar="A,A,A,A",
                help=f"Hidden, code, hidden, output, of {', '.join(ACTIVATIONS)}; default: the kind's.",
                autocompletion=complete_names(ACTIVATIONS),
                rich_help_panel=_NETWORK,
            ),
            None,
        ),
    },
    lambda v: build_network_request(v),
)


def build_network_request(values: dict[str, Any]) -> NetworkRequest | None:
    """Return the network that the options ask for, None where none was given. Raises UsageError."""
    given = {name: value for name, value in values.items() if value is not None}
    if not given:
        return None
    if "activations" in given:
        given["activations"] = parse_activations(given["activations"])
    return NetworkRequest(**given)


def _own_options() -> dict[str, tuple[Any, Any]]:
    """Return the options that only some kinds of autoencoder have, read off their table."""
    options: dict[str, tuple[Any, Any]] = {}
    for type_, kind in AUTOENCODERS.items():
        for name, option in kind.options.items():
            if name in options:
                raise ValueError(f"two kinds of autoencoder have an option {name!r}; give one of them another name")
            flag = f"--{name.replace('_', '-')}"
            is_flag = option.default is False
            metavar = None if is_flag else "NAME" if isinstance(option.default, str) else "X"
            help_ = f"{option.help}." if is_flag else f"{option.help}; default {option.default}."
            annotation = _option(
                type(option.default) | None, flag, metavar=metavar, help=help_, rich_help_panel=f"Only {type_}"
            )
            options[name] = (annotation, None)
    return options


OWN_OPTIONS = Group(_own_options(), lambda v: {name: value for name, value in v.items() if value is not None})
"""The options that only one kind of autoencoder has, as given."""
