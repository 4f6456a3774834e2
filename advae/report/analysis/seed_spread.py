"""How much a number depends on chance: pipelines that differ in their seeds only, under the same attack."""

from __future__ import annotations

import json
from collections.abc import Sequence

from advae.checks import pick_strongest
from advae.records import Norm
from advae.report.analysis.tables import Findings, Ids, ShownShare, TableRecord
from advae.report.data.contents import Row
from advae.report.data.pairing import identify_attack
from advae.report.data.runs import Run
from advae.report.wording import name_attack, name_kind


class SeedRecord(TableRecord):
    """The same attack on pipelines that differ in their seeds only."""

    pipeline: str
    """The pipelines in words, without their seeds."""
    threat: str
    """What the attacker knows, as `advae attack --threat` takes it."""
    method: str
    """The attack, as `advae attack --method` takes it."""
    attack: str
    """The attack in words."""
    norm: Norm
    """The norm that bounds the perturbation."""
    eps: float
    """The budget, in units of an image's range, 0 to 1."""
    n: int
    """Number of test images."""
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
