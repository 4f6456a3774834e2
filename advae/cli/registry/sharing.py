"""``advae registry export`` and ``import``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from advae.cli.entry_names import name_entry
from advae.cli.option_groups import SESSION, RefArgument, complete_names, grouped
from advae.cli.options import TagOption
from advae.cli.session import Session
from advae.cli.stdout import delivering
from advae.errors import UsageError, unknown
from advae.paths import to_path

if TYPE_CHECKING:
    from advae.registry.bundles import Imported

PIPE = Path("-")
BUNDLE = "bundle"
EXPORT_FORMATS = (BUNDLE, "keras", "joblib", "npy")


@grouped(session=SESSION)
def export_entry(
    ref: RefArgument,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", parser=to_path, help="File to write; `-` is stdout, for a bundle.")
    ],
    session: Session,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help=(
                "bundle: the entry and its ancestors, for `import`; keras: purifier and classifier to logits, "
                "for plain Keras; joblib: the scikit-learn LogisticRegression; npy: a run's adversarial examples."
            ),
            autocompletion=complete_names(EXPORT_FORMATS),
        ),
    ] = BUNDLE,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE where it exists already.")] = False,
) -> None:
    """Write an entry to a file for other people or other programs; prints the file's name."""
    if format_ not in EXPORT_FORMATS:
        raise UsageError(unknown("format", format_, EXPORT_FORMATS))
    from advae.workflows.exporting import EXPORTS, export_bundle

    if file == PIPE and (format_ != BUNDLE or sys.stdout.isatty()):
        raise UsageError("bad FILE '-': only a bundle goes to stdout, and only into a pipe or a file")
    if format_ == BUNDLE:
        whole = delivering() if file == PIPE else nullcontext()
        with session.workspace(f"export {ref}", force=force) as workspace, whole:
            manifest, ids = export_bundle(workspace, ref, sys.stdout.buffer if file == PIPE else file)
        session.tell(f"{file} contains {', '.join(ids)}")
        if file != PIPE:
            session.put({"id": manifest.id, "format": format_, "file": str(file), "ids": ids}, str(file))
        return
    with session.workspace(f"export {ref}", force=force) as workspace:
        exported = EXPORTS[format_](workspace, ref, file)
    for note in exported.notes:
        session.tell(f"{file}: {note}")
    document = {
        "id": exported.manifest.id,
        "format": format_,
        "file": str(file),
        "by_mean": exported.by_mean,
        "left_out": exported.left_out,
        "backward": exported.backward,
        "notes": exported.notes,
    }
    session.put(document, str(file))


@grouped(session=SESSION)
def import_entries(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", parser=to_path, help="A bundle, packed by gzip or not; `-` is stdin.")
    ],
    session: Session,
    force: Annotated[bool, typer.Option("--force", help="Replace entries that are there already.")] = False,
    tag: TagOption = None,
) -> None:
    """Import the entries of a bundle, after all of it has been checked; prints the id of the exported entry."""
    from advae.registry import check_tag
    from advae.workflows.exporting import import_bundle

    if tag is not None:
        check_tag(tag, session.registry.ids())
    with session.workspace(f"import {file}", force=force) as workspace:
        imported = import_bundle(workspace, sys.stdin.buffer if file == PIPE else file)
    last = imported.ids[-1]
    if tag is not None:
        name_entry(session, session.registry.manifest(last), tag)
    for line in _describe_import(imported):
        session.tell(line)
    if tag is None and not last.startswith("run-"):
        session.tell("`advae registry gc` keeps entries that have a tag or a run; --tag NAME gives a tag")
    document = {"id": last, "ids": imported.ids, "present": imported.present}
    session.put(document | {"replaced": bool(imported.replaced), "tag": tag}, last)


def _describe_import(imported: Imported) -> Iterator[str]:
    """Yield lines on the new, replaced and unchanged entries of a bundle."""
    new = [id_ for id_ in imported.ids if id_ not in imported.present]
    stayed = [id_ for id_ in imported.present if id_ not in imported.replaced]
    replaced = f"; replaced: {', '.join(imported.replaced)}" if imported.replaced else ""
    yield f"new: {', '.join(new) or 'none'}{replaced}; there already: {', '.join(stayed) or 'none'}"
    if imported.other:
        yield f"{', '.join(imported.other)} were kept, although the bundle has other weights; --force replaces them"
    if imported.outdated:
        ids = ", ".join(imported.outdated)
        yield f"{ids} were made from other weights than are here now; their commands compute them again with --force"
