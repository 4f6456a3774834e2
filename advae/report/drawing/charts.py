"""Line charts as SVG: what is on one, and its markup.

They are drawn by a template of our own: matplotlib takes about 60 ms for each, and a report has some hundred and fifty.
Nothing in them has an id, so that one page can have any number of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from advae.report.drawing.axes import Axis
from advae.report.drawing.templates import render_template


class Colour(StrEnum):
    """The palette of Okabe and Ito 2008, which colour-blind readers can distinguish, and two more.

    The order is that of the colours of classes.
    """

    BLUE = "#0072B2"
    ORANGE = "#E69F00"
    GREEN = "#009E73"
    VERMILLION = "#D55E00"
    SKY = "#56B4E9"
    PURPLE = "#CC79A7"
    BLACK = "#000000"
    YELLOW = "#F0E442"
    GREY = "#666666"
    WINE = "#882255"


class Dashes(StrEnum):
    """Dashes of a line, as SVG writes them."""

    SOLID = ""
    DASHED = "7 4"
    DOTTED = "2 3"
    MIXED = "8 3 2 3"


MARKERS = {
    "circle": "m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z",
    "square": "m-3-3h6v6h-6z",
    "up": "m0-4l4 7h-8z",
    "down": "m0 4l4-7h-8z",
    "left": "m-4 0l7-4v8z",
    "diamond": "m0-4.2l4.2 4.2l-4.2 4.2l-4.2-4.2z",
    "star": "m0-5l1.5 3.5h3.5l-2.6 2.4l1 3.8l-3.4-2.2l-3.4 2.2l1-3.8l-2.6-2.4h3.5z",
    "plus": "m-4-1.3h2.7v-2.7h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7z",
    "cross": "m-3.5-3.5l7 7m0-7l-7 7",
    "dot": "h0",
}
"""Paths that begin at the point which they mark."""

LEFT, RIGHT, TOP, BOTTOM, UPPER_AXIS = 60, 18, 14, 44, 36
KEY_HEIGHT = 19
WIDE = 54
"""Letters of the longest label that a legend has room for; of two labels beside each other, half as many."""


@dataclass(frozen=True)
class Style:
    """Look of a line. Colour, marker and dashes all differ, so that lines differ in grey, too."""

    color: str
    """Colour as CSS writes it."""
    marker: str | None = None
    """Name of the marker's shape; None for no markers."""
    dashes: str = Dashes.SOLID
    """Dashes as SVG writes them."""
    hollow: bool = False
    """Whether the markers are empty."""
    joined: bool = True
    """Whether the points are joined by a line."""
    thin: bool = False
    """Whether the line is thin, for many points."""


@dataclass(frozen=True)
class Line:
    """One line of a chart."""

    label: str | None
    """Text in the legend; None for a line that is not in it."""
    points: Sequence[tuple[float, float]]
    """Points (x, y) in the units of the axes."""
    style: Style
    """Colour, marker and dashes."""
    band: Sequence[tuple[float, float]] = ()
    """Lowest and highest value at each point; empty for no band."""
    every: int = 1
    """Every how many points have a marker."""


@dataclass(frozen=True)
class Chart:
    """A chart."""

    x: Axis
    """Axis below."""
    y: Axis
    """Axis on the left."""
    lines: Sequence[Line] = ()
    """Lines, the first drawn below the others."""
    upper: Axis | None = None
    """Second scale of x, on top; None for none."""
    width: int = 440
    """Width of the whole in units of the SVG, of which letters have 12."""
    height: int = 270
    """Height in the same unit, without the legend."""
    image: str | None = None
    """URI of the image that fills the frame; None for none."""
    texts: Sequence[tuple[float, float, str]] = ()
    """(x, y, words) written into the frame."""
    title: str = ""
    """Title of the legend."""
    grid: bool = True
    """Whether grid lines are drawn."""


@dataclass(frozen=True)
class _Shape:
    """A line as paths: its band, itself, its markers."""

    style: Style
    """Style of the line."""
    band: str
    """SVG path of the band."""
    path: str
    """SVG path of the line."""
    markers: str
    """SVG path of the markers."""


@dataclass(frozen=True)
class _Key:
    """One key of the legend."""

    x: int
    """Distance from the left."""
    y: int
    """Distance from the top."""
    label: str
    """Text."""
    style: Style
    """Style of its line."""
    marker: str
    """SVG path of its marker."""


