"""One run as the report needs it: its record, its parents and its arrays, checked against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from advae.errors import CorruptError
from advae.metrics import count_classes
from advae.records import (
    OUTCOMES,
    SAMPLES,
    AutoencoderMetrics,
    AutoencoderRecipe,
    ClassifierMetrics,
    ClassifierRecipe,
    EpsResult,
    History,
    Manifest,
    RunMetrics,
    RunRecipe,
)
from advae.report.labels import Labels, name_dataset
from advae.verdicts import identify_samples, judge_collapse, read_verdicts, show_size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import IntArray
    from advae.registry import Registry

    Arrays = dict[str, np.ndarray[Any, Any]]

CLASS_ARRAYS = ("labels", "clean_predictions", "predictions", "code_labels")
"""Names of the arrays that hold classes."""

RATE_ARRAYS = ("success_rate", "clean_success_rate")
"""Names of the arrays that hold shares of draws, which runs of a pipeline that samples have."""


@dataclass(frozen=True)
class Rate:
    """A share in [0, 1] with its Wilson 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Run:
    """One run with all that the report needs of it and of its parents.

    dataset: its name, which tells it from another of the same name in the report. outcomes, samples: the arrays of
    ``outcomes.npz`` and ``samples.npz``. twin: the classifier that an oblivious attacker used, surrogate: the one of a
    transfer attacker; None where there was none or the registry has lost it.
    """

    manifest: Manifest
    recipe: RunRecipe
    metrics: RunMetrics
    classifier: Manifest
    classifier_recipe: ClassifierRecipe
    autoencoder: Manifest | None
    autoencoder_recipe: AutoencoderRecipe | None
    twin: Manifest | None
    surrogate: Manifest | None
    dataset: str
    outcomes: Arrays = field(repr=False)
    samples: Arrays = field(repr=False)

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def defended(self) -> bool:
        return self.autoencoder is not None

    @property
    def autoencoder_type(self) -> str:
        return self.autoencoder_recipe.type if self.autoencoder_recipe else "none"

    @cached_property
    def sample_key(self) -> str:
        """What runs on the very same samples, in the same order and with the same labels, have in common."""
        return identify_samples(self.outcomes["sample_ids"], self.outcomes["labels"])

    @cached_property
    def collapsed(self) -> bool:
        """Whether one class is predicted whatever the image."""
        return judge_collapse(self.recipe, self.metrics).status == "FAIL"

    @property
    def size(self) -> str:
        """How many images were attacked, of how many, and how they were chosen."""
        return show_size(self.recipe, self.metrics)

    @property
    def clean(self) -> Rate:
        return Rate(self.metrics.clean_accuracy, *self.metrics.clean_accuracy_interval)


@dataclass(frozen=True)
class Measured:
    """What one run found at one of its eps."""

    run: Run
    index: int

    @property
    def result(self) -> EpsResult:
        return self.run.metrics.results[self.index]

    @property
    def id(self) -> str:
        return self.run.id

    @property
    def recipe(self) -> RunRecipe:
        return self.run.recipe

    @property
    def eps(self) -> float:
        return self.result.eps

    @property
    def accuracy(self) -> float:
        return self.result.accuracy

    @property
    def sample_ids(self) -> IntArray:
        ids: IntArray = self.run.outcomes["sample_ids"]
        return ids

    @property
    def labels(self) -> IntArray:
        labels: IntArray = self.run.outcomes["labels"]
        return labels

    @property
    def sample_key(self) -> str:
        return self.run.sample_key

    @property
    def attacked(self) -> Rate:
        return Rate(self.result.accuracy, *self.result.accuracy_interval)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which samples are still classified correctly, bool (n,)."""
        right: NDArray[np.bool_] = self.run.outcomes["predictions"][self.index] == self.run.outcomes["labels"]
        return right


def open_run(registry: Registry, manifest: Manifest, labels: Labels | None = None) -> Run:
    """Return a run with its parents and arrays. labels: names of datasets that two of the report share.

    Raises CorruptError for an entry that is no run or whose arrays do not fit its recipe, and what the registry
    raises.
    """
    recipe, metrics = manifest.as_run()
    classifier = registry.manifest(recipe.classifier)
    classifier_recipe, _ = classifier.as_classifier()
    purifier = registry.manifest(classifier_recipe.autoencoder) if classifier_recipe.autoencoder else None
    run = Run(
        manifest=manifest,
        recipe=recipe,
        metrics=metrics,
        classifier=classifier,
        classifier_recipe=classifier_recipe,
        autoencoder=purifier,
        autoencoder_recipe=purifier.as_autoencoder()[0] if purifier else None,
        twin=registry.find(recipe.twin) if recipe.twin else None,
        surrogate=registry.find(recipe.surrogate) if recipe.surrogate else None,
        dataset=name_dataset(recipe.dataset, labels or {}),
        outcomes=registry.read_arrays(manifest, OUTCOMES),
        samples=registry.read_arrays(manifest, SAMPLES),
    )
    _check_arrays(run)
    return replace(run, metrics=_complete_metrics(run))


def _complete_metrics(run: Run) -> RunMetrics:
    """Return the run's metrics, with what an older one did not keep, as far as it follows, and the verdicts on it."""
    classes = len(run.recipe.dataset.classes)
    derived = {
        "class_counts": count_classes(run.outcomes["labels"], classes),
        "predicted_counts": count_classes(run.outcomes["clean_predictions"], classes),
        "classes_predicted": run.classifier.as_classifier()[1].classes_predicted,
    }
    absent = {name: value for name, value in derived.items() if getattr(run.metrics, name) is None}
    metrics = run.metrics.model_copy(update=absent)
    return metrics.model_copy(update={"verdicts": read_verdicts(run.recipe, metrics)})


