"""Heat map of actual against mispredicted classes."""

from __future__ import annotations

from collections.abc import Iterator

from advae.attacks import TARGETS_FROM
from advae.metrics import confusion_matrix
from advae.report.analysis.confusion import MANY_CLASSES
from advae.report.data.contents import Comparison
from advae.report.data.runs import Run
from advae.report.drawing.chart_specs import HeatSpec
from advae.report.drawing.charts import Chart
from advae.report.drawing.figure import Drawing
from advae.report.drawing.image_strip import find_largest
from advae.report.wording import describe_run, format_eps

MISTAKES_SPEC = HeatSpec("mistaken for", "true class")

DARKEST = 0.75
"""Opacity of the cell with the largest count: one hue that darkens, under letters that stay readable."""


def draw_mistakes(comparison: Comparison) -> Iterator[Drawing]:
    """Yield which class each class is mistaken for, for each non-targeted run at its largest eps.

    Not of many classes: a page has their most frequent mistakes as a table.
    """
    for run in comparison.runs:
        if run.recipe.method == TARGETS_FROM and len(run.recipe.dataset.classes) <= MANY_CLASSES:
            yield _draw_run(run, find_largest(run))


def _draw_run(run: Run, index: int) -> Drawing:
    classes = len(run.recipe.dataset.classes)
    names = run.recipe.dataset.classes
    matrix = confusion_matrix(run.outcomes["labels"], run.outcomes["predictions"][index], classes).tolist()
    wrong = sum(sum(row) for row in matrix) - sum(matrix[label][label] for label in range(classes))
    most = max((matrix[i][j] for i in range(classes) for j in range(classes) if i != j), default=0)
    rows = [
        {"t": names[true], "p": names[predicted], "n": count, "share": DARKEST * count / (most or 1)}
        for true in range(classes)
        for predicted, count in enumerate(matrix[true])
        if true != predicted
    ]
    eps = format_eps(run.recipe.eps[index])
    label = f"Heat map of actual against mispredicted classes at eps {eps}"
    what = f"Which class each class is mistaken for at eps {eps}: {wrong} wrong predictions"
    chart = Chart(MISTAKES_SPEC, rows=rows, height=26 * classes)
    return Drawing(run.id, label, f"{what}; right ones are not shown. {describe_run(run)}.", charts=(chart,))
