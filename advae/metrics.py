"""Metrics of labels, predictions and perturbations, and of the counts of randomised smoothing; numpy and SciPy."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import FloatArray, IntArray, Norm

    Arrays = Mapping[str, np.ndarray[Any, Any]]

BUDGET_TOLERANCE = 1e-6
"""By how much float32 rounding may exceed eps, on data in [0, 1]; on data in [0, m] the tolerance is m times this."""

DISTANCE = "distance"
"""Outcome of examples from a file: how far each lies from its test image."""

CARRIED = "carried"
"""Outcome of a sweep: whether the adversarial example of each image is that of a smaller eps."""

BROKEN_BY = "broken_by"
"""Outcome of an ensemble: position of the member that broke each image, NOT_BROKEN where none did."""

NOT_BROKEN = -1
"""The member of an image that is classified correctly under attack."""

SMALLEST_EPS = "smallest_eps"
"""Outcome of a sweep: the smallest eps of its list that breaks each image, infinite where none does."""

Z_95 = 1.959963984540054
"""The 97.5 % point of the standard normal distribution: two-sided 95 %."""


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval for a rate of ``successes`` out of ``n``; (0, 1) where n is 0.

    Wilson 1927, doi:10.1080/01621459.1927.10502953; unlike the normal interval it stays in [0, 1] and holds near 0.
    """
    if n == 0:
        return 0.0, 1.0
    rate, z2 = successes / n, Z_95**2
    centre = rate + z2 / (2 * n)
    margin = Z_95 * math.sqrt(rate * (1 - rate) / n + z2 / (4 * n * n))
    low, high = (centre - margin) / (1 + z2 / n), (centre + margin) / (1 + z2 / n)
    # The exact end is 0 or 1 here; rounding gives a value 1e-17 away from it.
    return (0.0 if successes == 0 else low), (1.0 if successes == n else high)


def count_classes(labels: IntArray, classes: int) -> tuple[int, ...]:
    """Return the number of labels of each class, classes 0 to ``classes`` - 1."""
    import numpy as np

    return tuple(np.bincount(labels, minlength=classes).tolist())


