"""Which class each targeted attack aims at, for each true class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from advae.report.analysis.confusion import MANY_CLASSES
from advae.report.data.contents import AttackedPipeline, Comparison
from advae.report.data.grouping import group_by
from advae.report.data.runs import Run
from advae.report.drawing.figure import Drawing
from advae.report.drawing.image_strip import find_largest
from advae.report.drawing.templates import render_template
from advae.report.wording import format_eps, name_attack, name_pipeline


def draw_targets(comparison: Comparison) -> Iterator[Drawing]:
    """Yield the classes aimed at by the targeted attacks of each pipeline and threat model, as a table.

    Where all aim at a class that was named, their names say all. Not of many classes: report.json has their targets.
    """
    for pipeline in comparison.pipelines:
        if len(pipeline.first.recipe.dataset.classes) > MANY_CLASSES:
            continue
        for threat, runs in group_by(filter(find_targets, pipeline.runs), lambda run: run.recipe.threat).items():
            if any(run.recipe.target is None for run in runs):
                yield _draw_runs(pipeline, threat, runs)


def find_targets(run: Run) -> tuple[int, ...] | None:
    """Return the class aimed at for each true class, at the largest eps; None for an attack that aims at none."""
    if not run.recipe.eps:
        return None
    if run.recipe.target is not None:
        return (run.recipe.target,) * len(run.recipe.dataset.classes)
    targets = run.metrics.results[find_largest(run)].targets
    return targets if targets and len(targets) == len(run.recipe.dataset.classes) else None


def _draw_runs(pipeline: AttackedPipeline, threat: str, runs: list[Run]) -> Drawing:
    names = pipeline.first.recipe.dataset.classes
    rows = [(name_attack(run), [_name_target(names, target) for target in find_targets(run) or ()]) for run in runs]
    name = name_pipeline(pipeline.first)
    label = f"Classes aimed at: {name}, threat model {threat}"
    markup = render_template("targets.html.j2", names=names, rows=rows, label=label)
    sources = "; ".join(
        f"{name_attack(run)}: eps {format_eps(max(run.recipe.eps))}, {run.id}, n = {run.size}, seed {run.recipe.seed}"
        for run in runs
    )
    what = "Class that each targeted attack aims at, for each true class, at its largest eps"
    return Drawing(pipeline.id, label, f"{what}. {name}; threat model {threat}. {sources}.", markup=markup)


def _name_target(names: Sequence[str], target: int) -> str:
    return names[target] if 0 <= target < len(names) else str(target)
