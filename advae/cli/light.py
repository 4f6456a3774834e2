"""Commands that convert no value that needs no converting: Typer imports Pydantic for each, also for absent ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer import BadParameter
from typer.core import TyperCommand, TyperGroup

from advae.paths import to_path

PLAIN: dict[type, Callable[[str], object]] = {str: str, Path: to_path}
"""What makes a value of a word of the line; none of our paths is looked at beforehand."""


class LightCommand(TyperCommand):
    """For ``command(cls=...)``; numbers are still Pydantic's to read, and so are their bounds."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return Typer's parameters, lightened."""
        return _lighten(super().get_params(ctx))


class LightGroup(TyperGroup):
    """For ``Typer(cls=...)``."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return Typer's parameters, lightened."""
        return _lighten(super().get_params(ctx))


def _lighten(parameters: list[Any]) -> list[Any]:
    """Return the parameters, --help and --install-completion among them, each reading its value in the light way."""
    for parameter in parameters:
        if not isinstance(getattr(parameter.get_runtime_param, "__self__", None), _Plainly):
            parameter.get_runtime_param = _Plainly(parameter).get
    return parameters


class _Plainly:
    """Stands in for the value that Typer reads with, until one comes that has to be read."""

    def __init__(self, parameter: Any) -> None:
        self.typer_own = parameter.get_runtime_param
        self.type = parameter.type_descriptor.annotation

    def get(self) -> _Plainly:
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        if not several and type(value) in (str, self.type) and self.type in PLAIN:
            return PLAIN[self.type](value)
        if not several and type(value) is self.type and param.get_default(ctx) == value:
            return value
        if self.type is float and isinstance(value, str):
            value = _divide(value)
        try:
            return self.typer_own().coerce(value, param=param, ctx=ctx)
        except BadParameter as error:
            error.message += _show(value)
            raise


def _divide(text: str) -> str | float:
    """Return the number that a fraction such as ``2/255`` stands for, and anything else as it is."""
    numerator, slash, denominator = text.partition("/")
    try:
        return float(numerator) / float(denominator) if slash else text
    except (ValueError, ArithmeticError):
        return text


def _show(value: object) -> str:
    """Return what was got, for the end of an error line; a decimal comma with what it was to be."""
    point = str(value).replace(",", ".")
    try:
        hint = f"; did you mean {float(point):g}?" if point != value else ""
    except ValueError:
        hint = ""
    return f", got {value!r}{hint}"
