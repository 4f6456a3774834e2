"""Whether all that lies in a registry is what was stored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from advae.arrayfiles import DAMAGED, check_stored_arrays, explain
from advae.errors import CorruptError, NotFoundError
from advae.registry.layout import MANIFEST
from advae.registry.store import Registry


def find_problems(registry: Registry, id_: str, *, ids: Collection[str] | None = None) -> list[str]:
    """Return what is wrong with an entry, a line each: every file is read and compared with what was stored.

    ids: all that there are, where the caller knows.
    """
    try:
        manifest = registry.manifest(id_)
    except (CorruptError, NotFoundError) as error:
        return [str(error)]
    folder = registry.layout.entries / id_
    known = {MANIFEST, *manifest.artifacts}
    problems = [
        f"{path} is nothing that {MANIFEST} names" for path in sorted(folder.iterdir()) if path.name not in known
    ]
    for name in manifest.artifacts:
        try:
            check_stored_arrays(registry.locate(manifest, name))
        except CorruptError as error:
            problems.append(str(error))
        except DAMAGED as error:
            problems.append(f"{folder / name} holds no arrays: {explain(error)}")
    there = set(registry.ids()) if ids is None else ids
    return problems + [
        f"{id_} rests on {parent}, which is not there" for parent in manifest.parents if parent not in there
    ]


def verify(registry: Registry, ids: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each id with what is wrong with its entry; nothing, where all is well."""
    there = set(registry.ids())
    for id_ in ids:
        yield id_, find_problems(registry, id_, ids=there)


def find_broken_references(registry: Registry) -> dict[Path, str]:
    """Return the files of tags that stand for no entry, and why."""
    return registry.references.find_broken(set(registry.ids()))
