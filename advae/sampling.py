"""Which images of a test set are attacked: all, the first ones, or a draw that has each class in proportion."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from advae.records import IntArray

SEED = 0
"""Of the draw. It is not the attack's, so that attacks of all seeds are made on the same images."""


def choose_samples(y: IntArray, limit: int | None, sample: str | None) -> IntArray:
    """Return the positions of the images to attack, int64, rising.

    y: int64 (n,), the labels of the whole test set; limit: how many, None for all; sample: None for the first ones.
    """
    import numpy as np

    if limit is None or limit >= len(y) or sample is None:
        return np.arange(len(y), dtype=np.int64)[:limit]
    # PCG64's own stream, which numpy does not change: a version of numpy must not decide which images a recipe means.
    order = np.argsort(np.random.Generator(np.random.PCG64(SEED)).random(len(y)), kind="stable")
    quotas = share_out(np.bincount(y).tolist(), limit)
    drawn = [order[y[order] == label][:quota] for label, quota in enumerate(quotas)]
    return np.sort(np.concatenate(drawn)).astype(np.int64)


def share_out(counts: list[int], n: int) -> list[int]:
    """Return how many of each class to draw, n in all: in proportion by largest remainders, ties to the lower class.

    One at least of each class that there is; where n is less than that, one of each of the most frequent. counts:
    images by class, n of them or more in all.
    """
    present = {label for label, count in enumerate(counts) if count}
    quotas = [0] * len(counts)
    if n < len(present):
        present = {*sorted(present, key=lambda label: (-counts[label], label))[:n]}
    while rare := _find_rare(counts, present, n):
        # Fewer than one by proportion: one. What is left is shared out among the others.
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
    """Return the classes of which less than one image is drawn by proportion."""
    total = sum(counts[label] for label in present)
    return {label for label in present if n * counts[label] < total}
