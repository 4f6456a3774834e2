"""``advae add-clf``: publish a classifier that another program trained, and print its id."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from advae.cli.adding_options import ADDING, SourceArgument, put_added
from advae.cli.option_groups import SESSION, complete_names, grouped
from advae.cli.session import Session


@grouped(adding=ADDING, session=SESSION)
def add_clf(
    source: SourceArgument,
    session: Session,
    adding: dict[str, Any],
    outputs: Annotated[
        str | None,
        typer.Option(
            "--outputs",
            metavar="logits|probabilities",
            help="What the model returns. Default: a last softmax is cut off, else by looking at the outputs.",
            autocompletion=complete_names(("logits", "probabilities")),
        ),
    ] = None,
) -> None:
    """Add a classifier that another program trained, for the images of --dataset; prints its id.

    The file is checked, taken apart into JSON and arrays, and not opened again. Whatever you leave out is found by
    asking the model about 500 training images, and told.
    """
    from advae.workflows import add_classifier

    put_added(session, source, adding, add_classifier, outputs)
