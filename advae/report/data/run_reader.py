"""Reads a run, and refuses one whose manifest, outcomes, images and parents contradict each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from advae.attacks import FROM_FILE
from advae.checks import check_run
from advae.errors import CorruptError
from advae.metrics import (
    BROKEN_BY,
    CARRIED,
    DISTANCE,
    SMALLEST_EPS,
    count_beyond,
    digest_samples,
    find_aims,
    measure_attacked,
    measure_carried,
    measure_clean,
    measure_given,
    measure_lengths,
    measure_smallest_eps,
    perturbation_norms,
)
from advae.records import OUTCOMES, SAMPLES, EpsResult, Manifest, RunMetrics
from advae.report.data.agreement import ALIKE, list_differences
from advae.report.data.dataset_names import Labels, name_dataset
from advae.report.data.entry_arrays import count_items, fit_artifact, suggest_repair
from advae.report.data.outcome_checks import check_carried, check_class_accuracy, check_draws, check_members
from advae.report.data.runs import Run, read_stored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.registry import Registry
    from advae.report.data.entry_arrays import Arrays

LENGTH_TOLERANCE = 1e-4
"""The same of a length of pixels in float32, measured again on stored images."""

LENGTHS = ("linf", "l2", "zero_gradient")
"""Outcomes that runs of revision 1 do not have."""


def open_run(registry: Registry, manifest: Manifest, labels: Labels | None = None) -> Run:
    """Return a run with its parents and arrays, held against each other. labels: datasets' names, see ``Labels``.

    Raises CorruptError for an entry that is no run, whose arrays do not fit its recipe, or whose numbers are not those
    of its arrays and its parents; and what the registry raises.
    """
    recipe, metrics = manifest.as_run()
    stored = read_stored(registry, recipe.classifier)
    run = Run(
        manifest=manifest,
        recipe=recipe,
        metrics=metrics,
        classifier=stored.classifier,
        classifier_recipe=stored.classifier_recipe,
        autoencoder=stored.autoencoder,
        autoencoder_recipe=stored.autoencoder_recipe,
        twin=registry.find(recipe.twin) if recipe.twin else None,
        surrogate=registry.find(recipe.surrogate) if recipe.surrogate else None,
        dataset=name_dataset(recipe.dataset, labels or {}),
        outcomes=_read_outcomes(registry, manifest),
        samples=_read_samples(registry, manifest),
    )
    if contradiction := _find_contradiction(run):
        raise CorruptError(f"{run.id} contradicts itself: {contradiction}; {suggest_repair(manifest)}")
    return replace(run, metrics=_complete_metrics(run))


def _read_outcomes(registry: Registry, manifest: Manifest) -> Arrays:
    recipe, metrics = manifest.as_run()
    eps, n = len(recipe.eps), metrics.n
    shapes = {"sample_ids": (n,), "labels": (n,), "clean_predictions": (n,), "predictions": (eps, n)}
    found = registry.read_arrays(manifest, OUTCOMES)
    shapes |= {name: (eps, n) for name in LENGTHS if name in found}
    carries = metrics.median_smallest_eps is not None or any(one.carried is not None for one in metrics.results)
    if carries or CARRIED in found:
        shapes |= {CARRIED: (eps, n), SMALLEST_EPS: (n,)}
    if recipe.examples:
        shapes[DISTANCE] = (n,)
    if BROKEN_BY in found or any(one.broken is not None for result in metrics.results for one in result.members or ()):
        shapes[BROKEN_BY] = (eps, n)
    if metrics.fresh_draws is not None:
        shapes |= {"clean_success_rate": (n,), "success_rate": (eps, n)}
    if metrics.k_draws is not None:
        shapes |= {"clean_wrong_draws": (n, metrics.k_draws), "wrong_draws": (eps, n, metrics.k_draws)}
    return fit_artifact(manifest, OUTCOMES, found, shapes)


def _read_samples(registry: Registry, manifest: Manifest) -> Arrays:
    recipe, _ = manifest.as_run()
    found = registry.read_arrays(manifest, SAMPLES)
    eps, m, d = len(recipe.eps), count_items(found, "ids"), recipe.dataset.shape.size
    shapes = {"ids": (m,), "labels": (m,), "predictions": (eps, m)}
    images = {"x": (m, d), "start": (m, d), "x_adv": (eps, m, d), "seen": (eps, m, d)}
    return fit_artifact(manifest, SAMPLES, found, shapes | images)


def _complete_metrics(run: Run) -> RunMetrics:
    """Return the run's metrics, with what an older one did not keep, as far as it follows, and the results on it."""
    found = measure_clean(run.outcomes, len(run.recipe.dataset.classes))
    derived = {name: found[name] for name in ("class_counts", "predicted_counts")}
    derived["classes_predicted"] = run.classifier.as_classifier()[1].classes_predicted
    absent = {name: value for name, value in derived.items() if getattr(run.metrics, name) is None}
    metrics = run.metrics.model_copy(update=absent)
    return metrics.model_copy(update={"verdicts": check_run(run.recipe, metrics)})


