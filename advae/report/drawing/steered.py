"""Attacks on codes: their distortion-distortion curves, and images before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from advae.distortion_curves import average_curves
from advae.report.analysis.code_attack_records import HARDER, name_attacked
from advae.report.data.code_attack_reader import SteeredCode
from advae.report.data.contents import Comparison
from advae.report.data.grouping import group_by
from advae.report.drawing.chart_specs import LineSpec
from advae.report.drawing.charts import Line, Style, make_line_chart
from advae.report.drawing.figure import CODES, Drawing
from advae.report.drawing.palette import Colour, Dashes
from advae.report.drawing.pixels import tile_differences, tile_images
from advae.report.drawing.strips import Strip
from advae.report.wording import format_area, format_distortion, mark_imported, show_class

STEERED_CURVES = LineSpec(
    "perturbation, relative to the distance of the two images", "distance from the target, relative"
)

CURVE_STYLES = [
    Style(Colour.BLUE, None, Dashes.SOLID),
    Style(Colour.VERMILLION, None, Dashes.DASHED),
    Style(Colour.GREEN, None, Dashes.MIXED),
    Style(Colour.PURPLE, None, Dashes.DOTTED),
]
"""Looks of the curves; of more the first ones come again."""

STRAIGHT = Line("identity", [(0.0, 1.0), (1.0, 0.0)], Style(Colour.GREY, None, Dashes.DOTTED, thin=True))
"""What blending two images would give if nothing stood between image and reconstruction."""

DRAWN_POINTS = 101
"""Points at which a curve is drawn."""


def draw_steered(comparison: Comparison) -> Iterator[Drawing]:
    """Yield the mean curves of each dataset in one figure, then the images of each attack."""
    for attacks in group_by(comparison.code_attacks, lambda one: one.dataset).values():
        if shown := [attack for attack in attacks if attack.complete.any()]:
            yield _draw_curves(shown)
    for attack in comparison.code_attacks:
        if len(attack.pictures.get("pairs", ())):
            yield _draw_pairs(attack)


def _draw_curves(attacks: Sequence[SteeredCode]) -> Drawing:
    lines = [_make_line(attack, CURVE_STYLES[place % len(CURVE_STYLES)]) for place, attack in enumerate(attacks)]
    what = "Mean distortion-distortion curve of attacks on the code"
    ids = "; ".join(_describe(attack) for attack in attacks)
    bands = "bands are one standard deviation over the pairs"
    caption = f"{what}, {attacks[0].dataset}; {bands}. {HARDER} {ids}."
    chart = make_line_chart(STEERED_CURVES, [*lines, STRAIGHT])
    return Drawing(CODES, f"{what}: {attacks[0].dataset}", caption, charts=(chart,))


def _make_line(attack: SteeredCode, style: Style) -> Line:
    import numpy as np

    grid = np.linspace(0.0, 1.0, DRAWN_POINTS)
    mean, deviation = average_curves(*attack.distances.relate(attack.complete), grid)
    points = list(zip(grid.tolist(), mean.tolist(), strict=True))
    band = list(zip((mean - deviation).tolist(), (mean + deviation).tolist(), strict=True))
    return Line(name_attacked(attack), points, style, band)


def _describe(attack: SteeredCode) -> str:
    """Return what an attack found, with its id."""
    area = f"area {format_area(attack.metrics.area, attack.metrics.area_interval)}, n = {attack.metrics.n} pairs"
    return f"{name_attacked(attack)}: {area}, {attack.id}{mark_imported(attack.imported)}"


def _draw_pairs(attack: SteeredCode) -> Drawing:
    dataset, pictures = attack.recipe.dataset, attack.pictures
    rows = pictures["pairs"]
    moved = attack.distances.distortion[rows, pictures["shown"]] / attack.distances.images[rows]
    titles = (
        ("x", "original"),
        ("x_adv", "attacked"),
        ("purified", "its reconstruction"),
        ("target", "target"),
        ("purified_target", "target's reconstruction"),
    )
    tiles = [tile_images(title, pictures[name], dataset.shape) for name, title in titles]
    tiles.insert(2, tile_differences(pictures["x_adv"] - pictures["x"], dataset.shape))
    names = [show_class(dataset, label) for label in attack.arrays["labels"][rows].tolist()]
    targets = [(show_class(dataset, label), True) for label in attack.arrays["target_labels"][rows].tolist()]
    relative = [(format_distortion(value), True) for value in moved.tolist()]
    label = f"Pairs of an attack on the code of the {name_attacked(attack)} autoencoder, {attack.id}"
    which = "the smallest perturbation that makes four fifths of the way that the attack can make"
    caption = f"The first pairs, with {which}. {_describe(attack)}. {HARDER}"
    strip = Strip("class", names, tiles, {"class of the target": targets, "relative perturbation": relative})
    return Drawing(CODES, label, caption, strip=strip)
