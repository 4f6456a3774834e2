"""``advae train-ae`` and ``train-clf``: train an autoencoder or a classifier, or put a classifier behind a purifier."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from advae import metrics
from advae.batching import apply, find_output_range
from advae.errors import DivergedError, UsageError
from advae.evaluation.pipelines import (
    HEAD,
    WEIGHTS,
    list_weights,
    load_classifier,
    load_pipeline,
    load_view,
    read_weights,
)
from advae.identity import SAMPLES
from advae.models import classifiers, purifiers
from advae.models.fitting import DIVERGED_HINT
from advae.models.layers import collect_weights
from advae.models.training_progress import NO_CHECKPOINT
from advae.records import (
    AutoencoderMetrics,
    AutoencoderRecipe,
    ClassifierMetrics,
    ClassifierRecipe,
    Dataset,
    Manifest,
    Retraining,
    entry_id,
)
from advae.registry import Registry
from advae.requests import AutoencoderRequest, ClassifierRequest
from advae.workflows.retraining import RetrainingData, describe_classifier, retrain
from advae.workflows.workspace import Content, Made, Workspace, load_dataset_of, make_entry, resolve_model

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import CheckResult, FloatArray, History, IntArray


def train_autoencoder(
    workspace: Workspace, dataset_name: str | None, request: AutoencoderRequest, protect_ref: str | None = None
) -> tuple[Made, Made | None]:
    """Return the autoencoder of a request, trained on the training images, and the classifier behind it or None.

    Only an autoencoder that is trained in front of a classifier has one: trained along with it, or named
    by ``protect_ref``. dataset_name: None for the protected classifier's dataset, or the default.
    """
    protected = resolve_model(workspace, protect_ref, "clf") if protect_ref else None
    dataset = load_dataset_of(workspace, protected, dataset_name)
    if protected:
        classifiers.require_protectable(protected.as_classifier()[0])
    recipe = purifiers.make_autoencoder_recipe(request, dataset, protected.id if protected else None)
    with workspace.registry.lease([entry_id(recipe), *recipe.parents]):
        made = make_autoencoder(workspace, recipe, dataset)
        if not purifiers.needs_classifier(recipe):
            return made, None
        companion = describe_companion(recipe, partial(_read_classifier, workspace.registry))
        return made, make_classifier(workspace, companion, dataset)


def make_autoencoder(workspace: Workspace, recipe: AutoencoderRecipe, dataset: Dataset, *, latest: bool = True) -> Made:
    """Return the autoencoder of a recipe; the classifier that it protects must exist.

    The autoencoders that a cascade consists of are made where they are missing.
    """
    checkpoint = workspace.registry.checkpoint(entry_id(recipe), workspace.tell)

    def compute() -> Content:
        if workspace.force:
            checkpoint.clear()
        behind = _find_classifier_behind(workspace, recipe)
        data = purifiers.TrainingData(
            dataset.x_train,
            dataset.y_train,
            workspace.on_epoch,
            behind,
            checkpoint if behind else NO_CHECKPOINT,
            _read_stages(workspace.registry, recipe),
        )
        arrays, history = purifiers.fit_autoencoder(recipe, data)
        found, stored = measure_purifier(purifiers.restore_purifier(recipe, arrays), arrays, dataset, history)
        head = {HEAD: collect_weights(behind.networks)} if behind and behind.networks else {}
        return found, stored | head

    made = make_entry(
        workspace,
        recipe,
        compute,
        dataset.source,
        prepare=lambda: _make_stages(workspace, recipe, dataset),
        latest=latest,
    )
    if not made.cached:
        checkpoint.clear()
    return made


def _make_stages(workspace: Workspace, recipe: AutoencoderRecipe, dataset: Dataset) -> None:
    """Make the autoencoders that a cascade consists of, where they are missing."""
    # Do not pass --force on to dependencies.
    unforced = replace(workspace, force=False)
    for stage in purifiers.list_stages(recipe):
        if not workspace.registry.find_made(stage):
            workspace.tell(f"training {entry_id(stage)}, stages {stage.options['stages']}, seed {stage.seed}")
        make_autoencoder(unforced, stage, dataset, latest=False)


def _read_stages(registry: Registry, recipe: AutoencoderRecipe) -> tuple[Arrays, ...]:
    """Return the weights of the autoencoders that a cascade consists of; none of anything else."""
    return tuple(
        read_weights(registry, registry.manifest(entry_id(stage)), stage) for stage in purifiers.list_stages(recipe)
    )


def measure_purifier(
    purify: purifiers.Purifier, arrays: Arrays, dataset: Dataset, history: History | None = None
) -> Content:
    """Return the metrics and the artifacts of a purifier. history: of its training, None where it has none."""
    purified = apply(purify, dataset.x_test)
    return AutoencoderMetrics(
        history=history,
        test_mse=_measure_error(purified, dataset.x_test),
        output_range=find_output_range(purify, dataset.x_train),
    ), {
        WEIGHTS: arrays,
        SAMPLES: purifiers.collect_examples(purify, dataset.x_test, dataset.y_test, purified),
    }


def _measure_error(purified: FloatArray, x: FloatArray) -> float:
    """Return the mean squared error per pixel. Raises DivergedError where it is not finite."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        error = float(np.square(purified - x).mean())
    if not math.isfinite(error):
        raise DivergedError(f"training diverged: test MSE {error}, nothing was stored; {DIVERGED_HINT}")
    return error


