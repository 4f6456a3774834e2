"""Pixel values of one image before and after an attack, and the perturbation, defended and undefended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae.attacks import TARGETS_FROM
from advae.report.data.contents import AttackedPipeline, Comparison, Row
from advae.report.data.runs import Measured
from advae.report.drawing.chart_specs import LineSpec
from advae.report.drawing.charts import Chart, Line, Style, make_line_chart
from advae.report.drawing.figure import Drawing
from advae.report.drawing.palette import Colour
from advae.report.drawing.pixels import tile_differences, tile_images
from advae.report.drawing.strips import Strip
from advae.report.wording import describe_run, format_eps

if TYPE_CHECKING:
    from advae.report.drawing.pixels import Images

MOST_VALUES = 10_000
"""Values of the largest image that is drawn value by value; of a larger one the lines would be a block."""


@dataclass(frozen=True, eq=False)
class Change:
    """One image before and after an attack."""

    side: str
    """Defended, with the threat model, or undefended, in words."""
    measured: Measured
    """The run and its eps."""
    before: Images
    """Pixels before the attack, float32 (d,)."""
    after: Images
    """Pixels after the attack, float32 (d,)."""
    true: str
    """Name of the true class."""
    predicted: str
    """Name of the predicted class."""


def draw_changes(comparison: Comparison) -> Iterator[Drawing]:
    """Yield the change of the first stored image at the largest eps, of one non-targeted run for each threat model."""
    for pipeline in comparison.pipelines:
        for row in _choose_rows(pipeline):
            yield _draw_row(row)


def _choose_rows(pipeline: AttackedPipeline) -> list[Row]:
    """Return a row of each threat model, with and without clipping: that of the largest eps."""
    chosen: dict[tuple[str, bool], Row] = {}
    for row in pipeline.rows:
        recipe = row.run.recipe
        drawable = len(row.run.samples["ids"]) and recipe.dataset.shape.size <= MOST_VALUES
        if recipe.method == TARGETS_FROM and drawable:
            best = chosen.setdefault((recipe.threat, recipe.clip), row)
            if row.eps > best.eps:
                chosen[recipe.threat, recipe.clip] = row
    return list(chosen.values())


def _draw_row(row: Row) -> Drawing:
    id_ = int(row.run.samples["ids"][0])
    sides = [row.undefended, row] if row.defended else [row]
    changes = [change for change in (_find_change(side, id_) for side in sides) if change]
    charts = [chart for change in changes for chart in (_chart_values(change), _chart_change(change))]
    eps = format_eps(row.eps)
    others = "; ".join(change.measured.run.id for change in changes if change.measured.run is not row.run)
    compared = f" Undefended: {others}." if others else ""
    what = f"Values of test image {id_}, pixel by pixel, before and after the attack at eps {eps}, and the perturbation"
    caption = f"{what}. {describe_run(row.run)}.{compared}"
    return Drawing(row.run.id, what, caption, charts=tuple(charts), strip=_show_images(changes))


def _show_images(changes: Sequence[Change]) -> Strip:
    """Return the image before and after, and the difference, on each side."""
    import numpy as np

    run = changes[0].measured.run
    shape, encoded = run.recipe.dataset.shape, any(one.measured.run.recipe.threat == "encoded" for one in changes)
    before, after = (np.stack([getattr(one, name) for one in changes]) for name in ("before", "after"))
    rows = (
        tile_images("image, or purified" if encoded else "image", before, shape),
        tile_images("adversarial", after, shape),
        tile_differences(after - before, shape),
    )
    words = {
        "true class": [(one.true, True) for one in changes],
        "predicted class": [(one.predicted, one.predicted == one.true) for one in changes],
    }
    return Strip("", [one.side for one in changes], rows, words)


def _find_change(side: Measured | None, id_: int) -> Change | None:
    """Return what became of a test image on one side; None where it was not stored there."""
    if side is None or id_ not in side.run.samples["ids"].tolist():
        return None
    run, samples = side.run, side.run.samples
    place = samples["ids"].tolist().index(id_)
    name = f"defended, {run.recipe.threat}" if run.defended else "undefended"
    before, after = samples["start"][place], samples["x_adv"][side.index][place]
    names, predicted = run.recipe.dataset.classes, samples["predictions"][side.index][place]
    return Change(name, side, before, after, names[samples["labels"][place]], names[predicted])


def _chart_values(change: Change) -> Chart:
    # What was there before has fewer peaks, and on top hides less.
    lines = [
        Line("after", _number(change.after), Style(Colour.VERMILLION, thin=True, dashes="3 1")),
        Line("before", _number(change.before), Style(Colour.BLUE, thin=True)),
    ]
    return make_line_chart(LineSpec(_name_places(change), "pixel value"), lines, title=change.side, height=160)


def _chart_change(change: Change) -> Chart:
    line = Line("perturbation", _number(change.after - change.before), Style(Colour.INK, thin=True))
    return make_line_chart(LineSpec(_name_places(change), "perturbation"), [line], title=change.side, height=120)


def _name_places(change: Change) -> str:
    grey = change.measured.run.recipe.dataset.shape.is_grey
    return "pixel, row by row" if grey else "red, green, blue of each pixel, row by row"


def _number(values: Images) -> list[tuple[float, float]]:
    return [(float(place), round(value, 3)) for place, value in enumerate(values.tolist())]
