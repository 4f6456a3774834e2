"""``advae data``: the datasets, where they are, and how to get them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from advae.cli.help_command import HelpedCommand, HelpedGroup
from advae.cli.list_layout import is_table, separate, tabulate
from advae.cli.option_groups import SESSION, complete_names, grouped
from advae.cli.options import DataDirOption, LongOption, ResizeOption
from advae.cli.session import Session
from advae.datasets.fetch import fetch_dataset
from advae.datasets.load import verify_dataset
from advae.datasets.search import find_dataset
from advae.datasets.table import DATASETS
from advae.errors import printable

if TYPE_CHECKING:
    from rich.progress import TaskID

app = typer.Typer(no_args_is_help=True, cls=HelpedGroup)

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help=f"{', '.join(DATASETS)}.", autocompletion=complete_names(DATASETS))
]


@app.command("ls", cls=HelpedCommand)
@grouped(session=SESSION)
def list_datasets(session: Session, data_dir: DataDirOption = None, long: LongOption = False) -> None:
    """List the datasets and where they would be read from: at a terminal as a table."""
    rows: list[dict[str, Any]] = []
    for name in DATASETS:
        found = find_dataset(name, data_dir=data_dir)
        where = str(found.path) if found.path else found.origin
        rows.append({"name": name, "where": where, "train": found.train, "test": found.test, "problem": found.problem})
    cells = [(row["name"], row["where"] or "not found", str(row["train"] or 0), str(row["test"] or 0)) for row in rows]
    if is_table() and not session.quiet:
        table = [(name, train.rjust(5), test.rjust(5), where) for name, where, train, test in cells]
        session.put(rows, tabulate([("name", "train", "test", "where"), *table]))
    else:
        session.put(rows, separate([("name", "where", "train", "test"), *cells] if long else cells))
    for row in rows:
        if row["problem"]:
            session.tell(row["problem"])


@app.command("fetch", cls=HelpedCommand)
@grouped(session=SESSION)
def fetch(name: NameArgument, session: Session) -> None:
    """Download a dataset into advae's cache, checked by SHA-256; prints the folder."""
    with session.show_progress() as bar:
        tasks: dict[str, TaskID] = {}

        def on_progress(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = bar.add_task(printable(file))
            size = f" of {total / 1e6:.1f}" if total else ""
            bar.update(tasks[file], share=done / total if total else None, note=f"{done / 1e6:.1f}{size} MB")

        folder = fetch_dataset(name, on_progress=on_progress)
    session.put({"name": name, "path": str(folder)}, str(folder))


@app.command("verify", cls=HelpedCommand)
@grouped(session=SESSION)
def verify(name: NameArgument, session: Session, data_dir: DataDirOption = None, resize: ResizeOption = None) -> None:
    """Check a dataset against the published one; prints its digest."""
    source, digest, trouble = verify_dataset(name, data_dir=data_dir, resize=resize)
    known = "is the published dataset" if name in DATASETS else "can be read; there is no published one to compare"
    session.tell(f"{name} in {source or 'scikit-learn'} {known}")
    if trouble:
        session.tell(trouble)
    session.put({"name": name, "where": source, "digest": digest}, digest)
