"""Retraining on adversarial examples (RAD): fit, attack every training image, add what is new, and fit from scratch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae import metrics
from advae.batching import BATCH, allocate, apply
from advae.errors import UsageError
from advae.evaluation.pipelines import list_weights, place_behind
from advae.evaluation.retraining_attack import attack_images, fill_in_retraining, require_possible
from advae.models import classifiers, purifiers
from advae.models.contracts import Classifier, Purifier
from advae.models.model_kinds import refuse_impossible
from advae.records import (
    AutoencoderRecipe,
    ClassifierRecipe,
    Dataset,
    Retraining,
    RetrainingRound,
    RetrainOptions,
    entry_id,
)
from advae.requests import ClassifierRequest
from advae.threats import Pipeline
from advae.workflows.workspace import Workspace

if TYPE_CHECKING:
    from advae.records import FloatArray, IntArray

LARGEST_SET = 4 * 2**30
"""Most bytes of the training images and all adversarial examples together; float32 images of MNIST take 188 MB."""


def describe_classifier(
    request: ClassifierRequest, dataset: Dataset, purifier: AutoencoderRecipe | None
) -> ClassifierRecipe:
    """Return the request with every default filled in, retraining included. purifier: None for undefended.

    Raises UsageError for what does not fit, and where the adversarial examples could take too much memory; CorruptError
    for a stored purifier whose recipe is impossible.
    """
    if purifier:
        list_weights(purifier)
    id_, code = (entry_id(purifier), purifiers.count_code(purifier)) if purifier else (None, None)
    recipe = classifiers.make_classifier_recipe(request, dataset, id_, code=code)
    if request.retraining is None:
        return recipe
    options = fill_in_retraining(request.retraining, len(dataset.x_train))
    recipe = recipe.model_copy(update={"retrained": options})
    require_possible(recipe, purifier)
    _count_capacity(options, dataset)
    return recipe


def _count_capacity(options: RetrainOptions, dataset: Dataset) -> int:
    """Return how many images the set can have. Raises UsageError where they take more than LARGEST_SET."""
    images, pixels = len(dataset.x_train), dataset.ref.shape.size
    most = images + options.rounds * (options.limit or images)
    size = 4 * most * pixels
    if size > LARGEST_SET:
        raise UsageError(
            f"--retrain {options.rounds} could add up to {most - images} images, {size / 2**30:.1f} GiB in all; at "
            f"most {LARGEST_SET / 2**30:g} GiB: take fewer rounds, or attack fewer images with --retrain-limit K"
        )
    return most


class ExampleSet:
    """The training images and the adversarial examples that were added to them.

    x: float32 (n, d), as the classifier sees them; y: int64 (n,); capacity: most images. Memory is taken as the set
    grows.
    """

    def __init__(self, x: FloatArray, y: IntArray, capacity: int) -> None:
        import numpy as np

        self._x, self._y = allocate(capacity, x.shape[1]), np.empty(capacity, np.int64)
        self._x[: len(x)], self._y[: len(y)] = x, y
        self._given = self._size = len(x)
        self._known: set[bytes] = set()

    @property
    def x(self) -> FloatArray:
        """All images, float32 (n, d)."""
        return self._x[: self._size]

    @property
    def y(self) -> IntArray:
        """Their labels, int64 (n,)."""
        return self._y[: self._size]

    @property
    def examples(self) -> int:
        """Number of adversarial examples."""
        return self._size - self._given

    def take(self, x: FloatArray, y: IntArray, *, keep: bool = True) -> int:
        """Add the images that the set does not have with the same label, bit by bit, and return how many those are.

        keep: False to remember and count them only.
        """
        import numpy as np

        new = np.array([self._is_new(*pair) for pair in zip(x, y, strict=True)], bool)
        if keep:
            end = self._size + int(new.sum())
            self._x[self._size : end], self._y[self._size : end] = x[new], y[new]
            self._size = end
        return int(new.sum())

    def _is_new(self, image: FloatArray, label: IntArray) -> bool:
        """Return whether an adversarial example was not met before, and remember it."""
        key = hashlib.blake2b(image.tobytes() + label.tobytes(), digest_size=16).digest()
        new = key not in self._known
        self._known.add(key)
        return new


@dataclass(frozen=True)
class RetrainingData:
    """The images of a retraining."""

    dataset: Dataset
    """Images as they are, which are attacked."""
    train: FloatArray
    """Training images as the classifier sees them, float32 (n, d): purified where there is a purifier."""
    test: FloatArray
    """Test images likewise."""
    purify: Purifier | None
    """The purifier in front of the classifier; None: undefended."""


@dataclass(frozen=True)
class _Found:
    """What the attack of one round found."""

    evading: int
    """Attacked training images whose adversarial example is misclassified."""
    new: int
    """Those of them that the set did not have."""
    predictions: IntArray
    """Classes that are predicted for the attacked test images, int64 (n_test,)."""


def retrain(
    workspace: Workspace, recipe: ClassifierRecipe, data: RetrainingData
) -> tuple[classifiers.FittedClassifier, Retraining]:
    """Return the classifier of the last round, and what each round found.

    The classifier of each round is fitted from scratch, from the same seed, on the training images and all adversarial
    examples so far; behind a purifier on the purified ones of both. Then the pipeline is attacked as a whole, at the
    chosen training images and at all test images. An adversarial example is added if the classifier gets it wrong and
    the set does not have it, with the same label, bit by bit. It ends with the round that finds nothing new, or after
    the last one, whose adversarial examples are counted and not added.
    """
    options = _require_options(recipe, data)
    attacked = _choose_attacked(len(data.train), options.limit, recipe.seed)
    examples = ExampleSet(data.train, data.dataset.y_train, len(data.train) + options.rounds * len(attacked))
    rounds = list[RetrainingRound]()
    fitted = classifiers.FittedClassifier({})
    for number in range(options.rounds + 1):
        where = f"round {number} of {options.rounds}"
        workspace.on_stage(f"{where}, training on {len(examples.x)} images")
        before = examples.examples
        fitted = classifiers.CLASSIFIERS[recipe.model].fit(recipe, examples.x, examples.y, workspace.on_epoch)
        classifier = classifiers.restore_classifier(recipe, fitted.arrays)
        workspace.on_stage(f"{where}, attacking")
        found = _attack(workspace, recipe, data, classifier, attacked, examples, keep=number < options.rounds)
        rounds.append(_describe_round(before, found, classifier, data))
        workspace.tell(f"{entry_id(recipe)}: {where}: {describe_round(rounds[-1])} (n = {len(data.test)})")
        if not found.new:
            break
    return fitted, Retraining(attacked=len(attacked), rounds=tuple(rounds))


def _require_options(recipe: ClassifierRecipe, data: RetrainingData) -> RetrainOptions:
    """Return how a classifier is retrained. Raises CorruptError for a recipe that no request can have made."""
    if recipe.retrained is None:
        raise ValueError(f"{entry_id(recipe)} is not retrained")
    with refuse_impossible():
        require_possible(recipe)
        if data.purify and data.purify.samples:
            raise UsageError("its purifier is random")
        _count_capacity(recipe.retrained, data.dataset)
    return recipe.retrained


def _choose_attacked(images: int, limit: int | None, seed: int) -> IntArray:
    """Return the positions of the training images that are attacked, rising: all, or some that the seed draws."""
    import numpy as np

    if limit is None or limit >= images:
        return np.arange(images)
    return np.sort(np.random.default_rng(seed).permutation(images)[:limit])


def _attack(
    workspace: Workspace,
    recipe: ClassifierRecipe,
    data: RetrainingData,
    classifier: Classifier,
    attacked: IntArray,
    examples: ExampleSet,
    *,
    keep: bool,
) -> _Found:
    """Attack the training images and the test images, add what is new to the set, and return the counts.

    keep: False where the new ones are counted only.
    """
    import numpy as np

    dataset, many = data.dataset, len(attacked)
    x = np.concatenate([dataset.x_train[attacked], dataset.x_test])
    y = np.concatenate([dataset.y_train[attacked], dataset.y_test])
    # With those of the test set, a random start is that of an attack on the finished classifier.
    ids = np.concatenate([attacked, np.arange(len(dataset.x_test))])
    predictions, evading, new, done = np.zeros_like(y), 0, 0, 0
    batches = -(-len(y) // BATCH)
    pipeline = place_behind(Pipeline(classify=classifier.logits, linear=classifier.linear), data.purify)

    def report() -> None:
        nonlocal done
        done += 1
        workspace.on_batch(done, batches)

    for batch in attack_images(pipeline, recipe, x, y, report, ids):
        predictions[batch.rows] = batch.predictions
        wrong = (batch.predictions != y[batch.rows]) & (batch.rows < many)
        evading += int(wrong.sum())
        new += examples.take(batch.seen[wrong], y[batch.rows][wrong], keep=keep)
    return _Found(evading, new, predictions[many:])


def _describe_round(examples: int, found: _Found, classifier: Classifier, data: RetrainingData) -> RetrainingRound:
    """Return the record of a round. examples: adversarial examples that its classifier was fitted on."""
    labels = data.dataset.y_test
    clean = metrics.accuracy(labels, metrics.decide(apply(lambda batch, draw: classifier(batch), data.test)))
    robust = metrics.accuracy(labels, found.predictions)
    return RetrainingRound(
        examples=examples,
        evading=found.evading,
        new=found.new,
        clean_accuracy=clean[0],
        clean_accuracy_interval=clean[1],
        robust_accuracy=robust[0],
        robust_accuracy_interval=robust[1],
    )


def describe_round(found: RetrainingRound) -> str:
    """Return what a round found, in one line."""
    counts = f"{found.examples} adversarial examples, {found.evading} evade, {found.new} of them new"
    return f"{counts}; clean accuracy {found.clean_accuracy:.4f}, robust accuracy {found.robust_accuracy:.4f}"