def draw_chart(chart: Chart) -> str:
    """Return a chart as an SVG element; equal charts give equal bytes."""
    return wrap_svg(draw_group(chart), chart.width, chart.height + measure_legend(chart))


def wrap_svg(markup: str, width: int, height: int) -> str:
    """Return SVG markup as an element whose size the page decides."""
    font = 'font-family="system-ui, DejaVu Sans, Verdana, sans-serif" font-size="12"'
    return f'<svg viewBox="0 0 {width} {height}" aria-hidden="true" focusable="false" {font}>{markup}</svg>'


def draw_group(chart: Chart) -> str:
    """Return a chart as SVG markup that begins at (0, 0), to be put among other things."""
    top = TOP + (UPPER_AXIS if chart.upper else 0)
    frame = _Frame(LEFT, top, chart.width - LEFT - RIGHT, chart.height - top - BOTTOM)
    return render_template(
        "chart.svg.j2",
        chart=chart,
        frame=frame,
        x_ticks=[(_round(frame.to_x(chart.x, value)), text) for value, text in chart.x.ticks],
        y_ticks=[(_round(frame.to_y(chart.y, value)), text) for value, text in chart.y.ticks],
        upper_ticks=[(_round(frame.to_x(chart.upper, value)), text) for value, text in chart.upper.ticks]
        if chart.upper
        else [],
        shapes=[_shape_line(chart, line, frame) for line in chart.lines],
        texts=[(_round(frame.to_x(chart.x, x)), _round(frame.to_y(chart.y, y)), text) for x, y, text in chart.texts],
        keys=_list_keys(chart),
        legend_top=chart.height + 12,
    )


@dataclass(frozen=True)
class _Frame:
    """The rectangle within the axes."""

    left: int
    """Distance from the left, in units of the SVG."""
    top: int
    """Distance from the top."""
    width: int
    """Width."""
    height: int
    """Height."""

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height

    def to_x(self, axis: Axis, value: float) -> float:
        return self.left + self.width * axis.place(value)

    def to_y(self, axis: Axis, value: float) -> float:
        return self.bottom - self.height * axis.place(value)


def _shape_line(chart: Chart, line: Line, frame: _Frame) -> _Shape:
    places = [(frame.to_x(chart.x, x), frame.to_y(chart.y, y)) for x, y in line.points]
    xs = [x for x, _ in places]
    low, high = ([(x, frame.to_y(chart.y, ends[k])) for x, ends in zip(xs, line.band, strict=False)] for k in (0, 1))
    marker = MARKERS[line.style.marker] if line.style.marker else ""
    return _Shape(
        style=line.style,
        band=f"{_join([*low, *reversed(high)])}z" if low else "",
        path=_join(places) if line.style.joined else "",
        markers="".join(f"M{_round(x)} {_round(y)}{marker}" for x, y in places[:: line.every]) if marker else "",
    )


def _join(places: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_round(x)} {_round(y)}" for x, y in places)


def _round(value: float) -> str:
    """Return a coordinate in tenths: a hair's breadth, and a third of the bytes."""
    return f"{value:.1f}".removesuffix(".0")


# ---------------------------------------------------------------- the legend


def measure_legend(chart: Chart) -> int:
    """Return the height that the legend adds to a chart."""
    labels = _list_labels(chart)
    rows = -(-len(labels) // _count_columns(labels)) + bool(chart.title)
    return rows * KEY_HEIGHT + 8 if labels else 0


def _list_labels(chart: Chart) -> list[str]:
    return [line.label for line in chart.lines if line.label is not None]


def _count_columns(labels: Sequence[str]) -> int:
    return 2 if max(map(len, labels), default=0) < WIDE // 2 else 1


def _list_keys(chart: Chart) -> list[_Key]:
    keyed = [line for line in chart.lines if line.label is not None]
    columns = _count_columns(_list_labels(chart))
    top = chart.height + 12 + (KEY_HEIGHT if chart.title else 0)
    return [
        _Key(
            x=16 + place % columns * (chart.width // 2),
            y=top + place // columns * KEY_HEIGHT,
            label=_shorten(line.label or ""),
            style=line.style,
            marker=MARKERS[line.style.marker] if line.style.marker else "",
        )
        for place, line in enumerate(keyed)
    ]


def _shorten(label: str) -> str:
    return label if len(label) <= WIDE else f"{label[: WIDE - 1]}…"
