"""How commands take what many of them take: options in groups, each parsed into one value, and completion."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from advae.cli.session import Session, default_home
from advae.errors import AdvaeError
from advae.identity import KINDS, Kind, kind_of
from advae.paths import to_path
from advae.registry import LATEST, Registry

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
        registry = Registry(_find_home(ctx))
        try:
            ids = [id_ for id_ in registry.ids() if kind_of(id_) in (kinds or KINDS)]
            known = set(ids)
            tags = [tag for id_, names in registry.tags().items() if id_ in known for tag in names]
        except (AdvaeError, OSError):
            # An error line in the middle of what somebody is typing helps nobody.
            return []
        # Typer would drop the others too, after wrapping each of thousands.
        return [name for name in (*tags, LATEST, *ids) if name.startswith(incomplete)]

    return complete


def complete_tags(ctx: typer.Context) -> list[str]:
    """Return the tags of the home that the line names."""
    try:
        return sorted({tag for names in Registry(_find_home(ctx)).tags().values() for tag in names})
    except (AdvaeError, OSError):
        return []


def _find_home(ctx: typer.Context) -> Path:
    home = ctx.params.get("home")
    return to_path(home) if home else default_home()


_REF = typer.Argument(
    metavar="REF", help="An id, the beginning of one, a tag, or latest.", autocompletion=complete_refs()
)
RefArgument = Annotated[str, _REF]
OptionalRefArgument = Annotated[str | None, _REF]


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


def make_option(type_: Any, *names: str, **settings: Any) -> Any:
    """Return the annotation of an option, for a group."""
    return Annotated[type_, typer.Option(*names, **settings)]


_GENERAL = "Everywhere"

SESSION = Group(
    {
        "home": (
            make_option(
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
        "as_json": (make_option(bool, "--json", help="Print one JSON document.", rich_help_panel=_GENERAL), False),
        "quiet": (
            make_option(bool, "-q", "--quiet", help="Nothing but data and errors.", rich_help_panel=_GENERAL),
            False,
        ),
        "verbose": (make_option(bool, "-v", "--verbose", help="More on stderr.", rich_help_panel=_GENERAL), False),
        "no_color": (make_option(bool, "--no-color", help="No colours on stderr.", rich_help_panel=_GENERAL), False),
    },
    lambda v: Session(v["home"] or default_home(), v["quiet"], v["verbose"], not v["no_color"], v["as_json"]),
)
