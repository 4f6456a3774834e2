"""Train an autoencoder, or a classifier behind one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae import autoencoders, classifiers, metrics
from advae.batching import apply, find_range
from advae.pipelines import WEIGHTS, load_purifier
from advae.precisions import FLOAT32
from advae.records import (
    SAMPLES,
    AutoencoderMetrics,
    AutoencoderRecipe,
    ClassifierMetrics,
    ClassifierRecipe,
    Dataset,
    Manifest,
)
from advae.requests import AutoencoderRequest, ClassifierRequest
from advae.workflows.workspace import Content, Made, Workspace, load_dataset_of, load_named, make_entry

if TYPE_CHECKING:
    from advae.records import FloatArray, IntArray


def train_autoencoder(workspace: Workspace, dataset_name: str, request: AutoencoderRequest) -> Made:
    """Return the autoencoder that the request describes, trained on the dataset's training images."""
    dataset = load_named(workspace, dataset_name)
    return make_autoencoder(workspace, autoencoders.make_recipe(request, dataset), dataset)


def make_autoencoder(workspace: Workspace, recipe: AutoencoderRecipe, dataset: Dataset, *, latest: bool = True) -> Made:
    """Return the autoencoder of a recipe."""

    def compute() -> Content:
        arrays, history = autoencoders.fit_autoencoder(recipe, dataset.x_train, workspace.on_epoch)
        purify = autoencoders.restore_purifier(recipe, arrays)
        purified = apply(purify, dataset.x_test)
        error = purified - dataset.x_test
        return AutoencoderMetrics(
            history=history,
            test_mse=float((error**2).mean()),
            output_range=find_range(purify, dataset.x_train),
        ), {WEIGHTS: arrays, SAMPLES: autoencoders.collect_views(purify, dataset.x_test, dataset.y_test, purified)}

    return make_entry(workspace, recipe, compute, dataset.source, latest=latest)


def train_classifier(
    workspace: Workspace, dataset_name: str | None, request: ClassifierRequest, ae_ref: str | None
) -> Made:
    """Return the classifier that the request describes, trained on images as its purifier leaves them.

    dataset_name: None for the purifier's own, or the default where there is none. Raises UsageError where the two do
    not fit.
    """
    purifier = workspace.registry.resolve(ae_ref, "ae") if ae_ref else None
    dataset = load_dataset_of(workspace, purifier, dataset_name)
    return make_classifier(
        workspace, classifiers.make_recipe(request, dataset, purifier.id if purifier else None), dataset
    )


def make_classifier(workspace: Workspace, recipe: ClassifierRecipe, dataset: Dataset, *, latest: bool = True) -> Made:
    """Return the classifier of a recipe, whose purifier must be there."""

    def compute() -> Content:
        train, test = dataset.x_train, dataset.x_test
        if recipe.autoencoder:
            purify = load_purifier(workspace.registry, workspace.registry.manifest(recipe.autoencoder))
            train, test = apply(purify, train), apply(purify, test)
        kind = classifiers.CLASSIFIERS[recipe.model]
        fitted = kind.fit(recipe, train, dataset.y_train, workspace.on_epoch)
        logits = kind.restore(recipe, fitted.arrays, FLOAT32)

        def decide(x: FloatArray) -> IntArray:
            return metrics.decide(apply(lambda batch, draw: logits(batch), x))

        predictions = decide(test)
        accuracy, interval = metrics.accuracy(dataset.y_test, predictions)
        return ClassifierMetrics(
            train_accuracy=metrics.accuracy(dataset.y_train, decide(train))[0],
            test_accuracy=accuracy,
            test_accuracy_interval=interval,
            n_test=len(test),
            history=fitted.history,
            converged=fitted.converged,
            iterations=fitted.iterations,
            classes_predicted=len(set(predictions.tolist())),
        ), {WEIGHTS: fitted.arrays}

    made = make_entry(workspace, recipe, compute, dataset.source, latest=latest)
    _tell_of_trouble(workspace, made.manifest)
    return made


def _tell_of_trouble(workspace: Workspace, manifest: Manifest) -> None:
    recipe, found = manifest.as_classifier()
    if found.classes_predicted == 1:
        advice = "look at its images" if recipe.model == "lr" else "try another --seed or --activations"
        workspace.tell(f"{manifest.id}: collapsed, it predicts one class for every test image; {advice}")
    if found.converged is False:
        workspace.tell(
            f"{manifest.id}: lbfgs had not converged after {found.iterations} iterations, as in the paper's protocol; "
            "--max-iter lets it go on"
        )
