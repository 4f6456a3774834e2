"""The authors' table and ours for people: a grid for each attack, and the curves side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from advae.experiments.sahay2019.cascade_accuracies import ATTACKED, CASCADED, DENOISED, REDUCED
from advae.experiments.sahay2019.cascade_table import Ours, Place, SahayRecord, collect_sahay
from advae.report.analysis.tables import Findings, NotRun, Table
from advae.report.data.grouping import group_by
from advae.report.data.word_tables import Cell, Grid, Part, show_eps
from advae.report.drawing.accuracy import EPS_TITLE
from advae.report.drawing.chart_specs import LineSpec
from advae.report.drawing.charts import Chart, Line, Style, make_line_chart
from advae.report.drawing.figure import TRAINING, Drawing
from advae.report.drawing.palette import Colour, Dashes
from advae.report.wording import NOT_RUN, format_share

CASCADE_HEADING = "Sahay, Mahfuz, El Gamal 2018"

CASCADE_EXPLANATION = (
    "The table of arXiv:1812.03087: a classifier alone (attacked), behind a denoising autoencoder (denoised), on the "
    "code of a second autoencoder of K numbers (reduced), and on that code of denoised images (cascaded). Theirs is "
    "from the result file of their published scripts. Their attack knows the undefended classifier only; ours: under "
    "that attack (oblivious), and under attackers who differentiate the whole pipeline (adaptive). Their cascaded "
    "columns use the classifier of the reduced ones; ours is trained on the codes of denoised images."
)

TABLE_VIEWS = {
    "published": "published",
    "oblivious FGSM": "oblivious",
    "adaptive FGSM": "adaptive",
    "adaptive PGD": "strong",
}
"""Name of a grid and of a chart -> the field of a record that it shows."""

MOST_CODES = 3
"""Code sizes whose curves are drawn, at most; the table has all of them."""


def _read(record: SahayRecord, view: str) -> float | None:
    """Return the accuracy that a view shows of a record; None where there is none."""
    found: Ours | NotRun | float | None = getattr(record, TABLE_VIEWS[view])
    return found.accuracy if isinstance(found, Ours) else found if isinstance(found, float) else None


def _group(records: Sequence[SahayRecord]) -> dict[Place, list[SahayRecord]]:
    return group_by(records, lambda one: Place(one.column, one.code_size))


# ---------------------------------------------------------------- the table


def tabulate_sahay(findings: Findings) -> Iterator[Part]:
    """Yield a grid for each dataset and view that has numbers: a row for each eps, a column for each pipeline."""
    for dataset, records in group_by(findings.collect(collect_sahay), lambda one: one.dataset).items():
        for view in TABLE_VIEWS:
            shown = [record for record in records if _read(record, view) is not None]
            if shown:
                heading = f"{dataset}: {view}"
                yield Part(_make_grid(view, shown), {"dataset": dataset}, heading, _describe_images(shown, view))


def _make_grid(view: str, shown: Sequence[SahayRecord]) -> Grid:
    columns = _group(shown)
    found = {(place, one.eps): _read(one, view) for place, several in columns.items() for one in several}
    radii = sorted({eps for _, eps in found if eps is not None})
    rows = [(Cell("clean", 0.0), *(_write(found.get((place, None))) for place in columns))]
    rows += [(show_eps(eps), *(_write(found.get((place, eps))) for place in columns)) for eps in radii]
    return Grid("Accuracy by eps", ("eps", *(place.name for place in columns)), tuple(rows))


def _write(value: float | None) -> Cell:
    return Cell(NOT_RUN if value is None else format_share(value), value)


def _describe_images(shown: Sequence[SahayRecord], view: str) -> str:
    """Return how many images the numbers of a view are of, and how wide their intervals are."""
    found = [ours for one in shown if isinstance(ours := getattr(one, TABLE_VIEWS[view]), Ours)]
    if not found:
        return "10,000 test images; of clean images only the accuracy without a defence is published."
    counts = " or ".join(map(str, sorted({one.n for one in found})))
    widest = max(max(one.accuracy - one.accuracy_interval[0], one.accuracy_interval[1] - one.accuracy) for one in found)
    reach = f"no 95 % interval reaches farther than {100 * widest:.1f} points"
    return f"{counts} test images; {reach}; report.json has every interval."


# ---------------------------------------------------------------- the figure

COLUMN_STYLES = {
    ATTACKED: Style(Colour.INK, "circle"),
    DENOISED: Style(Colour.BLUE, "square"),
    REDUCED: Style(Colour.ORANGE, "up"),
    CASCADED: Style(Colour.GREEN, "diamond"),
}
SIZE_DASHES = (Dashes.SOLID, Dashes.DASHED, Dashes.DOTTED)

MARKED_POINTS = 10
"""Markers of a curve, about."""


def draw_sahay(findings: Findings) -> Iterator[Drawing]:
    """Yield a figure for each dataset: a chart for each view, one scale for all."""
    for dataset, records in group_by(findings.collect(collect_sahay), lambda one: one.dataset).items():
        charts = tuple(chart for view in TABLE_VIEWS if (chart := _draw_view(view, records)))
        if charts:
            label = f"Accuracy of the cascade and its parts against eps, {dataset}"
            caption = (
                "The same pipelines under FGSM on the undefended classifier (oblivious), and under attackers "
                "who differentiate the whole pipeline (adaptive); eps 0: clean. "
                f"Of the code sizes at most {MOST_CODES} are drawn; the table has all."
            )
            yield Drawing(TRAINING, label, caption, charts=charts)


def _draw_view(view: str, records: Sequence[SahayRecord]) -> Chart | None:
    shown = [record for record in records if _read(record, view) is not None]
    # A pipeline of which only the clean accuracy is known has no curve.
    columns = {place: several for place, several in _group(shown).items() if any(one.eps for one in several)}
    sizes = sorted({place.code_size for place in columns if place.code_size is not None})
    drawn = _choose_sizes(sizes)
    lines = [
        _draw_line(place, several, view, SIZE_DASHES[drawn.index(place.code_size) if place.code_size else 0])
        for place, several in columns.items()
        if place.code_size is None or place.code_size in drawn
    ]
    spec = LineSpec(EPS_TITLE, "accuracy", share=True, whole=True)
    return make_line_chart(spec, lines, title=view) if lines else None


def _choose_sizes(sizes: Sequence[int]) -> list[int]:
    """Return the first, the middle and the last of several sizes."""
    if len(sizes) <= MOST_CODES:
        return list(sizes)
    return [sizes[0], sizes[len(sizes) // 2], sizes[-1]]


def _draw_line(place: Place, records: Sequence[SahayRecord], view: str, dashes: Dashes) -> Line:
    points = [(one.eps or 0.0, value) for one in records if (value := _read(one, view)) is not None]
    look = COLUMN_STYLES[place.column]
    return Line(place.name, points, Style(look.color, look.marker, dashes), every=max(1, len(points) // MARKED_POINTS))


SAHAY_SECTION = Table(
    CASCADE_HEADING,
    CASCADE_EXPLANATION,
    "report",
    tabulate_sahay,
    SahayRecord,
    collect=collect_sahay,
    marks=("column", "code_size", "published"),
    draw=draw_sahay,
)
"""The section that the commands add to the report under the name ``sahay2019``."""
