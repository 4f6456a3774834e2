"""What a registry no longer needs: entries that no name and no run reaches, and what killed processes left."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from advae.errors import CorruptError
from advae.identity import ID, KINDS
from advae.registry import locks
from advae.registry.references import LATEST
from advae.registry.store import Registry

DEAD_AFTER = 24 * 3600.0
"""Seconds after which a draft's process is taken to be gone; a draft is written in seconds."""


@dataclass(frozen=True)
class Garbage:
    """What could be removed: ids, dependants first, and the bytes of their artifacts; paths under tmp/ and locks/."""

    entries: tuple[str, ...]
    size: int
    drafts: tuple[Path, ...]
    locks: tuple[Path, ...]


def find_garbage(registry: Registry) -> Garbage:
    """Return what is reached by no tag, not by ``latest``, no run, and nothing that is being made; and dead drafts.

    Raises CorruptError where an entry cannot be read: what it needs is not known.
    """
    entries, corrupt = registry.glance()
    if corrupt:
        raise CorruptError(
            f"{', '.join(corrupt)} cannot be read, so what is still needed is not known; "
            "`advae registry verify` says why, `advae registry rm` removes it"
        )
    parents = {entry.id: entry.parents for entry in entries}
    reached = {id_ for id_ in parents if id_.startswith("run-")} | set(registry.tags())
    reached |= {id_ for kind in KINDS if (id_ := registry.references.read(kind, LATEST))}
    for id_, needed in locks.find_in_making(registry.layout).items():
        reached |= {id_, *needed}
    queue = list(reached)
    while queue:
        new = set(parents.get(queue.pop(), ())) - reached
        reached |= new
        queue += new
    unreached = [entry for entry in entries if entry.id not in reached]
    order = [*TopologicalSorter({entry.id: entry.parents for entry in unreached}).static_order()][::-1]
    return Garbage(
        tuple(id_ for id_ in order if id_ in parents and id_ not in reached),
        sum(entry.size for entry in unreached),
        tuple(_find_dead(registry.layout.tmp)),
        tuple(path for path in _find_dead(registry.layout.locks) if ID.fullmatch(path.stem)),
    )


def _find_dead(folder: Path) -> list[Path]:
    limit = time.time() - DEAD_AFTER
    found = sorted(folder.iterdir()) if folder.is_dir() else ()
    return [path for path in found if path.lstat().st_mtime < limit]


def remove_garbage(registry: Registry, garbage: Garbage) -> None:
    """Remove what ``find_garbage`` found. Raises DiskError."""
    for id_ in garbage.entries:
        registry.remove_alone(id_)
    with registry.layout.writing():
        for path in garbage.drafts:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    for path in garbage.locks:
        locks.remove_unused(path)
