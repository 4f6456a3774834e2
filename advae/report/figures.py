"""Figures of stored records, and the table FIGURES: a new figure is a function and a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from advae.records import AutoencoderRecipe, ClassifierRecipe, History, Manifest
from advae.report.drawing import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    TRAINING,
    VERMILLION,
    YELLOW,
    Drawing,
    create_axes,
    render_svg,
    styled,
)
from advae.report.rows import Comparison, Pipeline, Row
from advae.report.runs import Measured, Run
from advae.report.strips import draw_strips
from advae.report.wording import name_attack, name_pipeline, show_name
from advae.verdicts import NOT_VALID

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colour, marker and line style all differ, so that the lines can be told apart in grey, too.
LINES: dict[str, dict[str, str]] = {
    "adaptive": {"color": VERMILLION, "marker": "o", "linestyle": "-"},
    "gray-box": {"color": BLUE, "marker": "s", "linestyle": "--"},
    "oblivious": {"color": GREEN, "marker": "^", "linestyle": "-."},
    "encoded": {"color": PURPLE, "marker": "D", "linestyle": ":"},
    "transfer": {"color": ORANGE, "marker": "v", "linestyle": "--"},
    "black-box": {"color": GREY, "marker": "*", "linestyle": "-"},
    "noise": {"color": SKY, "marker": "P", "linestyle": ":"},
}
OTHER_LINE = {"color": YELLOW, "marker": "<", "linestyle": "-"}
UNDEFENDED_LINE = {"color": BLACK, "marker": "x", "linestyle": (0, (1, 1))}

LOG_SPAN = 20.0
"""Losses that span more than this factor are drawn on a logarithmic scale."""

LONG_LABEL = 24
"""Letters of a legend's label from which on two do not fit beside each other."""


# ---------------------------------------------------------------- accuracy against eps


def draw_accuracy(comparison: Comparison) -> Iterator[Drawing]:
    """Yield accuracy against eps for each pipeline and attack: a line for each run, and one without autoencoder."""
    for pipeline in comparison.pipelines:
        groups: dict[str, list[Row]] = {}
        for row in pipeline.rows:
            groups.setdefault(name_attack(row.run), []).append(row)
        for attack, rows in groups.items():
            yield _draw_accuracy_of(pipeline, attack, rows)


def _draw_accuracy_of(pipeline: Pipeline, attack: str, rows: list[Row]) -> Drawing:
    lines = _collect_lines(rows)
    figure, axes = create_axes()
    for run, points in lines:
        _draw_line(axes, run, points, len(lines))
    _finish_accuracy_axes(axes, len(pipeline.first.recipe.dataset.classes))
    handles, labels = axes.get_legend_handles_labels()
    columns = 2 if max(map(len, labels)) < LONG_LABEL else 1
    figure.legend(handles, labels, title="autoencoder", loc="outside lower center", ncols=columns)
    name = name_pipeline(pipeline.first)
    sources = "; ".join(f"{_name_line(run)}: {run.id}, n = {run.metrics.n}, seed {run.recipe.seed}" for run, _ in lines)
    what = f"Accuracy against eps. {name}; attack {attack}. Bands are 95 % intervals, eps 0 is clean."
    caption = f"{what} Autoencoder: {sources}."
    markup = render_svg(figure, f"accuracy {pipeline.id} {attack}")
    return Drawing(pipeline.id, markup, f"Accuracy against eps: {name}, {attack}", caption)


def _collect_lines(rows: list[Row]) -> list[tuple[Run, list[Measured]]]:
    """Return each run of the rows, counterparts first, with its points in the order of eps."""
    lines: dict[str, tuple[Run, dict[float, Measured]]] = {}
    for side in [row.undefended for row in rows] + [row.own for row in rows]:
        if side:
            lines.setdefault(side.run.id, (side.run, {}))[1][side.result.eps] = side
    return [(run, [points[eps] for eps in sorted(points)]) for run, points in lines.values()]


