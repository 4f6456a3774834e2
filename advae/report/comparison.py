"""Everything that a report shows, in a fixed order: rows, pipelines, and the networks behind them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from advae.errors import NotFoundError
from advae.records import Manifest
from advae.report.notes import INPUT_THREATS, ORDER, WEAK_GRADIENTS, write_notes
from advae.report.pairing import CounterpartFinder
from advae.report.runs import Measured, Run, open_run, read_history
from advae.report.wording import format_eps

if TYPE_CHECKING:
    from advae.registry import Registry


@dataclass(frozen=True)
class Row:
    """One run at one eps (``own``) and the same attack without the autoencoder (``undefended``).

    undefended: None where no run fits; for an undefended pipeline it is ``own`` itself. notes: what a reader must
    know before believing the numbers.
    """

    own: Measured
    undefended: Measured | None
    notes: tuple[str, ...] = ()

    @property
    def run(self) -> Run:
        return self.own.run

    @property
    def defended(self) -> Measured | None:
        """The side with an autoencoder, None for an undefended pipeline."""
        return self.own if self.run.defended else None

    @property
    def eps(self) -> float:
        return self.own.result.eps


@dataclass(frozen=True)
class Pipeline:
    """One classifier with what stands in front of it, and every row that was measured on it."""

    runs: tuple[Run, ...]
    rows: tuple[Row, ...]

    @property
    def first(self) -> Run:
        return self.runs[0]

    @property
    def id(self) -> str:
        return self.first.classifier.id

    @property
    def doubt(self) -> str | None:
        """Why its robustness is not established at the eps of the strongest attack on its images, None where it is."""
        strongest = self.find_strongest(INPUT_THREATS)
        return self.find_doubt(strongest) if strongest else "no valid attack on its images was run"

    def find_doubt(self, row: Row) -> str | None:
        """Return why robustness is not established at a row's eps, None where an adaptive attack was run that can be.

        What an attack in another norm leaves says nothing here.
        """
        norm, eps = row.run.recipe.norm, row.eps
        adaptive = [
            other for other in self._list_valid(["adaptive"]) if other.run.recipe.norm == norm and other.eps >= eps
        ]
        if not adaptive:
            return f"no valid adaptive run at eps {format_eps(eps)} or more"
        if all(row.own.result.zero_gradient_fraction > WEAK_GRADIENTS for row in adaptive):
            return "the adaptive run had no usable gradient for too many samples"
        return None

    def find_strongest(self, threats: Iterable[str]) -> Row | None:
        """Return the valid row of these threats with the lowest accuracy, at the smallest eps that reaches it."""
        return min(self._list_valid(threats), key=lambda row: (row.own.result.accuracy, row.eps), default=None)

    def _list_valid(self, threats: Iterable[str]) -> list[Row]:
        """Return the rows of these threats that are attacks: inside their budget, and with one above 0."""
        wanted = set(threats)
        rows = (row for row in self.rows if row.run.recipe.threat in wanted)
        return [row for row in rows if row.own.result.within_budget and row.eps > 0]


@dataclass(frozen=True)
class Comparison:
    """Everything that a report shows. networks: the distinct trained entries that have a loss history."""

    runs: tuple[Run, ...]
    rows: tuple[Row, ...]
    pipelines: tuple[Pipeline, ...]
    networks: tuple[Manifest, ...]

    @property
    def table_rows(self) -> tuple[Row, ...]:
        """All rows but those of undefended runs that another row already shows as its counterpart."""
        shown = {(row.undefended.run.id, row.eps) for row in self.rows if row.defended and row.undefended}
        return tuple(row for row in self.rows if (row.run.id, row.eps) not in shown)

    @property
    def threats(self) -> tuple[str, ...]:
        """The threat models of the runs, strongest first."""
        named = {run.recipe.threat for run in self.runs}
        return tuple(sorted(named, key=_place_threat))

    @property
    def headlines(self) -> tuple[Pipeline, ...]:
        """The pipelines that are worth a headline: all that are not merely the counterpart of another one."""
        ids = {row.run.classifier.id for row in self.table_rows}
        return tuple(pipeline for pipeline in self.pipelines if pipeline.id in ids)


def compare_runs(registry: Registry, manifests: Sequence[Manifest]) -> Comparison:
    """Return the runs with their counterparts without autoencoder, which are looked for in the whole registry.

    Raises NotFoundError where there is no run at all, and what ``open_run`` raises.
    """
    if not manifests:
        raise NotFoundError("no run to report on; `advae attack` makes one")
    unique = {manifest.id: manifest for manifest in manifests}
    runs = sorted((open_run(registry, manifest) for manifest in unique.values()), key=_order)
    finder = CounterpartFinder(registry, runs)
    pipelines = tuple(_build_pipeline(group, finder) for group in _group_by_classifier(runs))
    rows = tuple(row for pipeline in pipelines for row in pipeline.rows)
    return Comparison(tuple(runs), rows, pipelines, _list_networks(rows))


def list_runs_of(rows: Iterable[Row]) -> Iterator[Run]:
    """Yield each distinct run of the rows once, a row's counterpart before its own run."""
    seen: set[str] = set()
    for row in rows:
        for measured in (row.undefended, row.own):
            if measured and measured.run.id not in seen:
                seen.add(measured.run.id)
                yield measured.run


def list_parents(run: Run) -> list[Manifest]:
    """Return the trained entries that a run rests on, each after those that it needs itself."""
    return [entry for entry in (run.autoencoder, run.twin, run.classifier) if entry]


def _order(run: Run) -> tuple[object, ...]:
    """Sort key of runs: dataset, model, defended before undefended, then the attack; never when it was made."""
    recipe = run.recipe
    pipeline = (run.classifier_recipe.model, not run.defended, run.autoencoder_type, run.classifier.id)
    attack = (recipe.method, recipe.norm, not recipe.clip, -1 if recipe.target is None else recipe.target)
    return recipe.dataset.name, recipe.dataset.digest, *pipeline, *attack, _place_threat(recipe.threat), run.id


def _place_threat(threat: str) -> tuple[int, str]:
    return (ORDER.index(threat) if threat in ORDER else len(ORDER)), threat


def _group_by_classifier(runs: Iterable[Run]) -> list[list[Run]]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.classifier.id, []).append(run)
    return list(groups.values())


def _build_pipeline(runs: list[Run], finder: CounterpartFinder) -> Pipeline:
    """Return a pipeline whose rows carry their notes, which need to know the pipeline's other rows."""
    bare = Pipeline(tuple(runs), tuple(row for run in runs for row in _build_rows(run, finder)))
    noted = (replace(row, notes=write_notes(row, doubt=bare.find_doubt(row))) for row in bare.rows)
    return replace(bare, rows=tuple(noted))


def _build_rows(run: Run, finder: CounterpartFinder) -> Iterator[Row]:
    for index, eps in enumerate(run.recipe.eps):
        own = Measured(run, index)
        other = finder.find(run, eps) if run.defended else run
        yield Row(own, Measured(other, other.recipe.eps.index(eps)) if other else None)


def _list_networks(rows: Iterable[Row]) -> tuple[Manifest, ...]:
    parents = {entry.id: entry for run in list_runs_of(rows) for entry in list_parents(run)}
    return tuple(entry for entry in parents.values() if read_history(entry))
