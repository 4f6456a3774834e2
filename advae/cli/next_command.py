"""The last line of a result for people: the command that is useful next, which can be run as it is shown."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from advae.paths import default_home, to_path

if TYPE_CHECKING:
    from advae.cli.session import Session
    from advae.records import AutoencoderRecipe, ClassifierRecipe, DatasetRef, Manifest
    from advae.report.data.contents import Comparison

CHANNELS_OF_COLOUR = 3


def suggest_training(session: Session, entry: Manifest, companion: Manifest | None, data_dir: Path | None) -> None:
    """Show what follows an autoencoder: training a classifier behind it, or attacking the one trained with it."""
    recipe: AutoencoderRecipe = entry.as_autoencoder()[0]
    if companion:
        suggest_attacking(session, companion, data_dir)
    elif recipe.protects:
        _suggest(session, ["advae", "train-clf", "--from", recipe.protects, "--ae", entry.id], data_dir)
    else:
        model = "cnn" if _is_colour(recipe.dataset) else "nn"
        _suggest(session, ["advae", "train-clf", "--model", model, "--ae", entry.id], data_dir)


def suggest_attacking(session: Session, entry: Manifest, data_dir: Path | None) -> None:
    """Show what follows a classifier: an attack, and for one that gives scores only one that needs no gradient."""
    from advae.models.classifiers import gives_gradients

    recipe: ClassifierRecipe = entry.as_classifier()[0]
    method = "pgd" if gives_gradients(recipe) else "square"
    eps = "8/255" if _is_colour(recipe.dataset) else "0.1"
    _suggest(session, ["advae", "attack", "--method", method, "--eps", eps, "--clf", entry.id], data_dir)


def suggest_checking(session: Session, runs: Sequence[Manifest], data_dir: Path | None, *, checked: bool) -> None:
    """Show what follows runs: the same attack with what the checks compare with, or a report on the classifier."""
    from advae.report.data.commands import describe_command

    first = runs[0]
    if checked or len(runs) > 1 or first.as_run()[0].examples:
        suggest_report(session, first)
    else:
        _suggest(session, [*shlex.split(describe_command(first)), "--check"], data_dir)


def suggest_report(session: Session, entry: Manifest) -> None:
    """Show what follows a run with its checks, or a certificate: a report on its classifier."""
    _suggest(session, ["advae", "report", entry.parents[0]], None)


def suggest_surface_report(session: Session, entries: Sequence[Manifest]) -> None:
    """Show what follows decision surfaces: a report on their classifiers, side by side."""
    _suggest(session, ["advae", "report", *(entry.parents[0] for entry in entries)], None)


def suggest_code_report(session: Session, entry: Manifest) -> None:
    """Show what follows an attack on a code: a report on it."""
    _suggest(session, ["advae", "report", entry.id], None)


def suggest_missing_checks(session: Session, comparison: Comparison, data_dir: Path | None) -> None:
    """Show what follows a report: the attack, with what a check that was not run compares with, if there is one."""
    from advae.report.data.commands import describe_command

    for pipeline in comparison.pipelines:
        run = pipeline.subject.run if pipeline.subject else None
        if run and not run.recipe.examples and any(check.status == "NOT RUN" for check in pipeline.checks):
            _suggest(session, [*shlex.split(describe_command(run.manifest)), "--check"], data_dir)
            return


def _is_colour(dataset: DatasetRef) -> bool:
    return dataset.shape.channels == CHANNELS_OF_COLOUR


def _suggest(session: Session, words: list[str], data_dir: Path | None) -> None:
    """Show a command, with --home and --data-dir where they are not what the environment says."""
    home = os.environ.get("ADVAE_HOME")
    if session.home != (to_path(home) if home else default_home()):
        words = [*words, "--home", str(session.home)]
    if data_dir and str(data_dir) != str(to_path(os.environ.get("ADVAE_DATA_DIR", ""))):
        words = [*words, "--data-dir", str(data_dir)]
    session.tell(f"next: {shlex.join(words)}")
