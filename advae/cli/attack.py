"""``advae attack``: attack a classifier, print its robust accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from advae.attacks import ATTACKS, FROM_FILE, list_attacks
from advae.cli.attack_options import ATTACK, build_requests, put_methods
from advae.cli.next_command import suggest_checking
from advae.cli.option_groups import SESSION, EpsOption, NewestClfOption, complete_names, complete_refs, grouped
from advae.cli.options import DataDirOption, DatasetOption, ForceOption, ResizeOption
from advae.cli.session import Session
from advae.cli.values import read_share
from advae.paths import to_path
from advae.run_options import RESULT


@grouped(options=ATTACK, session=SESSION)
def attack(
    *,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            metavar="M[,M...]",
            help="The attack, or several with commas: pgd, worst, ...; --methods lists them all.",
            autocompletion=complete_names({name: ATTACKS[name] for name in list_attacks()}),
        ),
    ] = None,
    methods: Annotated[
        bool,
        typer.Option("--methods", help="Print the methods, a line each, and stop."),
    ] = False,
    from_file: Annotated[
        Path | None,
        typer.Option(
            "--from-file",
            metavar="ADV.npy",
            parser=to_path,
            help="In place of --method: adversarial examples that were made elsewhere, of the test images in their "
            "order; one that is farther than eps counts as the unchanged image.",
        ),
    ] = None,
    eps: EpsOption = None,
    session: Session,
    options: dict[str, Any],
    clf: NewestClfOption = None,
    dataset: DatasetOption = None,
    data_dir: DataDirOption = None,
    resize: ResizeOption = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Also run the attacks that the checks compare with; print all check results.",
            rich_help_panel=RESULT,
        ),
    ] = False,
    seeds: Annotated[
        int,
        typer.Option(
            "--seeds",
            metavar="N",
            min=1,
            max=100,
            help="Train and attack pipelines of N seeds, and show the spread.",
            rich_help_panel=RESULT,
        ),
    ] = 1,
    fail_under: Annotated[
        float | None,
        typer.Option(
            "--fail-under",
            metavar="X",
            parser=read_share,
            help="Exit 7 if robust accuracy is below X, in [0, 1], or a check is FAIL.",
            rich_help_panel=RESULT,
        ),
    ] = None,
    surrogate: Annotated[
        str | None,
        typer.Option(
            "--surrogate",
            metavar="REF",
            help="Whose gradients --threat transfer uses. Default: the same pipeline trained from another seed; for an "
            "added model a cnn trained on its answers.",
            autocompletion=complete_refs("clf"),
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print what would be computed, and about how long it takes.", rich_help_panel=RESULT
        ),
    ] = False,
    force: ForceOption = False,
) -> None:
    """Attack a classifier; prints the run's id, or with --json its numbers."""
    from advae.cli.attack_results import compare_attacks, put_runs, require_accuracy
    from advae.cli.attack_times import put_estimates
    from advae.workflows import AttackCommand, estimate_attacks, run_attacks

    if methods:
        put_methods(session)
        return
    requests = build_requests(method, eps, options, from_file=from_file is not None)
    command = AttackCommand(requests, check, seeds, surrogate, from_file)
    with session.workspace(f"attack {method or FROM_FILE}", data_dir=data_dir, resize=resize, force=force) as workspace:
        if dry_run:
            put_estimates(session, estimate_attacks(workspace, clf, dataset, command), seeds)
            return
        made = run_attacks(workspace, clf, dataset, command)
    comparison = compare_attacks(session, made) if made.checks or fail_under is not None else None
    put_runs(session, made, comparison)
    suggest_checking(session, [one.manifest for one in made.requested], data_dir, checked=bool(made.checks))
    if fail_under is not None and comparison:
        require_accuracy(made, comparison, fail_under)
