"""Certified accuracy of smoothed pipelines against the radius that is certified."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from advae.checks import ProvedImages
from advae.report.data.contents import Comparison
from advae.report.data.grouping import group_by
from advae.report.data.runs import StoredPipeline
from advae.report.drawing.chart_specs import LineSpec
from advae.report.drawing.charts import Line, Style, make_line_chart
from advae.report.drawing.figure import Drawing
from advae.report.drawing.palette import Colour, Dashes
from advae.report.wording import mark_imported, name_pipeline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Radii = NDArray[np.float64]

SMOOTHED_SPEC = LineSpec("certified L2 radius (share of the pixel range)", "certified accuracy", share=True, whole=True)

STYLES = [
    Style(Colour.WINE, None, Dashes.SOLID),
    Style(Colour.BLUE, None, Dashes.DASHED),
    Style(Colour.GREEN, None, Dashes.MIXED),
    Style(Colour.ORANGE, None, Dashes.DOTTED),
]
"""Looks of the curves; of more the first ones come again."""

DRAWN_RADII = 200
"""Radii at which a curve is drawn."""


def draw_smoothed(comparison: Comparison) -> Iterator[Drawing]:
    """Yield the curves of each pipeline of which smoothed ones were certified, in one figure: no attack is in it."""
    smoothed = ((pipeline, one, one.radii) for pipeline, one in comparison.proofs if one.radii is not None)
    for group in group_by(smoothed, lambda found: found[0].classifier.id).values():
        yield _draw(group[0][0], [(one, radii) for _, one, radii in group])


def _draw(pipeline: StoredPipeline, smoothed: list[tuple[ProvedImages, Radii]]) -> Drawing:
    reach = max(float(radii.max()) for _, radii in smoothed) or 1.0
    lines = [
        Line(_name(one), list(_trace(one, radii, reach)), STYLES[place % len(STYLES)])
        for place, (one, radii) in enumerate(smoothed)
    ]
    chart = make_line_chart(SMOOTHED_SPEC, lines)
    what, name = "Certified accuracy of the smoothed pipeline against radius", name_pipeline(pipeline)
    sources = "; ".join(_describe(one) for one, _ in smoothed)
    caption = f"{what}. {name}; at radius 0 an abstention is wrong. No attack is of the smoothed pipeline. {sources}."
    return Drawing(pipeline.classifier.id, f"{what}: {name}", caption, charts=(chart,))


def _trace(certificate: ProvedImages, radii: Radii, reach: float) -> Iterator[tuple[float, float]]:
    """Yield radii from 0 to ``reach`` with the share of images that are certified beyond each."""
    right = certificate.predictions == certificate.labels
    for place in range(DRAWN_RADII + 1):
        radius = reach * place / DRAWN_RADII
        yield radius, float((right & (radii > radius)).mean())


def _name(certificate: ProvedImages) -> str:
    return f"sigma {certificate.recipe.sigma:g}"


def _describe(certificate: ProvedImages) -> str:
    """Return the noise, the statistics and the images of a certificate, with its id."""
    recipe, metrics = certificate.recipe, certificate.metrics
    noise = f"{_name(certificate)}, {recipe.samples} samples, alpha {recipe.alpha:g}, seed {recipe.seed}"
    images = f"n = {metrics.n}, {metrics.abstained} abstentions"
    return f"{noise}, {images}, {certificate.id}{mark_imported(certificate.imported)}"
