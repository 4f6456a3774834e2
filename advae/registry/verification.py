"""Verification of a registry: every file is compared with its stored digest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from advae.arrayfiles import DAMAGED, check_stored_arrays, explain
from advae.errors import AdvaeError, NotFoundError
from advae.registry.entries import tell_of_changed
from advae.registry.folders import MANIFEST
from advae.registry.store import Registry


def find_problems(registry: Registry, id_: str, *, ids: Collection[str] | None = None) -> list[str]:
    """Return what is wrong with an entry, one line each: every file is read and compared with its digest.

    ids: all that there are, where the caller knows.
    """
    try:
        manifest = registry.manifest(id_)
    except NotFoundError:
        # Removed since it was listed.
        return []
    except AdvaeError as error:
        return [str(error)]
    folder = registry.folders.entries / id_
    known = {MANIFEST, *manifest.artifacts}
    problems = [f"{path} is not listed in {MANIFEST}" for path in _list(folder) if path.name not in known]
    for name in manifest.artifacts:
        try:
            check_stored_arrays(registry.locate(manifest, name))
        except NotFoundError:
            continue
        except AdvaeError as error:
            problems.append(str(error))
        except DAMAGED as error:
            problems.append(f"{folder / name} holds no arrays: {explain(error)}")
    problems += [tell_of_changed(id_, parent) for parent in registry.find_changed_parents(manifest)]
    there = set(registry.ids()) if ids is None else ids
    return problems + [
        f"{id_} depends on {parent}, which is missing" for parent in manifest.parents if parent not in there
    ]


def _list(folder: Path) -> list[Path]:
    """Return the files of a folder, without hidden files of file managers and networks."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def find_all_problems(registry: Registry, ids: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each id with the problems of its entry, an empty list for a sound one."""
    there = set(registry.ids())
    for id_ in ids:
        yield id_, find_problems(registry, id_, ids=there)


def find_broken_references(registry: Registry) -> dict[Path, str]:
    """Return the files of tags that name no entry, and why."""
    return registry.references.find_broken()
