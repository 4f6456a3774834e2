"""``advae registry``: what is stored, and its names."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.table import Table

from advae.cli.options import SESSION, DatasetOption, complete_names, complete_refs, grouped
from advae.cli.session import Session
from advae.errors import UsageError, unknown
from advae.records import (
    AutoencoderMetrics,
    AutoencoderRecipe,
    ClassifierMetrics,
    ClassifierRecipe,
    Manifest,
    RunMetrics,
    RunRecipe,
)
from advae.registry import KINDS, Registry

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
) -> None:
    """List the entries, newest first."""
    if kind is not None and kind not in KINDS:
        raise UsageError(unknown("kind", kind, KINDS))
    registry = session.registry
    entries, corrupt = registry.scan(kind)
    entries = [entry for entry in entries if dataset in (None, entry.recipe.dataset.name)]
    tags = registry.tags()
    for error in corrupt.values():
        session.console.print(str(error), markup=False)
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
        table.add_column(name, justify="right" if name == "size" else "left")
    for row in documents:
        created = row["created"][:19].replace("T", " ")
        size = f"{row['bytes'] / 1e6:.2f} MB"
        table.add_row(row["id"], row["dataset"], row["summary"], ", ".join(row["tags"]), created, size)
    return table


def _summarise(entry: Manifest) -> str:
    """Return a line on what an entry is and what came out."""
    recipe, metrics = entry.recipe, entry.metrics
    if isinstance(recipe, AutoencoderRecipe) and isinstance(metrics, AutoencoderMetrics):
        return f"{recipe.type}, {recipe.network.epochs} epochs, seed {recipe.seed}, mse {metrics.test_mse:.4f}"
    if isinstance(recipe, ClassifierRecipe) and isinstance(metrics, ClassifierMetrics):
        behind = f" behind {recipe.autoencoder}" if recipe.autoencoder else ""
        return f"{recipe.model}{behind}, seed {recipe.seed}, clean {metrics.test_accuracy:.4f}"
    if isinstance(recipe, RunRecipe) and isinstance(metrics, RunMetrics):
        left = ", ".join(f"{result.accuracy:.4f} at {result.eps:.4g}" for result in metrics.results[:3])
        more = ", ..." if len(metrics.results) > 3 else ""
        return f"{recipe.method}, {recipe.threat}, on {recipe.classifier}: {left}{more}"
    return ""


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
    parents = registry.manifest(id_).parents
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
