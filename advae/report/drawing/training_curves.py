"""Loss by epoch, of each network and of several beside each other; accuracy by epoch where training looked at it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from advae.records import AutoencoderRecipe, ClassifierRecipe, History
from advae.report.analysis.activations import SOFTPLUS, find_activations, name_activations, name_group
from advae.report.data.contents import Comparison
from advae.report.data.trained import Network, name_trained_purifier
from advae.report.drawing.axes import Axis, make_axis, make_loss_axis, write_percent
from advae.report.drawing.charts import Chart, Colour, Dashes, Line, Style, draw_chart
from advae.report.drawing.figure import TRAINING, Drawing
from advae.report.wording import mark_imported

CURVE_COLOURS = (
    *(Colour.BLUE, Colour.VERMILLION, Colour.GREEN, Colour.PURPLE, Colour.ORANGE),
    *(Colour.SKY, Colour.BLACK, Colour.GREY, Colour.WINE),
)
SHAPES = ("circle", "square", "up", "diamond", "down", "left", "star", "plus")
DASHES = (Dashes.SOLID, Dashes.DASHED, Dashes.MIXED, Dashes.DOTTED)

FIRST, SECOND = Style(Colour.BLUE, "circle", Dashes.SOLID), Style(Colour.VERMILLION, "square", Dashes.DASHED)
"""Looks of two lines in one figure."""

MARKED = 8
"""Epochs of a line that carry a marker, about."""


SECOND_LINES = {
    "attacked_accuracy": (
        "robust",
        "under a short PGD at the training eps, so it is higher than under the attacks of its runs",
    ),
    "certified_accuracy": ("certified", "proved by interval bounds at the training eps"),
}
"""Field of a history -> what it is the accuracy of, and how that was measured."""


def draw_losses(comparison: Comparison) -> Iterator[Drawing]:
    """Yield the loss history of each distinct network: training and held-out images, by epoch."""
    for network in comparison.networks:
        if network.history and network.history.loss:
            yield _draw_network(network, network.history)


def draw_progress(comparison: Comparison) -> Iterator[Drawing]:
    """Yield the accuracies by epoch of each autoencoder that was trained with a classifier: clean, and robust or
    certified.
    """
    for network in comparison.networks:
        for field, (label, explained) in SECOND_LINES.items():
            history = network.history
            accuracy = getattr(history, field) if history else None
            if history is None or history.clean_accuracy is None or accuracy is None:
                continue
            lines = [
                *_draw_line("clean accuracy", history.clean_accuracy, FIRST),
                *_draw_line(f"{label} accuracy", accuracy, SECOND),
            ]
            name = _name_network(network)
            what = f"Accuracy by epoch on held-out training images of the {name}, {network.id}"
            axis = make_axis("correctly classified", 0.0, 1.0, write=write_percent)
            drawn = draw_chart(_lay_out(lines, axis))
            caption = f"{what}. {label.capitalize()} accuracy: {explained}."
            yield Drawing(TRAINING, drawn, f"Accuracy history of the {name}", caption)


def draw_activations(comparison: Comparison) -> Iterator[Drawing]:
    """Yield the training losses of autoencoders that differ in their activations only, in one figure."""
    for group in find_activations(comparison):
        name = name_group(group)
        chart = _compare([(name_activations(network), network) for network in group], "hidden activations")
        ids = "; ".join(f"{name_activations(network)}: {network.id}" for network in group)
        what = f"Training loss by epoch for different hidden activations. Autoencoder: {name}"
        caption = f"{what}; no attack. {SOFTPLUS} {ids}."
        yield Drawing(TRAINING, draw_chart(chart), f"Loss history by activations: {name}", caption)


def draw_kinds(comparison: Comparison) -> Iterator[Drawing]:
    """Yield the training losses of the kinds of autoencoder of one dataset and seed, in one figure."""
    for group in _group_kinds(comparison):
        recipe = group[0].manifest.recipe
        data = f"{group[0].dataset}, seed {recipe.seed}"
        chart = _compare([(_name_kind(network), network) for network in group], "kind of autoencoder (its loss)")
        ids = "; ".join(f"{_name_kind(network)}: {network.id}" for network in group)
        what = f"Training loss by epoch of the kinds of autoencoder on {data}; no attack"
        warning = "Only lines of the same loss can be compared with each other: how they fall, not how low they lie"
        yield Drawing(
            TRAINING, draw_chart(chart), f"Loss history by kind of autoencoder: {data}", f"{what}. {warning}. {ids}."
        )


def _group_kinds(comparison: Comparison) -> list[list[Network]]:
    """Return for each dataset and seed one autoencoder of each kind, the first, where there are several kinds."""
    groups: dict[tuple[str, int], dict[str, Network]] = {}
    for network in comparison.networks:
        recipe = network.purifier
        if recipe and network.history and network.history.loss:
            groups.setdefault((recipe.dataset.digest, recipe.seed), {}).setdefault(recipe.type, network)
    return [list(kinds.values()) for kinds in groups.values() if len(kinds) > 1]


def _name_kind(network: Network) -> str:
    recipe = network.purifier
    return f"{recipe.type} ({(recipe.loss or 'no loss').replace('_', ' ')})" if recipe else network.id


def _compare(named: Sequence[tuple[str, Network]], title: str) -> Chart:
    """Return a chart of training losses, each in a colour, marker and dashes of its own."""
    lines = []
    for place, (name, network) in enumerate(named):
        marks = CURVE_COLOURS[place % len(CURVE_COLOURS)], SHAPES[place % len(SHAPES)], DASHES[place % len(DASHES)]
        lines += _draw_line(name, network.history.loss if network.history else (), Style(*marks))
    return _lay_out(lines, _make_loss_axis(lines), title)


def _draw_network(network: Network, history: History) -> Drawing:
    lines = [
        *_draw_line("training", history.loss, FIRST),
        *_draw_line("validation", history.validation_loss, SECOND),
    ]
    name = _name_network(network)
    mark = mark_imported(network.manifest.imported)
    caption = f"Loss by epoch of the {name}, {network.id}{mark}; no attack."
    return Drawing(
        TRAINING, draw_chart(_lay_out(lines, _make_loss_axis(lines))), f"Loss history of the {name}", caption
    )


def _draw_line(name: str, values: Sequence[float], style: Style) -> list[Line]:
    """Return a line over epochs, from 1, and its markers at some of them; nothing where there is no value."""
    points = [(float(epoch), value) for epoch, value in enumerate(values, 1)]
    return [Line(name, points, style, every=max(1, len(points) // MARKED))] if points else []


def _make_loss_axis(lines: Sequence[Line]) -> Axis:
    return make_loss_axis("loss", [value for line in lines for _, value in line.points])


def _lay_out(lines: Sequence[Line], y: Axis, title: str = "") -> Chart:
    epochs = max(epoch for line in lines for epoch, _ in line.points)
    return Chart(make_axis("epoch", 1.0, max(epochs, 2.0), whole=True), y, lines, height=240, title=title)


def _name_network(network: Network) -> str:
    recipe = network.manifest.recipe
    data = f"on {network.dataset}, seed {recipe.seed}"
    if isinstance(recipe, AutoencoderRecipe):
        return f"autoencoder ({name_trained_purifier(network)}) {data}"
    front = f"behind {recipe.autoencoder}" if isinstance(recipe, ClassifierRecipe) and recipe.autoencoder else "alone"
    return f"network classifier {front} {data}"
