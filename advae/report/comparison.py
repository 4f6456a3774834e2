"""Everything that a report shows, in a fixed order, put together from the registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from advae.errors import NotFoundError
from advae.records import Manifest, find_eps
from advae.report.judging import judge_pipeline, judge_row
from advae.report.labels import Labels, label_datasets
from advae.report.networks import Network, open_network
from advae.report.notes import write_notes
from advae.report.pairing import CounterpartFinder, drop_copies
from advae.report.rows import Comparison, Panel, Pipeline, Row, list_parents, list_runs_of
from advae.report.runs import Measured, Run, open_run
from advae.report.subjects import choose_subject, choose_terms, group_by_kind, list_other_subjects
from advae.report.threat_models import place_threat

if TYPE_CHECKING:
    from advae.registry import Registry


def compare_runs(
    registry: Registry,
    manifests: Sequence[Manifest],
    networks: Sequence[Manifest] = (),
    *,
    reproduction: bool = False,
    asked: Sequence[str] = (),
) -> Comparison:
    """Return the runs with their counterparts without autoencoder, which are looked for in the whole registry.

    networks: trained entries to show beside those that the runs rest on. reproduction: whether they are the paper's
    experiment. asked: ids of the runs that a user asked for, which come first among equally strong ones. Raises
    NotFoundError where there is no run at all, and what ``open_run`` and ``open_network`` raise.
    """
    if not manifests:
        raise NotFoundError("no run to report on; `advae attack` makes one")
    labels = label_datasets([*manifests, *networks])
    runs = sorted((open_run(registry, manifest, labels) for manifest in drop_copies(manifests)), key=_order)
    finder = CounterpartFinder(registry, runs, labels)
    bare = [_build_pipeline(group, finder, tuple(asked)) for group in _group_by_classifier(runs)]
    pipelines = tuple(_judge(pipeline, finder) for pipeline in _choose_subjects(bare))
    rows = tuple(row for pipeline in pipelines for row in pipeline.rows)
    opened = tuple(_open_networks(registry, rows, networks, labels))
    return Comparison(tuple(runs), rows, pipelines, opened, reproduction)


def _order(run: Run) -> tuple[object, ...]:
    """Sort key of runs: dataset, model, defended before undefended, then the attack; never when it was made."""
    recipe = run.recipe
    pipeline = (run.classifier_recipe.model, not run.defended, run.autoencoder_type, run.classifier.id)
    attack = (recipe.method, recipe.norm, not recipe.clip, -1 if recipe.target is None else recipe.target)
    return recipe.dataset.name, recipe.dataset.digest, *pipeline, *attack, place_threat(recipe.threat), run.id


def _group_by_classifier(runs: Iterable[Run]) -> list[list[Run]]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.classifier.id, []).append(run)
    return list(groups.values())


def _build_pipeline(runs: list[Run], finder: CounterpartFinder, asked: tuple[str, ...]) -> Pipeline:
    """Return a pipeline that is not judged yet, whose rows carry their notes: these need to know its other rows."""
    bare = Pipeline(tuple(runs), tuple(row for run in runs for row in _build_rows(run, finder)), asked=asked)
    noted = (replace(row, notes=write_notes(row, doubt=bare.find_doubt(row))) for row in bare.rows)
    return replace(bare, rows=tuple(noted))


def _choose_subjects(pipelines: Sequence[Pipeline]) -> list[Pipeline]:
    """Return the pipelines with the rows of their headline numbers, in the same order."""
    terms = {pipeline.id: choose_terms(group) for group in group_by_kind(pipelines) for pipeline in group}
    return [
        replace(pipeline, shared=terms[pipeline.id], subject=choose_subject(pipeline, terms[pipeline.id]))
        for pipeline in pipelines
    ]


def _judge(pipeline: Pipeline, finder: CounterpartFinder) -> Pipeline:
    """Return a pipeline with its verdicts, for which the runs without purifier on all its samples are looked at."""
    if pipeline.first.defended:
        runs = {row.sample_key: row.run for row in pipeline.list_valid(["adaptive"])}
        found = {run.id: run for one in runs.values() for run in finder.list_undefended(one)}
        pipeline = replace(pipeline, undefended=tuple(found.values()))
    others = tuple(Panel(row, judge_row(pipeline, row)) for row in list_other_subjects(pipeline))
    return replace(pipeline, verdicts=judge_pipeline(pipeline), others=others)


def _build_rows(run: Run, finder: CounterpartFinder) -> Iterator[Row]:
    for index, eps in enumerate(run.recipe.eps):
        own = Measured(run, index)
        other = finder.find(run, eps) if run.defended else run
        place = find_eps(other.recipe.eps, eps) if other else None
        yield Row(own, Measured(other, place) if other and place is not None else None)


def _open_networks(
    registry: Registry, rows: Iterable[Row], more: Iterable[Manifest], labels: Labels
) -> Iterator[Network]:
    """Yield the trained entries that have something to show: those behind the rows, then more in a fixed order."""
    entries = {entry.id: entry for run in list_runs_of(rows) for entry in list_parents(run)}
    entries |= {entry.id: entry for entry in sorted(more, key=_order_entry) if entry.id not in entries}
    for network in (open_network(registry, entry, labels) for entry in entries.values()):
        if network.history or network.views:
            yield network


def _order_entry(entry: Manifest) -> tuple[str, str, str]:
    return entry.recipe.dataset.name, entry.recipe.dataset.digest, entry.id
