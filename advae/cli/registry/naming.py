"""``advae registry tag`` and ``untag``."""

from __future__ import annotations

from typing import Annotated

import typer

from advae.cli.entry_names import name_entry
from advae.cli.option_groups import SESSION, RefArgument, complete_tags, grouped
from advae.cli.session import Session


@grouped(session=SESSION)
def tag_entry(ref: RefArgument, name: Annotated[str, typer.Argument(metavar="NAME")], session: Session) -> None:
    """Name an entry; the name moves if it stood for another of its kind."""
    manifest = session.registry.resolve(ref)
    name_entry(session, manifest, name)
    session.put({"id": manifest.id, "tag": name}, manifest.id)


@grouped(session=SESSION)
def untag_entry(
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete_tags)], session: Session
) -> None:
    """Remove a name; the entry stays."""
    ids = session.registry.untag(name)
    session.put({"tag": name, "ids": ids}, "\n".join(ids))
