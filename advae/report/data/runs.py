"""One run as the report needs it: its record, its parents and its arrays; and what it found at one eps."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from advae.checks import bound_accuracy, check_collapse, identify_samples, show_size
from advae.metrics import find_robust
from advae.records import AutoencoderRecipe, ClassifierRecipe, EpsResult, Manifest, RunMetrics, RunRecipe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.checks import AccuracyBounds, ProvedImages
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


@dataclass(frozen=True, eq=False, kw_only=True)
class StoredPipeline:
    """One classifier with its purifier, if any, as the registry has them."""

    classifier: Manifest
    """Manifest of the classifier."""
    classifier_recipe: ClassifierRecipe
    """Recipe of the classifier."""
    autoencoder: Manifest | None
    """Manifest of the purifier; None for an undefended classifier."""
    autoencoder_recipe: AutoencoderRecipe | None
    """Recipe of the purifier; None for an undefended classifier."""
    dataset: str
    """Name of the dataset, unique in the report."""
    certificates: tuple[ProvedImages, ...] = field(default=(), repr=False)
    """Certificates of the classifier; empty where none was made or looked for."""

    @property
    def defended(self) -> bool:
        """Whether it has a purifier, or its classifier was retrained on adversarial examples."""
        return self.autoencoder is not None or self.classifier_recipe.retrained is not None

    @property
    def autoencoder_type(self) -> str:
        return self.autoencoder_recipe.type if self.autoencoder_recipe else "none"

    @property
    def entries(self) -> list[Manifest]:
        """Its purifier and its classifier, in the order in which they are trained."""
        return [entry for entry in (self.autoencoder, self.classifier) if entry]


def read_stored(registry: Registry, classifier_id: str) -> StoredPipeline:
    """Return a pipeline by its classifier, the dataset under its own name. Raises what the registry raises."""
    classifier = registry.manifest(classifier_id)
    recipe, _ = classifier.as_classifier()
    purifier = registry.manifest(recipe.autoencoder) if recipe.autoencoder else None
    return StoredPipeline(
        classifier=classifier,
        classifier_recipe=recipe,
        autoencoder=purifier,
        autoencoder_recipe=purifier.as_autoencoder()[0] if purifier else None,
        dataset=recipe.dataset.title,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Run(StoredPipeline):
    """One run with all that the report needs of it and of its parents."""

    manifest: Manifest
    """Manifest of the run."""
    recipe: RunRecipe
    """Its recipe."""
    metrics: RunMetrics
    """Its metrics."""
    twin: Manifest | None
    """Classifier that an oblivious attacker used; None where there was none or the registry lost it."""
    surrogate: Manifest | None
    """Classifier that a transfer attacker used; None where there was none or the registry lost it."""
    outcomes: Arrays = field(repr=False)
    """Arrays of ``outcomes.npz``."""
    samples: Arrays = field(repr=False)
    """Arrays of ``samples.npz``."""

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def random(self) -> bool:
        """Whether what the classifier is shown is random; of a random code it is shown the mean."""
        purifier = self.autoencoder_recipe
        return purifier is not None and purifier.samples and self.classifier_recipe.code is None

    @property
    def imported(self) -> tuple[str, ...]:
        """Ids of what came from a bundle, of the run and of the entries that it depends on."""
        entries = (self.manifest, self.classifier, self.autoencoder, self.twin, self.surrogate)
        return tuple(entry.id for entry in entries if entry and entry.imported)

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

    @property
    def comparable_clean(self) -> Rate:
        """The clean accuracy to compare with a robust one: any-of-k of the same k where the pipeline samples."""
        share, interval = self.metrics.clean_any_of_k_accuracy, self.metrics.clean_any_of_k_accuracy_interval
        return self.clean if share is None or interval is None else Rate(share, *interval)


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
    def metrics(self) -> RunMetrics:
        return self.run.metrics

    @cached_property
    def bounds(self) -> AccuracyBounds | None:
        """The robust accuracy at this eps from below, by proof, and from above, by this attack; None without proof."""
        return bound_accuracy(self.run.certificates, self)

    @property
    def eps(self) -> float:
        return self.result.eps

    @property
    def accuracy(self) -> float:
        """The robust accuracy that is reported: any-of-k where it samples."""
        return self.result.robust_accuracy

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
        """``accuracy`` with its interval."""
        return Rate(self.result.robust_accuracy, *self.result.robust_interval)

    @property
    def one_shot(self) -> Rate:
        """The robust accuracy by one draw of a pipeline that samples; of others ``attacked``."""
        return Rate(self.result.accuracy, *self.result.accuracy_interval)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which samples are still classified correctly, on every kept draw where the pipeline samples, bool (n,)."""
        return find_robust(self.run.outcomes, self.index)


def read_raw_range(pipeline: StoredPipeline) -> tuple[float, float] | None:
    """Return the range of the purified data where it leaves [0, 1], as a raw reconstruction may; else None."""
    metrics = pipeline.autoencoder.as_autoencoder()[1] if pipeline.autoencoder else None
    return None if metrics is None or metrics.unit_range else metrics.output_range
