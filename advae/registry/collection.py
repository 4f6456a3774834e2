"""Garbage collection: entries that no name and no result needs, and files of killed processes."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from advae.errors import AdvaeError, CorruptError, DiskError
from advae.identity import KINDS, RESULTS, kind_of
from advae.registry import locks
from advae.registry.checkpoints import find_finished
from advae.registry.folders import DRAFT, FORMS, LOCK, PROBE, Folders
from advae.registry.references import LATEST
from advae.registry.store import Registry
from advae.registry.synced_files import remove_tree

DEAD_AFTER = 24 * 3600.0
"""Seconds after which a draft or an entry without a name counts as abandoned."""

REMOVED_TOGETHER = 1000
"""Number of entries that are moved aside before everything that might need them is read again."""

Parents = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Garbage:
    """What could be removed."""

    entries: tuple[str, ...]
    """Ids, dependants first."""
    sizes: dict[str, int]
    """Bytes of the artifacts of each of ``entries``."""
    parents: Parents
    """Parents of all entries that there were, by id."""
    arrived: dict[str, float]
    """Time at which each of ``entries`` came to this disk, in seconds since 1970."""
    drafts: tuple[Path, ...]
    """Abandoned drafts, and checkpoints of finished entries."""
    locks: tuple[Path, ...]
    """Abandoned locks."""
    young: int
    """Number of further entries that came less than a day ago or are needed by such."""


def find_garbage(registry: Registry, *, grace: bool = True) -> Garbage:
    """Return what no tag, no ``latest``, no result and no running command needs, and abandoned drafts.

    A checkpoint counts once its entry is there: before, it holds hours of work. grace: keep what came to this disk less
    than a day ago, and what that depends on.

    Raises CorruptError where an entry cannot be read: what it needs is not known; DiskError where a folder is a link.
    """
    # In this order, so that what is published, named and unlocked between two steps is seen by the later step.
    wanted = _find_wanted(registry)
    entries, corrupt = registry.list_summaries()
    if corrupt:
        raise CorruptError(
            f"{', '.join(corrupt)} cannot be read, so what is still needed is not known; "
            "`advae registry verify` says why, `advae registry rm` removes it"
        )
    _refuse_links(registry)
    parents = {entry.id: entry.parents for entry in entries}
    reached = _follow(parents, wanted | {id_ for id_ in parents if kind_of(id_) in RESULTS})
    arrived = {id_: _read_arrival(registry, id_) for id_ in parents if id_ not in reached}
    limit = time.time() - DEAD_AFTER
    kept = _follow(parents, (id_ for id_, at in arrived.items() if grace and at >= limit))
    going = {entry.id: entry for entry in entries if entry.id not in reached | kept}
    order = [*TopologicalSorter({id_: entry.parents for id_, entry in going.items()}).static_order()][::-1]
    folders = registry.folders
    probes = [path for place in (folders.entries, *_list_places(folders)) for path in _find_dead(place, PROBE)]
    return Garbage(
        entries=tuple(id_ for id_ in order if id_ in going),
        sizes={id_: entry.size for id_, entry in going.items()},
        parents=parents,
        arrived={id_: arrived[id_] for id_ in going},
        drafts=(*_find_dead(folders.tmp, DRAFT), *probes, *find_finished(folders, parents.__contains__)),
        locks=tuple(_find_dead(folders.locks, LOCK)),
        young=len(kept & parents.keys() - reached),
    )


def _refuse_links(registry: Registry) -> None:
    """Raise DiskError where a folder of the home is a link: the files behind it may belong to others."""
    places = [*(registry.home / name for name in FORMS), *_list_places(registry.folders)]
    links = [path for path in places if path.is_symlink()]
    if links:
        raise DiskError(f"{links[0]} is a link, through which nothing is removed; put a folder in its place")


def _list_places(folders: Folders) -> list[Path]:
    """Return the folders of the names."""
    return [folders.refs, *(folders.refs / kind for kind in KINDS)]


def _follow(parents: Parents, ids: Iterable[str]) -> set[str]:
    """Return ids and all that they depend on."""
    reached = set(ids)
    queue = list(reached)
    while queue:
        new = set(parents.get(queue.pop(), ())) - reached
        reached |= new
        queue += new
    return reached


def _find_wanted(registry: Registry) -> set[str]:
    """Return the ids that are being made or named, and those that running commands need."""
    making = locks.find_in_making(registry.folders)
    named = {id_ for kind in KINDS if (id_ := registry.references.read(kind, LATEST))} | set(registry.tags())
    return named | set(making) | {parent for parents in making.values() for parent in parents}


def _find_dead(folder: Path, name: re.Pattern[str]) -> list[Path]:
    """Return old files whose names have our form. A home may be a folder with foreign files."""
    limit = time.time() - DEAD_AFTER
    found = sorted(folder.iterdir()) if folder.is_dir() else ()
    return [path for path in found if name.fullmatch(path.name) and _read_time(path) < limit]


def _read_arrival(registry: Registry, id_: str) -> float:
    """Return when an entry came to this disk, in seconds since 1970. Copying does not keep this time."""
    try:
        return (registry.folders.entries / id_).lstat().st_ctime
    except FileNotFoundError:
        return math.inf


def _read_time(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        # Its process has finished meanwhile.
        return math.inf


def remove_garbage(
    registry: Registry, garbage: Garbage, on_removed: Callable[[str | Path], None] = lambda what: None
) -> None:
    """Remove what ``find_garbage`` found. on_removed: called with each id and each other path that was removed.

    Entries that were named, used or replaced since then are kept. Raises DiskError.
    """
    parents = dict(garbage.parents)

    def find_needed() -> set[str]:
        wanted = _find_wanted(registry)
        for id_ in registry.ids():
            if id_ not in parents:
                with suppress(AdvaeError):
                    parents[id_] = registry.read_summary(id_).parents
        return _follow(parents, wanted | (parents.keys() - garbage.parents.keys()))

    for start in range(0, len(garbage.entries), REMOVED_TOGETHER):
        ids, needed = garbage.entries[start : start + REMOVED_TOGETHER], find_needed()
        going = [id_ for id_ in ids if id_ not in needed and _read_arrival(registry, id_) == garbage.arrived[id_]]
        registry.remove_unless(going, find_needed, on_removed)
    for path in garbage.drafts:
        remove_tree(path)
    for path in garbage.locks:
        locks.remove_unused(path)
    for path in (*garbage.drafts, *garbage.locks):
        if not os.path.lexists(path):
            on_removed(path)
