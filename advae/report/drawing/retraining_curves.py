"""A retraining round by round: how many adversarial examples there are, and how accurate its classifier is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from advae.records import Retraining, RetrainingRound, RetrainOptions
from advae.report.analysis.retrained import list_retrained
from advae.report.data.contents import Comparison
from advae.report.data.runs import StoredPipeline
from advae.report.drawing.chart_specs import LineSpec
from advae.report.drawing.charts import Line, Style, make_line_chart
from advae.report.drawing.figure import RETRAINING, Drawing
from advae.report.drawing.training_curves import FIRST, SECOND
from advae.report.wording import format_eps, mark_imported, name_pipeline

ROUND_COUNTS = LineSpec("round", "adversarial examples", counted=True)
ROUND_ACCURACIES = LineSpec("round", "correctly classified", share=True, whole=True, counted=True)


def draw_retraining(comparison: Comparison) -> Iterator[Drawing]:
    """Yield the counts and the accuracies by round of each retrained classifier."""
    for pipeline, how, found in list_retrained(comparison):
        yield _draw(pipeline, how, found)


def _draw(pipeline: StoredPipeline, how: RetrainOptions, found: Retraining) -> Drawing:
    counts = (
        _draw_counts(found, "in the training set", lambda one: one.examples, FIRST),
        _draw_counts(found, "new", lambda one: one.new, SECOND),
    )
    accuracies = (
        _draw_rate(found, "clean", lambda one: (one.clean_accuracy, one.clean_accuracy_interval), FIRST),
        _draw_rate(found, "robust", lambda one: (one.robust_accuracy, one.robust_accuracy_interval), SECOND),
    )
    name, id_ = name_pipeline(pipeline), pipeline.classifier.id
    n = pipeline.classifier.as_classifier()[1].n_test
    what = f"Retraining by round of {name}, {id_}{mark_imported(pipeline.classifier.imported)}"
    attack = f"attack {how.method}, eps {format_eps(how.eps)}, {found.attacked} training images a round"
    robust = f"robust: under the same attack, on all {n} test images, an upper bound"
    caption = f"{what}; {attack}; {robust}. Round 0 is not retrained; bands: 95 % confidence intervals."
    charts = make_line_chart(ROUND_COUNTS, counts), make_line_chart(ROUND_ACCURACIES, accuracies)
    return Drawing(RETRAINING, f"Rounds of the retraining: {name}", caption, charts=charts)


def _draw_counts(found: Retraining, label: str, read: Callable[[RetrainingRound], int], style: Style) -> Line:
    return Line(label, [(float(number), float(read(one))) for number, one in enumerate(found.rounds)], style)


def _draw_rate(
    found: Retraining,
    label: str,
    read: Callable[[RetrainingRound], tuple[float, tuple[float, float]]],
    style: Style,
) -> Line:
    rates = [read(one) for one in found.rounds]
    points = [(float(number), share) for number, (share, _) in enumerate(rates)]
    return Line(label, points, style, band=[interval for _, interval in rates])
