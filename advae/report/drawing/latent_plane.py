"""The latent plane of an autoencoder whose code is two numbers: where the classes lie, and what it generates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from advae.report.data.contents import Comparison
from advae.report.data.trained import Network
from advae.report.drawing.chart_specs import ScatterSpec
from advae.report.drawing.charts import Chart
from advae.report.drawing.figure import Drawing
from advae.report.drawing.palette import CLASS_COLOURS
from advae.report.drawing.pixels import Tiles, find_range, paint
from advae.report.drawing.purified import describe_purifier, list_places
from advae.report.drawing.strips import Strip

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.report.data.entry_arrays import Arrays

PLANE_SPEC = ScatterSpec("code 1", "code 2")

SIDES = "left to right", "bottom to top"

POINTS = 1_500
"""Images whose place is drawn; more would make the page larger and hide each other."""


def draw_planes(comparison: Comparison) -> Iterator[Drawing]:
    """Yield where test images lie on the latent plane, by class, and the images that regular steps on it give."""
    for network in comparison.networks:
        views = network.views
        if views is None or "codes" not in views:
            continue
        for drawing in _draw_plane(network, views):
            for place in list_places(comparison, network):
                yield replace(drawing, place=place)


def _draw_plane(network: Network, views: Arrays) -> Iterator[Drawing]:
    import numpy as np

    found = np.isfinite(views["codes"]).all(axis=1)
    codes, labels = views["codes"][found][:POINTS], views["code_labels"][found][:POINTS]
    source = describe_purifier(network)
    if len(codes):
        what = f"Place of {len(codes)} test images on the latent plane, coloured by class, each with its name"
        chart = _scatter(network, codes, labels)
        yield Drawing("", f"{what}, {network.id}", f"{what}: {source}.", charts=(chart,))
    along = views["axes"].shape[1]
    if along > 1 and np.isfinite(views["generated"]).all() and np.isfinite(views["axes"]).all():
        what = f"Images generated from {along} × {along} regular steps across the latent plane"
        ends = " and ".join(
            f"code {place} from {steps[0]:.3g} to {steps[-1]:.3g} ({where})"
            for place, (steps, where) in enumerate(zip(views["axes"].tolist(), SIDES, strict=True), 1)
        )
        strip = Strip("", [f"{along} × {along} images"], [_join_generated(network, views)])
        yield Drawing("", f"{what}, {network.id}", f"{what}, {ends}: {source}.", strip=strip)


def _scatter(network: Network, codes: NDArray[np.floating], labels: NDArray[np.integer]) -> Chart:
    import numpy as np

    points, words = [], []
    for label, name in enumerate(network.manifest.recipe.dataset.classes):
        own = codes[labels == label].astype(float)
        if len(own):
            shared = {"s": name, "c": CLASS_COLOURS[label % len(CLASS_COLOURS)]}
            points += [{**shared, "x": round(x, 3), "y": round(y, 3), "t": ""} for x, y in own.tolist()]
            x, y = np.median(own, axis=0).tolist()
            words.append({**shared, "x": x, "y": y, "t": name or " "})
    return Chart(PLANE_SPEC, rows=[*points, *words], height=400)


def _join_generated(network: Network, views: Arrays) -> Tiles:
    """Return all generated images as one, each in its place on the plane."""
    shape, along = network.manifest.recipe.dataset.shape, views["axes"].shape[1]
    painted = paint(views["generated"], *find_range(views["generated"])).reshape(along, along, *shape)
    # The second axis points upwards, where a picture's lines run downwards.
    picture = painted[:, ::-1].transpose(1, 2, 0, 3, 4).reshape(along * shape.height, along * shape.width, -1)
    return Tiles("generated", "", (picture[..., 0] if shape.is_grey else picture)[None])
