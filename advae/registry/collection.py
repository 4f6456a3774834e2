"""What a registry no longer needs: entries that no name and no run reaches, and what killed processes left."""

from __future__ import annotations

import functools
import math
import re
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from advae.errors import AdvaeError, CorruptError
from advae.identity import ID, KINDS, kind_of
from advae.registry import locks
from advae.registry.checkpoints import find_finished
from advae.registry.layout import DRAFT, remove_tree
from advae.registry.references import LATEST
from advae.registry.store import Registry

DEAD_AFTER = 24 * 3600.0
"""Seconds after which a draft's process is taken to be gone: a draft is written in seconds, or as fast as a pipe."""


LOCK = re.compile(rf"{ID.pattern}\.lock")


@dataclass(frozen=True)
class Garbage:
    """What could be removed: ids, dependants first; paths under tmp/, checkpoints/ and locks/.

    sizes: bytes of the artifacts, by id; known: all ids that there were.
    """

    entries: tuple[str, ...]
    sizes: dict[str, int]
    known: frozenset[str]
    drafts: tuple[Path, ...]
    locks: tuple[Path, ...]


def find_garbage(registry: Registry) -> Garbage:
    """Return what is reached by no tag, not by ``latest``, no run, and nothing that is being made; and dead drafts.

    A checkpoint is one once its entry is there: until then it is hours of somebody's work.

    Raises CorruptError where an entry cannot be read: what it needs is not known.
    """
    # In this order, so that what is published, named and unlocked between two looks is seen by the later one.
    reached = _find_wanted(registry)
    entries, corrupt = registry.glance()
    if corrupt:
        raise CorruptError(
            f"{', '.join(corrupt)} cannot be read, so what is still needed is not known; "
            "`advae registry verify` says why, `advae registry rm` removes it"
        )
    parents = {entry.id: entry.parents for entry in entries}
    reached |= {id_ for id_ in parents if kind_of(id_) == "run"}
    queue = list(reached)
    while queue:
        new = set(parents.get(queue.pop(), ())) - reached
        reached |= new
        queue += new
    unreached = [entry for entry in entries if entry.id not in reached]
    order = [*TopologicalSorter({entry.id: entry.parents for entry in unreached}).static_order()][::-1]
    return Garbage(
        tuple(id_ for id_ in order if id_ in parents and id_ not in reached),
        {entry.id: entry.size for entry in unreached},
        frozenset(parents),
        (*_find_dead(registry.layout.tmp, DRAFT), *find_finished(registry.layout, parents.__contains__)),
        tuple(_find_dead(registry.layout.locks, LOCK)),
    )


def _find_wanted(registry: Registry) -> set[str]:
    """Return the ids that are being made, or that are named, and what those being made will rest on."""
    making = locks.find_in_making(registry.layout)
    named = {id_ for kind in KINDS if (id_ := registry.references.read(kind, LATEST))} | set(registry.tags())
    return named | set(making) | {parent for parents in making.values() for parent in parents}


def _find_dead(folder: Path, name: re.Pattern[str]) -> list[Path]:
    """Return what lies there for long under a name of ours. A home may be a folder that others keep things in, too."""
    limit = time.time() - DEAD_AFTER
    found = sorted(folder.iterdir()) if folder.is_dir() else ()
    return [path for path in found if name.fullmatch(path.name) and _read_time(path) < limit]


def _read_time(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        # Its process has finished meanwhile.
        return math.inf


def remove_garbage(registry: Registry, garbage: Garbage, on_removed: Callable[[str], None] = lambda id_: None) -> None:
    """Remove what ``find_garbage`` found, telling each id that is gone. Raises DiskError.

    What somebody has named, or has begun to build on, since it was found stays.
    """
    for id_ in garbage.entries:
        if registry.remove_unless(id_, functools.partial(_is_needed, registry, garbage, id_)):
            on_removed(id_)
    for path in garbage.drafts:
        remove_tree(path)
    for path in garbage.locks:
        locks.remove_unused(path)


def _is_needed(registry: Registry, garbage: Garbage, id_: str) -> bool:
    return id_ in _find_wanted(registry) or id_ in _find_needed(registry, garbage.known)


def _find_needed(registry: Registry, known: Collection[str]) -> set[str]:
    """Return what the entries rest on that were published since ``known`` was all that there is."""
    found: set[str] = set()
    for id_ in registry.ids():
        if id_ not in known:
            with suppress(AdvaeError):
                found |= set(registry.glance_at(id_).parents)
    return found
