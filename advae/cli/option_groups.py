"""Option groups: options that several commands share, parsed into one value; and the completion of values."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from advae.cli.help_command import GENERAL, show_all
from advae.cli.session import Session
from advae.errors import AdvaeError
from advae.identity import ID, KINDS, Kind, kind_of
from advae.paths import default_home, to_path

if TYPE_CHECKING:
    from advae.registry import Registry

# ---------------------------------------------------------------- completion

COMPLETING = "_ADVAE_COMPLETE"
"""Environment variable by which a shell asks; ``complete_bash`` from bash, which shows no explanations."""


Completed = list[str] | list[tuple[str, str]]
"""What a completion offers: values, or values with what they are, which zsh and fish show."""

MOST_DESCRIBED = 200
"""Entries that are described beside their ids; reading and drawing more of them takes longer than a key press."""


def complete_names(names: Iterable[str]) -> Callable[[str], Completed]:
    """Return a completion of one name, or of the last one in a list with commas.

    names: a table of rows that have a summary shows these, too.
    """
    rows = names if isinstance(names, Mapping) else {}
    described = {name: getattr(rows.get(name), "summary", None) for name in names}

    def complete(incomplete: str) -> Completed:
        done, comma, _ = incomplete.rpartition(",")
        return [(done + comma + name, summary or "") for name, summary in described.items()]

    return complete


def complete_refs(*kinds: Kind) -> Callable[[typer.Context, str], Completed]:
    """Return a completion of ids, tags and ``latest`` of some kinds, of the registry that the command line names."""

    def complete(ctx: typer.Context, incomplete: str) -> Completed:
        from advae.registry import LATEST

        registry = _open_registry(ctx)
        try:
            ids = [id_ for id_ in registry.ids() if kind_of(id_) in (kinds or KINDS)]
            known = set(ids)
            tags = {tag: id_ for id_, names in registry.tags().items() if id_ in known for tag in names}
        except (AdvaeError, OSError):
            # An error message would appear in the middle of the command line that is being typed.
            return []
        # Typer filters them, too, but first wraps each of them, which may be thousands.
        offered = [name for name in (*tags, LATEST, *ids) if name.startswith(incomplete)]
        if len(offered) > MOST_DESCRIBED or os.environ.get(COMPLETING) == "complete_bash":
            return offered
        return [(name, _describe_ref(registry, tags.get(name, name))) for name in offered]

    return complete


def _describe_ref(registry: Registry, id_: str) -> str:
    """Return what an entry is, for a completion; empty where it cannot be read."""
    if not ID.fullmatch(id_):
        return "what the last command of this kind made"
    try:
        # Typer reads explanations as markup of Rich.
        return registry.read_summary(id_).what.replace("[", r"\[")
    except (AdvaeError, OSError):
        return ""


def complete_tags(ctx: typer.Context) -> list[str]:
    """Return the tags of the registry that the command line names."""
    try:
        return sorted({tag for names in _open_registry(ctx).tags().values() for tag in names})
    except (AdvaeError, OSError):
        return []


def _open_registry(ctx: typer.Context) -> Registry:
    from advae.registry import Registry

    home = ctx.params.get("home")
    return Registry(to_path(home) if home else default_home())


_REF = typer.Argument(
    metavar="REF", help="An id, the beginning of one, a tag, or latest.", autocompletion=complete_refs()
)
RefArgument = Annotated[str, _REF]
OptionalRefArgument = Annotated[str | None, _REF]

NewestClfOption = Annotated[
    str | None,
    typer.Option(
        "--clf",
        metavar="REF",
        help="The classifier; default: the newest, of --dataset where that is given.",
        autocompletion=complete_refs("clf"),
    ),
]
EpsOption = Annotated[
    str | None,
    typer.Option(
        "--eps",
        metavar="E[,E...]",
        help="Radius of the norm's ball; 0.3 or 50/255; several with commas. Required.",
    ),
]


# ---------------------------------------------------------------- groups


@dataclass(frozen=True)
class OptionGroup:
    """Options that several commands share, and the function that makes one value from theirs."""

    options: Mapping[str, tuple[Any, Any]]
    """Name of the option -> its annotation and its default."""
    build: Callable[[dict[str, Any]], Any]
    """Returns the one value, from the values of the options by name."""


def grouped(**groups: OptionGroup) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command the options of its groups; its function gets one value for each group.

    Typer reads a command's options from its signature, so the signature of the decorated function has all of them.
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
        # inspect reads it, but mypy does not know this attribute of functions.
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return decorate


def make_option(type_: Any, *names: str, **settings: Any) -> Any:
    """Return the annotation of an option, for a group."""
    return Annotated[type_, typer.Option(*names, **settings)]


SESSION = OptionGroup(
    {
        "home": (
            make_option(
                Path | None,
                "--home",
                metavar="DIR",
                parser=to_path,
                envvar="ADVAE_HOME",
                help="Folder of the registry.",
                rich_help_panel=GENERAL,
                is_eager=True,
            ),
            None,
        ),
        "as_json": (make_option(bool, "--json", help="Print one JSON document.", rich_help_panel=GENERAL), False),
        "quiet": (
            make_option(bool, "-q", "--quiet", help="Print data and errors only.", rich_help_panel=GENERAL),
            False,
        ),
        "verbose": (
            make_option(bool, "-v", "--verbose", help="Print details on stderr.", rich_help_panel=GENERAL),
            False,
        ),
        "no_color": (make_option(bool, "--no-color", help="No colours on stderr.", rich_help_panel=GENERAL), False),
        "help_all": (
            make_option(
                bool,
                "--help-all",
                help="Describe every option, with its range.",
                rich_help_panel=GENERAL,
                is_eager=True,
                callback=show_all,
            ),
            False,
        ),
    },
    lambda v: Session(v["home"] or default_home(), v["quiet"], v["verbose"], not v["no_color"], v["as_json"]),
)
