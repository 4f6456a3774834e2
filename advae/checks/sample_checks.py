"""The checks on the test images of a run: collapsed pipeline, sample size, classes, range of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from advae.checks.check_table import OLD, not_run, say
from advae.datasets.ranges import DARK, NARROW, compare_ranges, describe_range
from advae.datasets.table import DATASETS
from advae.errors import printable
from advae.threats import THREATS

if TYPE_CHECKING:
    from advae.records import CheckResult, RunMetrics, RunRecipe, Status

ENOUGH = 1000
"""Samples below which there is a warning."""

STRETCHED, OUT_OF_SCALE = 1.05, 1.5
"""Ratios of the data's range to [0, 1]: above the first there is a warning, above the second a failure."""

STRAYS = 0.01
"""Share of the images of other classes: a pipeline that predicts one class for all but this share has collapsed."""

FEW_OTHERS = 5
"""Fewest images of other classes for a FAIL: a good pipeline may misclassify all of fewer by chance."""

CLASSES_NAMED = 5
"""Classes that a sentence names; the rest are counted."""


def show_size(recipe: RunRecipe, metrics: RunMetrics) -> str:
    """Return how many images were attacked, of how many, and how they were chosen: ``1000 of 10000, stratified``."""
    total = sum(metrics.test_counts or ())
    of = f" of {total}" if total > metrics.n else ""
    return f"{metrics.n}{of}{f', {recipe.sample}' if recipe.sample else ''}"


# ---------------------------------------------------------------- collapsed


def check_collapse(recipe: RunRecipe, metrics: RunMetrics) -> CheckResult:
    """Check that the pipeline has not collapsed: it must predict more than one class."""
    found = _find_constant(metrics)
    if found:
        return found
    known, there = _count_predicted(metrics), _count_classes(recipe, metrics)
    if known is not None and 2 * known <= there:
        what = f"nearly collapsed: only {known} of {there} classes are predicted for the unchanged images"
        return say("clean-accuracy", "WARN", what, known)
    return not_run("clean-accuracy")


def _find_constant(metrics: RunMetrics) -> CheckResult | None:
    """Return the result for a pipeline that predicts one class for nearly all images; None for others, or unknown."""
    predicted, labels = metrics.predicted_counts, metrics.class_counts
    if not predicted or not labels or not any(predicted):
        return None
    label = max(range(len(predicted)), key=predicted.__getitem__)
    others = sum(labels) - (labels[label] if label < len(labels) else 0)
    strays = sum(predicted) - predicted[label]
    whole = metrics.classes_predicted == 1 and sum(map(bool, metrics.test_counts or (1, 1))) > 1
    if not whole and (not others or strays > STRAYS * others):
        return None
    what = f"collapsed: class {label} is predicted for {predicted[label]} of {sum(predicted)} unchanged images"
    if whole or others >= FEW_OTHERS:
        return say("clean-accuracy", "FAIL", f"{what}, so its robust accuracy means nothing", 1)
    return say("clean-accuracy", "WARN", f"{what}; too few images are of other classes to be sure", 1)


def _count_predicted(metrics: RunMetrics) -> int | None:
    """Return how many classes are predicted, for the whole test set where that is known."""
    if metrics.classes_predicted is not None:
        return metrics.classes_predicted
    return sum(map(bool, metrics.predicted_counts)) if metrics.predicted_counts else None


def _count_classes(recipe: RunRecipe, metrics: RunMetrics) -> int:
    """Return how many classes the images have over which ``_count_predicted`` counts."""
    counts = metrics.test_counts if metrics.classes_predicted is not None else metrics.class_counts
    return sum(map(bool, counts)) if counts else len(recipe.dataset.classes)


# ---------------------------------------------------------------- enough, of all classes


def check_sample_size(recipe: RunRecipe, metrics: RunMetrics) -> CheckResult:
    """Check that there are enough samples for a narrow confidence interval, of all classes."""
    widest = max(result.accuracy_interval[1] - result.accuracy_interval[0] for result in metrics.results)
    intervals = f"Wilson 95 % intervals up to {100 * widest:.1f} points wide"
    missing = [label for label, count in enumerate(metrics.class_counts or ()) if not count]
    known = _list_present(recipe, metrics)
    if absent := [label for label in missing if known is None or label in known]:
        status: Status = "WARN" if known is None else "FAIL"
        return say("sample-size", status, _describe_absent(recipe, metrics, absent, certain=known is not None))
    if metrics.n < ENOUGH:
        return say("sample-size", "WARN", f"small sample (n = {metrics.n} < {ENOUGH}): {intervals}", metrics.n)
    return say("sample-size", "PASS", f"n = {show_size(recipe, metrics)}, {intervals}", metrics.n)


def _list_present(recipe: RunRecipe, metrics: RunMetrics) -> set[int] | None:
    """Return the classes that the whole test set has, None where the run did not store them."""
    counts = metrics.test_counts or (metrics.class_counts if recipe.limit is None else None)
    if counts:
        return {label for label, count in enumerate(counts) if count}
    row = DATASETS.get(recipe.dataset.name)
    return {*range(len(recipe.dataset.classes))} if row and row.digest == recipe.dataset.whole_digest else None


def _describe_absent(recipe: RunRecipe, metrics: RunMetrics, absent: Sequence[int], *, certain: bool) -> str:
    """Return a sentence that names the classes without a chosen image, and the option that chooses some."""
    names = [printable(recipe.dataset.classes[label]) for label in absent if label < len(recipe.dataset.classes)]
    shown = ", ".join(names[:CLASSES_NAMED]) + (", ..." if names[CLASSES_NAMED:] else "")
    classes = len(recipe.dataset.classes)
    what = f"no image of {len(absent)} of {classes} classes ({shown}) is among the {metrics.n} attacked ones"
    if not certain:
        return f"{what}; whether the test set has any was not stored; run it again with --force"
    draw = f"--limit {max(metrics.n, classes)} --sample stratified draws of each class"
    return f"{what}, so the accuracy is not that of the test set; {draw}"


# ---------------------------------------------------------------- in range


def check_proportion(recipe: RunRecipe, metrics: RunMetrics) -> CheckResult:
    """Check that the data spans the range of an image; otherwise the same eps means another budget."""
    if metrics.start_range is None:
        return not_run("proportion", OLD)
    on_images = recipe.threat not in THREATS or THREATS[recipe.threat].on_input
    ranges = metrics.image_ranges if on_images else None
    # A few images may all be dark although the test set is not.
    low, high = ranges.test if ranges else metrics.start_range
    span, status = high - low, _grade_span(high - low)
    sentence = f"eps is added to data {describe_range((low, high))}, {span:.3g} times the range of an image"
    unlike = compare_ranges(ranges) if ranges else None
    if unlike and "FAIL" in (unlike[0], status):
        status = "FAIL"
    elif unlike:
        status = "WARN"
    return say("proportion", status, sentence + _compare_budget(span) + (f"; {unlike[1]}" if unlike else ""), span)


def _grade_span(span: float) -> Status:
    if span > OUT_OF_SCALE or span < DARK:
        return "FAIL"
    return "WARN" if span > STRETCHED or span < NARROW else "PASS"


def _compare_budget(span: float) -> str:
    """Return how much larger or smaller the budget is than eps suggests; empty where it is not."""
    if _grade_span(span) == "PASS":
        return ""
    if not span:
        return ": every budget is larger than the whole range"
    less = f"{span:.3g} times smaller" if span > 1 else f"{1 / span:.3g} times larger"
    return f": the budget is {less} than eps suggests"
