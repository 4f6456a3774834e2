"""``advae surface``: compute decision surfaces, print their ids."""

from __future__ import annotations

from typing import Annotated

import typer

from advae.cli.next_command import suggest_surface_report
from advae.cli.option_groups import SESSION, Completed, complete_refs, grouped
from advae.cli.options import DataDirOption, DatasetOption, ForceOption, ResizeOption
from advae.cli.session import Session
from advae.cli.values import read_fraction, split_names


def _complete_several(ctx: typer.Context, incomplete: str) -> Completed:
    """Return the completions of the last classifier of a list with commas."""
    done, comma, last = incomplete.rpartition(",")
    found = [one if isinstance(one, tuple) else (one, "") for one in complete_refs("clf")(ctx, last)]
    return [(done + comma + name, words) for name, words in found]


@grouped(session=SESSION)
def surface(
    *,
    session: Session,
    clf: Annotated[
        str | None,
        typer.Option(
            "--clf",
            metavar="REF[,REF...]",
            help="The classifier; default: the newest, of --dataset where that is given.\nSeveral: a surface of each, "
            "on images that all of them classify correctly.",
            autocompletion=_complete_several,
        ),
    ] = None,
    radius: Annotated[
        float | None,
        typer.Option(
            "--radius",
            metavar="R",
            parser=read_fraction,
            help="The plane's axes go from -R to R, in units of x; default: 0.3, of colour images 8/255.",
        ),
    ] = None,
    points: Annotated[
        int | None,
        typer.Option("--points", metavar="N", help="Points along each axis, odd, from 3 to 101; default 41."),
    ] = None,
    no_clip: Annotated[
        bool,
        typer.Option("--no-clip", help="Leave points outside [0, 1]; by default they are clipped to valid images."),
    ] = False,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of the random direction.")] = 0,
    dataset: DatasetOption = None,
    data_dir: DataDirOption = None,
    resize: ResizeOption = None,
    force: ForceOption = False,
) -> None:
    """Compute decision surfaces: how far the true class leads on a plane around one test image of each class.

    The plane's axes are the sign of the gradient and random signs. Prints the surface's id.
    """
    from advae.cli.surface_results import put_surfaces
    from advae.requests import SurfaceRequest
    from advae.workflows import compute_surfaces

    request = SurfaceRequest(radius=radius, points=points, clip=not no_clip, seed=seed)
    refs = [] if clf is None else split_names("--clf", clf)
    with session.workspace("surface", data_dir=data_dir, resize=resize, force=force) as workspace:
        made = compute_surfaces(workspace, refs, dataset, request)
    put_surfaces(session, made)
    suggest_surface_report(session, [one.manifest for one in made])
