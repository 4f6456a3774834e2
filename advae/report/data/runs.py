"""One run as the report needs it: its record, its parents and its arrays, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from advae.checks import check_collapse, check_run, identify_samples, show_size
from advae.errors import CorruptError
from advae.metrics import measure_clean
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
from advae.report.data.consistency import LENGTHS, find_contradiction
from advae.report.data.dataset_names import Labels, name_dataset
from advae.report.data.entry_arrays import count_items, fit_artifact, suggest_repair

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import IntArray
    from advae.registry import Registry
    from advae.report.data.entry_arrays import Arrays


@dataclass(frozen=True)
class Rate:
    """A share in [0, 1] with its Wilson 95 % confidence interval."""

    value: float
    """The share."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""


@dataclass(frozen=True, eq=False)
class Run:
    """One run with all that the report needs of it and of its parents."""

    manifest: Manifest
    """Manifest of the run."""
    recipe: RunRecipe
    """Its recipe."""
    metrics: RunMetrics
    """Its metrics."""
    classifier: Manifest
    """Manifest of the classifier."""
    classifier_recipe: ClassifierRecipe
    """Recipe of the classifier."""
    autoencoder: Manifest | None
    """Manifest of the purifier; None for an undefended run."""
    autoencoder_recipe: AutoencoderRecipe | None
    """Recipe of the purifier; None for an undefended run."""
    twin: Manifest | None
    """Classifier that an oblivious attacker used; None where there was none or the registry lost it."""
    surrogate: Manifest | None
    """Classifier that a transfer attacker used; None where there was none or the registry lost it."""
    dataset: str
    """Name of the dataset, unique in the report."""
    outcomes: Arrays = field(repr=False)
    """Arrays of ``outcomes.npz``."""
    samples: Arrays = field(repr=False)
    """Arrays of ``samples.npz``."""

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def defended(self) -> bool:
        return self.autoencoder is not None

    @property
    def imported(self) -> tuple[str, ...]:
        """Ids of what came from a bundle, of the run and of the entries that it depends on."""
        entries = (self.manifest, self.classifier, self.autoencoder, self.twin, self.surrogate)
        return tuple(entry.id for entry in entries if entry and entry.imported)

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
        return check_collapse(self.recipe, self.metrics).status == "FAIL"

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
    """The run."""
    index: int
    """Index of the eps among the run's eps."""

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
    """Return a run with its parents and arrays, held against each other. labels: datasets' names, see ``Labels``.

    Raises CorruptError for an entry that is no run, whose arrays do not fit its recipe, or whose numbers are not those
    of its arrays and its parents; and what the registry raises.
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
        outcomes=_read_outcomes(registry, manifest),
        samples=_read_samples(registry, manifest),
    )
    if contradiction := find_contradiction(run):
        raise CorruptError(f"{run.id} contradicts itself: {contradiction}; {suggest_repair(manifest)}")
    return replace(run, metrics=_complete_metrics(run))


def _read_outcomes(registry: Registry, manifest: Manifest) -> Arrays:
    recipe, metrics = manifest.as_run()
    eps, n = len(recipe.eps), metrics.n
    shapes = {"sample_ids": (n,), "labels": (n,), "clean_predictions": (n,), "predictions": (eps, n)}
    found = registry.read_arrays(manifest, OUTCOMES)
    shapes |= {name: (eps, n) for name in LENGTHS if name in found}
    if metrics.fresh_draws is not None:
        shapes |= {"clean_success_rate": (n,), "success_rate": (eps, n)}
    return fit_artifact(manifest, OUTCOMES, found, shapes)


def _read_samples(registry: Registry, manifest: Manifest) -> Arrays:
    recipe, _ = manifest.as_run()
    found = registry.read_arrays(manifest, SAMPLES)
    eps, m, d = len(recipe.eps), count_items(found, "ids"), recipe.dataset.side**2
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


def read_history(entry: Manifest) -> History | None:
    """Return the training history of an autoencoder or a classifier, None where it has none (lr, a baseline)."""
    metrics = entry.metrics
    return metrics.history if isinstance(metrics, AutoencoderMetrics | ClassifierMetrics) else None


def read_raw_range(run: Run) -> tuple[float, float] | None:
    """Return the range of the run's purified data where it leaves [0, 1], as a raw reconstruction may; else None."""
    metrics = run.autoencoder.as_autoencoder()[1] if run.autoencoder else None
    return None if metrics is None or metrics.unit_range else metrics.output_range
