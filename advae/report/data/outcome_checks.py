"""Contradictions in the outcomes of a run: of classes, members of an ensemble, images carried, and single draws."""

from __future__ import annotations

from collections.abc import Iterator

from advae.class_accuracy import measure_by_class
from advae.metrics import BROKEN_BY, CARRIED, NOT_BROKEN, SMALLEST_EPS, find_robust, find_smallest_eps, measure_broken
from advae.records import OUTCOMES
from advae.report.data.agreement import list_differences
from advae.report.data.runs import Run

COUNT_TOLERANCE = 1e-3
"""Rounding error of a count of draws that is computed from a share in float32."""


def check_class_accuracy(run: Run) -> Iterator[str]:
    """Yield each accuracy of a class that does not follow from the outcomes."""
    labels, classes = run.outcomes["labels"], len(run.recipe.dataset.classes)
    clean = measure_by_class(labels, find_robust(run.outcomes, None), classes)
    yield from list_differences(run.metrics, {"clean_class_accuracy": clean}, OUTCOMES)
    for index, result in enumerate(run.metrics.results):
        found = measure_by_class(labels, find_robust(run.outcomes, index), classes)
        yield from list_differences(result, {"class_accuracy": found}, OUTCOMES, f" at eps {result.eps:.4g}")


def check_members(run: Run) -> Iterator[str]:
    """Yield where an image is broken by no member of the ensemble, or a robust one by one."""
    outcomes = run.outcomes
    if BROKEN_BY not in outcomes:
        return
    members = max((len(result.members or ()) for result in run.metrics.results), default=0)
    if outcomes[BROKEN_BY].min() < NOT_BROKEN or outcomes[BROKEN_BY].max() >= members:
        yield f"{OUTCOMES} has an image that is broken by none of the {members} attacks"
        return
    for index, result in enumerate(run.metrics.results):
        if ((outcomes[BROKEN_BY][index] == NOT_BROKEN) != find_robust(outcomes, index)).any():
            yield f"{OUTCOMES} has another {BROKEN_BY} than its predictions at eps {result.eps:.4g}"
        stated = tuple(one.broken for one in result.members or ())
        if stated and stated != measure_broken(outcomes, index, members):
            yield f"its manifest says broken {stated} at eps {result.eps:.4g}, its {OUTCOMES} otherwise"


def check_draws(run: Run) -> Iterator[str]:
    """Yield where the outcomes of single draws and the success rates over all of them cannot both be true."""
    fresh, k = run.metrics.fresh_draws, run.metrics.k_draws
    if k is not None and (fresh is None or k > fresh):
        yield f"it keeps {k} draws of {fresh}"
        return
    if k is not None and any(result.any_of_k_accuracy is None for result in run.metrics.results):
        yield f"it keeps {k} draws and does not say any_of_k_accuracy"
    for name in ("success_rate", "clean_success_rate") if fresh and k else ():
        count = run.outcomes[name].astype("float64") * fresh
        wrong = run.outcomes[name.replace("success_rate", "wrong_draws")].sum(axis=-1)
        if ((count < wrong - COUNT_TOLERANCE) | (count > wrong + fresh - k + COUNT_TOLERANCE)).any():
            yield f"the {name} of an image in {OUTCOMES} is not one of its single draws"


def check_carried(run: Run) -> Iterator[str]:
    """Yield where an image is carried from a smaller eps that did not break it, or its smallest eps is another one."""
    import numpy as np

    outcomes = run.outcomes
    if CARRIED not in outcomes:
        return
    smallest = find_smallest_eps(outcomes["labels"], outcomes["predictions"], run.recipe.eps)
    if not np.array_equal(smallest, outcomes[SMALLEST_EPS]):
        yield f"{OUTCOMES} has another {SMALLEST_EPS} than its predictions"
    if (outcomes[CARRIED] & (smallest >= np.asarray(run.recipe.eps)[:, None])).any():
        yield f"{OUTCOMES} has an image that is carried from no smaller eps"
