"""The Typer application, the table of its commands, and ``advae --version``."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from advae.cli.help_command import HelpedCommand, HelpedGroup
from advae.cli.stdout import write
from advae.errors import UsageError

ABOUT = "Measure how robust a classifier with an autoencoder in front of it is against adversarial examples."


@dataclass(frozen=True)
class Command:
    """A row of COMMANDS."""

    module: str
    """Module in ``advae.cli``."""
    attribute: str
    """Name of its function there, or of the Typer app of a group of commands."""
    summary: str
    """One line for ``--help``."""


COMMANDS: dict[str, Command] = {
    "train-ae": Command("train_ae", "train_ae", "Train an autoencoder, or make a baseline; prints its id."),
    "train-clf": Command("train_clf", "train_clf", "Train a classifier; prints its id."),
    "add-clf": Command("add_clf", "add_clf", "Add a classifier that another program trained; prints its id."),
    "add-ae": Command("add_ae", "add_ae", "Add a purifier that another program trained; prints its id."),
    "attack": Command("attack", "attack", "Attack a classifier; prints the run's id."),
    "attack-code": Command("attack_code", "attack_code", "Attack the code of an autoencoder; prints the attack's id."),
    "certify": Command("certify", "certify", "Prove what no attack can change; prints the certificate's id."),
    "surface": Command("surface", "surface", "Compute decision surfaces around test images; prints their ids."),
    "report": Command("report", "report", "Write a report; prints its page's path."),
    "diff": Command("diff", "diff", "Compare two pipelines, or two runs, on identical images; prints a table."),
    "reproduce": Command("reproduce", "reproduce", "Run the paper's experiment or another plan; prints a path."),
    "purify": Command("purify", "purify", "Purify the images of a .npy file."),
    "predict": Command("predict", "predict", "Classify the images of a .npy file."),
    "registry": Command("registry", "app", "List, show, tag, remove, export and import entries."),
    "data": Command("data", "app", "Find, fetch and check the datasets."),
}


def build_app(words: Sequence[str] | None = None) -> typer.Typer:
    """Return the application, with every command, or with only the one that the line's words name.

    The other commands then have a name and a summary only, so that `advae --help` imports none of them, and a command
    imports only itself.
    """
    named = None if words is None else next((word for word in words if not word.startswith("-")), "")
    app = typer.Typer(
        cls=HelpedGroup,
        name="advae",
        help=ABOUT,
        pretty_exceptions_enable=False,
        # Rich is not needed for help, and its import would take as long as everything else.
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_describe)
    for name, command in COMMANDS.items():
        if named not in (None, name):
            app.command(name, help=command.summary, cls=HelpedCommand)(_do_nothing)
            continue
        found: Any = getattr(importlib.import_module(f"advae.cli.{command.module}"), command.attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name, help=command.summary)
        else:
            app.command(name, help=command.summary, cls=HelpedCommand)(found)
    return app


def _do_nothing() -> None:
    """Do nothing; registered for the commands that the line does not name, so that help lists them."""


def _describe(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="With --version: libraries and devices as well.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --version: one JSON document.")] = False,
) -> None:
    if version:
        _put_version(verbose=verbose, as_json=as_json)
        raise typer.Exit
    if verbose or as_json:
        raise UsageError("-v and --json follow the subcommand: advae attack -v; before it they need --version")
    if ctx.invoked_subcommand is None:
        raise UsageError("no command is named; `advae --help` lists them")


def _put_version(*, verbose: bool, as_json: bool) -> None:
    """Print the version; verbose: also those of Python and the libraries, and the devices that TensorFlow uses."""
    import json
    from importlib import metadata

    document: dict[str, Any] = {"advae": metadata.version("advae")}
    if verbose:
        from advae.backend import list_devices
        from advae.registry import library_versions

        document = {**document, **library_versions(), "devices": list_devices()}
    if as_json:
        write(json.dumps(document, indent=2) + "\n")
        return
    devices = document.pop("devices", [])
    write("".join(f"{line}\n" for line in [*(f"{name} {text}" for name, text in document.items()), *devices]))
