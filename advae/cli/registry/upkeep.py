"""``advae registry init``, ``rm``, ``verify`` and ``gc``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from advae.cli.option_groups import SESSION, OptionalRefArgument, RefArgument, grouped
from advae.cli.session import Session
from advae.errors import CorruptError
from advae.paths import to_path

if TYPE_CHECKING:
    from advae.registry.collection import Garbage


@grouped(session=SESSION)
def make_home(
    session: Session,
    folder: Annotated[Path, typer.Argument(metavar="DIR", parser=to_path, help="Also one that is not empty.")],
) -> None:
    """Make a folder a registry, whatever else lies in it; prints its path, for --home."""
    from advae.registry import Registry

    home = folder.absolute()
    Registry(home).folders.adopt()
    session.put({"home": str(home)}, str(home))


@grouped(session=SESSION)
def remove_entry(
    ref: RefArgument,
    session: Session,
    recursive: Annotated[bool, typer.Option("--recursive", help="Also what depends on it.")] = False,
) -> None:
    """Remove an entry and its names; refused while another entry depends on it."""
    id_, gone = session.registry.resolve_id(ref), list[str]()
    try:
        session.registry.remove(id_, recursive=recursive, on_removed=gone.append)
    finally:
        # Also where it ends half-way: what is gone is gone.
        if gone:
            session.put({"removed": gone}, "\n".join(gone))


@grouped(session=SESSION)
def verify_entries(session: Session, ref: OptionalRefArgument = None) -> None:
    """Read every file of an entry and of what it rests on, or of all entries; print the ids of damaged ones."""
    from advae.registry.verification import find_all_problems, find_broken_references

    registry = session.registry
    ids = [*registry.glance_at_lineage(registry.resolve_id(ref))] if ref else registry.ids()
    problems = dict(find_all_problems(registry, ids))
    damaged = {id_: found for id_, found in problems.items() if found}
    references = {} if ref else {str(path): why for path, why in find_broken_references(registry).items()}
    for line in [line for found in damaged.values() for line in found]:
        session.complain(line)
    for path, why in references.items():
        session.complain(f"{path}: {why}; removing it mends that")
    session.put({"checked": len(ids), "damaged": damaged, "references": references}, "\n".join(damaged))
    if damaged or references:
        names = f", {len(references)} of the references" if references else ""
        raise CorruptError(f"{len(damaged)} of {len(ids)} entries{names} are damaged")
    session.tell(f"{len(ids)} {'entry is' if len(ids) == 1 else 'entries are'} as stored")


@grouped(session=SESSION)
def collect_garbage(
    session: Session,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    no_grace: Annotated[
        bool, typer.Option("--no-grace", help="Also entries that came to this disk less than a day ago.")
    ] = False,
) -> None:
    """Remove entries that no tag, no run and no `latest` reaches, and what killed processes left, after a day."""
    from advae.registry.collection import find_garbage, remove_garbage

    registry = session.registry
    garbage = find_garbage(registry, grace=not no_grace)
    gone: list[str | Path] = [*garbage.entries, *garbage.drafts, *garbage.locks] if dry_run else []
    try:
        if not dry_run:
            remove_garbage(registry, garbage, gone.append)
    finally:
        # Also where it ends half-way: what is gone is gone.
        _put_collected(session, garbage, gone, dry_run=dry_run)


def _put_collected(session: Session, garbage: Garbage, gone: list[str | Path], *, dry_run: bool) -> None:
    """Print the ids that are gone, and tell what else is."""
    ids = [one for one in gone if isinstance(one, str)]
    paths = [one for one in gone if isinstance(one, Path)]
    drafts = [path.name for path in paths if path in garbage.drafts]
    size = sum(garbage.sizes[id_] for id_ in ids)
    what = f"{len(ids)} entries ({size / 1e6:.2f} MB) and {len(paths)} left-over files"
    session.tell_lines([f"{what} {'would be' if dry_run else 'were'} removed", *map(str, paths)])
    if garbage.young:
        session.tell(f"{garbage.young} entries came here less than a day ago and stay; --no-grace removes them, too")
    session.put(
        {"dry_run": dry_run, "entries": ids, "bytes": size, "drafts": drafts}
        | {"paths": [str(path) for path in paths], "young": garbage.young},
        "\n".join(ids),
    )
