"""``advae attack-code``: perturb images until an autoencoder gives them the code of others; prints the attack's id."""

from __future__ import annotations

from typing import Annotated

import typer

from advae.attacks.code_steering import CODE_OPTIMIZERS
from advae.cli.entry_names import name_entry
from advae.cli.option_groups import SESSION, complete_names, complete_refs, grouped
from advae.cli.options import DataDirOption, DatasetOption, ForceOption, ResizeOption, TagOption, describe_rows
from advae.cli.session import Session
from advae.run_options import IMAGES

_DEFAULT_STEPS = ", ".join(f"{name} {row.steps}" for name, row in CODE_OPTIMIZERS.items())


@grouped(session=SESSION)
def attack_code(
    *,
    ae: Annotated[
        str,
        typer.Option(
            "--ae",
            metavar="REF",
            help="The autoencoder; it must have a code.",
            autocompletion=complete_refs("ae"),
        ),
    ],
    session: Session,
    pairs: Annotated[
        int,
        typer.Option(
            "--pairs",
            metavar="N",
            min=1,
            help="Pairs of an original and a target image of different classes, drawn from the test images.",
            rich_help_panel=IMAGES,
        ),
    ] = 25,
    target: Annotated[
        int | None,
        typer.Option(
            "--target",
            metavar="CLASS",
            min=0,
            help="Class of all target images; default: any class but the original's.",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", metavar="N", min=1, help="Draw the pairs from the first N test images.", rich_help_panel=IMAGES
        ),
    ] = None,
    points: Annotated[
        int,
        typer.Option(
            "--points",
            metavar="N",
            min=2,
            help="Weights of the perturbation that are tried on each pair, from 2^-20 to 2^20.",
        ),
    ] = 41,
    optimizer: Annotated[
        str,
        typer.Option(
            "--optimizer",
            metavar="HOW",
            help=describe_rows(CODE_OPTIMIZERS),
            autocompletion=complete_names(CODE_OPTIMIZERS),
        ),
    ] = "adam",
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", metavar="N", min=1, help=f"Iterations for each weight; default: {_DEFAULT_STEPS} at most."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, max=2**31 - 1, help="Seed of the pairs.")] = 0,
    dataset: DatasetOption = None,
    data_dir: DataDirOption = None,
    resize: ResizeOption = None,
    tag: TagOption = None,
    force: ForceOption = False,
) -> None:
    """Perturb images until an autoencoder gives them the code of other images; prints the attack's id.

    It measures how much perturbation that takes: the area under the distortion-distortion curve. A larger area means a
    code that is harder to steer. It is no accuracy.
    """
    from advae.cli.code_attack_results import put_code_attack
    from advae.cli.next_command import suggest_code_report
    from advae.requests import CodeAttackRequest
    from advae.workflows import steer_codes

    request = CodeAttackRequest(
        pairs=pairs, target=target, limit=limit, points=points, optimizer=optimizer, steps=steps, seed=seed
    )
    with session.workspace("attack-code", data_dir=data_dir, resize=resize, force=force) as workspace:
        made = steer_codes(workspace, ae, dataset, request)
    if tag:
        name_entry(session, made.manifest, tag)
    put_code_attack(session, made)
    suggest_code_report(session, made.manifest)