# ---------------------------------------------------------------- contradictions


def _find_contradiction(run: Run) -> str | None:
    """Return what is wrong with a run whose arrays have the right shapes, None where nothing is."""
    numbers = (_check_outcomes, check_class_accuracy, check_members, check_carried, check_draws)
    checks = (_check_parents, _check_data, _check_attack, *numbers, _check_samples, _check_images)
    return next((found for check in checks for found in check(run)), None)


def _check_parents(run: Run) -> Iterator[str]:
    """Yield each entry of its pipeline, or of its attacker's, that takes other images or knows other classes."""
    for entry in (run.classifier, run.autoencoder, run.twin, run.surrogate):
        if entry and entry.recipe.dataset.key != run.recipe.dataset.key:
            yield f"it is on another dataset than {entry.id}"


def _check_data(run: Run) -> Iterator[str]:
    """Yield what does not fit its dataset: counts of classes, and which images were attacked."""
    metrics, recipe = run.metrics, run.recipe
    classes, labels = len(recipe.dataset.classes), run.outcomes["labels"]
    found, tested = measure_clean(run.outcomes, classes), metrics.test_counts
    if tested is not None:
        if len(tested) != classes or any(few > all_ for few, all_ in zip(found["class_counts"], tested, strict=True)):
            yield "it attacks images that its counts of the test set do not have"
        elif int(run.outcomes["sample_ids"].max()) >= sum(tested):
            yield f"it attacks an image beyond the {sum(tested)} of its test set"
    if len(set(run.outcomes["sample_ids"].tolist())) < len(labels):
        yield "it counts an image twice"
    if recipe.limit is not None and metrics.n > recipe.limit:
        yield f"it has {metrics.n} images, and a limit of {recipe.limit}"
    # Another draw of a pipeline that samples may predict other classes.
    least = sum(map(bool, found["predicted_counts"])) if metrics.stochastic is False else 1
    if metrics.classes_predicted is not None and not least <= metrics.classes_predicted <= classes:
        yield f"it says that {metrics.classes_predicted} classes are predicted, where {least} to {classes} can be"


def _check_attack(run: Run) -> Iterator[str]:
    """Yield where the results are of another attack than the recipe's."""
    if (run.recipe.method == FROM_FILE) is (run.recipe.examples is None):
        yield f"its method is {run.recipe.method}, its examples {run.recipe.examples}"
    recipe, classes = run.recipe, len(run.recipe.dataset.classes)
    if [result.eps for result in run.metrics.results] != list(recipe.eps):
        yield "it has results at other eps than its recipe"
    for result in run.metrics.results:
        if result.within_budget is not recipe.clip:
            yield f"its recipe says clip {recipe.clip}, its result within_budget {result.within_budget}"
        if result.targets is not None and (len(result.targets) != classes or max(result.targets) >= classes):
            yield f"its targets are not one of {classes} classes for each class"
    if recipe.target is not None and recipe.target >= classes:
        yield f"its target is class {recipe.target} of {classes}"


# ---------------------------------------------------------------- outcomes