def _draw_line(axes: Axes, run: Run, points: list[Measured], total: int) -> None:
    style = LINES.get(run.recipe.threat, OTHER_LINE) if run.defended else UNDEFENDED_LINE
    rates = [run.clean, *(point.attacked for point in points)]
    eps = [0.0, *(point.result.eps for point in points)]
    valid = all(point.result.within_budget for point in points)
    label = _name_line(run) + ("" if valid else f" ({NOT_VALID})")
    fill = style["color"] if valid else "white"
    axes.plot(eps, [rate.value for rate in rates], label=label, markersize=5, markerfacecolor=fill, **style)
    low, high = [rate.low for rate in rates], [rate.high for rate in rates]
    axes.fill_between(eps, low, high, color=style["color"], alpha=0.15, linewidth=0)


def _name_line(run: Run) -> str:
    return f"with, {run.recipe.threat}" if run.defended else "without"


def _finish_accuracy_axes(axes: Axes, classes: int) -> None:
    from matplotlib.ticker import FormatStrFormatter, MaxNLocator, PercentFormatter

    axes.axhline(1 / classes, color="#666666", linewidth=1, linestyle=(0, (6, 3)), label=f"chance ({1 / classes:.0%})")
    axes.set(xlabel="eps (share of the pixel range)", ylabel="accuracy", ylim=(-0.02, 1.02))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    upper = axes.secondary_xaxis("top", functions=(_scale_up, _scale_down))
    upper.set_xlabel("eps of 255", labelpad=6)
    upper.spines["top"].set_visible(True)


def _scale_up(eps: Any) -> Any:
    return eps * 255


def _scale_down(eps: Any) -> Any:
    return eps / 255


# ---------------------------------------------------------------- loss histories


def draw_losses(comparison: Comparison) -> Iterator[Drawing]:
    """Yield the loss history of each distinct network: training and held-out images, by epoch."""
    for network in comparison.networks:
        if network.history and network.history.loss:
            yield _draw_losses_of(network.manifest, network.history)


def _draw_losses_of(entry: Manifest, history: History) -> Drawing:
    from matplotlib.ticker import FormatStrFormatter, MaxNLocator

    figure, axes = create_axes(height=2.6)
    curves = (
        ("training", history.loss, BLUE, "o", "-"),
        ("validation", history.validation_loss, VERMILLION, "s", "--"),
    )
    for name, values, color, marker, dashes in curves:
        epochs = range(1, len(values) + 1)
        every = max(1, len(values) // 8)
        axes.plot(epochs, values, dashes, color=color, marker=marker, markersize=4, markevery=every, label=name)
    values = (*history.loss, *history.validation_loss)
    logarithmic = min(values) > 0 and max(values) / min(values) > LOG_SPAN
    axes.set(xlabel="epoch", ylabel="loss")
    if logarithmic:
        axes.set_yscale("log")
        # The default labels are mathematics, 10 to a power, which the style switches off.
        axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    name = _name_network(entry)
    caption = f"Loss by epoch of the {name}, {entry.id}{', logarithmic scale' if logarithmic else ''}."
    return Drawing(TRAINING, render_svg(figure, f"loss {entry.id}"), f"Loss history of the {name}", caption)


def _name_network(entry: Manifest) -> str:
    recipe = entry.recipe
    data = f"on {show_name(recipe.dataset.name)}, seed {recipe.seed}"
    if isinstance(recipe, AutoencoderRecipe):
        return f"{recipe.type} autoencoder {data}"
    front = f"behind {recipe.autoencoder}" if isinstance(recipe, ClassifierRecipe) and recipe.autoencoder else "alone"
    return f"network classifier {front} {data}"


# ---------------------------------------------------------------- the table

FIGURES: dict[str, Callable[[Comparison], Iterator[Drawing]]] = {
    "accuracy": draw_accuracy,
    "losses": draw_losses,
    "strips": draw_strips,
}


def draw_figures(comparison: Comparison) -> dict[str, list[Drawing]]:
    """Return every figure, in the order of FIGURES, by the place on the page that it belongs to."""
    places: dict[str, list[Drawing]] = {}
    with styled():
        for draw in FIGURES.values():
            for drawing in draw(comparison):
                places.setdefault(drawing.place, []).append(drawing)
    return places
