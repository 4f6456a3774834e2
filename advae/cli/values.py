"""Values of options, read from the text of a command line; and how an error line shows them."""

from __future__ import annotations

from datetime import timedelta

import typer

from advae.errors import UsageError


def read_fraction(text: str | float) -> float:
    """Return the number of a text such as ``0.1`` or ``2/255``, for ``typer.Option(parser=...)``.

    Raises BadParameter, to which Typer adds the name of the option.
    """
    numerator, slash, denominator = str(text).partition("/")
    try:
        return float(numerator) / (float(denominator) if slash else 1.0)
    except (ValueError, ArithmeticError):
        raise typer.BadParameter(f"input should be a number{show_input(text)}") from None


def read_share(text: str | float) -> float:
    """Return the number of a text, in [0, 1], for ``typer.Option(parser=...)``. Raises BadParameter."""
    share = read_fraction(text)
    if not 0 <= share <= 1:
        raise typer.BadParameter(f"input should be in [0, 1]{show_input(text)}")
    return share


def read_size(text: str | tuple[int, int]) -> tuple[int, int]:
    """Return height and width of a text such as ``32,32``, for ``typer.Option(parser=...)``. Raises BadParameter."""
    from advae.records import MAX_SIDE

    parts = text.split(",") if isinstance(text, str) else text
    try:
        height, width = map(int, parts)
    except ValueError:
        height = width = 0
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise typer.BadParameter(f"input should be height,width, each 1 to {MAX_SIDE}, got {text!r}")
    return height, width


def read_classes(text: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the names or numbers of a text such as ``3,7``, for ``typer.Option(parser=...)``. Raises BadParameter."""
    parts = tuple(part.strip() for part in text.split(",")) if isinstance(text, str) else text
    if not all(parts):
        raise typer.BadParameter(f"input should be two or more names or numbers of classes, such as 3,7, got {text!r}")
    return parts


def show_input(value: object) -> str:
    """Return the end of an error line: the value, and for a decimal comma the number with a point."""
    point = str(value).replace(",", ".")
    try:
        hint = f"; did you mean {float(point):g}?" if point != value else ""
    except ValueError:
        hint = ""
    return f", got {value!r}{hint}"


def split_names(option: str, text: str) -> list[str]:
    """Return the names of a comma-separated list, each once, in order. Raises UsageError for an empty list."""
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise UsageError(f"{option} is empty: one name, or several with commas")
    return names


def show_seconds(seconds: float) -> str:
    """Return a duration for people: seconds, from 100 s on minutes, from 100 minutes on hours and minutes."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else str(timedelta(minutes=minutes))[:-3] + " h"
