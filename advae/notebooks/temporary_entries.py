"""Entries of an evaluation that is not stored, in a temporary registry, for the report to read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from advae.batching import apply
from advae.metrics import accuracy, decide
from advae.records import ClassifierMetrics, Dataset, Manifest
from advae.registry import Registry
from advae.workflows.training import measure_purifier

if TYPE_CHECKING:
    from advae.notebooks.subjects import Subject
    from advae.records import FloatArray, IntArray, RunMetrics, RunRecipe
    from advae.registry.synced_files import Arrays

    Content = tuple[RunRecipe, RunMetrics, Mapping[str, Arrays]]


@contextmanager
def publish_aside(
    runs: Sequence[Content], subjects: Sequence[Subject], x: FloatArray, y: IntArray
) -> Iterator[tuple[Registry, list[Manifest]]]:
    """Give a temporary registry with runs and all that they need, and the runs.

    runs: recipe, metrics and arrays of each; subjects: the pipelines; x: float32 (n, d) in [0, 1]; y: int64 (n,).
    """
    with tempfile.TemporaryDirectory(prefix="advae-") as folder:
        registry = Registry(Path(folder, "home"))
        dataset = Dataset(runs[0][0].dataset, x, y, x, y)
        for subject in subjects:
            _publish(registry, subject, dataset)
        yield registry, [registry.publish(*run) for run in runs]


def _publish(registry: Registry, subject: Subject, dataset: Dataset) -> None:
    """Publish a pipeline, without weights: a report does not read them."""
    recipes = subject.recipes
    if subject.purifier and recipes.autoencoder:
        registry.publish(recipes.autoencoder, *measure_purifier(subject.purifier, {}, dataset))
    predictions = decide(apply(subject.function.defend, dataset.x_test))
    share, interval = accuracy(dataset.y_test, predictions)
    metrics = ClassifierMetrics(
        # There are no training images; a report does not show this field.
        train_accuracy=share,
        test_accuracy=share,
        test_accuracy_interval=interval,
        n_test=len(predictions),
        classes_predicted=len(set(predictions.tolist())),
    )
    registry.publish(recipes.classifier, metrics, {})
