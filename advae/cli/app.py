"""The Typer application: every command, in the order in which people meet them."""

from __future__ import annotations

from typing import Annotated

import typer

from advae.cli import attack, data, predict, purify, registry, report, train_ae, train_clf

app = typer.Typer(
    name="advae",
    help="What is an autoencoder in front of your classifier worth against adversarial examples?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        print(f"advae {metadata.version('advae')}")
        raise typer.Exit


@app.callback()
def describe(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What is an autoencoder in front of your classifier worth against adversarial examples?"""


app.command("train-ae")(train_ae.train_ae)
app.command("train-clf")(train_clf.train_clf)
app.command("attack")(attack.attack)
app.command("report")(report.report)
app.command("purify")(purify.purify)
app.command("predict")(predict.predict)
app.add_typer(registry.app, name="registry")
app.add_typer(data.app, name="data")
