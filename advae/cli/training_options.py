"""Options of `train-ae` and `train-clf`, from the tables of autoencoders and classifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from advae.cli.option_groups import OptionGroup, complete_names, make_option
from advae.cli.options import describe_rows
from advae.cli.values import read_fraction
from advae.errors import UsageError
from advae.models.autoencoders import AUTOENCODERS
from advae.models.classifiers import CLASSIFIERS
from advae.models.layers import ACTIVATIONS
from advae.models.model_kinds import Option

if TYPE_CHECKING:
    from advae.requests import NetworkRequest

TypeOption = Annotated[
    str,
    typer.Option(
        "--type",
        metavar="TYPE",
        help=describe_rows(AUTOENCODERS),
        autocompletion=complete_names(AUTOENCODERS),
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help=f"{describe_rows(CLASSIFIERS)}\nWithout it: the classifier that --ae was trained with.",
        autocompletion=complete_names(CLASSIFIERS),
    ),
]

_NETWORK = "Network"

NETWORK = OptionGroup(
    {
        "epochs": (
            make_option(
                int | None,
                "--epochs",
                metavar="N",
                min=1,
                help="Default 35, robust 20, certified 16; with --body conv 12, robust in colour 4.",
                rich_help_panel=_NETWORK,
            ),
            None,
        ),
        "batch_size": (
            make_option(
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
            make_option(
                float | None,
                "--learning-rate",
                metavar="X",
                parser=read_fraction,
                help="Adam learning rate; default 0.001 (robust 0.003 and certified 0.002, with cosine decay).",
                rich_help_panel=_NETWORK,
            ),
            None,
        ),
        "hidden": (
            make_option(
                int | None,
                "--hidden-size",
                metavar="N",
                min=1,
                max=65_536,
                help="Default 9/14 of the pixels; cascade 256, the widest; with --body conv 64 filters, certified "
                "and robust in colour 32; with threshold and none the classifier's dense layer, 128.",
                rich_help_panel=_NETWORK,
            ),
            None,
        ),
        "code": (
            make_option(
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
            make_option(
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
    lambda v: {name: value for name, value in v.items() if value is not None},
)


def build_network_request(given: dict[str, Any]) -> NetworkRequest | None:
    """Return the network that the given options ask for, None without options. Raises UsageError."""
    from advae.requests import NetworkRequest

    if not given:
        return None
    names = {"activations": parse_activations(given["activations"])} if "activations" in given else {}
    return NetworkRequest(**given | names)


def _own_options() -> dict[str, tuple[Any, Any]]:
    """Return the options that not every kind of autoencoder has, from the table of kinds."""
    options: dict[str, tuple[Any, Any]] = {}
    for type_, kind in AUTOENCODERS.items():
        for name, option in kind.options.items():
            if name not in options:
                several = sum(name in other.options for other in AUTOENCODERS.values()) > 1
                options[name] = (_make_own_option(name, option, _NETWORK if several else f"Only {type_}"), None)
    return options


def _make_own_option(name: str, option: Option, panel: str) -> Any:
    """Return the annotation of an option of some kinds of autoencoder."""
    is_flag = option.default is False
    metavar = None if is_flag else "NAME" if isinstance(option.default, str) else "X"
    default = option.explained or option.default
    settings: dict[str, Any] = {
        "metavar": metavar,
        "help": f"{option.help}." if is_flag else f"{option.help}; default {default}.",
        "rich_help_panel": panel,
    }
    if option.choices:
        settings["autocompletion"] = complete_names(option.choices)
    if isinstance(option.default, float):
        settings["parser"] = read_fraction
    return make_option(type(option.default) | None, f"--{name.replace('_', '-')}", **settings)


OWN_OPTIONS = OptionGroup(_own_options(), lambda v: {name: value for name, value in v.items() if value is not None})
"""The given options that not every kind of autoencoder has."""


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


def parse_layers(text: str | None) -> tuple[int, ...] | None:
    """Return the sizes of ``100,100``. Raises UsageError for what is no list of whole numbers."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"bad --layers {text!r}: units of each hidden layer, such as 100,100") from None
