"""The check results of one classifier, as a table for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.report.analysis.check_results import (
    describe_subject,
    find_failures,
    list_pipeline_checks,
    summarize_checks,
)
from advae.report.analysis.illusion_gap import explain_gap
from advae.report.data.contents import AttackedPipeline
from advae.report.wording import name_pipeline

if TYPE_CHECKING:
    from rich.table import Table

STATUS_COLOURS = {"FAIL": "bold red", "WARN": "yellow", "PASS": "green", "NOT RUN": "dim"}


WIDEST_CHECKS = 80
"""Columns of the table of checks at most."""


def build_check_table(pipeline: AttackedPipeline, *, width: int = WIDEST_CHECKS) -> Table:
    """Return the check results of a pipeline, with the illusion gap and other failures below.

    width: columns of the terminal; at most 80 are used.
    """
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    title = f"{name_pipeline(pipeline.first)}\nChecks of {describe_subject(pipeline)}"
    table = Table(
        title=Text(title), title_justify="left", caption_justify="left", box=SIMPLE, width=min(width, WIDEST_CHECKS)
    )
    for name, options in (("", {"justify": "right"}), ("check", {"ratio": 2}), ("status", {}), ("found", {"ratio": 3})):
        table.add_column(name, no_wrap=name in ("", "status"), **options)
    for one in (record for record in list_pipeline_checks(pipeline) if record.headline):
        status = Text(one.status, style=STATUS_COLOURS[one.status])
        table.add_row(str(one.place), Text(one.question), status, Text(one.sentence))
    lines = [summarize_checks(pipeline.checks), explain_gap(pipeline) if pipeline.first.defended else ""]
    lines += [failure.text for failure in find_failures(pipeline) if not failure.headline]
    table.caption = Text("\n".join(line for line in lines if line))
    return table
