"""Everything that a report shows, in a fixed order, put together from the registry."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from advae.errors import CorruptError, NotFoundError
from advae.records import Manifest
from advae.report.analysis.check_results import check_headline, check_row
from advae.report.analysis.headline_choice import choose_subject, choose_terms, group_by_dataset, list_other_subjects
from advae.report.analysis.row_warnings import write_notes
from advae.report.data.certificate_reader import CertificateFinder
from advae.report.data.code_attack_reader import SteeredCode, open_code_attack
from advae.report.data.contents import AttackedPipeline, CheckedRow, Comparison, Row, list_parents, list_runs_of
from advae.report.data.dataset_names import Labels, label_datasets, name_dataset
from advae.report.data.grouping import group_by
from advae.report.data.pairing import CounterpartFinder, drop_copies
from advae.report.data.run_reader import open_run
from advae.report.data.runs import Measured, Run, StoredPipeline, read_stored
from advae.report.data.surface_reader import open_surface
from advae.report.data.threat_models import place_threat
from advae.report.data.trained import Network, open_network

if TYPE_CHECKING:
    from advae.checks.decision_surfaces import DrawnSurface
    from advae.registry import Registry

Opened = TypeVar("Opened")
Named = TypeVar("Named", bound=StoredPipeline)


def compare_runs(
    registry: Registry,
    manifests: Sequence[Manifest],
    networks: Sequence[Manifest] = (),
    *,
    certificates: Sequence[Manifest] = (),
    surfaces: Sequence[Manifest] = (),
    code_attacks: Sequence[Manifest] = (),
    plan: str | None = None,
    about: str | None = None,
    asked: Sequence[str] = (),
    required: Collection[str] | None = None,
    excluded: Mapping[str, str] | None = None,
) -> Comparison:
    """Return the runs with their undefended counterparts, which are looked for in the whole registry.

    networks: trained entries to show beside those that the runs need. certificates: those of classifiers that are
    shown even where they have no run; the others are found. surfaces, code_attacks: decision surfaces and attacks on
    codes, which need no run. plan, about: name of the plan whose cells they are, and what it says that it does. asked:
    ids of the runs that a user asked for, which come first among equally strong ones. required: ids of the entries
    without which there is no report, None for all; of the others those that cannot be read, or contradict themselves,
    are excluded. excluded: ids that are excluded already -> reason. Raises NotFoundError where there is nothing to
    report on, and what ``open_run`` and ``open_network`` raise.
    """
    shelf = _Shelf(registry, required, dict(excluded or {}))
    opened = list(filter(None, map(shelf.open_run, {entry.id: entry for entry in manifests}.values())))
    more = [entry for entry in networks if shelf.open_network(entry)]
    kept = {manifest.id for manifest in drop_copies(run.manifest for run in opened)}
    labels = label_datasets([*(run.manifest for run in opened), *certificates, *surfaces, *code_attacks, *more])
    proofs = CertificateFinder(registry, shelf.exclude_certificate)
    runs = sorted((_name(run, labels, proofs) for run in opened if run.id in kept), key=_order)
    certified = {entry.as_certificate()[0].classifier for entry in certificates}
    found = (shelf.open_pipeline(id_) for id_ in certified - {run.classifier.id for run in runs})
    named = (_name(pipeline, labels, proofs) for pipeline in found if pipeline)
    unattacked = tuple(sorted((one for one in named if one.certificates), key=_order_pipeline))
    looks = sorted(filter(None, (_open_surface(shelf, entry, labels) for entry in surfaces)), key=_order_surface)
    steered = sorted(filter(None, map(shelf.open_code_attack, code_attacks)), key=_order_code_attack)
    if not any((runs, unattacked, looks, steered)):
        why = next((f": {reason}" for reason in shelf.excluded.values()), "; `advae attack` makes one")
        raise NotFoundError(f"no run to report on{why}")
    finder = CounterpartFinder(registry, runs, labels, proofs)
    by_classifier = group_by(runs, lambda run: run.classifier.id)
    bare = [_build_pipeline(group, finder, tuple(asked)) for group in by_classifier.values()]
    pipelines = tuple(_check(pipeline, finder) for pipeline in _choose_subjects(bare))
    rows = tuple(row for pipeline in pipelines for row in pipeline.rows)
    more += [entry for pipeline in unattacked for entry in pipeline.entries]
    more += [attack.autoencoder for attack in steered]
    shown = tuple(_list_networks(shelf, rows, more, labels))
    codes = tuple(replace(one, dataset=name_dataset(one.recipe.dataset, labels)) for one in steered)
    return Comparison(
        tuple(runs), rows, pipelines, shown, plan, about, shelf.excluded, unattacked, tuple(looks), code_attacks=codes
    )


def _name(pipeline: Named, labels: Labels, certificates: CertificateFinder) -> Named:
    """Return a run or a pipeline with the name of its dataset in the report and the certificates of its classifier."""
    dataset = name_dataset(pipeline.classifier_recipe.dataset, labels)
    return replace(pipeline, dataset=dataset, certificates=certificates.find(pipeline.classifier.id))


def _open_surface(shelf: _Shelf, manifest: Manifest, labels: Labels) -> tuple[StoredPipeline, DrawnSurface] | None:
    """Return a decision surface with its pipeline, None where either is excluded."""
    surface = shelf.open_surface(manifest)
    pipeline = shelf.open_pipeline(surface.recipe.classifier) if surface else None
    if surface is None or pipeline is None:
        return None
    return replace(pipeline, dataset=name_dataset(pipeline.classifier_recipe.dataset, labels)), surface


TRAINED_WITH = ("robust", "certified")
"""Kinds of purifier that are trained with a classifier; their surfaces come last."""


def _order_surface(pair: tuple[StoredPipeline, DrawnSurface]) -> tuple[object, ...]:
    """Sort key of surfaces: dataset, what is compared, then undefended, baselines, autoencoders, robust, certified."""
    (pipeline, surface), purifier = pair, pair[0].autoencoder_recipe
    kind = pipeline.autoencoder_type
    late = TRAINED_WITH.index(kind) + 1 if kind in TRAINED_WITH else 0
    rank = 0 if purifier is None else 1 if purifier.is_baseline else 2 + late
    dataset, recipe = pipeline.classifier_recipe.dataset, surface.recipe
    how = (recipe.radius, recipe.points, recipe.clip, recipe.seed)
    return dataset.name, dataset.digest, *how, rank, *_order_pipeline(pipeline), surface.id


@dataclass(frozen=True)
class _Shelf:
    """Opens each entry by itself, so that a damaged one does not remove the others from the report."""

    registry: Registry
    """The registry to read from."""
    required: Collection[str] | None
    """As in ``compare_runs``."""
    excluded: dict[str, str]
    """As in ``compare_runs``."""
    networks: dict[str, Network] = field(default_factory=dict)
    """Trained entries opened so far, by id."""

    def open_run(self, manifest: Manifest) -> Run | None:
        """Return a run, what it depends on opened too, None where it is excluded."""

        def read() -> Run:
            run = open_run(self.registry, manifest)
            for entry in list_parents(run):
                self.read_network(entry)
            return run

        return self._attempt(manifest.id, read)

    def open_pipeline(self, classifier_id: str) -> StoredPipeline | None:
        """Return a pipeline without its runs and certificates, None where it is excluded."""

        def read() -> StoredPipeline:
            pipeline = read_stored(self.registry, classifier_id)
            for entry in pipeline.entries:
                self.read_network(entry)
            return pipeline

        return self._attempt(classifier_id, read)

    def open_surface(self, manifest: Manifest) -> DrawnSurface | None:
        """Return a decision surface, None where it is excluded."""
        return self._attempt(manifest.id, lambda: open_surface(self.registry, manifest))

    def open_code_attack(self, manifest: Manifest) -> SteeredCode | None:
        """Return an attack on a code, its autoencoder opened too, None where it is excluded."""

        def read() -> SteeredCode:
            attack = open_code_attack(self.registry, manifest)
            self.read_network(attack.autoencoder)
            return attack

        return self._attempt(manifest.id, read)

    def open_network(self, manifest: Manifest) -> Network | None:
        """Return a trained entry, None where it is excluded."""
        return self._attempt(manifest.id, lambda: self.read_network(manifest))

    def read_network(self, manifest: Manifest) -> Network:
        """Return a trained entry, read once. Raises what ``open_network`` raises."""
        if manifest.id not in self.networks:
            self.networks[manifest.id] = open_network(self.registry, manifest)
        return self.networks[manifest.id]

    def exclude_certificate(self, id_: str, error: Exception) -> None:
        """Exclude a certificate. Raises its error where a user asked for it; a report needs no certificate."""
        if self.required is not None and id_ in self.required:
            raise error
        self.excluded[id_] = str(error)

    def _attempt(self, id_: str, read: Callable[[], Opened]) -> Opened | None:
        try:
            return read()
        except (CorruptError, NotFoundError) as error:
            if self.required is None or id_ in self.required:
                raise
            self.excluded[id_] = str(error)
            return None


def _order_code_attack(attack: SteeredCode) -> tuple[object, ...]:
    """Sort key of attacks on codes: dataset, kind of autoencoder; never when it was made."""
    dataset, autoencoder = attack.recipe.dataset, attack.autoencoder_recipe
    return dataset.name, dataset.title, dataset.digest, autoencoder.type, attack.autoencoder.id, attack.id


def _order(run: Run) -> tuple[object, ...]:
    """Sort key of runs: the pipeline, then the attack; never when it was made."""
    recipe = run.recipe
    attack = (recipe.method, recipe.norm, not recipe.clip, -1 if recipe.target is None else recipe.target)
    return *_order_pipeline(run), *attack, place_threat(recipe.threat), run.id


def _order_pipeline(pipeline: StoredPipeline) -> tuple[object, ...]:
    """Sort key of pipelines: dataset, model, defended before undefended."""
    recipe, dataset = pipeline.classifier_recipe, pipeline.classifier_recipe.dataset
    name = (recipe.model, not pipeline.defended, pipeline.autoencoder_type, pipeline.classifier.id)
    return dataset.name, dataset.title, dataset.digest, *name


def _build_pipeline(runs: list[Run], finder: CounterpartFinder, asked: tuple[str, ...]) -> AttackedPipeline:
    """Return a pipeline that is not checked yet, whose rows carry their notes: these need to know its other rows."""
    bare = AttackedPipeline(tuple(runs), tuple(row for run in runs for row in _build_rows(run, finder)), asked=asked)
    noted = (replace(row, notes=write_notes(row, doubt=bare.find_doubt(row))) for row in bare.rows)
    return replace(bare, rows=tuple(noted))


def _choose_subjects(pipelines: Sequence[AttackedPipeline]) -> list[AttackedPipeline]:
    """Return the pipelines with the rows of their headline numbers, in the same order."""
    terms = {id_: found for group in group_by_dataset(pipelines) for id_, found in choose_terms(group).items()}
    return [
        replace(pipeline, shared=terms[pipeline.id], subject=choose_subject(pipeline, terms[pipeline.id]))
        for pipeline in pipelines
    ]


def _check(pipeline: AttackedPipeline, finder: CounterpartFinder) -> AttackedPipeline:
    """Return a pipeline with its results, for which the runs without purifier on all its samples are looked at."""
    if pipeline.first.defended:
        runs = {row.sample_key: row.run for row in pipeline.list_valid(["adaptive"])}
        found = {run.id: run for one in runs.values() for run in finder.list_undefended(one)}
        pipeline = replace(pipeline, undefended=tuple(found.values()))
    others = tuple(CheckedRow(row, check_row(pipeline, row)) for row in list_other_subjects(pipeline))
    return replace(pipeline, checks=check_headline(pipeline), other_norms=others)


def _build_rows(run: Run, finder: CounterpartFinder) -> Iterator[Row]:
    for index, eps in enumerate(run.recipe.eps):
        yield Row(run, index, finder.find(run, eps) if run.defended else Measured(run, index))


def _list_networks(shelf: _Shelf, rows: Iterable[Row], more: Iterable[Manifest], labels: Labels) -> Iterator[Network]:
    """Yield the trained entries that have something to show: those behind the rows, then more in a fixed order."""
    entries = {entry.id: entry for run in list_runs_of(rows) for entry in list_parents(run)}
    entries |= {entry.id: entry for entry in sorted(more, key=_order_entry) if entry.id not in entries}
    for entry in entries.values():
        network = shelf.read_network(entry)
        if network.history or network.views:
            yield replace(network, dataset=name_dataset(entry.recipe.dataset, labels))


def _order_entry(entry: Manifest) -> tuple[str, ...]:
    dataset = entry.recipe.dataset
    return dataset.name, dataset.title, dataset.digest, entry.id
