"""Curves of whole pipelines, to be compared in one chart: the strongest attack of a threat model at each eps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from advae.report.analysis.envelopes import EnvelopePoint, list_envelopes
from advae.report.analysis.pipeline_numbers import list_first_numbers
from advae.report.analysis.tables import Findings
from advae.report.data.contents import AttackedPipeline
from advae.report.data.grouping import group_by
from advae.report.drawing.accuracy import EPS_TITLE
from advae.report.drawing.chart_specs import LineSpec
from advae.report.drawing.charts import Chart, Line, Style, make_line_chart
from advae.report.drawing.palette import CLASS_COLOURS, Colour, Dashes

COMPARED_SPEC = LineSpec(EPS_TITLE, "robust accuracy", share=True, whole=True)

CURVE_MARKERS = ("circle", "square", "diamond", "up", "down", "left")
CURVE_DASHES = (Dashes.SOLID, Dashes.DASHED, Dashes.MIXED, Dashes.DOTTED)


def choose_styles(pipelines: Sequence[AttackedPipeline]) -> dict[str, Style]:
    """Return the look of each pipeline by its id: a colour for its purifier, marker and dashes for its classifier."""
    kinds = list(dict.fromkeys(pipeline.first.autoencoder_type for pipeline in pipelines if pipeline.first.defended))
    models = list(dict.fromkeys(pipeline.first.classifier_recipe.model for pipeline in pipelines))
    colours = [colour for colour in CLASS_COLOURS if colour not in (Colour.INK, Colour.GREY)]
    styles = {}
    for pipeline in pipelines:
        place, defended = models.index(pipeline.first.classifier_recipe.model), pipeline.first.defended
        kind = kinds.index(pipeline.first.autoencoder_type) if defended else 0
        colour = colours[kind % len(colours)] if defended else Colour.INK
        styles[pipeline.id] = Style(
            colour, CURVE_MARKERS[place % len(CURVE_MARKERS)], CURVE_DASHES[place % len(CURVE_DASHES)]
        )
    return styles


MOST_DRAWN = 12
"""Pipelines of a chart that is a file, at most: of more no reader tells the lines apart."""


def chart_compared(findings: Findings) -> Iterator[tuple[str, Chart]]:
    """Yield each dataset with a chart of its pipelines' curves, those with the highest robust accuracy first."""
    styles, names = choose_styles(findings.comparison.pipelines), name_curves(findings)
    points = group_by(findings.collect(list_envelopes), lambda one: (one.classifier_id, one.norm))
    for dataset, numbers in group_by(list_first_numbers(findings), lambda one: one.dataset).items():
        order = sorted(numbers, key=lambda one: -one.known)
        lines = [
            trace_envelope(names[one.classifier_id], own, styles[one.classifier_id])
            for one in order
            if (own := points.get((one.classifier_id, one.norm)))
        ]
        if lines:
            yield dataset, make_line_chart(COMPARED_SPEC, lines[:MOST_DRAWN], height=320)


def name_curves(findings: Findings) -> dict[str, str]:
    """Return a short name of each pipeline by its id: purifier and classifier; where there are several, the dataset."""
    several = len(findings.comparison.datasets) > 1
    return {
        one.classifier_id: f"{one.purifier_name}, {one.attacked if several else one.classifier}"
        for one in list_first_numbers(findings)
    }


def trace_envelope(name: str, points: Sequence[EnvelopePoint], style: Style) -> Line:
    """Return the curve of a pipeline's points."""
    # A budget that reaches every image tests the attack, and would make the rest of the axis narrow.
    shown = [point for point in points if point.norm != "linf" or point.eps < 1] if len(points) > 2 else points
    places = [(point.eps, point.rate.value) for point in shown]
    return Line(name, places, style, [(point.rate.low, point.rate.high) for point in shown])


def trace_oblivious(name: str, pipeline: AttackedPipeline, style: Style) -> Iterator[Line]:
    """Yield the curve of a pipeline under oblivious attacks, on the images that most of them are of."""
    rows = [row for row in pipeline.find_worst("oblivious").values() if row.recipe.norm == "linf"]
    groups = sorted(group_by(rows, lambda row: row.sample_key).values(), key=len)
    if groups:
        own = sorted(groups[-1], key=lambda row: row.eps)
        rates = [own[0].run.comparable_clean, *(row.attacked for row in own)]
        places = [(eps, rate.value) for eps, rate in zip([0.0, *(row.eps for row in own)], rates, strict=True)]
        yield Line(name, places, style, [(rate.low, rate.high) for rate in rates])
