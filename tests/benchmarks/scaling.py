"""How the time of an attack grows with samples, steps and eps; a figure of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

from tests.benchmarks.attack_speed import prepare_sweep
from tests.benchmarks.contenders import Contender, take_turns
from tests.benchmarks.measurements import Section, Target
from tests.benchmarks.workload import Workload

Sizes = dict[str, tuple[int, ...]]
SIZES: Sizes = {"samples": (1250, 2500, 5000, 10_000), "steps": (5, 10, 20, 40), "eps": (1, 2, 4, 8)}


def measure(workload: Workload, *, sizes: Sizes = SIZES, rounds: int = 3) -> Section:
    """Return the seconds of a whole BIM attack at each size; the defaults are 2,500 samples, 10 steps, one eps."""
    curves: dict[str, list[tuple[int, float]]] = {}
    targets = []
    for name, values in sizes.items():
        found = take_turns([_make_contender(workload, name, value) for value in values], rounds=rounds)
        seconds = [median(one.seconds) for one in found]
        curves[name] = list(zip(values, seconds, strict=True))
        growth = max(after / before for before, after in pairwise(seconds))
        targets.append(Target(f"twice as many {name}: times as long", growth, "at most", 2.0))
    return Section(
        "scaling", "a whole BIM attack, tracing and scoring included", (), tuple(targets), {"curves": curves}
    )


def _make_contender(workload: Workload, name: str, value: int) -> Contender:
    least = min(2500, len(workload.data.x_test))
    options = {
        "n": value if name == "samples" else least,
        "steps": value if name == "steps" else 10,
        "eps": tuple((k + 1) / 20 for k in range(value if name == "eps" else 1)),
    }
    return Contender(f"{value} {name}", prepare_sweep, {"workload": workload, **options})


def draw(curves: dict[str, Sequence[Sequence[float]]], path: Path) -> None:
    """Write the figure of the curves as SVG: seconds against size, beside a line of slope 1."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3), layout="constrained")
    for place, (name, points) in enumerate(curves.items()):
        axes = figure.add_subplot(1, len(curves), place + 1)
        sizes, seconds = zip(*points, strict=True)
        axes.loglog(sizes, seconds, "o-", label="measured")
        axes.loglog(sizes, [seconds[0] * size / sizes[0] for size in sizes], "--", color="grey", label="in proportion")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes], minor=False)
        axes.minorticks_off()
        axes.set_xlabel(name)
        axes.grid(alpha=0.3)
        if not place:
            axes.set_ylabel("seconds")
            axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasSVG(figure).print_svg(path)
