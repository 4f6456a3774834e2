"""The options that several commands take, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from advae.cli.groups import complete_names
from advae.datasets import DATASETS
from advae.errors import UsageError

_FOLDERS = " and ".join(f"{row.folder}/" for row in DATASETS.values() if row.folder)

DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="NAME|PATH.npz",
        help=f"{', '.join(DATASETS)}, or an .npz of your own images.",
        autocompletion=complete_names(DATASETS),
    ),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        envvar="ADVAE_DATA_DIR",
        help=f"Folder with {_FOLDERS}.",
    ),
]
SeedOption = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, max=2**31 - 1, help="Of everything that is drawn.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Compute again and replace the entry.")]
TagOption = Annotated[str | None, typer.Option("--tag", metavar="NAME", help="Name the entry.")]


def split_names(option: str, text: str) -> list[str]:
    """Return the names of a list with commas, each once, in order. Raises UsageError where there is none."""
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise UsageError(f"{option} is empty: one name, or several with commas")
    return names


def describe_rows(table: Mapping[str, Any]) -> str:
    """Return what the rows of a table are, for help texts."""
    return "; ".join(f"{name}: {row.summary}" for name, row in table.items())
