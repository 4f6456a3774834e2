"""Which runs a report is about."""

from __future__ import annotations

from collections.abc import Sequence

from advae.errors import CorruptError, NotFoundError
from advae.records import Manifest
from advae.registry import Registry
from advae.workflows.workspace import Workspace, identify_dataset


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
        runs = [run for run in runs if named & _lineage(registry, run)]
    else:
        runs = [run for run in runs if _is_readable(workspace, run)]
    if dataset_name:
        wanted = identify_dataset(dataset_name, workspace.data_dir)
        runs = [run for run in runs if wanted in (run.recipe.dataset.name, run.recipe.dataset.digest)]
    if not runs:
        of = f" --dataset {dataset_name}" if dataset_name else ""
        what = f" of {', '.join(refs)}" if refs else f" on dataset {dataset_name!r}" if dataset_name else ""
        raise NotFoundError(f"no run{what} in {registry.home}; `advae attack --method fgsm --eps 0.1{of}` makes one")
    return runs


def _lineage(registry: Registry, run: Manifest) -> set[str]:
    """Return the run, its classifier and that one's purifier; not the twin, which only lent its gradient."""
    classifier = registry.manifest(run.parents[0])
    return {run.id, classifier.id, *(registry.manifest(purifier).id for purifier in classifier.parents)}


def _is_readable(workspace: Workspace, run: Manifest) -> bool:
    """Whether all that a run rests on can be read; if not, people are told that it is left out."""
    try:
        _lineage(workspace.registry, run)
    except (CorruptError, NotFoundError) as error:
        workspace.tell(f"{run.id} is left out: {error}")
        return False
    return True
