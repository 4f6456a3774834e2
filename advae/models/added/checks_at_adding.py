"""Checks of a foreign classifier when it is added: gradients, determinism, dead gradients, order of the classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from advae.batching import Tensor, apply
from advae.tracing import trace

if TYPE_CHECKING:
    from advae.models.contracts import Classifier
    from advae.records import CheckResult, Dataset, FloatArray, Status

CHECKED_IMAGES = 8
"""Images whose gradients are compared with finite differences."""

REACHES = (3e-2, 1e-2, 3e-3)
"""Half the lengths of the ways along which they are compared; of each image the best counts, since rounding spoils
short ways."""

WAY_POINTS = 32
"""Points of a way at which the gradient is taken: a network of ReLUs has many kinks on a way, and their mean does not
depend on where they lie."""

AGREES = 0.02
"""Largest relative difference between the mean derivative along a way and the difference of its ends."""

LOOKED_AT = 100
"""Images for which dead gradients are counted."""

MANY_DEAD = 0.1
"""Share of dead gradients from which on an attack by gradients says little."""

SWAPPED = 0.2
"""Another order of the classes is suspected where it would raise the accuracy by this share."""


def check_added(classifier: Classifier, dataset: Dataset) -> tuple[CheckResult, ...]:
    """Return the results of all checks, on training and test images of the dataset."""
    return tuple(_check(classifier, dataset))


def _check(classifier: Classifier, dataset: Dataset) -> Iterator[CheckResult]:
    if classifier.differentiable:
        yield _check_gradients(classifier.logits, dataset.x_test[:CHECKED_IMAGES])
        yield _check_dead(classifier.logits, dataset)
    else:
        yield describe_check(
            "gradients", "NOT RUN", "the model gives scores only: attacks ask for them, and use no gradients"
        )
    yield _check_determinism(classifier.logits, dataset.x_test[: 2 * LOOKED_AT])
    yield _check_order(classifier.logits, dataset)


def describe_check(check: str, status: Status, sentence: str, number: float | None = None) -> CheckResult:
    """Return the result of a check."""
    from advae.records import CheckResult

    return CheckResult(check=check, status=status, sentence=sentence, number=number)


def _check_gradients(logits: Callable[[Tensor], Tensor], x: FloatArray) -> CheckResult:
    """Compare the mean derivative along a random way of a random sum of the logits with the difference of its ends."""
    import numpy as np
    import tensorflow as tf

    rng = np.random.default_rng(0)
    # Away from 0 and 1 nothing needs to be defined, so the images are moved inwards.
    start = (0.1 + 0.8 * x).astype(np.float32)
    direction = rng.choice([-1.0, 1.0], x.shape).astype(np.float32)
    weights = rng.standard_normal(logits(tf.constant(start)).shape).astype(np.float32)

    def add_up(images: Tensor) -> Tensor:
        return tf.reduce_sum(logits(images) * weights, axis=1)

    def differentiate(images: Tensor) -> Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            total = add_up(images)
        return tape.gradient(total, images, unconnected_gradients="zero")

    ask, gradient = trace(add_up), trace(differentiate)

    def slope(images: Tensor) -> FloatArray:
        found: FloatArray = (gradient(images).numpy() * direction).sum(axis=1, dtype=np.float64)
        return found

    errors = []
    for reach in REACHES:
        ends = [ask(tf.constant(start + sign * reach * direction)).numpy().astype(np.float64) for sign in (1, -1)]
        places = reach * ((np.arange(WAY_POINTS) + 0.5) / WAY_POINTS * 2 - 1)
        slopes = np.stack([slope(tf.constant(start + np.float32(place) * direction)) for place in places])
        difference = (ends[0] - ends[1]) / (2 * reach)
        scale = np.maximum(np.maximum(np.abs(difference), np.abs(slopes).mean(axis=0)), 1e-6)
        errors.append(np.abs(difference - slopes.mean(axis=0)) / scale)
    errors = np.min(errors, axis=0)
    wrong, worst = int((errors > AGREES).sum()), float(errors.max())
    if not np.isfinite(errors).all() or wrong > 1:
        sentence = f"of {len(x)} images, the gradient of {wrong} differs from finite differences by more than 2 %"
        return describe_check(
            "gradients", "FAIL", f"{sentence}: gradient masking, or a model that is not smooth", worst
        )
    return describe_check("gradients", "PASS", f"gradients equal finite differences on {len(x)} images", worst)


def _check_dead(logits: Callable[[Tensor], Tensor], dataset: Dataset) -> CheckResult:
    import tensorflow as tf

    x, y = tf.constant(dataset.x_test[:LOOKED_AT]), dataset.y_test[:LOOKED_AT]
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits(x))
    gradient = tape.gradient(loss, x, unconnected_gradients="zero").numpy()
    dead = float((gradient == 0).all(axis=1).mean())
    status: Status = "PASS" if not dead else "WARN" if dead <= MANY_DEAD else "FAIL"
    told = f"the gradient is zero for {100 * dead:.0f} % of {len(y)} images"
    return describe_check("dead gradients", status, told if dead else f"no gradient of {len(y)} images is zero", dead)


def _check_determinism(logits: Callable[[Tensor], Tensor], x: FloatArray) -> CheckResult:
    """Compare the logits of images in two batches of other sizes."""
    import numpy as np

    def ask(images: FloatArray) -> FloatArray:
        return apply(lambda batch, draw: logits(batch), images)

    whole = ask(x)
    parts = np.concatenate([ask(x[: len(x) // 3]), ask(x[len(x) // 3 :])])
    apart = float(np.abs(whole - parts).max() / max(1.0, float(np.abs(whole).max())))
    if apart > 1e-4 or not np.isfinite(whole).all():
        sentence = f"the same images give logits that differ by {apart:.2g} of their size"
        return describe_check("determinism", "FAIL", sentence, apart)
    return describe_check("determinism", "PASS", "the same images give the same logits, whatever the batch", apart)


def _check_order(logits: Callable[[Tensor], Tensor], dataset: Dataset) -> CheckResult:
    """Compare the accuracy with that of the best other order of the classes."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    x, y, classes = dataset.x_train[:500], dataset.y_train[:500], len(dataset.ref.classes)
    found = apply(lambda batch, draw: logits(batch), x).argmax(axis=1)
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (y, found), 1)
    rows, columns = linear_sum_assignment(-counts)
    now, best = (float(value) / len(y) for value in (np.trace(counts), counts[rows, columns].sum()))
    if best < now + SWAPPED:
        return describe_check("order of the classes", "PASS", "the model's classes are in the order of the labels", now)
    label = next(int(row) for row, column in zip(rows, columns, strict=True) if row != column)
    sentence = (
        f"clean accuracy is {now:.2f}, in another order of the classes it would be {best:.2f}: label {label} is mostly "
        f"predicted as {int(columns[label])}"
    )
    return describe_check("order of the classes", "FAIL", sentence, now)
