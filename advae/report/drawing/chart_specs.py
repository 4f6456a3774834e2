"""The specifications of the charts, made with Altair: few, fixed, and without a name from outside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from advae.report.drawing.palette import Colour

if TYPE_CHECKING:
    import altair as alt

DATA = "rows"
"""Name of the data of every chart."""

LABEL_STEP = 14
"""Pixels from the name of a line to the next one above it."""

CONFIG: dict[str, Any] = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "aria": False,
    "axis": {
        "labelColor": Colour.INK,
        "titleColor": Colour.INK,
        "gridColor": Colour.GRID,
        "domainColor": Colour.GREY,
        "tickColor": Colour.GREY,
        "labelFontSize": 11,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelFlush": False,
    },
    "text": {"fontSize": 11, "color": Colour.INK},
}
"""Look of all charts."""


X_TITLE, Y_TITLE = "title of x", "title of y"
"""Stand in for the titles of the axes while a specification is made, which is once for all titles."""


class Spec(Protocol):
    """What draws a kind of chart."""

    @property
    def y(self) -> str:
        """Title of the axis on the left."""
        ...

    def build(self) -> dict[str, Any]:
        """Return the Vega-Lite specification, without data."""
        ...


@dataclass(frozen=True)
class LineSpec:
    """Lines over a number, each with its name at its end, markers, and a band."""

    x: str
    """Title of the axis below."""
    y: str
    """Title of the axis on the left."""
    share: bool = False
    """Whether y is a share, written in percent."""
    whole: bool = False
    """Whether all shares are on the axis, from 0 to 1."""
    logarithmic: bool = False
    """Whether y is on a logarithmic scale."""
    counted: bool = False
    """Whether x counts something, so that its axis has whole numbers only."""

    def build(self) -> dict[str, Any]:
        """Return the Vega-Lite specification, without data."""
        titles = {X_TITLE: self.x, Y_TITLE: self.y}
        built: dict[str, Any] = _write_titles(_build_lines(replace(self, x=X_TITLE, y=Y_TITLE)), titles)
        return built


@dataclass(frozen=True)
class ScatterSpec:
    """Points on a plane, with words between them."""

    x: str
    """Title of the axis below."""
    y: str
    """Title of the axis on the left."""

    def build(self) -> dict[str, Any]:
        """Return the Vega-Lite specification, without data."""
        return _build_scatter(self)


@dataclass(frozen=True)
class HeatSpec:
    """Counts of pairs, as cells that darken with them."""

    x: str
    """Title of the columns."""
    y: str
    """Title of the rows."""

    def build(self) -> dict[str, Any]:
        """Return the Vega-Lite specification, without data."""
        return _build_heat(self)


def _write_titles(node: Any, titles: dict[str, str]) -> Any:
    """Return a copy of a specification in which the titles are the ones given."""
    if isinstance(node, dict):
        return {name: _write_titles(value, titles) for name, value in node.items()}
    if isinstance(node, list):
        return [_write_titles(value, titles) for value in node]
    return titles.get(node, node) if isinstance(node, str) else node


def finish(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """Return a chart as a specification; its data, size and room are told to it later.

    It is not validated here, which takes longer than all the rest: a test validates each of them.
    """
    spec: dict[str, Any] = chart.to_dict(validate=False, context={"pre_transform": False})
    spec.pop("config", None)
    return spec | {"autosize": "none", "padding": 0}


def name_data() -> alt.NamedData:
    """Return the data of a chart, by the name under which they are handed to it."""
    import altair as alt

    return alt.NamedData(name=DATA)


@cache
def _build_lines(spec: LineSpec) -> dict[str, Any]:
    import altair as alt

    scale = alt.Scale(
        type="log" if spec.logarithmic else "linear",
        domain=[0, 1] if spec.whole else alt.Undefined,
        zero=False,
        nice=False,
    )
    axis = alt.Axis(format="%", tickCount=5) if spec.share else alt.Axis(tickCount=5)
    y = alt.Y("y:Q", title=spec.y, scale=scale, axis=axis)
    ticks = alt.Axis(tickCount=6, tickMinStep=1) if spec.counted else alt.Axis(tickCount=6)
    x = alt.X("x:Q", title=spec.x, scale=alt.Scale(nice=False, zero=False), axis=ticks)
    colour = alt.Color("c:N", scale=None)
    detail = alt.Detail("i:N")
    base = alt.Chart(name_data()).encode(x=x, color=colour, detail=detail)
    band = base.transform_filter("isValid(datum.lo)").mark_area(opacity=0.13).encode(
        y=alt.Y("lo:Q", title=spec.y, scale=scale, axis=axis), y2="hi:Q"
    )  # fmt: skip
    line = base.mark_line(clip=True).encode(
        y=y, strokeDash=alt.StrokeDash("d:N", scale=None), strokeWidth=alt.StrokeWidth("w:Q", scale=None)
    )
    marks = base.transform_filter("datum.m === 1").mark_point(size=36, strokeWidth=1.5).encode(
        y=y,
        shape=alt.Shape("p:N", scale=None),
        fill=alt.Fill("c:N", scale=None),
        fillOpacity=alt.FillOpacity("f:Q", scale=None),
    )  # fmt: skip
    hit = _describe_points(spec, base).mark_point(size=260, opacity=0, filled=True).encode(
        y=y, tooltip=_list_tooltips(spec)
    )  # fmt: skip
    return finish(alt.layer(band, line, marks, _name_lines(spec, base), hit).add_params(alt.param("room", value=150)))


def _describe_points(spec: LineSpec, base: alt.Chart) -> alt.Chart:
    """Return the points with their interval in words."""
    written = "format(datum.lo, '.1%') + ' to ' + format(datum.hi, '.1%')" if spec.share else "''"
    return base.transform_calculate(ci=f"isValid(datum.lo) ? {written} : 'none'")


def _list_tooltips(spec: LineSpec) -> list[alt.Tooltip]:
    import altair as alt

    number = ".1%" if spec.share else ".4~g"
    shown = [alt.Tooltip("s:N", title="line"), alt.Tooltip("x:Q", title=spec.x, format=".4~g")]
    shown.append(alt.Tooltip("y:Q", title=spec.y, format=number))
    return [*shown, alt.Tooltip("ci:N", title="range")] if spec.share else shown


def _name_lines(spec: LineSpec, base: alt.Chart) -> alt.Chart:
    """Return the names at the ends of the lines, each at least a step above the one below it.

    Of places p in ascending order, max over j <= i of (p_j - j * step) + i * step is the lowest that keeps the step.
    """
    import altair as alt

    at, back = ("log(datum.y)", "exp") if spec.logarithmic else ("datum.y", "")
    span = "1" if spec.whole else "(datum.top - datum.low)"
    named = (
        base.transform_calculate(v=at, least="isValid(datum.lo) ? datum.lo : datum.v")
        .transform_calculate(most="isValid(datum.hi) ? datum.hi : datum.v")
        .transform_joinaggregate(top="max(most)", low="min(least)")
        .transform_joinaggregate(last="max(x)", groupby=["i"])
        .transform_filter("datum.x === datum.last && datum.s !== ''")
        .transform_window(n="row_number()", sort=[alt.SortField("v"), alt.SortField("i")])
        .transform_calculate(step=f"{span} * {LABEL_STEP} / height", moved="datum.v - datum.n * datum.step")
        .transform_window(raised="max(moved)", sort=[alt.SortField("n")], frame=[None, 0])
        .transform_calculate(place=f"{back}(datum.raised + datum.n * datum.step)")
    )
    kind = "log" if spec.logarithmic else "linear"
    scale = alt.Scale(type=kind, zero=False, domain=[0, 1] if spec.whole else alt.Undefined)
    return named.mark_text(align="left", dx=8, limit=alt.ExprRef("room - 10")).encode(
        y=alt.Y("place:Q", title=spec.y, scale=scale), text="s:N"
    )


@cache
def _build_scatter(spec: ScatterSpec) -> dict[str, Any]:
    import altair as alt

    near = alt.Scale(zero=False, nice=False)
    base = alt.Chart(name_data()).encode(
        x=alt.X("x:Q", title=spec.x, scale=near), y=alt.Y("y:Q", title=spec.y, scale=near)
    )
    points = base.transform_filter("datum.t === ''").mark_circle(size=9, opacity=0.8).encode(
        color=alt.Color("c:N", scale=None), tooltip=[alt.Tooltip("s:N", title="true class")]
    )  # fmt: skip
    words = base.transform_filter("datum.t !== ''").mark_text(
        fontWeight="bold", fontSize=13, stroke=Colour.PAPER, strokeWidth=3, strokeJoin="round"
    )  # fmt: skip
    over = base.transform_filter("datum.t !== ''").mark_text(fontWeight="bold", fontSize=13)
    return finish(alt.layer(points, words.encode(text="t:N"), over.encode(text="t:N")))


@cache
def _build_heat(spec: HeatSpec) -> dict[str, Any]:
    import altair as alt

    base = alt.Chart(name_data()).encode(
        x=alt.X("p:N", sort=None, title=spec.x, axis=alt.Axis(orient="top", labelAngle=-30, labelLimit=90)),
        y=alt.Y("t:N", sort=None, title=spec.y, axis=alt.Axis(labelLimit=90)),
    )
    facts = [alt.Tooltip("t:N", title=spec.y), alt.Tooltip("p:N", title=spec.x), alt.Tooltip("n:Q", title="images")]
    cells = base.mark_rect(fill=Colour.BLUE, stroke=Colour.GRID).encode(
        fillOpacity=alt.FillOpacity("share:Q", scale=None), tooltip=facts
    )
    return finish(alt.layer(cells, base.mark_text().encode(text="n:Q")))
