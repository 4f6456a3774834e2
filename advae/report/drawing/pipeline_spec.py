"""The specification of the first chart: every pipeline in a line, grouped by classifier, with all its accuracies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from advae.report.drawing.chart_specs import finish, name_data
from advae.report.drawing.palette import Colour

if TYPE_CHECKING:
    import altair as alt

STEP, NARROW_STEP = 20, 42
"""Pixels from one pipeline to the next; the second where the name is above the line instead of beside it."""

SIGNS = (
    "●\N{NO-BREAK SPACE}white-box robust accuracy (bar: 95\N{NO-BREAK SPACE}% interval)",
    "○\N{NO-BREAK SPACE}oblivious",
    "━\N{NO-BREAK SPACE}illusion gap",
    "|\N{NO-BREAK SPACE}clean accuracy",
    "◆\N{NO-BREAK SPACE}certified accuracy",
    "┊\N{NO-BREAK SPACE}chance",
)
"""Signs of the chart, and what they mean."""

LEGEND = "   ".join(SIGNS), [SIGNS[0], "   ".join(SIGNS[1:4]), "   ".join(SIGNS[4:])]
"""The same in one line, and in three where there is little room."""


@dataclass(frozen=True)
class PipelineSpec:
    """Pipelines in lines: names on the left, accuracies in the middle, the number and the rating on the right."""

    y: str = "pipeline"
    """What its lines are."""

    def build(self) -> dict[str, Any]:
        """Return the Vega-Lite specification, without data."""
        return _build()


@cache
def _build() -> dict[str, Any]:
    import altair as alt

    base = alt.Chart(name_data()).encode(y=alt.Y("i:O", axis=None))
    shown = base.transform_filter("datum.h === 0")
    layers = [_draw_chance(), *_draw_marks(shown), *_write_words(base, shown), _catch_pointer(shown)]
    narrow, room = alt.param("narrow", value=False), alt.param("room", value=200)
    legend = alt.Title(
        text=alt.ExprRef(f"narrow ? {json.dumps(LEGEND[1])} : {json.dumps(LEGEND[0])}"),
        color=Colour.INK,
        fontSize=11,
        fontWeight="normal",
        anchor="start",
        frame="group",
        dx=alt.ExprRef("narrow ? 0 : -room"),
        offset=8,
    )
    return finish(alt.layer(*layers, title=legend).add_params(narrow, room))


def _place(field: str) -> alt.X:
    """Return the place of a share on the axis above."""
    import altair as alt

    axis = alt.Axis(orient="top", format="%", tickCount=5, domain=False, ticks=False, title=None)
    return alt.X(f"{field}:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=axis)


def _draw_chance() -> alt.Chart:
    import altair as alt

    once = alt.Chart(name_data()).transform_filter("isValid(datum.ch)").transform_aggregate(groupby=["ch"])
    return once.mark_rule(color=Colour.GREY, strokeDash=[4, 4]).encode(x=_place("ch"))


def _draw_marks(shown: alt.Chart) -> list[alt.Chart]:
    """Return gap, clean accuracy, interval, oblivious, certified and robust accuracy, the last above the others."""
    gap = shown.transform_filter("isValid(datum.o) && isValid(datum.r)")
    certified = shown.transform_filter("isValid(datum.ce)")
    robust = shown.transform_filter("isValid(datum.r)")
    return [
        gap.mark_rule(color=Colour.VERMILLION, opacity=0.35, strokeWidth=7).encode(x=_place("r"), x2="o:Q"),
        shown.transform_filter("isValid(datum.cl)").mark_tick(color=Colour.GREY, thickness=2, size=11).encode(
            x=_place("cl")
        ),
        robust.mark_rule(color=Colour.INK, strokeWidth=1.5).encode(x=_place("lo"), x2="hi:Q"),
        shown.transform_filter("isValid(datum.o)").mark_point(
            size=70, strokeWidth=2, filled=False, color=Colour.VERMILLION, fill=Colour.PAPER
        ).encode(x=_place("o")),
        certified.mark_point(size=60, shape="diamond", filled=True, opacity=1, color=Colour.WINE).encode(
            x=_place("ce")
        ),
        robust.mark_point(size=80, filled=True, opacity=1, color=Colour.INK).encode(x=_place("r")),
    ]  # fmt: skip


def _write_words(base: alt.Chart, shown: alt.Chart) -> list[alt.Chart]:
    """Return names, numbers and ratings. Where there is little room, a name and a rating are above their line."""
    import altair as alt

    above = alt.ExprRef("narrow ? -14 : 0")
    name_at, limit = alt.value({"expr": "narrow ? 0 : 14 - room"}), alt.ExprRef("narrow ? width : room - 20")
    names = shown.mark_text(align="left", dy=above, limit=limit).encode(
        x=name_at, text="l:N", color=alt.Color("lc:N", scale=None)
    )
    heads = base.transform_filter("datum.h === 1").mark_text(align="left", fontWeight="bold", fontSize=12).encode(
        x=alt.value({"expr": "narrow ? 0 : -room"}), text="l:N"
    )  # fmt: skip
    numbers = shown.mark_text(align="left", fontSize=12, fontWeight="bold").encode(
        x=alt.value({"expr": "width + 10"}), text="n:N", color=alt.Color("lc:N", scale=None)
    )
    words = shown.mark_text(align=alt.ExprRef("narrow ? 'right' : 'left'"), dy=above).encode(
        x=alt.value({"expr": "narrow ? width + 62 : width + 78"}), text="w:N", color=alt.Color("wc:N", scale=None)
    )
    return [heads, names, numbers, words]


def _catch_pointer(shown: alt.Chart) -> alt.Chart:
    """Return a surface over each line that shows its numbers."""
    import altair as alt

    facts = {
        "l": "pipeline", "n": "robust accuracy", "ci": "95 % interval", "ot": "oblivious", "g": "illusion gap",
        "clt": "clean accuracy", "cet": "certified accuracy", "a": "attack", "w": "defence",
    }  # fmt: skip
    tips = [alt.Tooltip(f"{field}:N", title=title) for field, title in facts.items()]
    return shown.mark_bar(opacity=0).encode(x=alt.value(0), x2=alt.value({"expr": "width"}), tooltip=tips)
