"""Which runs a report is about."""

from __future__ import annotations

from collections.abc import Sequence

from advae.errors import CorruptError, NotFoundError
from advae.pipelines import find_purifier
from advae.quoting import quote_word
from advae.records import OUTCOMES, SAMPLES, Manifest
from advae.workflows.workspace import Workspace, identify_dataset


def choose_runs(workspace: Workspace, refs: Sequence[str], dataset_name: str | None) -> list[Manifest]:
    """Return the runs that are named, or that rest on what is named; all, where nothing is. Newest first.

    dataset_name: only runs on this dataset. Raises NotFoundError where that leaves none.
    """
    registry = workspace.registry
    runs, corrupt = registry.scan("run")
    for error in corrupt.values():
        workspace.tell(f"left out: {error}")
    named = {registry.resolve_id(ref) for ref in refs}
    lineages = {run.id: _trace(workspace, run, must=run.id in named) for run in runs}
    runs = [run for run in runs if lineages[run.id] and (not refs or named & lineages[run.id])]
    if dataset_name:
        wanted = identify_dataset(dataset_name, workspace.data_dir)
        runs = [run for run in runs if wanted in (run.recipe.dataset.name, run.recipe.dataset.digest)]
    if not runs:
        of = f" --dataset {quote_word(dataset_name)}" if dataset_name else ""
        what = f" of {', '.join(refs)}" if refs else f" on dataset {dataset_name!r}" if dataset_name else ""
        raise NotFoundError(f"no run{what} in {registry.home}; `advae attack --method fgsm --eps 0.1{of}` makes one")
    return runs


def _trace(workspace: Workspace, run: Manifest, *, must: bool) -> set[str]:
    """Return the run, its classifier and that one's purifier; not the twin, which only lent its gradient.

    Where one of them, or what the report shows of the run, cannot be read, people are told and nothing is returned;
    ``must`` raises instead.
    """
    registry = workspace.registry
    try:
        for name in (OUTCOMES, SAMPLES):
            registry.read_arrays(run, name)
        classifier = registry.manifest(run.parents[0])
        purifier = find_purifier(registry, classifier)
        # Those from before there were such images have none.
        if purifier and SAMPLES in purifier.artifacts:
            registry.read_arrays(purifier, SAMPLES)
        return {run.id, classifier.id, *([purifier.id] if purifier else [])}
    except (CorruptError, NotFoundError) as error:
        if must:
            raise
        workspace.tell(f"{run.id} is left out: {error}")
        return set()
