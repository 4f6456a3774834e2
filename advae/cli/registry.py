"""``advae registry``: what is stored, and its names."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.table import Table

from advae.cli.options import SESSION, DataDirOption, DatasetOption, complete_names, complete_refs, grouped
from advae.cli.session import Session
from advae.errors import CorruptError, NotFoundError, UsageError, unknown
from advae.records import Manifest
from advae.registry import KINDS, Registry
from advae.workflows import identify_dataset

app = typer.Typer(no_args_is_help=True)

RefArgument = Annotated[str, typer.Argument(metavar="REF", autocompletion=complete_refs())]


@app.command("ls")
@grouped(session=SESSION)
def list_entries(
    session: Session,
    kind: Annotated[
        str | None,
        typer.Option("--kind", metavar="KIND", help=f"{', '.join(KINDS)}.", autocompletion=complete_names(KINDS)),
    ] = None,
    dataset: DatasetOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """List the entries, newest first."""
    if kind is not None and kind not in KINDS:
        raise UsageError(unknown("kind", kind, KINDS))
    registry = session.registry
    entries, corrupt = registry.scan(kind)
    if dataset is not None:
        wanted = identify_dataset(dataset, data_dir)
        entries = [entry for entry in entries if wanted in (entry.recipe.dataset.name, entry.recipe.dataset.digest)]
    tags = registry.tags()
    for error in corrupt.values():
        session.tell(f"advae: {error}")
    documents = [
        {
            "id": entry.id,
            "kind": entry.kind,
            "dataset": entry.recipe.dataset.name,
            "summary": _summarise(entry),
            "tags": tags.get(entry.id, []),
            "created": entry.created,
            "bytes": registry.size(entry),
        }
        for entry in entries
    ]
    if session.as_json:
        session.put([*documents, *({"id": id_, "corrupt": str(error)} for id_, error in corrupt.items())], "")
        return
    # People at a terminal read the table; a pipeline gets the ids.
    if session.quiet or not sys.stdout.isatty():
        session.put(None, "\n".join(entry.id for entry in entries))
    session.tell(_tabulate(documents))


def _tabulate(documents: list[dict[str, Any]]) -> Table:
    table = Table()
    for name in ("id", "dataset", "what", "tags", "created", "size"):
        # An id that is cut short is of no use to anybody.
        table.add_column(name, justify="right" if name == "size" else "left", no_wrap=name == "id", overflow="fold")
    for row in documents:
        created = row["created"][:19].replace("T", " ")
        size = f"{row['bytes'] / 1e6:.2f} MB"
        table.add_row(row["id"], row["dataset"], row["summary"], ", ".join(row["tags"]), created, size)
    return table


def _summarise(entry: Manifest) -> str:
    """Return a line on what an entry is and what came out."""
    if entry.kind == "ae":
        purifier, trained = entry.as_autoencoder()
        return f"{purifier.type}, {purifier.network.epochs} epochs, seed {purifier.seed}, mse {trained.test_mse:.4f}"
    if entry.kind == "clf":
        classifier, fitted = entry.as_classifier()
        behind = f" behind {classifier.autoencoder}" if classifier.autoencoder else ""
        return f"{classifier.model}{behind}, seed {classifier.seed}, clean {fitted.test_accuracy:.4f}"
    run, scored = entry.as_run()
    left = ", ".join(f"{result.accuracy:.4f} at {result.eps:.4g}" for result in scored.results[:3])
    more = ", ..." if len(scored.results) > 3 else ""
    return f"{run.method}, {run.threat}, on {run.classifier}: {left}{more}"


@app.command("show")
@grouped(session=SESSION)
def show_entry(ref: RefArgument, session: Session) -> None:
    """Print all that is known of an entry, as JSON."""
    registry = session.registry
    manifest = registry.resolve(ref)
    document = manifest.model_dump(mode="json") | {
        "tags": registry.tags().get(manifest.id, []),
        "bytes": registry.size(manifest),
        "lineage": _trace(registry, manifest.id),
    }
    session.put(document, json.dumps(document, indent=2))


def _trace(registry: Registry, id_: str) -> dict[str, Any]:
    """Return an entry's ancestors as a tree of ids."""
    try:
        parents = registry.manifest(id_).parents
    except (NotFoundError, CorruptError) as error:
        return {"id": id_, "problem": str(error)}
    return {"id": id_, "parents": [_trace(registry, parent) for parent in parents]}


@app.command("tag")
@grouped(session=SESSION)
def tag_entry(ref: RefArgument, name: Annotated[str, typer.Argument(metavar="NAME")], session: Session) -> None:
    """Name an entry; the name moves if it stood for another of its kind."""
    manifest = session.registry.resolve(ref)
    session.registry.tag(manifest, name)
    session.put({"id": manifest.id, "tag": name}, manifest.id)


@app.command("untag")
@grouped(session=SESSION)
def untag_entry(name: Annotated[str, typer.Argument(metavar="NAME")], session: Session) -> None:
    """Remove a name; the entry stays."""
    ids = session.registry.untag(name)
    session.put({"tag": name, "ids": ids}, "\n".join(ids))


@app.command("rm")
@grouped(session=SESSION)
def remove_entry(ref: RefArgument, session: Session) -> None:
    """Remove an entry and its names; refused while another entry depends on it."""
    id_ = session.registry.resolve_id(ref)
    session.registry.remove(id_)
    session.put({"removed": [id_]}, id_)
