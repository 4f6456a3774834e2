"""``advae registry rm``, ``verify`` and ``gc``."""

from __future__ import annotations

from typing import Annotated

import typer

from advae.cli.groups import SESSION, OptionalRefArgument, RefArgument, grouped
from advae.cli.session import Session
from advae.errors import CorruptError


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
    from advae.registry.verification import find_broken_references, verify

    registry = session.registry
    ids = [*registry.glance_at_lineage(registry.resolve_id(ref))] if ref else registry.ids()
    problems = dict(verify(registry, ids))
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
) -> None:
    """Remove entries that no tag, no run and no `latest` reaches, and what killed processes left over a day ago."""
    from advae.registry.collection import find_garbage, remove_garbage

    registry = session.registry
    garbage = find_garbage(registry)
    gone: list[str] = []
    try:
        if dry_run:
            gone += garbage.entries
        else:
            remove_garbage(registry, garbage, gone.append)
    finally:
        # Also where it ends half-way: what is gone is gone.
        size = sum(garbage.sizes[id_] for id_ in gone)
        drafts = [path.name for path in garbage.drafts]
        what = f"{len(gone)} entries ({size / 1e6:.2f} MB) and {len(drafts)} left-over drafts"
        session.tell(f"{what} {'would be' if dry_run else 'were'} removed")
        session.put({"dry_run": dry_run, "entries": gone, "bytes": size, "drafts": drafts}, "\n".join(gone))
