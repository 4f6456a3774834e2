"""Choice of the test images to attack: all, the first ones, or a random sample stratified by class."""

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
