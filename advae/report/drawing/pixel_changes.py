"""Pixel values of one image before and after an attack, and the perturbation, defended and undefended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae.attacks import TARGETS_FROM
from advae.report.data.contents import AttackedPipeline, Comparison, Row
from advae.report.data.runs import Measured, Run
from advae.report.drawing.axes import make_axis
from advae.report.drawing.charts import Chart, Colour, Line, Style, draw_group, measure_legend, wrap_svg
from advae.report.drawing.figure import Drawing
from advae.report.drawing.pixels import tile_differences, tile_images
from advae.report.drawing.templates import render_template
from advae.report.wording import describe_run, format_eps

if TYPE_CHECKING:
    from advae.report.drawing.pixels import Images

WIDTH, PICTURES, VALUES, CHANGE = 440, 190, 190, 160
"""Of a panel, and the heights of its parts, in the unit of a chart."""


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
    outcome: str
    """True and predicted class, in words."""


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
    reach = max(float(abs(change.after - change.before).max()) for change in changes) or 1.0
    panels = [(change.side, _draw_panel(change, reach)) for change in changes]
    markup = render_template("changes.html.j2", panels=panels)
    eps = format_eps(row.eps)
    others = "; ".join(change.measured.run.id for change in changes if change.measured.run is not row.run)
    compared = f" Undefended: {others}." if others else ""
    what = f"Values of test image {id_}, pixel by pixel, before and after the attack at eps {eps}, and the perturbation"
    return Drawing(row.run.id, markup, what, f"{what}. {describe_run(row.run)}.{compared}")


def _find_change(side: Measured | None, id_: int) -> Change | None:
    """Return what became of a test image on one side; None where it was not stored there."""
    if side is None or id_ not in side.run.samples["ids"].tolist():
        return None
    run, samples = side.run, side.run.samples
    place = samples["ids"].tolist().index(id_)
    name = f"defended, {run.recipe.threat}" if run.defended else "undefended"
    before, after = samples["start"][place], samples["x_adv"][side.index][place]
    return Change(name, side, before, after, _describe_prediction(run, side.index, place))


def _describe_prediction(run: Run, index: int, place: int) -> str:
    names = run.recipe.dataset.classes
    true, predicted = run.samples["labels"][place], run.samples["predictions"][index][place]
    return f"true class {names[true]}, predicted class {names[predicted]}{' ✗' if true != predicted else ''}"


def _draw_panel(change: Change, reach: float) -> str:
    """Return the pictures above both charts. reach: the largest change, so that panels share its scale."""
    run = change.measured.run
    shape = run.recipe.dataset.shape
    pictures = (
        tile_images("purified" if run.recipe.threat == "encoded" else "image", change.before[None], shape),
        tile_images("adversarial", change.after[None], shape),
        tile_differences((change.after - change.before)[None], shape),
    )
    values = _chart_values(change)
    below = PICTURES + VALUES + measure_legend(values)
    markup = render_template(
        "change.svg.j2",
        title=change.side,
        outcome=change.outcome,
        pictures=pictures,
        charts=[(PICTURES, draw_group(values)), (below, draw_group(_chart_change(change, reach)))],
    )
    return wrap_svg(markup, WIDTH, below + CHANGE)


def _chart_values(change: Change) -> Chart:
    both = [*change.before.tolist(), *change.after.tolist()]
    low, high = min(0.0, *both), max(1.0, *both)
    # What was there before has fewer peaks, and on top hides less.
    lines = [
        Line("after", _number(change.after.tolist()), Style(Colour.VERMILLION, thin=True, dashes="3 1")),
        Line("before", _number(change.before.tolist()), Style(Colour.BLUE, thin=True)),
    ]
    y = make_axis("pixel value", low, high, most=4)
    return Chart(make_axis(_name_places(change), 0, len(change.before)), y, lines, width=WIDTH, height=VALUES)


def _chart_change(change: Change, reach: float) -> Chart:
    line = Line(None, _number((change.after - change.before).tolist()), Style(Colour.BLACK, thin=True))
    y = make_axis("perturbation", -reach * 1.05, reach * 1.05, most=4)
    return Chart(make_axis(_name_places(change), 0, len(change.before)), y, [line], width=WIDTH, height=CHANGE)


def _name_places(change: Change) -> str:
    grey = change.measured.run.recipe.dataset.shape.is_grey
    return "pixel, row by row" if grey else "red, green, blue of each pixel, row by row"


def _number(values: Sequence[float]) -> list[tuple[float, float]]:
    return [(float(place), value) for place, value in enumerate(values)]
