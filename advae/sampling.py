"""Choice of the test images to attack: all, the first ones, a random sample stratified by class; or random pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from advae.records import IntArray

SEED = 0
"""Seed of the sample. It differs from the attack's, so that attacks of all seeds use the same images."""


def choose_samples(y: IntArray, limit: int | None, sample: str | None) -> IntArray:
    """Return the positions of the images to attack, int64, rising.

    y: int64 (n,), the labels of the whole test set; limit: how many, None for all; sample: None for the first ones.
    """
    import numpy as np

    if limit is None or limit >= len(y) or sample is None:
        return np.arange(len(y), dtype=np.int64)[:limit]
    # numpy keeps the stream of PCG64, so that a recipe means the same images in every version of numpy.
    order = np.argsort(np.random.Generator(np.random.PCG64(SEED)).random(len(y)), kind="stable")
    quotas = share_out(np.bincount(y).tolist(), limit)
    drawn = [order[y[order] == label][:quota] for label, quota in enumerate(quotas)]
    return np.sort(np.concatenate(drawn)).astype(np.int64)


def share_out(counts: list[int], n: int) -> list[int]:
    """Return how many images of each class to choose, n in all: in proportion by largest remainders, ties to the lower.

    At least one of each class that has images; where n is smaller than their number, one of each of the n most
    frequent classes. counts: images of each class, n or more in all.
    """
    present = {label for label, count in enumerate(counts) if count}
    quotas = [0] * len(counts)
    if n < len(present):
        present = {*sorted(present, key=lambda label: (-counts[label], label))[:n]}
    while rare := _find_rare(counts, present, n):
        # A class whose proportional share is below one gets one image. The others share the rest.
        quotas = [1 if label in rare else quota for label, quota in enumerate(quotas)]
        present, n = present - rare, n - len(rare)
    total = sum(counts[label] for label in present)
    for label in present:
        quotas[label] = n * counts[label] // total
    by_remainder = sorted(present, key=lambda label: (-(n * counts[label] % total), label))
    for label in by_remainder[: n - sum(quotas[label] for label in present)]:
        quotas[label] += 1
    return quotas


def _find_rare(counts: list[int], present: set[int], n: int) -> set[int]:
    """Return the classes whose proportional share is less than one image."""
    total = sum(counts[label] for label in present)
    return {label for label in present if n * counts[label] < total}


def choose_pairs(y: IntArray, pairs: int, seed: int, target: int | None) -> tuple[IntArray, IntArray]:
    """Return the positions of originals and of targets, int64 (pairs,) both, each pair of two classes.

    y: int64 (n,), the labels of the images to choose from; target: class of all targets, None for any other class than
    the original's. No original comes twice, so that pairs are independent; targets are drawn with replacement. Raises
    ValueError where there is no such pair, or where there are fewer originals than pairs.
    """
    import numpy as np

    random = np.random.Generator(np.random.PCG64(seed))
    originals = np.arange(len(y)) if target is None else np.flatnonzero(y != target)
    if len(np.unique(y)) < 2 or not len(originals) or (target is not None and len(originals) == len(y)):
        raise ValueError("there are no two images of different classes")
    if pairs > len(originals):
        raise ValueError(f"there are {len(originals)} originals, and no original comes twice")
    # As in choose_samples, of numpy's streams only that of random() is relied on.
    chosen = originals[np.argsort(random.random(len(originals)), kind="stable")[:pairs]]
    aimed = []
    for original, draw in zip(chosen, random.random(pairs), strict=True):
        others = np.flatnonzero(y != y[original] if target is None else y == target)
        aimed.append(others[int(draw * len(others))])
    return chosen.astype(np.int64), np.array(aimed, np.int64)
