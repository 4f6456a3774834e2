"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from advae.cli.option_groups import Completed, complete_names
from advae.cli.values import read_classes, read_size
from advae.datasets.table import DATASETS
from advae.paths import to_path
from advae.report import FORMATS, WRITERS
from advae.run_options import IMAGES, RESULT

_FOLDERS = ", ".join(f"{row.folder}/" for row in DATASETS.values() if row.folder)


def complete_classes(ctx: typer.Context, incomplete: str) -> Completed:
    """Return the completion of a class, of the named dataset or else of digits; of one's own images none."""
    row = DATASETS.get(ctx.params.get("dataset") or "digits")
    return complete_names(row.classes if row else ())(incomplete)


DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="NAME|PATH",
        help=f"{', '.join(DATASETS)}, or your own images: an .npz, or a folder with train/CLASS and test/CLASS.",
        autocompletion=complete_names(DATASETS),
        rich_help_panel=IMAGES,
    ),
]
# The parser returns a tuple, of which Typer knows no form for one value.
ResizeOption = Annotated[
    Any,
    typer.Option(
        "--resize",
        metavar="H,W",
        parser=read_size,
        help="Resize the images of a folder to this height and width.",
        show_default=False,
        rich_help_panel=IMAGES,
    ),
]
ClassesOption = Annotated[
    Any,
    typer.Option(
        "--classes",
        metavar="A,B[,...]",
        parser=read_classes,
        help="Only the images of these classes, by name or number; they are numbered anew from 0 on, in the dataset's "
        "order, also for --target.",
        autocompletion=complete_classes,
        show_default=False,
        rich_help_panel=IMAGES,
    ),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        parser=to_path,
        envvar="ADVAE_DATA_DIR",
        help=f"Folder with {_FOLDERS}.",
        rich_help_panel=IMAGES,
    ),
]
SeedOption = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, max=2**31 - 1, help="Seed of all random numbers.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Compute again and replace the entry.", rich_help_panel=RESULT)
]
TagOption = Annotated[str | None, typer.Option("--tag", metavar="NAME", help="Name the entry.", rich_help_panel=RESULT)]

LongOption = Annotated[
    bool, typer.Option("-l", "--long", help="In a pipe: all fields with tabs between, below a line of titles.")
]

ALL_FORMATS = ",".join(FORMATS)

OutOption = Annotated[
    Path,
    typer.Option("--out", metavar="DIR", parser=to_path, help="Folder for the report's files.", rich_help_panel=RESULT),
]
FormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="F[,F...]",
        help=f"{', '.join(WRITERS)}.",
        autocompletion=complete_names(WRITERS),
        rich_help_panel=RESULT,
    ),
]


def describe_rows(table: Mapping[str, Any]) -> str:
    """Return a line for each row of a table, its name and summary, for help texts."""
    return "\n".join(f"{name}: {row.summary}" for name, row in table.items())
