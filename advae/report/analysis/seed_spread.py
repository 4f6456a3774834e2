"""How much a number depends on chance: pipelines that differ in their seeds only, under the same attack."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from advae.checks import pick_strongest
from advae.report.analysis.eps_selection import select_eps
from advae.report.analysis.table_records import SeedRecord
from advae.report.data.contents import Comparison, Row
from advae.report.data.pairing import identify_attack
from advae.report.data.runs import Run
from advae.report.data.word_tables import Grid, show_count, show_eps, show_percentage
from advae.report.wording import name_attack, name_kind


def find_spreads(comparison: Comparison) -> list[SeedRecord]:
    """Return every attack that pipelines of two seeds or more met, in the order of the rows."""
    groups: dict[tuple[object, ...], dict[str, Row]] = {}
    # Of a run, which may have thousands of rows, once.
    attacks = {run.id: (identify_seedless(run), identify_attack(run)) for run in comparison.runs}
    for row in comparison.rows:
        if row.valid:
            group = groups.setdefault((attacks[row.id], row.terms), {})
            other = group.setdefault(row.run.classifier.id, row)
            group[row.run.classifier.id] = pick_strongest([other, row])
    return [_describe(list(group.values())) for group in groups.values() if len(group) > 1]


def _describe(rows: Sequence[Row]) -> SeedRecord:
    run, values = rows[0].run, [row.accuracy for row in rows]
    return SeedRecord(
        pipeline=name_kind(run),
        threat=run.recipe.threat,
        method=run.recipe.method,
        attack=name_attack(run),
        norm=run.recipe.norm,
        eps=rows[0].eps,
        n=run.metrics.n,
        seeds=len(values),
        mean=sum(values) / len(values),
        minimum=min(values),
        maximum=max(values),
        runs=tuple(row.id for row in rows),
    )


def identify_seedless(run: Run) -> str:
    """Return what pipelines have in common that differ in the seeds of classifier and autoencoder only."""
    classifier = run.classifier_recipe.model_dump(mode="json", exclude={"seed", "autoencoder", "each_class"})
    purifier = run.autoencoder_recipe and run.autoencoder_recipe.model_dump(mode="json", exclude={"seed", "each_class"})
    return json.dumps([classifier, purifier], sort_keys=True)


def tabulate_spreads(spreads: Iterable[SeedRecord]) -> Grid:
    """Return the spread over seeds as a table."""
    titles = ("pipeline", "attack", "threat", "eps", "seeds", "mean", "minimum", "maximum")
    shown = select_eps(spreads, lambda spread: (spread.runs[0], spread.eps, spread.mean))
    return Grid("Robust accuracy over seeds", titles, tuple(map(_write_row, shown)))


def _write_row(spread: SeedRecord) -> tuple[str, ...]:
    shares = map(show_percentage, (spread.mean, spread.minimum, spread.maximum))
    return spread.pipeline, spread.attack, spread.threat, show_eps(spread.eps), show_count(spread.seeds), *shares
