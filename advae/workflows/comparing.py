"""Comparison of two entries of the registry, from their records alone."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from advae.errors import NotFoundError, UsageError
from advae.identity import Kind, kind_of
from advae.registry import Registry
from advae.report.analysis.collecting import compare_runs
from advae.report.analysis.side_by_side import compare_two_pipelines, compare_two_runs

if TYPE_CHECKING:
    from advae.records import Manifest
    from advae.report.analysis.side_by_side import SideBySide

KIND_WORDS = {
    "ae": "a purifier",
    "clf": "a classifier",
    "run": "a run",
    "cert": "a certificate",
    "surface": "a decision surface",
    "code": "an attack on a code",
}
"""Kind of an entry -> what error lines call it."""


def compare_entries(registry: Registry, first: str, second: str, eps: Collection[float] = ()) -> SideBySide:
    """Return two runs, or two classifiers with their purifiers, beside each other.

    first, second: references; eps: only these, empty for all that both have. Raises UsageError for entries that cannot
    be compared, NotFoundError where one is missing or a classifier has no run, and what the registry raises.
    """
    ids = [registry.resolve_id(ref) for ref in (first, second)]
    kinds = {kind_of(id_) for id_ in ids}
    _refuse(ids, kinds)
    manifests = [manifest for id_ in ids for manifest in _find_runs(registry, id_)]
    comparison = compare_runs(registry, manifests)
    if kinds == {"run"}:
        mine, theirs = (tuple(row for row in comparison.rows if row.id == id_ and row.eps > 0) for id_ in ids)
        return compare_two_runs(mine, theirs, eps)
    pipelines = {pipeline.id: pipeline for pipeline in comparison.pipelines}
    return compare_two_pipelines(pipelines[ids[0]], pipelines[ids[1]], eps)


def _refuse(ids: list[str], kinds: set[Kind]) -> None:
    """Raise UsageError for entries of unlike kinds, of kinds that are not compared, and for one entry twice."""
    for id_ in ids:
        if kind_of(id_) not in ("run", "clf"):
            what = KIND_WORDS[kind_of(id_)]
            raise UsageError(f"diff compares two runs or two classifiers; {id_} is {what}")
    if len(kinds) > 1:
        what = " and ".join(f"{id_} is {KIND_WORDS[kind_of(id_)]}" for id_ in ids)
        raise UsageError(f"diff compares two runs or two classifiers; {what}")
    if ids[0] == ids[1]:
        raise UsageError(f"diff needs two different entries; both are {ids[0]}")


def _find_runs(registry: Registry, id_: str) -> list[Manifest]:
    """Return a run, or the runs of a classifier. Raises NotFoundError where it has none."""
    if kind_of(id_) == "run":
        return [registry.manifest(id_)]
    found = [manifest for manifest in registry.entries("run") if manifest.parents[0] == id_]
    if not found:
        raise NotFoundError(f"{id_} has no run to compare; `advae attack --method pgd --eps 0.1 --clf {id_}` makes one")
    return found
