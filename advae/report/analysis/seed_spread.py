"""Whether a number was luck: pipelines that differ in their seeds only, under the same attack."""

from __future__ import annotations

import json
from dataclasses import dataclass

from advae.checks import pick_strongest
from advae.report.analysis.eps_selection import select_eps
from advae.report.data.contents import Comparison, Row
from advae.report.data.pairing import identify_attack
from advae.report.data.runs import Run
from advae.report.data.word_tables import Grid, show_count, show_eps, show_share
from advae.report.wording import name_attack, name_kind


@dataclass(frozen=True)
class SeedSpread:
    """The same attack on pipelines of several seeds. rows: the worst of each pipeline, at one eps."""

    rows: tuple[Row, ...]

    @property
    def first(self) -> Row:
        return self.rows[0]

    @property
    def accuracies(self) -> tuple[float, ...]:
        return tuple(row.own.result.accuracy for row in self.rows)

    @property
    def mean(self) -> float:
        return sum(self.accuracies) / len(self.rows)


def find_spreads(comparison: Comparison) -> list[SeedSpread]:
    """Return every attack that pipelines of two seeds or more met, in the order of the rows."""
    groups: dict[tuple[object, ...], dict[str, Row]] = {}
    # Of a run, which may have thousands of rows, once.
    attacks = {run.id: (identify_seedless(run), identify_attack(run)) for run in comparison.runs}
    for row in comparison.rows:
        if row.valid:
            group = groups.setdefault((attacks[row.id], row.terms), {})
            other = group.setdefault(row.run.classifier.id, row)
            group[row.run.classifier.id] = pick_strongest([other, row])
    return [SeedSpread(tuple(group.values())) for group in groups.values() if len(group) > 1]


def identify_seedless(run: Run) -> str:
    """Return what pipelines have in common that differ in the seeds of classifier and autoencoder only."""
    classifier = run.classifier_recipe.model_dump(mode="json", exclude={"seed", "autoencoder", "each_class"})
    purifier = run.autoencoder_recipe and run.autoencoder_recipe.model_dump(mode="json", exclude={"seed", "each_class"})
    return json.dumps([classifier, purifier], sort_keys=True)


def tabulate_spreads(spreads: list[SeedSpread]) -> Grid:
    """Return the spread over seeds as a table."""
    titles = ("pipeline", "attack", "threat", "eps", "seeds", "mean", "minimum", "maximum")
    return Grid("Accuracy under attack over seeds", titles, tuple(map(_write_row, select_eps(spreads, _describe))))


def _describe(spread: SeedSpread) -> tuple[str, float, float]:
    return spread.first.id, spread.first.eps, spread.mean


def _write_row(spread: SeedSpread) -> tuple[str, ...]:
    run, values = spread.first.run, spread.accuracies
    shares = (show_share(value) for value in (spread.mean, min(values), max(values)))
    names = name_kind(run), name_attack(run), run.recipe.threat, show_eps(spread.first.eps)
    return *names, show_count(len(values)), *shares
