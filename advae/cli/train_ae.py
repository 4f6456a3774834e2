"""``advae train-ae``: train an autoencoder and print its id."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from advae.cli.option_groups import SESSION, complete_names, complete_refs, grouped
from advae.cli.options import (
    ClassesOption,
    DataDirOption,
    DatasetOption,
    ForceOption,
    ResizeOption,
    SeedOption,
    TagOption,
)
from advae.cli.session import Session
from advae.cli.trained import put_autoencoder
from advae.cli.training_options import NETWORK, OWN_OPTIONS, TypeOption, build_network_request
from advae.errors import UsageError, unknown
from advae.models.reconstruction import RECONSTRUCTION_LOSSES
from advae.settings import RESCALES


@grouped(network=NETWORK, own=OWN_OPTIONS, session=SESSION)
def train_ae(
    type_: TypeOption,
    session: Session,
    network: dict[str, Any],
    own: dict[str, Any],
    dataset: DatasetOption = None,
    data_dir: DataDirOption = None,
    resize: ResizeOption = None,
    classes: ClassesOption = None,
    loss: Annotated[
        str | None,
        typer.Option(
            "--loss",
            metavar="LOSS",
            help=f"{', '.join(RECONSTRUCTION_LOSSES)}. Default: the kind's.",
            autocompletion=complete_names(RECONSTRUCTION_LOSSES),
        ),
    ] = None,
    rescale: Annotated[
        str | None,
        typer.Option(
            "--rescale",
            metavar="HOW",
            help="intensity: to the input's total, clipped to [0, 1]; none: the raw output. Default: the kind's.",
            autocompletion=complete_names(RESCALES),
        ),
    ] = None,
    protect: Annotated[
        str | None,
        typer.Option(
            "--protect",
            metavar="REF",
            help="Train in front of this classifier, which stays as it is, not of a new one; kl and cascade need it.",
            autocompletion=complete_refs("clf"),
            rich_help_panel="Only robust, certified, kl and cascade",
        ),
    ] = None,
    seed: SeedOption = 0,
    tag: TagOption = None,
    force: ForceOption = False,
) -> None:
    """Train an autoencoder that purifies images, or make a baseline to compare it with; prints its id.

    A robust or certified one is trained together with a classifier, a kl one in front of the classifier of --protect;
    `advae train-clf --ae REF` without --model prints the id of that classifier behind it.
    """
    from advae.requests import AutoencoderRequest, NetworkRequest
    from advae.workflows import train_autoencoder

    if rescale not in (None, *RESCALES):
        raise UsageError(unknown("rescaling", str(rescale), RESCALES))
    request = AutoencoderRequest(
        type=type_,
        network=build_network_request(network) or NetworkRequest(),
        loss=loss,
        rescale=rescale,
        options=own,
        seed=seed,
    )
    place = {"data_dir": data_dir, "resize": resize, "classes": classes}
    with session.workspace(f"train {type_}", **place, force=force) as workspace:
        put_autoencoder(session, lambda: train_autoencoder(workspace, dataset, request, protect), tag, data_dir)