def _find_classifier_behind(workspace: Workspace, recipe: AutoencoderRecipe) -> purifiers.Behind | None:
    """Return the classifier that an autoencoder is trained in front of; None for one that needs no classifier."""
    if not purifiers.needs_classifier(recipe):
        return None
    if recipe.protects:
        return purifiers.Behind(load_classifier(workspace.registry, workspace.registry.manifest(recipe.protects)))
    head = classifiers.build_head(recipe)
    return purifiers.Behind(head, (head,))


def describe_companion(autoencoder: AutoencoderRecipe, read: Callable[[str], ClassifierRecipe]) -> ClassifierRecipe:
    """Return the recipe of the classifier that an autoencoder was trained in front of, put behind it.

    read: id of a protected classifier -> its recipe. Raises UsageError for an autoencoder trained without classifier.
    """
    if not purifiers.needs_classifier(autoencoder):
        raise UsageError(
            f"{entry_id(autoencoder)}, of type {autoencoder.type}, was trained without a classifier; "
            f"--model ({', '.join(classifiers.CLASSIFIERS)}) trains one behind it"
        )
    if not autoencoder.protects:
        return classifiers.describe_head(autoencoder)
    return classifiers.put_behind(read(autoencoder.protects), entry_id(autoencoder))


def train_classifier(
    workspace: Workspace, dataset_name: str | None, request: ClassifierRequest, ae_ref: str | None
) -> Made:
    """Return the classifier of a request, trained on purified images where it has a purifier.

    dataset_name: None for the purifier's dataset, or the default without purifier. Raises UsageError where dataset and
    purifier do not fit.
    """
    purifier = resolve_model(workspace, ae_ref, "ae") if ae_ref else None
    dataset = load_dataset_of(workspace, purifier, dataset_name)
    front = purifier.as_autoencoder()[0] if purifier else None
    return make_classifier(workspace, describe_classifier(request, dataset, front), dataset)


def put_classifier(workspace: Workspace, dataset_name: str | None, ae_ref: str, clf_ref: str | None) -> Made:
    """Return an existing classifier put behind a purifier; neither is trained.

    clf_ref: None for the classifier that the purifier was trained in front of. Raises UsageError where there is none,
    and where classifier and purifier have different datasets; CorruptError for an impossible purifier.
    """
    registry = workspace.registry
    purifier = resolve_model(workspace, ae_ref, "ae")
    autoencoder, classifier = (
        purifier.as_autoencoder()[0],
        resolve_model(workspace, clf_ref, "clf") if clf_ref else None,
    )
    # Refuse an impossible recipe before the classifier that belongs to it is described.
    list_weights(autoencoder)
    if classifier and classifier.recipe.dataset.digest != autoencoder.dataset.digest:
        raise UsageError(
            f"{classifier.id} is of dataset {classifier.recipe.dataset.title!r}, {purifier.id} of "
            f"{autoencoder.dataset.title!r}: they do not fit"
        )
    recipe = (
        classifiers.put_behind(classifier.as_classifier()[0], purifier.id)
        if classifier
        else describe_companion(autoencoder, partial(_read_classifier, registry))
    )
    return make_classifier(workspace, recipe, load_dataset_of(workspace, purifier, dataset_name))


