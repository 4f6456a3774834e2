"""The strip of images of a run: input, adversarial, difference, and what the classifier saw; crisp pixels."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from advae.records import ImageShape
from advae.report.analysis.confusion import MANY_CLASSES, MOST_SHOWN
from advae.report.analysis.headlines import find_shown
from advae.report.data.contents import Comparison
from advae.report.data.runs import Run
from advae.report.drawing.figure import Drawing
from advae.report.drawing.pixels import Tiles, tile_differences, tile_images
from advae.report.drawing.strips import Strip
from advae.report.wording import describe_run, format_eps

if TYPE_CHECKING:
    from advae.report.data.entry_arrays import Arrays

MANY_RUNS = 20
"""From this many runs on, not each shows its strips, to keep the page small."""

SHOWN_FIRST = ("fgsm", "non-targeted")
"""Attacks whose images the paper shows."""


def draw_strips(comparison: Comparison) -> Iterator[Drawing]:
    """Yield the strips of runs: of the strongest attack on each pipeline, at its place, and of some others."""
    strongest = {row.run.id: row.index for pipeline in comparison.pipelines if (row := find_shown(pipeline))}
    for run in _choose_runs(comparison, strongest):
        order = sorted(range(len(run.recipe.eps)), key=lambda index: run.recipe.eps[index])
        few = len(order) > 1 and len(comparison.runs) < MANY_RUNS
        for index in (order[-1], order[0]) if few else (strongest.get(run.id, order[-1]),):
            drawing = _draw_strip(run, index)
            yield replace(drawing, place=run.classifier.id) if strongest.get(run.id) == index else drawing


def draw_best(comparison: Comparison, pipelines: Collection[str]) -> Iterator[Drawing]:
    """Yield the strip of the strongest attack on each of the pipelines that has one."""
    for pipeline in comparison.pipelines:
        row = find_shown(pipeline) if pipeline.id in pipelines else None
        if row and len(row.run.samples["ids"]):
            yield _draw_strip(row.run, row.index)


def _choose_runs(comparison: Comparison, strongest: Collection[str]) -> list[Run]:
    """Return the runs whose strips a page has room for, in their order: of many one for each pipeline and threat model,
    and the strongest attack on each pipeline.
    """
    runs = [run for run in comparison.runs if len(run.samples["ids"])]
    if len(runs) < MANY_RUNS:
        return runs
    chosen: dict[tuple[str, str], Run] = {}
    for run in sorted(runs, key=lambda run: (run.id not in strongest, run.recipe.method not in SHOWN_FIRST)):
        chosen.setdefault((run.classifier.id, run.recipe.threat), run)
    kept = {run.id for run in chosen.values()} | {*strongest}
    return [run for run in runs if run.id in kept]


def find_largest(run: Run) -> int:
    """Return the index of a run's largest eps among its eps."""
    return max(range(len(run.recipe.eps)), key=lambda index: run.recipe.eps[index])


def _draw_strip(run: Run, index: int) -> Drawing:
    names = run.recipe.dataset.classes
    samples = _select_samples(run)
    clean = dict(zip(run.outcomes["sample_ids"].tolist(), run.outcomes["clean_predictions"].tolist(), strict=True))
    predicted = samples["predictions"][index].tolist()
    truth = [names[label] for label in samples["labels"].tolist()]
    results = {
        "predicted class, clean image": _mark_predictions(
            names, samples["labels"], [clean.get(id_) for id_ in samples["ids"].tolist()]
        ),
        "predicted class, adversarial example": _mark_predictions(names, samples["labels"], predicted),
    }
    eps = format_eps(run.recipe.eps[index])
    label = f"Test images before and after the attack at eps {eps}, with true and predicted classes"
    strip = Strip("true class", truth, _build_rows(samples, run.recipe.dataset.shape, index), results)
    many = len(samples["ids"]) < len(run.samples["ids"])
    whose = f"the first {MOST_SHOWN} of {len(names)} classes" if many else "each class"
    caption = f"First test image of {whose} at eps {eps}. {describe_run(run)}. A cross marks a wrong prediction."
    return Drawing(run.id, label, caption, strip=strip)


def _mark_predictions(names: Sequence[str], labels: Any, predictions: Sequence[int | None]) -> list[tuple[str, bool]]:
    """Return each predicted class's name, and whether it is the true one."""
    pairs = zip(labels.tolist(), predictions, strict=True)
    return [("not stored", True) if got is None else (names[got], got == label) for label, got in pairs]


def _select_samples(run: Run) -> Arrays:
    """Return the stored images that a page has room for, by name: all, of many classes the first ones."""
    if len(run.recipe.dataset.classes) <= MANY_CLASSES:
        return run.samples
    # The first axis of the arrays that an attack makes is that of the eps.
    per_eps = ("x_adv", "seen", "predictions")
    return {name: x[:, :MOST_SHOWN] if name in per_eps else x[:MOST_SHOWN] for name, x in run.samples.items()}


def _build_rows(samples: Arrays, shape: ImageShape, index: int) -> list[Tiles]:
    import numpy as np

    x, start, x_adv, seen = samples["x"], samples["start"], samples["x_adv"][index], samples["seen"][index]
    rows = [tile_images("input", x, shape)]
    if not np.array_equal(x, start):
        rows.append(tile_images("purified: attack starts here", start, shape))
    rows += [tile_images("adversarial", x_adv, shape), tile_differences(x_adv - start, shape)]
    # What passes no purifier on its way is seen as it is.
    return rows if np.array_equal(seen, x_adv) else [*rows, tile_images("seen by the classifier", seen, shape)]
