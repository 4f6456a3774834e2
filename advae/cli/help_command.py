"""The help of a command: examples, then the options that people need, in groups; ``--help-all`` shows every option.

Plain text instead of Rich's panels: they leave 24 of 80 columns for the explanations.
"""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from advae.cli.command_examples import HELP_PAGES, HelpPage

WIDEST = 100
"""Columns of a help page at most; longer lines are hard to read."""

SIDE_BY_SIDE = 60
"""Columns from which an option's explanation is written beside its name; in a narrower terminal, below it."""

ROOM_FOR_NAMES = 22
"""Columns for the names of options beside their explanations."""

GENERAL = "All commands"
"""Group of the options that every command has."""

SHOW_ALL = "advae.help-all"
"""Key of the context's ``meta`` that says whether every option is shown."""


def show_all(ctx: typer.Context, value: bool) -> None:
    """Print the help with every option and end, for an eager option ``--help-all``."""
    if value and not ctx.resilient_parsing:
        ctx.meta[SHOW_ALL] = True
        typer.echo(ctx.get_help(), color=ctx.color)
        raise typer.Exit


class HelpedCommand(TyperCommand):
    """A command whose help is made here."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page of the command."""
        formatter.write("\n".join(_write_page(self, ctx)) + "\n")


class HelpedGroup(TyperGroup):
    """A group of commands whose help is made here."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Return the arguments that are left; without any, print the help and end, where the group says so."""
        if not args and self.no_args_is_help and not ctx.resilient_parsing:
            typer.echo(ctx.get_help(), color=ctx.color)
            raise typer.Exit
        # The help of a group has all its options.
        return super().parse_args(ctx, ["--help", *args[1:]] if args[:1] == ["--help-all"] else args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page of the group."""
        commands = [(name, self.commands[name].short_help or self.commands[name].help or "") for name in self.commands]
        lines = [*_write_page(self, ctx), "", _head("Commands")]
        width = max(map(len, self.commands))
        for name, summary in commands:
            lines += _write_row(name, summary.partition("\n")[0], width + 2)
        formatter.write("\n".join(lines) + "\n")


def find_page(ctx: Any) -> HelpPage:
    """Return the page of the command that a context is about, an empty one where it has none."""
    return HELP_PAGES.get(ctx.command_path.removeprefix("advae").strip(), HelpPage(()))


def _write_page(command: Any, ctx: Any) -> Iterator[str]:
    """Yield the lines of a help page."""
    page = find_page(ctx)
    pieces = (piece.strip("{}") for piece in command.collect_usage_pieces(ctx))
    yield f"Usage: {ctx.command_path} {' '.join(pieces)}"
    for paragraph in (command.help or "").split("\n\n"):
        yield ""
        yield from textwrap.wrap(" ".join(paragraph.split()), _measure(), break_on_hyphens=False)
    if page.examples:
        yield from ("", _head("Examples"), *(f"  {example}" for example in page.examples))
    left_out = () if ctx.meta.get(SHOW_ALL) else page.rare
    unlisted = left_out if ctx.meta.get(SHOW_ALL) or isinstance(command, TyperGroup) else (*left_out, "--help")
    for title, parameters in _list_groups(command.get_params(ctx), unlisted).items():
        yield from ("", _head(title))
        for parameter in parameters:
            yield from _write_row(*_describe(parameter, ctx), ROOM_FOR_NAMES)
    if left_out:
        names = ", ".join(sorted(left_out, key=str.lower))
        more = f"More options, described by `{ctx.command_path} --help-all`: {names}."
        yield from ("", *textwrap.wrap(more, _measure(), break_on_hyphens=False))


def _list_groups(parameters: Iterable[Any], left_out: Iterable[str]) -> dict[str, list[Any]]:
    """Return the parameters by the title of their group, in order, without those that are left out."""
    groups: dict[str, list[Any]] = {}
    for parameter in parameters:
        if not getattr(parameter, "hidden", False) and not set(parameter.opts) & set(left_out):
            plain = "Arguments" if isinstance(parameter, TyperArgument) else "Options"
            groups.setdefault(getattr(parameter, "rich_help_panel", None) or plain, []).append(parameter)
    order = ["Arguments", "Options", *(title for title in groups if title != GENERAL), GENERAL]
    return {title: groups[title] for title in order if title in groups}


def _describe(parameter: Any, ctx: Any) -> tuple[str, str]:
    """Return an option as it is typed, and its explanation with variable, default and range."""
    record = parameter.get_help_record(ctx)
    names, text = record or ("", "")
    if isinstance(parameter, TyperArgument):
        return parameter.display_name_raw, text
    reach = parameter._get_number_range_help_str()
    if reach and not ctx.meta.get(SHOW_ALL):
        text = text.replace(f"; {reach}]", "]").replace(f"  [{reach}]", "")
    # A switch has no metavar, and choices are no types.
    return names.replace("<", "").replace(">", ""), text


def _write_row(names: str, text: str, room: int) -> Iterator[str]:
    """Yield the lines of one row: names, and beside or below them the explanation, whose line breaks are kept."""
    beside = _measure() >= SIDE_BY_SIDE
    indent = room + 2 if beside else 6
    wrapped = [
        line
        for part in text.split("\n")
        for line in textwrap.wrap(
            part, _measure() - indent, subsequent_indent="  " if "\n" in text else "", break_on_hyphens=False
        )
    ]
    if beside and len(names) < room and wrapped:
        yield f"  {_style(names)}{' ' * (room - len(names))}{wrapped.pop(0)}"
    else:
        yield f"  {_style(names)}"
    yield from (" " * indent + line for line in wrapped)


def _measure() -> int:
    return min(shutil.get_terminal_size().columns, WIDEST) - 1


def _head(title: str) -> str:
    return typer.style(f"{title}:", bold=True) if _has_colors() else f"{title}:"


def _style(names: str) -> str:
    return typer.style(names, fg="cyan") if _has_colors() else names


def _has_colors() -> bool:
    """Return whether names are coloured. Typer takes the colours out where stdout is no terminal."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