def _check_outcomes(run: Run) -> Iterator[str]:
    """Yield each number of the manifest that does not follow from the outcomes as the scorer takes it from them."""
    yield from list_differences(run.metrics, measure_clean(run.outcomes, len(run.recipe.dataset.classes)), OUTCOMES)
    yield from list_differences(run.metrics, measure_given(run.outcomes), OUTCOMES)
    yield from list_differences(run.metrics, measure_smallest_eps(run.outcomes), OUTCOMES)
    known = all(name in run.outcomes for name in LENGTHS)
    for index, result in enumerate(run.metrics.results):
        aims = find_aims(run.outcomes["labels"], run.recipe.target, result.targets)
        found = measure_attacked(run.outcomes, index, aims)
        lengths = measure_lengths(run.outcomes, index, run.recipe.norm) if known else {}
        beyond = count_beyond(run.outcomes, result.eps)
        carried = measure_carried(run.outcomes, index)
        yield from list_differences(result, found | lengths | beyond | carried, OUTCOMES, f" at eps {result.eps:.4g}")
        if not known and result.norm_max is not None:
            yield f"{OUTCOMES} has not all of {', '.join(LENGTHS)}"


# ---------------------------------------------------------------- images


def _check_samples(run: Run) -> Iterator[str]:
    """Yield where the shown images are none of the attacked ones, or have other labels or predictions."""
    import numpy as np

    samples, outcomes = run.samples, run.outcomes
    order = np.argsort(outcomes["sample_ids"])
    places = np.searchsorted(outcomes["sample_ids"], samples["ids"], sorter=order).clip(max=len(order) - 1)
    rows = order[places]
    if not np.array_equal(outcomes["sample_ids"][rows], samples["ids"]):
        yield f"{SAMPLES} shows an image that {OUTCOMES} does not have"
    for name in ("labels", "predictions"):
        if not np.array_equal(outcomes[name][..., rows], samples[name]):
            yield f"{SAMPLES} and {OUTCOMES} do not have the same {name}"
    whole = np.array_equal(samples["ids"], outcomes["sample_ids"])
    digest = run.metrics.samples_digest
    if digest and whole and digest != digest_samples(samples["x"], samples["labels"]):
        yield f"its samples_digest is not that of {SAMPLES}"


def _check_images(run: Run) -> Iterator[str]:
    """Yield where a shown image was moved further than the run says, or has pixels beyond the range that it says."""
    start, metrics = run.samples["start"], run.metrics
    if start.size and metrics.start_range and not _lies_in(start, metrics.start_range):
        yield f"{SAMPLES} starts from pixels beyond its start_range"
    for result, x_adv in zip(metrics.results, run.samples["x_adv"], strict=True):
        if x_adv.size:
            yield from _check_moved(run, result, start, x_adv)


def _check_moved(run: Run, result: EpsResult, start: NDArray[Any], x_adv: NDArray[Any]) -> Iterator[str]:
    import numpy as np

    largest = max(1.0, float(np.abs(start).max()), float(np.abs(x_adv).max()))
    linf, l2 = (float(norms.max()) for norms in perturbation_norms(start, x_adv))
    lengths = {"linf_max": linf, "norm_max": linf if run.recipe.norm == "linf" else l2}
    for name, length in lengths.items():
        stated = getattr(result, name)
        if stated is None:
            continue
        # Neighbouring float32 of the size of the pixels differ by as much.
        if length > stated * (1 + LENGTH_TOLERANCE) + ALIKE * largest:
            yield f"{SAMPLES} shows a perturbation of {length:.4g} at eps {result.eps:.4g}, its {name} is {stated:.4g}"
    if result.pixel_range and not _lies_in(x_adv, result.pixel_range):
        yield f"{SAMPLES} shows pixels beyond the pixel_range at eps {result.eps:.4g}"


def _lies_in(images: NDArray[np.float32], ends: tuple[float, float]) -> bool:
    low, high = ends
    slack = ALIKE * max(1.0, abs(low), abs(high))
    return bool(images.min() >= low - slack and images.max() <= high + slack)
