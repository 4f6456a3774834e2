"""Choice of the runs of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from advae.errors import CorruptError, NotFoundError
from advae.evaluation.pipelines import find_purifier
from advae.identity import kind_of
from advae.quoting import quote_word
from advae.records import Manifest
from advae.workflows.workspace import Workspace, identify_dataset


@dataclass(frozen=True)
class Chosen:
    """The runs of a report."""

    runs: tuple[Manifest, ...]
    """Manifests of the runs, the newest first."""
    named: frozenset[str]
    """Ids that the user named; each must be in the report."""
    excluded: dict[str, str]
    """Id -> reason, for each run that is excluded because its manifest, or a parent's, cannot be read."""


def choose_runs(workspace: Workspace, refs: Sequence[str], dataset_name: str | None) -> Chosen:
    """Return the named runs and those of named classifiers, purifiers and certificates; all where nothing is named.

    The report reads the certificates of their classifiers, too.
    dataset_name: only runs on this dataset. Raises NotFoundError where there is none.
    """
    registry = workspace.registry
    runs, corrupt = registry.scan("run")
    excluded = {id_: str(error) for id_, error in corrupt.items()}
    named = frozenset(registry.resolve_id(ref) for ref in refs)
    for id_ in named & corrupt.keys():
        raise corrupt[id_]
    wanted_ids = named | {registry.manifest(id_).parents[0] for id_ in named if kind_of(id_) == "cert"}
    if dataset_name:
        wanted = identify_dataset(dataset_name, workspace.data_dir, workspace.resize)
        runs = [run for run in runs if wanted in (run.recipe.dataset.name, run.recipe.dataset.digest)]
    chosen = []
    for run in runs:
        try:
            if not refs or wanted_ids & _trace(workspace, run):
                chosen.append(run)
        except (CorruptError, NotFoundError) as error:
            if run.id in named:
                raise
            excluded[run.id] = str(error)
    if not chosen:
        of = f" --dataset {quote_word(dataset_name)}" if dataset_name else ""
        what = f" of {', '.join(refs)}" if refs else f" on dataset {dataset_name!r}" if dataset_name else ""
        why = next((f"; {id_} is excluded: {reason}" for id_, reason in excluded.items()), "")
        make = "" if why else f"; `advae attack --method fgsm --eps 0.1{of}` makes one"
        raise NotFoundError(f"no run{what} in {registry.home}{why or make}")
    return Chosen(tuple(chosen), named, excluded)


def _trace(workspace: Workspace, run: Manifest) -> set[str]:
    """Return the ids of a run, its classifier and its purifier, without undefended counterpart and surrogate.

    Raises the registry's errors where one of them cannot be read.
    """
    classifier = workspace.registry.manifest(run.parents[0])
    purifier = find_purifier(workspace.registry, classifier)
    return {run.id, classifier.id, *([purifier.id] if purifier else [])}
