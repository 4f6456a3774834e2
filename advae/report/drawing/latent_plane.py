"""The latent plane of an autoencoder whose code is two numbers: where the classes lie, and what it generates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from advae.report.data.contents import Comparison
from advae.report.data.trained import Network
from advae.report.drawing.axes import Axis, make_axis
from advae.report.drawing.charts import Chart, Colour, Line, Style, draw_chart
from advae.report.drawing.figure import Drawing
from advae.report.drawing.pixels import encode_png_uri, find_range, paint
from advae.report.drawing.purified import describe_purifier, list_places

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.report.data.entry_arrays import Arrays

CLASS_COLOURS = tuple(Colour)
"""Class names are written too, since so many colours are hard to distinguish."""

POINTS = 1_500
"""Images whose place is drawn; more would make the page larger and hide each other."""

WIDTH, HEIGHT = 440, 420


def draw_planes(comparison: Comparison) -> Iterator[Drawing]:
    """Yield where test images lie on the latent plane, by class, and the images that regular steps on it give."""
    for network in comparison.networks:
        views = network.views
        if views is None or "codes" not in views:
            continue
        for what, chart in _chart_plane(network, views):
            markup, caption = draw_chart(chart), f"{what}: {describe_purifier(network)}."
            for place in list_places(comparison, network):
                yield Drawing(place, markup, f"{what}, {network.id}", caption)


def _chart_plane(network: Network, views: Arrays) -> Iterator[tuple[str, Chart]]:
    import numpy as np

    found = np.isfinite(views["codes"]).all(axis=1)
    codes, labels = views["codes"][found][:POINTS], views["code_labels"][found][:POINTS]
    if len(codes):
        what = f"Place of {len(codes)} test images on the latent plane, coloured by class, each with its name"
        yield what, _scatter(network, codes, labels)
    along = views["axes"].shape[1]
    if along > 1 and np.isfinite(views["generated"]).all() and np.isfinite(views["axes"]).all():
        what = f"Images generated from {along} × {along} regular steps across the latent plane"
        yield what, _show_generated(network, views)


def _scatter(network: Network, codes: NDArray[np.floating], labels: NDArray[np.integer]) -> Chart:
    import numpy as np

    lines, texts = [], []
    for label, name in enumerate(network.manifest.recipe.dataset.classes):
        own = codes[labels == label].astype(float)
        if len(own):
            style = Style(CLASS_COLOURS[label % len(CLASS_COLOURS)], "dot", joined=False)
            lines.append(Line(None, [(x, y) for x, y in own.tolist()], style))
            x, y = np.median(own, axis=0).tolist()
            texts.append((x, y, name))
    (left, bottom), (right, top) = codes.min(axis=0).tolist(), codes.max(axis=0).tolist()
    x_axis, y_axis = _make_axes((left, right), (bottom, top))
    return Chart(x_axis, y_axis, lines, width=WIDTH, height=HEIGHT, texts=texts)


def _show_generated(network: Network, views: Arrays) -> Chart:
    """Return all generated images as one, each in the middle of its place on the plane."""
    shape, along = network.manifest.recipe.dataset.shape, views["axes"].shape[1]
    painted = paint(views["generated"], *find_range(views["generated"])).reshape(along, along, *shape)
    # The second axis points upwards, where a picture's lines run downwards.
    picture = painted[:, ::-1].transpose(1, 2, 0, 3, 4).reshape(along * shape.height, along * shape.width, -1)
    ends = []
    for steps in views["axes"].astype(float).tolist():
        half = (steps[-1] - steps[0]) / (along - 1) / 2
        ends.append((steps[0] - half, steps[-1] + half))
    x, y = _make_axes(*ends)
    return Chart(
        x,
        y,
        width=WIDTH,
        height=HEIGHT,
        image=encode_png_uri(picture[..., 0] if shape.is_grey else picture),
        grid=False,
    )


def _make_axes(x: tuple[float, float], y: tuple[float, float]) -> tuple[Axis, Axis]:
    first, second = (make_axis(f"code {place}", *ends) for place, ends in ((1, x), (2, y)))
    return first, second
