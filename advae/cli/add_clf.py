"""``advae add-clf``: publish a classifier that another program trained, and print its id."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from advae.cli.adding_options import ADDING, SourceArgument, build_add_request
from advae.cli.option_groups import SESSION, complete_names, grouped
from advae.cli.options import DataDirOption, DatasetOption, ForceOption, ResizeOption, TagOption
from advae.cli.session import Session
from advae.cli.trained import put_trained


@grouped(adding=ADDING, session=SESSION)
def add_clf(
    source: SourceArgument,
    session: Session,
    adding: dict[str, Any],
    dataset: DatasetOption = None,
    resize: ResizeOption = None,
    data_dir: DataDirOption = None,
    outputs: Annotated[
        str | None,
        typer.Option(
            "--outputs",
            metavar="logits|probabilities",
            help="What the model returns. Default: a last softmax is cut off, else by looking at the outputs.",
            autocompletion=complete_names(("logits", "probabilities")),
        ),
    ] = None,
    tag: TagOption = None,
    force: ForceOption = False,
) -> None:
    """Add a classifier that another program trained, for the images of --dataset; prints its id.

    The file is checked, taken apart into JSON and arrays, and not opened again. Whatever you leave out is found by
    asking the model about 500 training images, and told.
    """
    from advae.workflows import DEFAULT_DATASET, add_classifier

    request = build_add_request(adding, outputs)
    with session.workspace("add", data_dir=data_dir, resize=resize, force=force) as workspace:
        put_trained(session, lambda: add_classifier(workspace, source, dataset or DEFAULT_DATASET, request), tag)
