"""``advae attack``: attack a classifier, print what is left."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from advae.attacks import ATTACKS, BOTH, DEFAULT_LOSS
from advae.attacks.losses import LOSSES
from advae.cli.groups import SESSION, complete_names, complete_refs, grouped
from advae.cli.options import DataDirOption, DatasetOption, ForceOption, SeedOption, describe_rows, split_names
from advae.cli.outcome import describe_run, tabulate_runs
from advae.cli.session import Session
from advae.errors import BudgetError, UsageError, unknown
from advae.requests import AttackRequest
from advae.threats import THREATS
from advae.workflows import attack as run_attacks

_TARGETS = ", ".join(f"{row.target} for {name}" for name, row in ATTACKS.items() if row.target is not None)
_STEPS = ", ".join(f"{row.steps} for {name}" for name, row in ATTACKS.items() if row.steps)
_STRIDES = ", ".join(f"{row.stride:g} for {name}" for name, row in ATTACKS.items() if row.steps and row.stride != 1)
_RESTARTED = ", ".join(name for name, row in ATTACKS.items() if row.restarts)

MethodOption = Annotated[
    str,
    typer.Option(
        "--method", metavar="M[,M...]", help=f"{describe_rows(ATTACKS)}.", autocompletion=complete_names(ATTACKS)
    ),
]
ThreatOption = Annotated[
    str,
    typer.Option(
        "--threat",
        metavar="T[,T...]",
        help=f"What the attacker knows: {', '.join(THREATS)}.",
        autocompletion=complete_names(THREATS),
    ),
]


@grouped(session=SESSION)
def attack(
    method: MethodOption,
    eps: Annotated[
        str,
        typer.Option(
            "--eps", metavar="E[,E...]", help="Radius of the norm's ball; 0.3 or 50/255; several with commas."
        ),
    ],
    session: Session,
    clf: Annotated[
        str | None,
        typer.Option(
            "--clf",
            metavar="REF",
            help="The classifier; default: the newest, of --dataset where that is given.",
            autocompletion=complete_refs("clf"),
        ),
    ] = None,
    threat: ThreatOption = "adaptive",
    dataset: DatasetOption = None,
    data_dir: DataDirOption = None,
    target: Annotated[
        int | None,
        typer.Option("--target", metavar="CLASS", min=0, help=f"Class to reach; default {_TARGETS}."),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", min=1, help=f"Default {_STEPS}.")] = None,
    step_size: Annotated[
        float | None, typer.Option("--step-size", metavar="X", help=f"Default eps / steps, times {_STRIDES}.")
    ] = None,
    restarts: Annotated[
        int | None,
        typer.Option("--restarts", metavar="N", min=1, help=f"Random starts of {_RESTARTED}; the best one counts."),
    ] = None,
    norm: Annotated[
        str, typer.Option("--norm", metavar="NORM", help="linf or l2, of eps.", autocompletion=complete_names(BOTH))
    ] = "linf",
    loss: Annotated[
        str | None,
        typer.Option(
            "--loss",
            metavar="LOSS",
            autocompletion=complete_names(LOSSES),
            help=f"{', '.join(LOSSES)}; default {DEFAULT_LOSS}, of apgd dlr; ce saturates in float32.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Only the first N test images.")
    ] = None,
    no_clip: Annotated[
        bool,
        typer.Option("--no-clip", help="The paper's protocol (linear attacks): not projected, not clipped, not valid."),
    ] = False,
    save_adversarial: Annotated[
        bool, typer.Option("--save-adversarial", help="Store the adversarial images with the run.")
    ] = False,
    seed: SeedOption = 0,
    force: ForceOption = False,
) -> None:
    """Attack a classifier; prints the run's id, or with --json its numbers."""
    if norm not in BOTH:
        raise UsageError(unknown("norm", norm, BOTH))
    requests = [
        AttackRequest(
            method=one_method,
            threat=one_threat,
            eps=parse_eps(eps),
            target=target,
            steps=steps,
            step_size=step_size,
            restarts=restarts,
            norm=norm,
            loss=loss,
            clip=not no_clip,
            limit=limit,
            save_adversarial=save_adversarial,
            seed=seed,
        )
        for one_method in split_names("--method", method)
        for one_threat in split_names("--threat", threat)
    ]
    with session.workspace(f"attack {method}", data_dir=data_dir, force=force) as workspace:
        made = run_attacks(workspace, clf, dataset, requests)
    classifier, _ = session.registry.manifest(made[0].manifest.parents[0]).as_classifier()
    session.tell(tabulate_runs(made, classifier))
    documents = [describe_run(one, classifier.autoencoder) for one in made]
    session.put(
        documents[0] if len(documents) == 1 else {"runs": documents}, "\n".join(one.manifest.id for one in made)
    )


def parse_eps(text: str) -> tuple[float, ...]:
    """Return the radii of ``0.1,0.2`` or ``50/255``, not yet checked against [0, 1]. Raises BudgetError."""
    return tuple(_parse_number(part.strip()) for part in text.split(","))


def _parse_number(text: str) -> float:
    numerator, slash, denominator = text.partition("/")
    try:
        number = float(numerator) / float(denominator) if slash else float(numerator)
    except (ValueError, ZeroDivisionError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise BudgetError(f"bad eps {text!r}: a number in [0, 1], or a fraction such as 50/255")
    return number
