"""What ``add-clf`` and ``add-ae`` share: the options on how a foreign model takes images, and how it is added."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from advae.cli.option_groups import OptionGroup, complete_names, make_option
from advae.cli.options import ClassesOption, DataDirOption, DatasetOption, ForceOption, ResizeOption, TagOption
from advae.cli.session import Session
from advae.cli.trained import put_trained
from advae.cli.values import read_fraction, split_names
from advae.errors import UsageError

if TYPE_CHECKING:
    from advae.requests import AddRequest
    from advae.workflows import Made, Workspace

    Add = Callable[[Workspace, str, str, AddRequest], Made]

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE|MODULE:FUNCTION", help="A .keras, .skops or .onnx file; or a function of your own Python."
    ),
]

ADDING = OptionGroup(
    {
        "dataset": (DatasetOption, None),
        "resize": (ResizeOption, None),
        "classes": (ClassesOption, None),
        "data_dir": (DataDirOption, None),
        "tag": (TagOption, None),
        "force": (ForceOption, False),
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


def put_added(session: Session, source: str, given: dict[str, Any], add: Add, outputs: str | None = None) -> None:
    """Add a model as the options say, tag it where a tag is given, and print its id."""
    from advae.workflows import DEFAULT_DATASET

    request, dataset = build_add_request(given, outputs), given.get("dataset") or DEFAULT_DATASET
    place = {name: given.get(name) for name in ("data_dir", "resize", "classes")}
    with session.workspace("add", **place, force=given["force"]) as workspace:
        put_trained(session, lambda: add(workspace, source, dataset, request), given.get("tag"), place["data_dir"])


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
