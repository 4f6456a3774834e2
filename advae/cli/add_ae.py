"""``advae add-ae``: publish a purifier that another program trained, and print its id."""

from __future__ import annotations

from typing import Any

from advae.cli.adding_options import ADDING, SourceArgument, put_added
from advae.cli.option_groups import SESSION, grouped
from advae.cli.session import Session


@grouped(adding=ADDING, session=SESSION)
def add_ae(source: SourceArgument, session: Session, adding: dict[str, Any]) -> None:
    """Add a purifier that another program trained, which maps images to images; prints its id.

    The file is checked, taken apart into JSON and arrays, and not opened again. Whatever you leave out is found by
    asking the model about 500 training images, and told.
    """
    from advae.workflows import add_purifier

    put_added(session, source, adding, add_purifier)
