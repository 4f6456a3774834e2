"""The input of the speed benchmarks: MNIST, and networks that are trained once and then kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.datasets.load import load_dataset
from advae.records import Dataset, Manifest, RunRecipe
from advae.registry import Registry
from advae.requests import AttackRequest, ClassifierRequest
from advae.workflows import Workspace, train_classifier
from advae.workflows.counterparts import PipelineRecipes
from advae.workflows.run_recipes import prepare_run

if TYPE_CHECKING:
    from advae.threats import Pipeline

SEED = 0


@dataclass(frozen=True)
class Workload:
    """A dataset, and a registry of the networks trained on it. It is sent to the contenders' processes."""

    home: Path
    """The registry."""

    data_dir: Path | None
    """Where the dataset is read from; None for the bundled one."""

    dataset: str = "mnist"
    """Name of the dataset."""

    epochs: int = 35
    """Of the network."""

    @cached_property
    def data(self) -> Dataset:
        return load_dataset(self.dataset, data_dir=self.data_dir)

    @property
    def registry(self) -> Registry:
        return Registry(self.home)

    def train(self, model: str) -> Manifest:
        """Return the undefended classifier of a kind, trained if it is missing."""
        network = {"epochs": self.epochs} if model == "nn" else None
        request = ClassifierRequest(model=model, network=network, seed=SEED)
        workspace = Workspace(self.registry, self.data_dir)
        return train_classifier(workspace, self.dataset, request, None).manifest

    def load(self, model: str) -> LoadedClassifier:
        """Return that classifier and the images. Starts TensorFlow in this process."""
        from advae.backend import start_tensorflow
        from advae.evaluation.pipelines import load_pipeline

        start_tensorflow()
        manifest = self.train(model)
        return LoadedClassifier(manifest, load_pipeline(self.registry, manifest), self.data)


@dataclass(frozen=True)
class LoadedClassifier:
    """An undefended classifier, loaded from the registry, and the images."""

    manifest: Manifest
    pipeline: Pipeline
    data: Dataset

    def classify(self, x: Any, training: bool = False) -> Any:
        """Return logits, called as the peers call a model."""
        return self.pipeline.classify(x)

    def measure_accuracy(self, x_adv: Any) -> float:
        """Return the accuracy on some images. x_adv: float32 (n, d)."""
        from advae.batching import apply
        from advae.metrics import accuracy, decide

        logits = apply(self.pipeline.defend, x_adv)
        return accuracy(self.data.y_test[: len(x_adv)], decide(logits))[0]

    def describe_attack(self, method: str, eps: tuple[float, ...], **options: Any) -> RunRecipe:
        """Return the recipe of an adaptive attack with its defaults filled in."""
        request = AttackRequest(method=method, threat="adaptive", eps=eps, seed=SEED, **options)
        recipes = PipelineRecipes(self.manifest.as_classifier()[0])
        found = prepare_run(recipes, request, n_test=len(self.data.x_test), find_counterpart=lambda recipes: recipes.id)
        return found.recipe


def train_all(workload: Workload) -> None:
    """Train every classifier that the benchmarks attack, if it is missing."""
    for model in ("nn", "lr"):
        workload.train(model)
