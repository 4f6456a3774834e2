"""The options of the commands that write a report; apart from the others, since all of the report comes with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from advae.cli.groups import complete_names
from advae.report import FORMATS

EVERY_FORMAT = ",".join(FORMATS)

OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the files go.")]
FormatOption = Annotated[
    str,
    typer.Option("--format", metavar="F[,F...]", help=f"{', '.join(FORMATS)}.", autocompletion=complete_names(FORMATS)),
]
