"""The spread of robust accuracy over the seeds of ``--seeds``: numbers for programs, a table for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from advae.cli.result_tables import WORDS, write_method
from advae.records import ClassifierRecipe, RunRecipe
from advae.report.formats.fitted_table import FittedTable
from advae.workflows import Made


@dataclass(frozen=True)
class SeedAccuracies:
    """Robust accuracy under one attack over pipelines that differ in their seeds only."""

    method: str
    """Name of the attack."""
    threat: str
    """Name of the threat model."""
    norm: str
    """Norm of eps."""
    eps: float
    """Radius of the ball, in units of x."""
    seeds: int
    """Number of pipelines, at least 2."""
    mean: float
    """Mean robust accuracy, 0 to 1."""
    least: float
    """Lowest robust accuracy, 0 to 1."""
    most: float
    """Highest robust accuracy, 0 to 1."""
    clean_mean: float
    """Mean clean accuracy, 0 to 1."""


def summarise_seeds(made: Sequence[Made], classifiers: dict[str, ClassifierRecipe]) -> Iterable[SeedAccuracies]:
    """Yield the accuracies of each attack at each eps that was run on two pipelines or more."""
    groups: dict[tuple[object, ...], list[Made]] = {}
    for one in made:
        recipe, _ = one.manifest.as_run()
        groups.setdefault((_what_was_done(recipe), _is_defended(one, classifiers)), []).append(one)
    for group in groups.values():
        if len(list_classifiers(group)) < 2:
            continue
        first, metrics = group[0].manifest.as_run()
        found = [one.manifest.as_run()[1] for one in group]
        for index, result in enumerate(metrics.results):
            accuracies = [other.results[index].robust_accuracy for other in found]
            yield SeedAccuracies(
                method=first.method,
                threat=first.threat,
                norm=first.norm,
                eps=result.eps,
                seeds=len(group),
                mean=fmean(accuracies),
                least=min(accuracies),
                most=max(accuracies),
                clean_mean=fmean(other.clean_accuracy for other in found),
            )


def _what_was_done(recipe: RunRecipe) -> str:
    return json.dumps(recipe.model_dump(mode="json", exclude={"classifier", "twin", "surrogate"}))


def _is_defended(made: Made, classifiers: dict[str, ClassifierRecipe]) -> bool:
    return classifiers[made.manifest.parents[0]].autoencoder is not None


def tabulate_spread(spread: Iterable[SeedAccuracies]) -> FittedTable:
    """Return the table of the spread, a row for each attack and eps."""
    columns = ("method", "threat", "eps", "seeds", "robust accuracy", "lowest", "highest")
    table = FittedTable("Robust accuracy over seeds: mean, lowest and highest", columns, WORDS)
    for one in spread:
        rates = (f"{value:.2%}" for value in (one.mean, one.least, one.most))
        table.add_row(write_method(one.method, one.norm), one.threat, f"{one.eps:.4g}", str(one.seeds), *rates)
    return table


def list_classifiers(made: Iterable[Made]) -> list[str]:
    """Return the ids of the classifiers that were attacked, each once."""
    return list(dict.fromkeys(one.manifest.parents[0] for one in made))
