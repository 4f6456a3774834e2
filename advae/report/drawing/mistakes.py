"""Heat map of actual against mispredicted classes."""

from __future__ import annotations

from collections.abc import Iterator

from advae.attacks import TARGETS_FROM
from advae.metrics import confusion_matrix
from advae.report.analysis.confusion import MANY_CLASSES
from advae.report.data.contents import Comparison
from advae.report.data.runs import Run
from advae.report.drawing.figure import Drawing
from advae.report.drawing.image_strip import find_largest
from advae.report.drawing.templates import render_template
from advae.report.wording import describe_run, format_eps

DARKEST = (8, 48, 107)
"""Red, green and blue of the largest count; white is none. One hue that darkens, which everybody can read."""

LIGHT_TEXT = 0.45
"""Share of the largest count from which on letters are white."""


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
        (name, [None if i == j else (count, _paint(count, most)) for j, count in enumerate(matrix[i])])
        for i, name in enumerate(names)
    ]
    steps = [(round(most * share / 4), _paint(round(most * share / 4), most)) for share in range(5)]
    eps = format_eps(run.recipe.eps[index])
    label = f"Heat map of actual against mispredicted classes at eps {eps}"
    markup = render_template("mistakes.html.j2", names=names, rows=rows, steps=steps, label=label)
    what = f"Which class each class is mistaken for at eps {eps}: {wrong} wrong predictions"
    return Drawing(run.id, markup, label, f"{what}; right ones are not shown. {describe_run(run)}.")


def _paint(count: int, most: int) -> str:
    """Return the style of a cell whose count is so large a share of the largest."""
    share = count / most if most else 0.0
    colour = ",".join(f"{255 + share * (end - 255):.0f}" for end in DARKEST)
    return f"background:rgb({colour});color:{'#fff' if share > LIGHT_TEXT else '#111'}"
