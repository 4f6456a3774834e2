"""The options of the two commands that train, read off the tables of what can be trained."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from advae.cli.groups import Group, complete_names, make_option
from advae.cli.options import describe_rows
from advae.errors import UsageError
from advae.models.autoencoders import AUTOENCODERS
from advae.models.classifiers import CLASSIFIERS
from advae.models.layers import ACTIVATIONS
from advae.requests import NetworkRequest

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
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help=f"{describe_rows(CLASSIFIERS)}. Without it: the classifier that a robust --ae was trained with.",
        autocompletion=complete_names(CLASSIFIERS),
    ),
]

_NETWORK = "Network"

NETWORK = Group(
    {
        "epochs": (
            make_option(
                int | None, "--epochs", metavar="N", min=1, help="Default 35, robust 20.", rich_help_panel=_NETWORK
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
                help="Of Adam; default 0.001, robust 0.003, from and to 0.",
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
                help="Default 9/14 of the pixels.",
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
            annotation = make_option(
                type(option.default) | None, flag, metavar=metavar, help=help_, rich_help_panel=f"Only {type_}"
            )
            options[name] = (annotation, None)
    return options


OWN_OPTIONS = Group(_own_options(), lambda v: {name: value for name, value in v.items() if value is not None})
"""The options that only one kind of autoencoder has, as given."""


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