def make_classifier(
    workspace: Workspace,
    recipe: ClassifierRecipe,
    dataset: Dataset,
    *,
    latest: bool = True,
    fitted: classifiers.FittedClassifier | None = None,
    check: Callable[[classifiers.Classifier, Dataset], tuple[CheckResult, ...]] | None = None,
) -> Made:
    """Return the classifier of a recipe; its purifier, and the entry that its weights come from, must exist.

    It is trained on purified images, or on their code where the recipe says so. fitted: a model that
    was added; None: it is trained, or taken over. check: makes checks that are stored with it.
    """

    def compute() -> Content:
        train, test, purify = dataset.x_train, dataset.x_test, None
        if recipe.autoencoder:
            purify = load_view(workspace.registry, workspace.registry.manifest(recipe.autoencoder), recipe)
            train, test = apply(purify, train), apply(purify, test)
        images = RetrainingData(dataset, train, test, purify)
        found, retraining = (fitted, None) if fitted else _fit_classifier(workspace, recipe, images)
        classifier = classifiers.restore_classifier(recipe, found.arrays)

        def decide(x: FloatArray) -> IntArray:
            return metrics.decide(apply(lambda batch, draw: classifier(batch), x))

        predictions = decide(test)
        accuracy, interval = metrics.accuracy(dataset.y_test, predictions)
        return ClassifierMetrics(
            train_accuracy=metrics.accuracy(dataset.y_train, decide(train))[0],
            test_accuracy=accuracy,
            test_accuracy_interval=interval,
            n_test=len(test),
            history=found.history,
            converged=found.converged,
            iterations=found.iterations,
            classes_predicted=len(set(predictions.tolist())),
            checks=check(classifier, dataset) if check else None,
            retraining=retraining,
        ), {WEIGHTS: found.arrays}

    made = make_entry(workspace, recipe, compute, dataset.source, latest=latest)
    _tell_of_trouble(workspace, made.manifest)
    return made


def _fit_classifier(
    workspace: Workspace, recipe: ClassifierRecipe, data: RetrainingData
) -> tuple[classifiers.FittedClassifier, Retraining | None]:
    """Return the classifier, trained, retrained or taken over, and the rounds of a retraining."""
    if recipe.origin:
        return _take_over(workspace.registry, recipe, recipe.origin), None
    if recipe.retrained:
        return retrain(workspace, recipe, data)
    labels = _answer(workspace.registry, recipe.distilled, data.train) if recipe.distilled else data.dataset.y_train
    noisy = classifiers.NoisyView(recipe.noise_level, data.purify) if recipe.noise_level else None
    shown = data.dataset.x_train if noisy else data.train
    return classifiers.CLASSIFIERS[recipe.model].fit(recipe, shown, labels, workspace.on_epoch, noisy), None


def _answer(registry: Registry, id_: str, x: FloatArray) -> IntArray:
    """Return the classes that a pipeline predicts for images, int64 (n,)."""
    return metrics.decide(apply(load_pipeline(registry, registry.manifest(id_)).defend, x))


def _read_classifier(registry: Registry, id_: str) -> ClassifierRecipe:
    return registry.manifest(id_).as_classifier()[0]


def _take_over(registry: Registry, recipe: ClassifierRecipe, id_: str) -> classifiers.FittedClassifier:
    """Return a classifier with the stored weights of an entry: an autoencoder's head, or a classifier."""
    origin = registry.manifest(id_)
    if origin.kind == "ae":
        return classifiers.FittedClassifier(read_weights(registry, origin, recipe, HEAD))
    found = origin.as_classifier()[1]
    arrays = read_weights(registry, origin, recipe)
    return classifiers.FittedClassifier(arrays, converged=found.converged, iterations=found.iterations)


def _tell_of_trouble(workspace: Workspace, manifest: Manifest) -> None:
    recipe, found = manifest.as_classifier()
    if found.classes_predicted == 1:
        fixed = recipe.added or classifiers.is_linear(recipe)
        advice = "look at its images" if fixed else "try another --seed or --activations"
        workspace.tell(f"{manifest.id}: collapsed, it predicts one class for every test image; {advice}")
    if found.converged is False and not recipe.origin:
        workspace.tell(
            f"{manifest.id}: lbfgs had not converged after {found.iterations} iterations, as in the paper's protocol; "
            "a larger --max-iter allows more"
        )
