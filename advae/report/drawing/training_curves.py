"""Loss by epoch, of each network and of several beside each other; accuracy by epoch where training looked at it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from advae.records import AutoencoderRecipe, ClassifierRecipe, History
from advae.report.analysis.activations import SOFTPLUS, find_activations, name_activations, name_group
from advae.report.data.contents import Comparison
from advae.report.data.trained import Network, name_trained_purifier
from advae.report.drawing.chart_specs import LineSpec
from advae.report.drawing.charts import Chart, Line, Style, make_line_chart
from advae.report.drawing.figure import TRAINING, Drawing
from advae.report.drawing.palette import CLASS_COLOURS, Colour, Dashes
from advae.report.wording import mark_imported

SHAPES = ("circle", "square", "up", "diamond", "down", "left", "star", "plus")
DASHES = (Dashes.SOLID, Dashes.DASHED, Dashes.MIXED, Dashes.DOTTED)

FIRST, SECOND = Style(Colour.BLUE, "circle", Dashes.SOLID), Style(Colour.VERMILLION, "square", Dashes.DASHED)
"""Looks of two lines in one figure."""

ACCURACIES = LineSpec("epoch", "correctly classified", share=True, whole=True)

LOG_SPAN = 20.0
"""Losses that span more than this factor are drawn on a logarithmic scale."""

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
            caption = f"{what}. {label.capitalize()} accuracy: {explained}."
            chart = make_line_chart(ACCURACIES, lines)
            yield Drawing(TRAINING, f"Accuracy history of the {name}", caption, charts=(chart,))


def draw_activations(comparison: Comparison) -> Iterator[Drawing]:
    """Yield the training losses of autoencoders that differ in their activations only, in one figure."""
    for group in find_activations(comparison):
        name = name_group(group)
        chart = _compare([(name_activations(network), network) for network in group])
        ids = "; ".join(f"{name_activations(network)}: {network.id}" for network in group)
        what = f"Training loss by epoch for different hidden activations. Autoencoder: {name}"
        caption = f"{what}; no attack. {SOFTPLUS} {ids}."
        yield Drawing(TRAINING, f"Loss history by activations: {name}", caption, charts=(chart,))


def draw_kinds(comparison: Comparison) -> Iterator[Drawing]:
    """Yield the training losses of the kinds of autoencoder of one dataset and seed, in one figure."""
    for group in _group_kinds(comparison):
        recipe = group[0].manifest.recipe
        data = f"{group[0].dataset}, seed {recipe.seed}"
        chart = _compare([(_name_kind(network), network) for network in group])
        ids = "; ".join(f"{_name_kind(network)}: {network.id}" for network in group)
        what = f"Training loss by epoch of the kinds of autoencoder on {data}; no attack"
        warning = "Only lines of the same loss can be compared with each other: how they fall, not how low they lie"
        caption = f"{what}. {warning}. {ids}."
        yield Drawing(TRAINING, f"Loss history by kind of autoencoder: {data}", caption, charts=(chart,))


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


def _compare(named: Sequence[tuple[str, Network]]) -> Chart:
    """Return a chart of training losses, each in a colour, marker and dashes of its own."""
    lines = []
    for place, (name, network) in enumerate(named):
        marks = CLASS_COLOURS[place % len(CLASS_COLOURS)], SHAPES[place % len(SHAPES)], DASHES[place % len(DASHES)]
        lines += _draw_line(name, network.history.loss if network.history else (), Style(*marks))
    return _chart_losses(lines)


def _draw_network(network: Network, history: History) -> Drawing:
    lines = [
        *_draw_line("training", history.loss, FIRST),
        *_draw_line("validation", history.validation_loss, SECOND),
    ]
    name = _name_network(network)
    mark = mark_imported(network.manifest.imported)
    caption = f"Loss by epoch of the {name}, {network.id}{mark}; no attack."
    return Drawing(TRAINING, f"Loss history of the {name}", caption, charts=(_chart_losses(lines),))


def _draw_line(name: str, values: Sequence[float], style: Style) -> list[Line]:
    """Return a line over epochs, from 1, and its markers at some of them; nothing where there is no value."""
    points = [(float(epoch), value) for epoch, value in enumerate(values, 1)]
    return [Line(name, points, style, every=max(1, len(points) // MARKED))] if points else []


def _chart_losses(lines: Sequence[Line]) -> Chart:
    """Return losses over epochs, on a logarithmic scale where they are positive and span more than LOG_SPAN."""
    values = [value for line in lines for _, value in line.points]
    logarithmic = min(values) > 0 and max(values) / min(values) > LOG_SPAN
    title = f"loss{' (log scale)' if logarithmic else ''}"
    return make_line_chart(LineSpec("epoch", title, logarithmic=logarithmic), lines)


def _name_network(network: Network) -> str:
    recipe = network.manifest.recipe
    data = f"on {network.dataset}, seed {recipe.seed}"
    if isinstance(recipe, AutoencoderRecipe):
        return f"autoencoder ({name_trained_purifier(network)}) {data}"
    return f"network classifier {_name_front(recipe)} {data}"


def _name_front(recipe: object) -> str:
    """Return where a classifier is: alone, behind a purifier, or on its code."""
    if not isinstance(recipe, ClassifierRecipe) or not recipe.autoencoder:
        return "alone"
    return f"{'behind' if recipe.code is None else 'on the code of'} {recipe.autoencoder}"
