"""Decision surfaces side by side: a row for each pipeline, a column for each image, one colour scale for all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from advae.report.analysis.surface_shares import PipelineSurface, group_surfaces, name_purifiers, title_group
from advae.report.data.contents import Comparison
from advae.report.drawing.figure import SURFACE_GRIDS, Drawing
from advae.report.drawing.pixels import GAIN_COLOUR, LOSS_COLOUR, Tiles
from advae.report.drawing.strips import Strip
from advae.report.wording import format_share, mark_imported

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.report.drawing.pixels import Pixels

SIDE = 96
"""Least pixels of a drawn plane's side, so that the line where S is 0 is thin."""

SURFACE_SHADES = 24
"""Steps of either colour."""

REACH = 0.9
"""Share of the points whose S the colours tell apart; beyond it they are at their full strength."""

LINE, CENTRE = 2 * SURFACE_SHADES + 1, 2 * SURFACE_SHADES + 2
"""Places in the palette of the line where S is 0, and of the image itself."""

DOT = 2
"""Pixels of the image's mark on each side of its middle."""

LINE_COLOUR, CENTRE_COLOUR = (20, 20, 20), (150, 0, 90)

MOST_COLUMNS = 10
"""Images that a figure has room for; the table has all."""


def draw_surfaces(comparison: Comparison) -> Iterator[Drawing]:
    """Yield a figure for each group of surfaces that may be compared."""
    for group in group_surfaces(comparison):
        if group[0][1].metrics.n:
            yield _draw(group)


def _draw(group: Sequence[PipelineSurface]) -> Drawing:
    import numpy as np

    first = group[0][1]
    images, palette = first.metrics.images[:MOST_COLUMNS], make_palette()
    reach = float(np.quantile(np.abs(np.concatenate([one.margins.ravel() for _, one in group])), REACH)) or 1.0
    names = [
        f"{pipeline.classifier_recipe.model}, {name if pipeline.defended else 'undefended'}"
        for (pipeline, _), name in zip(group, name_purifiers(group), strict=True)
    ]
    rows = [
        Tiles(
            name,
            f"{format_share(one.metrics.right_share)} right",
            paint_planes(one.margins[: len(images)], reach),
            palette,
        )
        for name, (_, one) in zip(names, group, strict=True)
    ]
    classes = [first.recipe.dataset.classes[image.label] for image in images]
    words = {
        "test image": [(str(image.sample_id), True) for image in images],
        f"full colour: |S| {reach:.3g}": [("", True)] * len(images),
    }
    strip = Strip("true class", classes, rows, words)
    title = title_group(list(group))
    label = f"Decision surfaces around one test image of each class, {title}"
    return Drawing(SURFACE_GRIDS, label, _describe(group, reach, title), strip=strip)


def _describe(group: Sequence[PipelineSurface], reach: float, title: str) -> str:
    first = group[0][1]
    shown = first.metrics.n
    more = f" The first {MOST_COLUMNS} of {shown} classes." if shown > MOST_COLUMNS else ""
    sources = "; ".join(one.id + mark_imported(one.imported) for _, one in group)
    return (
        f"How far the true class leads (S) around one test image of each class, {title}. Left to right: down to up the "
        "gradient's sign (a); bottom to top: along random signs (b); the dot is the image. Blue: the true class leads; "
        f"orange: another class does; white and the black line: S = 0. One scale for all: full colour from {reach:.3g} "
        f"on.{more} A look at two directions, not a proof. {sources}."
    )


def make_palette() -> Pixels:
    """Return the colours, uint8 (n, 3): orange below 0, white, blue above it, then the line and the centre."""
    import numpy as np

    share = np.arange(-SURFACE_SHADES, SURFACE_SHADES + 1)[:, None] / SURFACE_SHADES
    colours = np.where(share < 0, np.array(GAIN_COLOUR), np.array(LOSS_COLOUR))
    shades = np.rint(255 + np.abs(share) * (colours - 255))
    return np.concatenate([shades, [LINE_COLOUR, CENTRE_COLOUR]]).astype(np.uint8)


def paint_planes(margins: NDArray[np.float32], reach: float) -> Pixels:
    """Return planes as places in the palette, uint8 (m, side, side), b upwards.

    margins: as in ``DrawnSurface``; reach: the S of full colour. Between points S is linear.
    """
    import numpy as np

    points = margins.shape[1]
    times = -(-SIDE // (points - 1))
    # A margin without bounds would hide where the line between two points is.
    fine = _refine(np.clip(margins[:, ::-1].astype(np.float64), -reach, reach), times)
    painted = (np.rint(fine / reach * SURFACE_SHADES) + SURFACE_SHADES).astype(np.uint8)
    painted[_find_line(fine > 0)] = LINE
    middle = (points - 1) * times // 2
    painted[:, middle - DOT : middle + DOT + 1, middle - DOT : middle + DOT + 1] = CENTRE
    return painted


def _find_line(right: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels on either side of where S changes its sign; of one side alone a smaller picture loses some."""
    import numpy as np

    line = np.zeros_like(right)
    for here, there in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[:, :, 1:], np.s_[:, :, :-1])):
        changes = right[here] != right[there]
        line[here] |= changes
        line[there] |= changes
    return line


def _refine(planes: NDArray[np.float64], times: int) -> NDArray[np.float64]:
    """Return planes with ``times - 1`` values between each two along both axes."""
    import numpy as np

    steps = np.arange((planes.shape[1] - 1) * times + 1) / times
    low = np.minimum(steps.astype(int), planes.shape[1] - 2)
    part = steps - low
    rows = planes[:, low] * (1 - part)[None, :, None] + planes[:, low + 1] * part[None, :, None]
    finer: NDArray[np.float64] = rows[:, :, low] * (1 - part) + rows[:, :, low + 1] * part
    return finer
