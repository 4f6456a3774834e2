"""Charts: what is on one, before a library draws it in the browser or into a file.

The specifications are few and hold no name from outside; all that is measured, and every name, is data of a chart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from advae.errors import printable
from advae.report.drawing.chart_specs import LineSpec, ScatterSpec, Spec
from advae.report.drawing.palette import Dashes
from advae.report.wording import NBSP

MARKER_SHAPES = {
    "circle": "circle",
    "square": "square",
    "up": "triangle-up",
    "down": "triangle-down",
    "left": "triangle-left",
    "diamond": "diamond",
    "cross": "cross",
    "plus": "M-.4,-1h.8v.6h.6v.8h-.6v.6h-.8v-.6h-.6v-.8h.6z",
    "star": "M0,-1.1l.32,.74l.81,.07l-.61,.54l.18,.79l-.7,-.41l-.7,.41l.18,-.79l-.61,-.54l.81,-.07z",
}
"""Shapes of markers, as Vega names them or as SVG paths from about -1 to 1."""

LETTER = 6.2
"""Mean width of a letter of a chart's text, in pixels."""

ROOM = 40, 230
"""Least and most pixels beside a chart for the names of its lines."""


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
    thin: bool = False
    """Whether the line is thin, for many points."""


@dataclass(frozen=True)
class Line:
    """One line of a chart."""

    label: str | None
    """Text at the line's end; None for a line without one."""
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
    """A chart: one of the few specifications, and its data."""

    spec: Spec
    """How it is drawn."""
    lines: Sequence[Line] = ()
    """Its lines, of a chart that has lines."""
    rows: Sequence[dict[str, Any]] = ()
    """Its data, of any other chart."""
    title: str = ""
    """Text above it where it is one of several; empty for none."""
    height: int = 260
    """Height within the axes in pixels."""

    @property
    def name(self) -> str:
        """What it shows, to tell it from the others of its figure."""
        return f"{self.title} {self.spec.y}".strip()

    @property
    def square(self) -> bool:
        """Whether its width follows its height, because a step means the same on both axes."""
        return isinstance(self.spec, ScatterSpec)


def make_line_chart(spec: LineSpec, lines: Sequence[Line], *, title: str = "", height: int = 260) -> Chart:
    """Return a chart of lines; with shares, on the scale of all shares."""
    return Chart(spec, tuple(lines), title=title, height=height)


def list_data(chart: Chart) -> dict[str, Any]:
    """Return the data of a chart as the page holds them: lines as columns, any other as rows; all text printable."""
    if not chart.lines:
        return {"rows": [{name: _clean(value) for name, value in row.items()} for row in chart.rows]}
    return {"lines": [write_line(line) for line in chart.lines], "room": measure_room(chart)}


def list_points(chart: Chart) -> list[dict[str, Any]]:
    """Return the data of a chart as its specification reads them, a row for each point."""
    data = list_data(chart)
    if not chart.lines:
        rows: list[dict[str, Any]] = data["rows"]
        return rows
    return [row for place, line in enumerate(data["lines"]) for row in _expand_line(line, place)]


def _expand_line(line: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each point of a line; the page's script does the same."""
    shared = {"i": number} | {name: line[name] for name in ("s", "c", "d", "p", "f", "w")}
    for place, (x, y) in enumerate(zip(line["x"], line["y"], strict=True)):
        ends = {"lo": line["lo"][place], "hi": line["hi"][place]} if "lo" in line else {}
        yield {**shared, **ends, "x": x, "y": y, "m": int(bool(line["p"]) and place % line["e"] == 0)}


def write_line(line: Line) -> dict[str, Any]:
    """Return a line as the page holds it: its look in letters, its points as columns."""
    style = line.style
    written = {
        "s": _clean(line.label or ""),
        "c": style.color,
        "d": [float(part) for part in style.dashes.split()] or [1, 0],
        "p": MARKER_SHAPES[style.marker] if style.marker else "",
        "f": 0 if style.hollow else 1,
        "w": 1 if style.thin else 2,
        "e": line.every,
        "x": [_round(x) for x, _ in line.points],
        "y": [_round(y) for _, y in line.points],
    }
    ends = {"lo": [_round(low) for low, _ in line.band], "hi": [_round(high) for _, high in line.band]}
    return written | (ends if line.band else {})


def _round(value: float) -> float | None:
    """Return a value with the digits that a chart can show; None, which breaks the line, where there is no number."""
    return float(f"{value:.5g}") if isfinite(value) else None


def _clean(value: Any) -> Any:
    return printable(value, keep=NBSP) if isinstance(value, str) else value


def measure_room(chart: Chart) -> int:
    """Return the pixels that the names of a chart's lines take beside it."""
    longest = max((len(line.label or "") for line in chart.lines), default=0)
    least, most = ROOM
    return round(min(most, max(least, longest * LETTER + 16)))
