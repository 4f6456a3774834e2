"""``advae purify``: purify the images of a .npy file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from advae.cli.option_groups import SESSION, complete_refs, grouped
from advae.cli.session import Session
from advae.paths import to_path


@grouped(session=SESSION)
def purify(
    source: Annotated[Path, typer.Argument(metavar="IN.npy", parser=to_path, help="Images, uint8 or float in [0, 1].")],
    target: Annotated[
        Path, typer.Argument(metavar="OUT.npy", parser=to_path, help="File to write; the same shape, float32.")
    ],
    session: Session,
    ae: Annotated[
        str,
        typer.Option("--ae", metavar="REF", help="The autoencoder or baseline.", autocompletion=complete_refs("ae")),
    ],
    force: Annotated[bool, typer.Option("--force", help="Allow OUT to be IN, whose images are then replaced.")] = False,
) -> None:
    """Purify images; prints the path of the result."""
    from advae.workflows import purify_images

    with session.workspace("purify", force=force) as workspace:
        manifest, count = purify_images(workspace, ae, source, target)
    session.tell(f"{count} images purified")
    session.put({"autoencoder": manifest.id, "n": count, "path": str(target)}, str(target))
