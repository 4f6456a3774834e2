"""How much a number depends on chance: pipelines that differ in their seeds only, under the same attack."""

from __future__ import annotations

import json
from collections.abc import Sequence

from advae.checks import pick_strongest
from advae.report.analysis.tables import AttackRecord, Findings, Ids, ShownShare, read_attack
from advae.report.data.contents import Row
from advae.report.data.pairing import identify_attack
from advae.report.data.runs import Run
from advae.report.wording import name_kind


class SeedRecord(AttackRecord):
    """The same attack on pipelines that differ in their seeds only."""

    pipeline: str
    """The pipelines in words, without their seeds."""
    seeds: int
    """How many pipelines there are."""
    mean: ShownShare
    """Mean of their robust accuracies, 0 to 1."""
    minimum: ShownShare
    """Smallest of their robust accuracies, 0 to 1."""
    maximum: ShownShare
    """Largest of their robust accuracies, 0 to 1."""
    runs: Ids
    """The ids of the runs, one of each pipeline."""


def list_spreads(findings: Findings) -> list[SeedRecord]:
    """Return a record for every attack that pipelines of two seeds or more met, in the order of the rows."""
    groups: dict[tuple[object, ...], dict[str, Row]] = {}
    # Of a run, which may have thousands of rows, once.
    attacks = {run.id: (identify_seedless(run), identify_attack(run)) for run in findings.comparison.runs}
    for row in findings.comparison.rows:
        if row.valid:
            group = groups.setdefault((attacks[row.id], row.terms), {})
            other = group.setdefault(row.run.classifier.id, row)
            group[row.run.classifier.id] = pick_strongest([other, row])
    return [_describe(list(group.values())) for group in groups.values() if len(group) > 1]


def _describe(rows: Sequence[Row]) -> SeedRecord:
    values = [row.accuracy for row in rows]
    return SeedRecord(
        **read_attack(rows[0]),
        pipeline=name_kind(rows[0].run),
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
