"""Accuracy of each class; numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import IntArray


def measure_by_class(labels: IntArray, right: NDArray[np.bool_], classes: int) -> tuple[float | None, ...]:
    """Return the share of each class's images that are right, by label; None for a class without images.

    labels: int64 (n,), 0 to ``classes`` - 1; right: bool (n,).
    """
    import numpy as np

    counts, hits = (np.bincount(of, minlength=classes) for of in (labels, labels[right]))
    return tuple(hit / count if count else None for hit, count in zip(hits.tolist(), counts.tolist(), strict=True))
