"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from advae.cli.option_groups import complete_names
from advae.cli.values import read_size
from advae.datasets.table import DATASETS
from advae.paths import to_path
from advae.report import FORMATS

_FOLDERS = ", ".join(f"{row.folder}/" for row in DATASETS.values() if row.folder)

DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="NAME|PATH",
        help=f"{', '.join(DATASETS)}, or your own images: an .npz, or a folder with train/CLASS and test/CLASS.",
        autocompletion=complete_names(DATASETS),
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
    ),
]
SeedOption = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, max=2**31 - 1, help="Seed of all random numbers.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Compute again and replace the entry.")]
TagOption = Annotated[str | None, typer.Option("--tag", metavar="NAME", help="Name the entry.")]


ALL_FORMATS = ",".join(FORMATS)

OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", parser=to_path, help="Folder for the report's files.")]
FormatOption = Annotated[
    str,
    typer.Option("--format", metavar="F[,F...]", help=f"{', '.join(FORMATS)}.", autocompletion=complete_names(FORMATS)),
]


def describe_rows(table: Mapping[str, Any]) -> str:
    """Return the names and summaries of a table's rows, for help texts."""
    return "; ".join(f"{name}: {row.summary}" for name, row in table.items())
