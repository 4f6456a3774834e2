"""The table of attacks on codes, the same rows of words for the page, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from advae.records import Status
from advae.report.analysis.check_results import summarize_counts
from advae.report.analysis.code_attack_records import HARDER, CodeAttackRecord, list_code_attacks
from advae.report.analysis.tables import Findings, Table
from advae.report.data.word_tables import Cell, Grid, Part, show_count
from advae.report.wording import format_area, format_distortion, mark_imported

CODE_ATTACK_TITLES = (
    "dataset",
    "autoencoder",
    "pairs",
    "area under the curve",
    "deviation",
    "distortion half way",
    "half way reached",
    "checks",
    "attack",
    "id",
)

CODES_EXPLAINED = (
    "An original image is perturbed until the autoencoder gives it the code of a target image, with as small a "
    "perturbation as possible. The area is that under the distortion-distortion curve: how far the reconstruction is "
    "from the target, relative to before, against the norm of the perturbation, relative to the distance of the two "
    "images, from 0 to 1. It is the mean over the pairs of images, in brackets its 95 % interval. "
    f"{HARDER} The identity has about 0.5, because what is moved in the image is moved in the reconstruction. The area "
    "is no accuracy: no classifier takes part."
)


def tabulate_code_attacks(records: Iterable[CodeAttackRecord]) -> Grid:
    """Return a row for each attack on a code."""
    return Grid("Attacks on the code", CODE_ATTACK_TITLES, tuple(map(_write_row, records)))


def _write_row(one: CodeAttackRecord) -> tuple[str, ...]:
    left_out = f", {one.left_out} left out" if one.left_out else ""
    target = f", towards {one.target}" if one.target is not None else ""
    return (
        one.dataset,
        f"{one.autoencoder}, {one.autoencoder_id}",
        Cell(f"{one.n}{left_out}", one.n),
        Cell(format_area(one.area, one.area_interval), one.area),
        Cell(format_distortion(one.area_deviation), one.area_deviation),
        Cell(format_distortion(one.half_distortion), one.half_distortion),
        show_count(one.half_reached),
        summarize_counts(_count(one)),
        f"{one.optimizer}, {one.steps} steps, {one.points} weights{target}",
        f"{one.code_attack}{mark_imported(one.imported)}",
    )


def _count(one: CodeAttackRecord) -> dict[Status, int]:
    statuses = list(one.checks.values())
    return {status: statuses.count(status) for status in dict.fromkeys(statuses)}


def _tabulate(findings: Findings) -> Iterator[Part]:
    if records := findings.collect(list_code_attacks):
        yield Part(tabulate_code_attacks(records), {})


CODE_TABLES: dict[str, Table] = {
    "code_attacks": Table(
        "Attacks on the code",
        CODES_EXPLAINED,
        "report",
        _tabulate,
        CodeAttackRecord,
        list_code_attacks,
        marks=("code_attack", "area", "half_distortion"),
    )
}
"""Rows of TABLES about attacks on codes."""
