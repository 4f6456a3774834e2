"""``advae diff``: two pipelines, or two runs, beside each other."""

from __future__ import annotations

from typing import Annotated

import typer

from advae.cli.attack_options import parse_eps
from advae.cli.option_groups import SESSION, complete_refs, grouped
from advae.cli.session import Session


@grouped(session=SESSION)
def diff(
    session: Session,
    first: Annotated[
        str,
        typer.Argument(
            metavar="A", help="A classifier or a run: id, tag or latest.", autocompletion=complete_refs("clf", "run")
        ),
    ],
    second: Annotated[
        str,
        typer.Argument(
            metavar="B", help="What A is compared with, of the same kind.", autocompletion=complete_refs("clf", "run")
        ),
    ],
    eps: Annotated[
        str | None,
        typer.Option("--eps", metavar="E[,E...]", help="Only these eps; default: all that both have."),
    ] = None,
) -> None:
    """Compare two pipelines, or two runs, on identical images; prints a table."""
    from advae.report.formats.comparison_text import write_comparison_text
    from advae.workflows import compare_entries

    found = compare_entries(session.registry, first, second, parse_eps(eps) if eps else ())
    session.put(found.model_dump(mode="json"), write_comparison_text(found))
