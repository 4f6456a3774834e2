"""``advae registry init``, ``tag``, ``untag``, ``rm``, ``verify`` and ``gc``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from advae.cli.entry_names import name_entry
from advae.cli.option_groups import SESSION, OptionalRefArgument, RefArgument, complete_tags, grouped
from advae.cli.session import Session
from advae.errors import CorruptError
from advae.paths import to_path

if TYPE_CHECKING:
    from advae.registry.collection import Garbage


@grouped(session=SESSION)
def make_home(
    session: Session,
    folder: Annotated[Path, typer.Argument(metavar="DIR", parser=to_path, help="The folder; it need not be empty.")],
) -> None:
    """Make a folder a registry, also one with other files; prints its path, for --home."""
    from advae.registry import Registry

    home = folder.absolute()
    Registry(home).folders.adopt()
    session.put({"home": str(home)}, str(home))


@grouped(session=SESSION)
def tag_entry(ref: RefArgument, name: Annotated[str, typer.Argument(metavar="NAME")], session: Session) -> None:
    """Give an entry a tag; the tag moves if another entry of its kind has it."""
    manifest = session.registry.resolve(ref)
    name_entry(session, manifest, name)
    session.put({"id": manifest.id, "tag": name}, manifest.id)


@grouped(session=SESSION)
def untag_entry(
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete_tags)], session: Session
) -> None:
    """Remove a tag; the entry stays."""
    ids = session.registry.untag(name)
    session.put({"tag": name, "ids": ids}, "\n".join(ids))


@grouped(session=SESSION)
def remove_entry(
    ref: RefArgument,
    session: Session,
    recursive: Annotated[bool, typer.Option("--recursive", help="Also remove the entries that depend on it.")] = False,
) -> None:
    """Remove an entry and its names; refused while another entry depends on it."""
    id_, gone = session.registry.resolve_id(ref), list[str]()
    try:
        session.registry.remove(id_, recursive=recursive, on_removed=gone.append)
    finally:
        # Also after an error, because these entries were removed.
        if gone:
            session.put({"removed": gone}, "\n".join(gone))


@grouped(session=SESSION)
def verify_entries(session: Session, ref: OptionalRefArgument = None) -> None:
    """Check every file of an entry and its ancestors, or of all entries; prints the ids of damaged ones."""
    from advae.registry.verification import find_all_problems, find_broken_references

    registry = session.registry
    ids = [*registry.summarize_lineage(registry.resolve_id(ref))] if ref else registry.ids()
    problems = dict(find_all_problems(registry, ids))
    damaged = {id_: found for id_, found in problems.items() if found}
    references = {} if ref else {str(path): why for path, why in find_broken_references(registry).items()}
    for line in [line for found in damaged.values() for line in found]:
        session.complain(line)
    for path, why in references.items():
        session.complain(f"{path}: {why}; removing the file repairs that")
    session.put({"checked": len(ids), "damaged": damaged, "references": references}, "\n".join(damaged))
    if damaged or references:
        names = f", {len(references)} of the references" if references else ""
        raise CorruptError(f"{len(damaged)} of {len(ids)} entries{names} are damaged")
    session.tell(f"{len(ids)} {'entry is' if len(ids) == 1 else 'entries are'} undamaged")


@grouped(session=SESSION)
def collect_garbage(
    session: Session,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    no_grace: Annotated[
        bool, typer.Option("--no-grace", help="Also entries that came to this disk less than a day ago.")
    ] = False,
) -> None:
    """Remove entries that no tag, run or `latest` needs, and files of killed processes, if older than a day."""
    from advae.registry.collection import find_garbage, remove_garbage

    registry = session.registry
    garbage = find_garbage(registry, grace=not no_grace)
    gone: list[str | Path] = [*garbage.entries, *garbage.drafts, *garbage.locks] if dry_run else []
    try:
        if not dry_run:
            remove_garbage(registry, garbage, gone.append)
    finally:
        # Also after an error, because these entries were removed.
        _put_collected(session, garbage, gone, dry_run=dry_run)


def _put_collected(session: Session, garbage: Garbage, gone: list[str | Path], *, dry_run: bool) -> None:
    """Print the ids of removed entries, and show the other removed files."""
    ids = [one for one in gone if isinstance(one, str)]
    paths = [one for one in gone if isinstance(one, Path)]
    drafts = [path.name for path in paths if path in garbage.drafts]
    size = sum(garbage.sizes[id_] for id_ in ids)
    what = f"{len(ids)} entries ({size / 1e6:.2f} MB) and {len(paths)} left-over files"
    session.tell_lines([f"{what} {'would be' if dry_run else 'were'} removed", *map(str, paths)])
    if garbage.young:
        session.tell(
            f"{garbage.young} entries came here less than a day ago and are kept; --no-grace removes them, too"
        )
    session.put(
        {"dry_run": dry_run, "entries": ids, "bytes": size, "drafts": drafts}
        | {"paths": [str(path) for path in paths], "young": garbage.young},
        "\n".join(ids),
    )
