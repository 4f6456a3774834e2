"""``advae registry ls`` and ``show``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from advae.cli.entry_names import say_moment
from advae.cli.list_layout import is_table, separate, tabulate
from advae.cli.option_groups import SESSION, RefArgument, complete_names, complete_tags, grouped
from advae.cli.options import DataDirOption, DatasetOption, LongOption, ResizeOption
from advae.cli.registry.lineage import build_tree, draw_tree, list_steps
from advae.cli.session import Session
from advae.errors import CorruptError, UsageError, printable, unknown
from advae.identity import KINDS

if TYPE_CHECKING:
    from advae.records import Manifest
    from advae.registry import EntrySummary

COLUMNS = ("id", "tags", "dataset", "created", "size", "what")
SPARE = ("size", "created", "dataset", "tags")
"""Columns that a narrow terminal has no room for, the first to be left out first."""
FIELDS = ("id", "kind", "dataset", "tags", "created", "bytes", "imported", "what")
"""Titles of the fields of ``-l`` in a pipe."""


@grouped(session=SESSION)
def list_entries(
    session: Session,
    kind: Annotated[
        str | None,
        typer.Option("--kind", metavar="KIND", help=f"{', '.join(KINDS)}.", autocompletion=complete_names(KINDS)),
    ] = None,
    dataset: DatasetOption = None,
    data_dir: DataDirOption = None,
    resize: ResizeOption = None,
    tag: Annotated[
        str | None,
        typer.Option("--tag", metavar="NAME", help="Only entries with this tag.", autocompletion=complete_tags),
    ] = None,
    long: LongOption = False,
) -> None:
    """List the entries, newest first: at a terminal as a table, in a pipe their ids."""
    if kind is not None and kind not in KINDS:
        raise UsageError(unknown("kind", kind, KINDS))
    registry = session.registry
    entries, corrupt = registry.list_summaries(kind)
    tags = registry.tags()
    if dataset is not None:
        from advae.workflows import identify_dataset

        wanted = identify_dataset(dataset, data_dir, resize)
        entries = [entry for entry in entries if wanted in (entry.dataset_name, entry.dataset_digest)]
    if tag is not None:
        entries = [entry for entry in entries if tag in tags.get(entry.id, [])]
    for error in corrupt.values():
        session.complain(str(error))
    if session.as_json:
        found = [_describe_row(entry, tags) for entry in entries]
        session.put([*found, *({"id": id_, "corrupt": str(error)} for id_, error in corrupt.items())], "")
        return
    if is_table() and not entries:
        session.tell("no entry is listed")
    elif is_table() and not session.quiet:
        session.put(None, tabulate([COLUMNS, *(_list_cells(entry, tags) for entry in entries)], SPARE))
    elif long:
        session.put(None, separate([FIELDS, *(_list_fields(entry, tags) for entry in entries)]))
    else:
        session.put(None, "\n".join(entry.id for entry in entries))


def _describe_row(entry: EntrySummary, tags: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "id": entry.id,
        "kind": entry.kind,
        "dataset": entry.dataset,
        "summary": entry.what,
        "tags": tags.get(entry.id, []),
        "created": entry.created,
        "bytes": entry.size,
        "imported": entry.imported,
    }


def _list_cells(entry: EntrySummary, tags: dict[str, list[str]]) -> tuple[str, ...]:
    """Return the cells of an entry for people, by COLUMNS."""
    return (
        entry.id,
        ",".join(tags.get(entry.id, [])),
        entry.dataset,
        entry.created[:16].replace("T", " "),
        f"{entry.size / 1e6:8.2f} MB",
        entry.what + (f", imported {entry.imported[:10]}" if entry.imported else ""),
    )


def _list_fields(entry: EntrySummary, tags: dict[str, list[str]]) -> tuple[str, ...]:
    """Return the fields of an entry for programs, by FIELDS."""
    row = _describe_row(entry, tags) | {"tags": ",".join(tags.get(entry.id, [])), "what": entry.what}
    return tuple(str(row[name] or "") for name in FIELDS)


# ---------------------------------------------------------------- show


@grouped(session=SESSION)
def show_entry(ref: RefArgument, session: Session) -> None:
    """Print an entry as JSON, at a terminal as text. Exit 4 where it is damaged."""
    registry = session.registry
    manifest = registry.resolve(ref)
    lineage = registry.summarize_lineage(manifest.id)
    document = manifest.model_dump(mode="json") | {
        "tags": registry.tags().get(manifest.id, []),
        "bytes": registry.size(manifest),
        "bytes_with_ancestors": sum(entry.size for entry in lineage.values() if entry),
        "imported": manifest.imported,
        "lineage": build_tree(list_steps(registry, manifest.id)),
        "ancestors": [id_ for id_ in lineage if id_ != manifest.id],
    }
    if session.as_json or session.quiet or not sys.stdout.isatty():
        session.put(document, json.dumps(document, indent=2))
    _tell_of_entry(session, document, manifest)
    from advae.registry.verification import find_problems

    problems = find_problems(registry, manifest.id)
    if problems:
        raise CorruptError(problems[0])


def _tell_of_entry(session: Session, document: dict[str, Any], manifest: Manifest) -> None:
    if session.quiet:
        return
    from rich.console import Group
    from rich.text import Text

    lines = [Text(printable(line)) for line in _describe(document, manifest)]
    session.tell(Group(*lines, draw_tree(list_steps(session.registry, manifest.id))))


def _describe(document: dict[str, Any], manifest: Manifest) -> Iterator[str]:
    """Yield the lines that describe an entry."""
    from advae.records import AutoencoderRecipe
    from advae.registry import NAMES

    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    baseline = isinstance(manifest.recipe, AutoencoderRecipe) and manifest.recipe.is_baseline
    name = "baseline" if baseline else NAMES[manifest.kind]
    yield f"{manifest.id}: {name}, made {manifest.created[:19].replace('T', ' ')} UTC with {versions}"
    if manifest.imported:
        yield f"imported {say_moment(manifest.imported)} from a bundle: its results were not computed here"
    yield f"tags: {', '.join(document['tags']) or 'none'}"
    sizes = [f"{document[name] / 1e6:.2f} MB" for name in ("bytes", "bytes_with_ancestors")]
    yield f"on disk: {sizes[0]}, with its ancestors {sizes[1]}"
    for part in ("recipe", "metrics"):
        yield f"{part}:"
        yield from (f"  {line}" for line in _flatten(document[part]))
    yield "lineage:"


def _flatten(value: Any, name: str = "") -> Iterator[str]:
    """Yield ``name: value`` for everything in a document; of long lists, their ends."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flatten(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for position, inner in enumerate(value):
            yield from _flatten(inner, f"{name}[{position}]")
    elif isinstance(value, list):
        ends = value if len(value) <= 10 else [*value[:2], "...", *value[-2:]]
        yield f"{name}: {', '.join(map(str, ends))}"
    else:
        yield f"{name}: {value}"
