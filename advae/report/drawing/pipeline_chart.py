"""The first chart: the rows of all pipelines at one eps, and its two sizes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from advae.errors import printable
from advae.report.analysis.eps_choices import EpsChoice
from advae.report.analysis.number_records import PipelineNumber
from advae.report.analysis.ratings import DefenceResult
from advae.report.analysis.tables import NotRun
from advae.report.data.grouping import group_by
from advae.report.data.runs import Rate
from advae.report.drawing.charts import LETTER
from advae.report.drawing.palette import Colour
from advae.report.drawing.pipeline_spec import NARROW_STEP, STEP
from advae.report.wording import (
    NBSP,
    NOT_APPLICABLE,
    NOT_RUN,
    format_budget,
    format_p,
    format_points,
    format_share,
    mark_imported,
)

RATING_COLOURS: dict[DefenceResult, Colour] = {
    "holds": Colour.GREEN,
    "partial": Colour.BLUE,
    "weak": Colour.ORANGE,
    "broken": Colour.VERMILLION,
    "not established": Colour.PURPLE,
    "collapsed": Colour.VERMILLION,
}
"""Colours of the words that say whether a defence is good; the word itself says it, too."""

REFERENCE = "reference"
"""In place of a rating, of what the defences are compared with."""

NAME_ROOM, WORD_ROOM = (120, 260), (90, 190)
"""Least and most pixels for the names on the left, and for the words on the right."""


@dataclass(frozen=True)
class PipelineSize:
    """Sizes of the first chart on a wide or on a narrow page, in pixels."""

    step: int
    """From one line to the next."""
    room: int
    """For the names on the left; 0 where they are above their lines."""
    padding: dict[str, int]
    """Around the axes."""


def list_pipeline_rows(
    numbers: Sequence[PipelineNumber], choice: EpsChoice, imported: Collection[str]
) -> list[dict[str, Any]]:
    """Return a row for each pipeline at an eps, below one for its classifier. imported: ids of marked classifiers."""
    rows: list[dict[str, Any]] = []
    for classifier, group in group_by(numbers, lambda one: one.classifier).items():
        rows.append({"h": 1, "l": printable(f"classifier {classifier}", keep=NBSP)})
        rows += (_write_row(one, choice, mark_imported(one.classifier_id in imported)) for one in group)
    return [{"i": place} | row for place, row in enumerate(rows)]


def _write_row(one: PipelineNumber, choice: EpsChoice, mark: str) -> dict[str, Any]:
    elsewhere = (one.norm, one.eps) != (choice.norm, choice.eps)
    at = f", eps {format_budget(one.eps, one.norm)}" if elsewhere else ""
    robust, oblivious = one.robust, one.oblivious
    rated = one.defence.result if one.defence else None
    there = None if oblivious is None or isinstance(oblivious, NotRun) else oblivious.rate
    values = {
        "r": robust.value if robust else None,
        "lo": robust.low if robust else None,
        "hi": robust.high if robust else None,
        "o": there.value if there else None,
        "cl": one.clean_accuracy,
        "ce": one.certified.accuracy if one.certified else None,
        "ch": one.chance,
    }
    return {
        "h": 0,
        "id": one.classifier_id,
        "k": one.autoencoder,
        "m": one.classifier,
        "l": printable(f"{one.purifier_name}{mark}{at}", keep=NBSP),
        "lc": Colour.INK if one.role in ("autoencoder", "retrained") else Colour.GREY,
        "w": rated or REFERENCE,
        "wc": RATING_COLOURS[rated] if rated else Colour.GREY,
        **{name: round(value, 4) for name, value in values.items() if value is not None},
        **_write_words(one, there),
    }


def _write_words(one: PipelineNumber, there: Rate | None) -> dict[str, str]:
    """Return what is written and what the pointer shows."""
    robust, gap, attack = one.robust, one.illusion_gap, one.white_box
    return {
        "n": format_share(robust.value) if robust else NOT_RUN,
        "ci": f"{format_share(robust.low)} to {format_share(robust.high)}" if robust else NOT_APPLICABLE,
        "ot": format_share(there.value) if there else NOT_RUN if one.oblivious else NOT_APPLICABLE,
        "g": f"{format_points(gap)} points" if isinstance(gap, float) else NOT_APPLICABLE if gap is None else NOT_RUN,
        "v": one.reliability.result,
        "b": _write_gain(one),
        "clt": format_share(one.clean_accuracy),
        "cet": format_share(one.certified.accuracy) if one.certified else NOT_APPLICABLE,
        "a": NOT_RUN if isinstance(attack, NotRun) else printable(f"{attack.attack}, n = {attack.images}", keep=NBSP),
    }


def _write_gain(one: PipelineNumber) -> str:
    """Return the difference to the undefended counterpart in points, with McNemar's p; a loss has a minus sign."""
    if not isinstance(one.gain, float):
        return NOT_APPLICABLE if one.gain is None else NOT_RUN
    return f"{format_points(one.gain)} (p {format_p(one.gain_p)})"


def measure_pipelines(rows: Iterable[dict[str, Any]]) -> dict[str, PipelineSize]:
    """Return the sizes of the chart, by ``wide`` and ``narrow``: as wide as its longest name and its longest word."""
    shown = list(rows)
    names = _fit((len(row["l"]) for row in shown), NAME_ROOM) + 14
    words = _fit((len(row.get("w", "")) for row in shown), WORD_ROOM)
    wide = {"left": names + 4, "top": 44, "right": 82 + words, "bottom": 8}
    narrow = {"left": 6, "top": 76, "right": 66, "bottom": 8}
    return {"wide": PipelineSize(STEP, names, wide), "narrow": PipelineSize(NARROW_STEP, 0, narrow)}


def _fit(lengths: Iterator[int], room: tuple[int, int]) -> int:
    return round(min(room[1], max(room[0], max(lengths, default=0) * LETTER)))