def read_history(entry: Manifest) -> History | None:
    """Return the training history of an autoencoder or a classifier, None where it has none (lr, a control)."""
    metrics = entry.metrics
    return metrics.history if isinstance(metrics, AutoencoderMetrics | ClassifierMetrics) else None


def read_raw_range(run: Run) -> tuple[float, float] | None:
    """Return the range of the run's purified data where it leaves [0, 1], as a raw reconstruction may; else None."""
    metrics = run.autoencoder.as_autoencoder()[1] if run.autoencoder else None
    return None if metrics is None or metrics.unit_range else metrics.output_range


def find_misfit(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]], classes: int) -> str | None:
    """Return what is wrong with arrays that should have these shapes, None where nothing is.

    classes: those of CLASS_ARRAYS hold whole numbers below it. The registry vouches for the bytes only, and a figure
    drawn from arrays of another shape would be wrong in silence.
    """
    for key, shape in shapes.items():
        if key not in arrays or arrays[key].shape != shape:
            return f"{key} should have shape {shape}"
        if arrays[key].dtype.kind not in "biuf":
            return f"{key} should hold real numbers"
        if key in CLASS_ARRAYS and not _are_classes(arrays[key], classes):
            return f"{key} should lie in 0..{classes - 1}"
        if key in RATE_ARRAYS and not ((arrays[key] >= 0) & (arrays[key] <= 1)).all():
            return f"{key} should lie in 0..1"
    return None


def count_items(arrays: Arrays, key: str) -> int:
    """Return the length of an array, 0 for one that is missing or a single number."""
    return int(arrays[key].shape[0]) if key in arrays and arrays[key].ndim else 0


def _check_arrays(run: Run) -> None:
    """Raise CorruptError unless the arrays have the shapes and classes that the recipe promises."""
    eps, n, classes = len(run.recipe.eps), run.metrics.n, len(run.recipe.dataset.classes)
    m, d = count_items(run.samples, "ids"), run.recipe.dataset.side**2
    outcomes = {"sample_ids": (n,), "labels": (n,), "clean_predictions": (n,), "predictions": (eps, n)}
    if run.metrics.fresh_draws is not None:
        outcomes |= {"clean_success_rate": (n,), "success_rate": (eps, n)}
    images = {"labels": (m,), "x": (m, d), "start": (m, d), "x_adv": (eps, m, d), "seen": (eps, m, d)}
    samples = images | {"ids": (m,), "predictions": (eps, m)}
    for name, arrays, shapes in ((OUTCOMES, run.outcomes, outcomes), (SAMPLES, run.samples, samples)):
        if misfit := find_misfit(arrays, shapes, classes):
            raise CorruptError(
                f"{name} of {run.id} does not fit its recipe: {misfit}; `advae attack ... --force` replaces it"
            )
    if [result.eps for result in run.metrics.results] != list(run.recipe.eps):
        raise CorruptError(f"{run.id} has results at other eps than its recipe; `advae attack ... --force` replaces it")


def _are_classes(values: np.ndarray[Any, Any], classes: int) -> bool:
    return values.dtype.kind in "iu" and (not values.size or (int(values.min()) >= 0 and int(values.max()) < classes))
