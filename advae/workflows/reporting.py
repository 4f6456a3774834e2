"""Choice of the runs, certificates, decision surfaces and attacks on codes of a report."""

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
    """The runs, certificates, decision surfaces and attacks on codes of a report."""

    runs: tuple[Manifest, ...]
    """Manifests of the runs, the newest first."""
    certificates: tuple[Manifest, ...]
    """Manifests of the certificates, the newest first; their classifiers may have no run."""
    surfaces: tuple[Manifest, ...]
    """Manifests of the decision surfaces, the newest first; their classifiers may have no run."""
    code_attacks: tuple[Manifest, ...]
    """Manifests of the attacks on codes, the newest first; they need no classifier."""
    named: frozenset[str]
    """Ids that the user named; each must be in the report."""
    excluded: dict[str, str]
    """Id -> reason, for each of them that is excluded because its manifest, or a parent's, cannot be read."""


def choose_runs(workspace: Workspace, refs: Sequence[str], dataset_name: str | None) -> Chosen:
    """Return the named results, and those of the classifiers and purifiers that are named or that these belong to; all
    where nothing is named. A surface brings those that are side by side with it, an attack on a code only itself.

    dataset_name: only those on this dataset. Raises NotFoundError where there is none.
    """
    registry = workspace.registry
    runs, corrupt = registry.scan("run")
    surfaces, unreadable = registry.scan("surface")
    corrupt |= unreadable
    # The report itself names the certificates that cannot be read.
    steered, unreadable = registry.scan("code")
    corrupt |= unreadable
    entries = [*runs, *registry.scan("cert")[0], *surfaces, *steered]
    excluded = {id_: str(error) for id_, error in corrupt.items()}
    named = frozenset(registry.resolve_id(ref) for ref in refs)
    for id_ in named & corrupt.keys():
        raise corrupt[id_]
    wanted_ids = named | {registry.manifest(id_).parents[0] for id_ in named if kind_of(id_) == "cert"}
    wanted_ids |= {one for id_ in named if kind_of(id_) == "surface" for one in registry.manifest(id_).parents}
    if dataset_name:
        wanted = identify_dataset(dataset_name, workspace.data_dir, workspace.resize)
        entries = [one for one in entries if _is_of(one, wanted)]
    chosen = []
    for entry in entries:
        try:
            if not refs or wanted_ids & _trace(workspace, entry):
                chosen.append(entry)
        except (CorruptError, NotFoundError) as error:
            if entry.id in named:
                raise
            excluded[entry.id] = str(error)
    if not chosen:
        of = f" --dataset {quote_word(dataset_name)}" if dataset_name else ""
        what = f" of {', '.join(refs)}" if refs else f" on dataset {dataset_name!r}" if dataset_name else ""
        why = next((f"; {id_} is excluded: {reason}" for id_, reason in excluded.items()), "")
        make = "" if why else f"; `advae attack --method fgsm --eps 0.1{of}` makes one"
        raise NotFoundError(f"no run{what} in {registry.home}{why or make}")
    kinds = ("run", "cert", "surface", "code")
    found, proofs, looks, codes = (tuple(one for one in chosen if one.kind == kind) for kind in kinds)
    return Chosen(found, proofs, looks, codes, named, excluded)


def _is_of(entry: Manifest, wanted: str) -> bool:
    """Return whether an entry is of a dataset or a part of it. wanted: its name, or its digest."""
    dataset = entry.recipe.dataset
    return wanted in (dataset.name, dataset.whole_digest)


def _trace(workspace: Workspace, entry: Manifest) -> set[str]:
    """Return the ids of a result, its classifier and its purifier, but of no other parent.

    Raises the registry's errors where one of them cannot be read.
    """
    if entry.kind == "code":
        return {entry.id, *entry.parents}
    classifier = workspace.registry.manifest(entry.parents[0])
    purifier = find_purifier(workspace.registry, classifier)
    return {entry.id, classifier.id, *([purifier.id] if purifier else [])}
