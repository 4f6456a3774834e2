"""``advae add-ae``: publish a purifier that another program trained, and print its id."""

from __future__ import annotations

from typing import Any

from advae.cli.adding_options import ADDING, SourceArgument, build_add_request
from advae.cli.option_groups import SESSION, grouped
from advae.cli.options import DataDirOption, DatasetOption, ForceOption, ResizeOption, TagOption
from advae.cli.session import Session
from advae.cli.trained import put_trained


@grouped(adding=ADDING, session=SESSION)
def add_ae(
    source: SourceArgument,
    session: Session,
    adding: dict[str, Any],
    dataset: DatasetOption = None,
    resize: ResizeOption = None,
    data_dir: DataDirOption = None,
    tag: TagOption = None,
    force: ForceOption = False,
) -> None:
    """Add a purifier that another program trained, which maps images to images; prints its id.

    The file is checked, taken apart into JSON and arrays, and not opened again. Whatever you leave out is found by
    asking the model about 500 training images, and told.
    """
    from advae.workflows import DEFAULT_DATASET, add_purifier

    request = build_add_request(adding)
    with session.workspace("add", data_dir=data_dir, resize=resize, force=force) as workspace:
        put_trained(session, lambda: add_purifier(workspace, source, dataset or DEFAULT_DATASET, request), tag)
