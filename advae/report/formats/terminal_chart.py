"""Accuracy against eps, drawn in characters for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

Point = tuple[float, float]
"""eps, and the share of the images that is still classified correctly."""

MARKERS = {"without": "×", "oblivious": "△", "gray-box": "□", "black-box": "◇", "adaptive": "●"}
"""Name of a line -> what marks its points."""

BETWEEN = "·"
"""Stands between two measured points: nothing was measured there."""

HEIGHT, WIDTH = 11, 50
"""Rows and columns of the plot itself; a row for each ten per cent."""


def draw_chart(lines: Mapping[str, Sequence[Point]]) -> list[str]:
    """Return a chart of accuracy against eps, a string for each row, its legend last.

    lines: points by the name of their line, one of MARKERS, each in the order of eps; where two meet, the later line's
    marker is seen.
    """
    reach = max(eps for points in lines.values() for eps, _ in points) or 1.0
    plot = [[" "] * WIDTH for _ in range(HEIGHT)]
    places = {name: [_place(point, reach) for point in points] for name, points in lines.items()}
    for line in places.values():
        for (x, y), (other_x, other_y) in pairwise(line):
            for column in range(x + 1, other_x):
                plot[round(y + (other_y - y) * (column - x) / (other_x - x))][column] = BETWEEN
    for name, line in places.items():
        for x, y in line:
            plot[y][x] = MARKERS[name]
    legend = "  ".join(f"{MARKERS[name]} {name}" for name in lines)
    values = (eps for points in lines.values() for eps, _ in points)
    return [*_frame(plot), _label_eps(values, reach), f"  {legend}"]


def _place(point: Point, reach: float) -> tuple[int, int]:
    """Return the column and the row of a point."""
    eps, share = point
    return round(eps / reach * (WIDTH - 1)), round((1 - share) * (HEIGHT - 1))


def _frame(plot: list[list[str]]) -> list[str]:
    labels = {0: "100 %", HEIGHT // 2: "50 %", HEIGHT - 1: "0 %"}
    rows = (
        f"{labels.get(row, ''):>6} {'┤' if row in labels else '│'}{''.join(cells)}" for row, cells in enumerate(plot)
    )
    return [line.rstrip() for line in rows] + [f"{'':>6} └{'─' * WIDTH}"]


def _label_eps(values: Iterable[float], reach: float) -> str:
    """Return the line below the axis: every eps that has room, under its own column."""
    line, margin = f"{'eps':>6}  ", 8
    for eps in sorted(set(values)):
        label = f"{eps:.3g}"
        column = margin + min(round(eps / reach * (WIDTH - 1)), WIDTH - len(label))
        if column >= len(line) + (len(line) > margin):
            line = f"{line:<{column}}{label}"
    return line