def mcnemar(right: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return the two-sided p-value of McNemar's exact test for two accuracies on the same samples.

    right, other: bool (n,), which samples each classifies correctly. Only samples on which they disagree count; under
    the null hypothesis each is right on half of them. McNemar 1947, doi:10.1007/BF02295996, exact binomial form.
    """
    return _test_disagreements(int((right & ~other).sum()), int((other & ~right).sum()))


@lru_cache(maxsize=4096)
def _test_disagreements(first: int, second: int) -> float:
    """Return McNemar's p from how many samples only one and only the other classifies correctly.

    Kept, because a report compares many pairs with few disagreements.
    """
    n = first + second
    tail = term = 1
    # Each binomial coefficient is computed from the one before it; separately, 10,000 samples take seconds.
    for k in range(min(first, second)):
        term = term * (n - k) // (k + 1)
        tail += term
    # Integer arithmetic: 0.5 ** n is 0 in floating point for n above 1,074.
    return float(min(1.0, 2 * tail / 2**n))


def accuracy(labels: IntArray, predictions: IntArray) -> tuple[float, tuple[float, float]]:
    """Return the share of equal entries and its Wilson 95 % interval. labels, predictions: int (n,), n > 0."""
    correct = int((labels == predictions).sum())
    return correct / len(labels), wilson_interval(correct, len(labels))


def decide(logits: FloatArray) -> IntArray:
    """Return the class of the largest logit, (n, classes) -> int64 (n,); a logit that is not a number never wins."""
    import numpy as np

    decided: IntArray = np.where(np.isnan(logits), -np.inf, logits).argmax(axis=1)
    return decided


def confusion_matrix(labels: IntArray, predictions: IntArray, classes: int) -> IntArray:
    """Return counts, int64 (classes, classes): rows are the true class, columns the predicted one."""
    import numpy as np

    flat = np.bincount(labels * classes + predictions, minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.int64)


def count_confusions(labels: IntArray, predictions: IntArray) -> tuple[tuple[int, int, int], ...]:
    """Return the nonzero cells of the confusion matrix, row by row: (true class, predicted class, count)."""
    import numpy as np

    pairs, counts = np.unique(np.stack([labels, predictions], axis=1), axis=0, return_counts=True)
    return tuple(
        (true, predicted, count) for (true, predicted), count in zip(pairs.tolist(), counts.tolist(), strict=True)
    )


def report_classes(labels: IntArray, predictions: IntArray, classes: int) -> dict[str, Any]:
    """Return the same as ``sklearn.metrics.classification_report(output_dict=True, zero_division=0)`` for all classes.

    The keys are class numbers. scikit-learn passes over the samples several times, which would be most of the time of a
    report on a hundred runs.
    """
    import numpy as np

    hits, support, decided = (
        np.bincount(values, minlength=classes) for values in (labels[labels == predictions], labels, predictions)
    )
    columns = {
        "precision": hits / np.maximum(decided, 1),
        "recall": hits / np.maximum(support, 1),
        "f1-score": 2 * hits / np.maximum(support + decided, 1),
    }
    total = {"support": float(support.sum())}
    report: dict[str, Any] = {
        str(label): {name: float(values[label]) for name, values in columns.items()} | {"support": float(count)}
        for label, count in enumerate(support)
    }
    means = {name: float(np.average(values)) for name, values in columns.items()}
    weighted = {name: float(np.average(values, weights=support)) for name, values in columns.items()}
    shares = {"accuracy": float(hits.sum() / support.sum())}
    return report | shares | {"macro avg": means | total, "weighted avg": weighted | total}


def perturbation_norms(x: FloatArray, x_adv: FloatArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the L-infinity and the L2 norm of x_adv - x for each sample, taken in float64.

    x, x_adv: float32 (n, d). Returns two float64 (n,), in units of x.
    """
    import numpy as np

    delta = x_adv.astype(np.float64) - x
    return np.abs(delta).max(axis=1, initial=0.0), np.sqrt(np.square(delta).sum(axis=1))


def find_aims(labels: IntArray, target: int | None, targets: Sequence[int] | None) -> IntArray | None:
    """Return the target class of each sample, int64 (n,); None for an untargeted attack.

    target: one class for all samples; targets: true class -> target class, takes precedence over ``target``.
    """
    import numpy as np

    if targets is not None:
        return np.asarray(targets, np.int64)[labels]
    return None if target is None else np.full_like(labels, target)


def measure_clean(outcomes: Arrays, classes: int) -> dict[str, Any]:
    """Return the metrics of the unchanged images from a run's outcomes, by the field names of ``RunMetrics``."""
    labels, predictions = outcomes["labels"], outcomes["clean_predictions"]
    share, interval = accuracy(labels, predictions)
    return {
        "n": len(labels),
        "clean_accuracy": share,
        "clean_accuracy_interval": interval,
        "clean_expected_accuracy": _expect(outcomes.get("clean_success_rate")),
        **{f"clean_{name}": value for name, value in measure_draws(outcomes.get("clean_wrong_draws")).items()},
        "class_counts": count_classes(labels, classes),
        "predicted_counts": count_classes(predictions, classes),
    }


def measure_attacked(outcomes: Arrays, index: int, aims: IntArray | None) -> dict[str, Any]:
    """Return the accuracies and rates under attack at one eps, by the field names of ``EpsResult``.

    index: position of the eps in the run; aims: the target classes that ``find_aims`` returns.
    """
    labels, predictions = outcomes["labels"], outcomes["predictions"][index]
    share, interval = accuracy(labels, predictions)
    correct = outcomes["clean_predictions"] == labels
    changed = predictions[correct] != labels[correct]
    return {
        "accuracy": share,
        "accuracy_interval": interval,
        "attack_success_rate": float(changed.mean()) if correct.any() else None,
        "target_hit_rate": None if aims is None else _hit_rate(labels, predictions, aims),
        "expected_accuracy": _expect(outcomes["success_rate"][index]) if "success_rate" in outcomes else None,
        **measure_draws(outcomes["wrong_draws"][index] if "wrong_draws" in outcomes else None),
    }


def measure_draws(wrong: NDArray[np.bool_] | None) -> dict[str, Any]:
    """Return any-of-k and majority-of-k accuracy with their intervals, by the field names of ``EpsResult``.

    wrong: whether each of k fresh draws is wrong, bool (n, k), for n > 0 images; None where it was not measured.
    """
    found = {"any_of_k": None, "majority_of_k": None} if wrong is None else tally_draws(wrong)
    rates: dict[str, Any] = {}
    for name, right in found.items():
        count = None if right is None else int(right.sum())
        rates[f"{name}_accuracy"] = None if right is None or count is None else count / len(right)
        rates[f"{name}_accuracy_interval"] = (
            None if right is None or count is None else wilson_interval(count, len(right))
        )
    return rates


def find_robust(outcomes: Arrays, index: int | None) -> NDArray[np.bool_]:
    """Return which images count as classified correctly under attack, bool (n,).

    For a pipeline that samples those that are right on every kept draw (any-of-k). index: position of the eps; None:
    without attack.
    """
    if "wrong_draws" in outcomes:
        draws = outcomes["clean_wrong_draws"] if index is None else outcomes["wrong_draws"][index]
        return tally_draws(draws)["any_of_k"]
    predictions = outcomes["clean_predictions"] if index is None else outcomes["predictions"][index]
    right: NDArray[np.bool_] = predictions == outcomes["labels"]
    return right


def tally_draws(wrong: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """Return for any-of-k and majority-of-k which images count as classified correctly, bool (n,).

    any_of_k: no draw is wrong; majority_of_k: more draws are right than wrong, so that a tie counts as wrong. wrong:
    bool (n, k).
    """
    count = wrong.sum(axis=-1)
    return {"any_of_k": count == 0, "majority_of_k": 2 * count < wrong.shape[-1]}


def measure_lengths(outcomes: Arrays, index: int, norm: Norm) -> dict[str, Any]:
    """Return norms and gradient health at one eps, by the field names of ``EpsResult``; index: position of the eps."""
    linf, l2 = outcomes["linf"][index], outcomes["l2"][index]
    return {
        "linf_max": float(linf.max()),
        "l2_mean": float(l2.mean()),
        "norm_max": float((linf if norm == "linf" else l2).max()),
        "zero_gradient_fraction": float(outcomes["zero_gradient"][index].mean()),
    }


def measure_distance(x: FloatArray, x_adv: FloatArray, norm: Norm) -> NDArray[np.float64]:
    """Return the norm of x_adv - x for each sample, float64 (n,), in units of x. x, x_adv: float32 (n, d)."""
    linf, l2 = perturbation_norms(x, x_adv)
    return linf if norm == "linf" else l2


def measure_given(outcomes: Arrays) -> dict[str, Any]:
    """Return the distances of examples from a file, by the field name of ``RunMetrics``; empty for other attacks."""
    import numpy as np

    distance = outcomes.get(DISTANCE)
    if distance is None:
        return {}
    return {"distances": (float(distance.min()), float(np.median(distance)), float(distance.max()))}


def find_within(distance: NDArray[np.float64], eps: float) -> NDArray[np.bool_]:
    """Return which examples from a file lie within eps, bool (n,). distance: float64 (n,)."""
    within: NDArray[np.bool_] = distance <= eps + BUDGET_TOLERANCE
    return within


def count_beyond(outcomes: Arrays, eps: float) -> dict[str, Any]:
    """Return how many examples from a file are farther than eps, by the field name of ``EpsResult``; empty as above."""
    return {"over_budget": int((~find_within(outcomes[DISTANCE], eps)).sum())} if DISTANCE in outcomes else {}


def find_smallest_eps(labels: IntArray, predictions: IntArray, eps: Sequence[float]) -> NDArray[np.float64]:
    """Return the smallest eps at which each image is misclassified, float64 (n,), infinite where there is none.

    labels: int64 (n,); predictions: int64 (eps, n).
    """
    import numpy as np

    found: NDArray[np.float64] = np.where(predictions != labels, np.asarray(eps, np.float64)[:, None], np.inf).min(0)
    return found


def measure_carried(outcomes: Arrays, index: int) -> dict[str, Any]:
    """Return how many images are carried to an eps, by the field name of ``EpsResult``; empty where none can be."""
    return {"carried": int(outcomes[CARRIED][index].sum())} if CARRIED in outcomes else {}


def measure_broken(outcomes: Arrays, index: int, members: int) -> tuple[int, ...] | None:
    """Return how many images each member of an ensemble broke at one eps; None where it was not kept."""
    import numpy as np

    if BROKEN_BY not in outcomes:
        return None
    found = outcomes[BROKEN_BY][index]
    return tuple(np.bincount(found[found != NOT_BROKEN], minlength=members).tolist())


def measure_smallest_eps(outcomes: Arrays) -> dict[str, Any]:
    """Return the median of the smallest eps, by the field name of ``RunMetrics``; empty where it was not measured.

    It is the lower median, an eps of the list; None where more than half of the images are not broken.
    """
    import numpy as np

    found = outcomes.get(SMALLEST_EPS)
    if found is None:
        return {}
    median = float(np.sort(found)[(len(found) - 1) // 2])
    return {"median_smallest_eps": median if math.isfinite(median) else None}


def _hit_rate(labels: IntArray, predictions: IntArray, aims: IntArray) -> float | None:
    """Return the share of samples that reach their target class, among samples whose true class is another one."""
    others = aims != labels
    return float((predictions[others] == aims[others]).mean()) if others.any() else None


def _expect(success_rate: FloatArray | None) -> float | None:
    """Return the expected accuracy over the draws of a random purifier; success_rate: None where none was measured."""
    return None if success_rate is None else 1.0 - float(success_rate.mean(dtype="float64"))


def digest_examples(x_adv: FloatArray) -> str:
    """Return the SHA-256 of adversarial examples, float32 (n, d)."""
    return hashlib.sha256(x_adv.astype("<f4").tobytes()).hexdigest()


def digest_samples(x: FloatArray, y: IntArray) -> str:
    """Return the SHA-256 of images and labels."""
    digest = hashlib.sha256(x.tobytes())
    digest.update(y.astype("<i8").tobytes())
    return digest.hexdigest()


# ---------------------------------------------------------------- randomised smoothing

ABSTAINS = -1
"""The prediction of an image for which no class was shown to be the most frequent one under noise."""

SELECTING, ESTIMATING = 0, 1
"""Rows of an image's counts: of the copies that choose the class, and of those that bound its probability."""


def decide_radii(
    counts: NDArray[np.int64], *, sigma: float, samples: int, alpha: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return predictions, int64 (n,), and certified L2 radii, float64 (n,), of a smoothed pipeline.

    counts: int64 (n, 2, classes), how often each class is predicted, in rows SELECTING and ESTIMATING; sigma: standard
    deviation of the noise; samples: noisy copies of row ESTIMATING; alpha: probability of error of an image.
    Cohen et al. 2019, algorithm Certify: sigma * Phi^-1(p) where p > 1/2 bounds the class's probability from below.
    """
    import numpy as np
    from scipy.special import ndtri

    chosen = counts[:, SELECTING].argmax(axis=1)
    hits = np.take_along_axis(counts[:, ESTIMATING], chosen[:, None], axis=1)[:, 0]
    p = bound_below(hits, samples, alpha)
    # The noise is drawn in float32, so that its standard deviation is sigma as float32 has it.
    radii = np.where(p > 0.5, float(np.float32(sigma)) * ndtri(np.maximum(p, 0.5)), 0.0)
    return np.where(p > 0.5, chosen, ABSTAINS), radii


def bound_below(hits: NDArray[np.int64], n: int, alpha: float) -> NDArray[np.float64]:
    """Return the lower ends of one-sided 1 - alpha confidence intervals for probabilities, float64 (n,).

    hits: successes of n trials each. Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404: exact, never too high.
    """
    import numpy as np
    from scipy.special import betaincinv

    bounds: NDArray[np.float64] = np.where(hits > 0, betaincinv(np.maximum(hits, 1), n - hits + 1, alpha), 0.0)
    return bounds
