"""Which runs a report is about."""

from __future__ import annotations

from collections.abc import Sequence

from advae.datasets import DATASETS, load_dataset
from advae.errors import NotFoundError
from advae.records import Manifest
from advae.workflows.workspace import Workspace


def choose_runs(workspace: Workspace, refs: Sequence[str], dataset_name: str | None) -> list[Manifest]:
    """Return the runs that are named, or that rest on what is named; all, where nothing is. Newest first.

    dataset_name: only runs on this dataset. Raises NotFoundError where that leaves none.
    """
    registry = workspace.registry
    runs, corrupt = registry.scan("run")
    for error in corrupt.values():
        workspace.tell(f"left out: {error}")
    if refs:
        named = {registry.resolve(ref).id for ref in refs}
        runs = [run for run in runs if named & _lineage(workspace, run)]
    if dataset_name in DATASETS:
        runs = [run for run in runs if run.recipe.dataset.name == dataset_name]
    elif dataset_name:
        digest = load_dataset(dataset_name, data_dir=workspace.data_dir).ref.digest
        runs = [run for run in runs if run.recipe.dataset.digest == digest]
    if not runs:
        what = f" of {', '.join(refs)}" if refs else f" on dataset {dataset_name!r}" if dataset_name else ""
        raise NotFoundError(f"no run{what} in {registry.home}; `advae attack --method fgsm --eps 0.1` makes one")
    return runs


def _lineage(workspace: Workspace, run: Manifest) -> set[str]:
    """Return the run, its classifier and that one's purifier; not the twin, which only lent its gradient."""
    classifier = run.parents[0]
    return {run.id, classifier, *workspace.registry.manifest(classifier).parents}
