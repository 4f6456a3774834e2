"""The section of the plan gondim-ribeiro2018: the printed areas of attacks on codes beside ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from advae.report.analysis.code_attack_records import CodeAttackRecord, list_code_attacks
from advae.report.analysis.tables import Findings, NotRun, Table, TableRecord
from advae.report.data.word_tables import Cell, Grid, Part
from advae.report.wording import NOT_RUN, format_area, format_distortion

STEERING_PLAN = "gondim-ribeiro2018"
"""The plan whose report has the section."""

PRINTED_PAIRS = 25
"""Pairs of images of the printed areas."""


@dataclass(frozen=True)
class PrintedArea:
    """What is printed of one autoencoder on MNIST, mean and standard deviation over PRINTED_PAIRS pairs."""

    area: float
    """Mean area under the distortion-distortion curve."""
    deviation: float
    """Its standard deviation over the pairs."""
    half: float
    """Relative distortion half way to the target."""


PRINTED: dict[str, PrintedArea] = {
    "variational": PrintedArea(0.389, 0.075, 0.37),
    "vanilla": PrintedArea(0.336, 0.053, 0.36),
}
"""Kind of autoencoder -> what the result files of Tabacof, Tavares and Valle 2016, arXiv:1612.00155, give on MNIST."""

EXPLAINED_PRINTED = (
    "Mean area under the distortion-distortion curve on MNIST, and the relative distortion half way to the target: "
    "from the result files of Tabacof, Tavares and Valle 2016, 25 pairs, and ours. Networks, training, pairs differ, "
    "so a difference says nothing about either. What can be compared is which of the two codes is harder to steer."
)


class PrintedAreaRecord(TableRecord):
    """A printed area beside ours."""

    autoencoder: str
    """Kind of the autoencoder, as `advae train-ae --type` takes it."""
    measured_on: str
    """The dataset of both."""
    printed_area: float
    """The printed mean area."""
    printed_deviation: float
    """The printed standard deviation over 25 pairs."""
    printed_half: float
    """The printed relative distortion half way to the target."""
    ours: CodeAttackRecord | NotRun
    """Our attack; NOT RUN where there is none."""
    difference: float | None
    """Our mean area minus the printed one; null where ours was not run or has none."""


def list_printed(findings: Findings) -> Iterator[PrintedAreaRecord]:
    """Yield a record for each printed area; nothing for the report of another plan."""
    if findings.comparison.plan != STEERING_PLAN:
        return
    kinds = {attack.id: attack.autoencoder_recipe.type for attack in findings.comparison.code_attacks}
    found = [one for one in findings.collect(list_code_attacks) if one.dataset == "mnist" and one.target is None]
    for kind, printed in PRINTED.items():
        ours = max((one for one in found if kinds[one.code_attack] == kind), key=lambda one: one.n, default=None)
        yield PrintedAreaRecord(
            autoencoder=kind,
            measured_on="mnist",
            printed_area=printed.area,
            printed_deviation=printed.deviation,
            printed_half=printed.half,
            ours=ours or NotRun(),
            difference=ours.area - printed.area if ours and ours.area is not None else None,
        )


def tabulate_printed(records: Iterable[PrintedAreaRecord]) -> Grid:
    """Return a row for each printed area."""
    titles = (
        "autoencoder",
        "area, printed",
        "area, ours",
        "difference",
        "half way, printed",
        "half way, ours",
        "attack",
    )
    return Grid("Areas printed and ours", titles, tuple(map(_write_row, records)))


def _write_row(one: PrintedAreaRecord) -> tuple[str, ...]:
    printed = Cell(f"{one.printed_area:.3f} (deviation {one.printed_deviation:.3f})", one.printed_area)
    half = Cell(format_distortion(one.printed_half), one.printed_half)
    if isinstance(one.ours, NotRun):
        return one.autoencoder, printed, Cell(NOT_RUN, None), Cell(NOT_RUN, None), half, Cell(NOT_RUN, None), NOT_RUN
    ours, difference = one.ours, one.difference
    return (
        one.autoencoder,
        printed,
        Cell(f"{format_area(ours.area, ours.area_interval)}, {ours.n} pairs", ours.area),
        Cell(format_distortion(difference) if difference is None else f"{difference:+.3f}", difference),
        half,
        Cell(format_distortion(ours.half_distortion), ours.half_distortion),
        ours.code_attack,
    )


def _tabulate(findings: Findings) -> Iterator[Part]:
    if records := findings.collect(list_printed):
        yield Part(tabulate_printed(records), {})


PRINTED_SECTION = Table(
    "Areas of Tabacof et al. 2016 beside ours",
    EXPLAINED_PRINTED,
    "report",
    _tabulate,
    PrintedAreaRecord,
    collect=list_printed,
    marks=("autoencoder", "printed_area", "difference"),
)
"""The section that the commands add to the report under the name ``printed_areas``."""
