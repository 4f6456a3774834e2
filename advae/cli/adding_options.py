"""Options of ``add-clf`` and ``add-ae``: how a foreign model takes images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from advae.cli.option_groups import OptionGroup, complete_names, make_option
from advae.cli.values import read_fraction, split_names
from advae.errors import UsageError

if TYPE_CHECKING:
    from advae.requests import AddRequest

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE|MODULE:FUNCTION", help="A .keras, .skops or .onnx file; or a function of your own Python."
    ),
]

ADDING = OptionGroup(
    {
        "input_range": (
            make_option(
                str | None,
                "--input-range",
                metavar="A,B",
                help="Values for black and white, such as 0,255. Default: by the best clean accuracy.",
            ),
            None,
        ),
        "mean": (
            make_option(str | None, "--mean", metavar="M[,M,M]", help="Mean to subtract, one or one for each channel."),
            None,
        ),
        "std": (
            make_option(str | None, "--std", metavar="S[,S,S]", help="Deviation to divide by, likewise."),
            None,
        ),
        "channels": (
            make_option(
                str | None,
                "--channels",
                metavar="first|last",
                help="Order of the model's input. Default: by its shape, or the best clean accuracy.",
                autocompletion=complete_names(("first", "last")),
            ),
            None,
        ),
        "trust": (
            make_option(str | None, "--trust", metavar="TYPE[,TYPE...]", help="Types in a .skops file that you trust."),
            None,
        ),
    },
    lambda v: {name: value for name, value in v.items() if value is not None},
)


def build_add_request(given: dict[str, Any], outputs: str | None = None) -> AddRequest:
    """Return what the options say of a model. Raises UsageError."""
    from advae.requests import AddRequest

    values: dict[str, Any] = {"outputs": outputs, "channels": given.get("channels")}
    for name, option in (("input_range", "--input-range"), ("mean", "--mean"), ("std", "--std")):
        if name in given:
            values[name] = _read_numbers(option, given[name])
    if "trust" in given:
        values["trust"] = tuple(split_names("--trust", given["trust"]))
    span = values.get("input_range")
    if span is not None and (len(span) != 2 or not span[0] < span[1]):
        raise UsageError(f"bad --input-range {given['input_range']!r}: two numbers, for black and white, such as 0,255")
    return AddRequest(**values)


def _read_numbers(option: str, text: str) -> tuple[float, ...]:
    """Return the numbers of a text with commas. Raises UsageError."""
    try:
        return tuple(read_fraction(part) for part in text.split(","))
    except typer.BadParameter:
        raise UsageError(f"bad {option} {text!r}: numbers with commas between them, such as 0.5,0.5,0.5") from None
