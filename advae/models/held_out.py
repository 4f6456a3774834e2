"""The training images that are held out to measure a validation loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from advae.records import IntArray

HELD_OUT = 20
"""One training image in 20 is held out; the validation loss is measured on the held-out images."""


def split(labels: IntArray, seed: int) -> tuple[IntArray, IntArray]:
    """Return the positions to train on and those held out, drawn at random: files are often sorted by class.

    labels: (n,). If all images of a class were drawn, one of them is exchanged for an image of a class that has several
    training images; if no class has several, that image is both trained on and held out.
    """
    import numpy as np

    kept, held_out = _draw_split(len(labels), seed)
    for label in np.setdiff1d(labels[held_out], labels[kept]):
        place = np.flatnonzero(labels[held_out] == label)[0]
        _, classes, counts = np.unique(labels[kept], return_inverse=True, return_counts=True)
        spare = np.flatnonzero(counts[classes] > 1)
        if len(spare):
            kept[spare[0]], held_out[place] = held_out[place], kept[spare[0]]
        else:
            kept = np.append(kept, held_out[place])
    return kept, held_out


def needs_each_class(labels: IntArray, seed: int) -> Literal[True] | None:
    """Return whether ``split`` changes the random split, for the recipe: True, or None for False."""
    import numpy as np

    kept, held_out = _draw_split(len(labels), seed)
    return True if len(np.setdiff1d(labels[held_out], labels[kept])) else None


def _draw_split(n: int, seed: int) -> tuple[IntArray, IntArray]:
    import numpy as np

    order = np.random.default_rng([seed, 0]).permutation(n)
    held_out = max(1, n // HELD_OUT)
    return order[held_out:], order[:held_out]
