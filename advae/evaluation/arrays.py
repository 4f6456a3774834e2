"""The arrays that are stored with a run: what became of each sample, and the images that a report shows."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import FloatArray, IntArray

    Arrays = dict[str, np.ndarray[Any, Any]]

SHOWN = 10
"""Of how many samples, one a class, the images are stored for the report."""


@dataclass(frozen=True)
class Scored:
    """What one attack at one eps left: arrays over all n samples; images only of the m samples asked for.

    predictions: int64 (n,), rounded: the same after rounding to 8 bits; linf, l2: float32 (n,); x_adv, seen: float32
    (m, d); targets: class -> class aimed at, where the attack chose them; pixel_range, finite: of all x_adv.
    """

    predictions: IntArray
    rounded: IntArray
    linf: FloatArray
    l2: FloatArray
    x_adv: FloatArray
    seen: FloatArray
    _: KW_ONLY
    targets: tuple[int, ...] | None
    pixel_range: tuple[float, float]
    finite: bool


def first_of_each_class(y: IntArray) -> IntArray:
    """Return the positions of the first sample of each class, in file order, at most SHOWN."""
    import numpy as np

    return np.sort(np.unique(y, return_index=True)[1])[:SHOWN]


def collect_outcomes(y: IntArray, clean: IntArray, scored: list[Scored], zero: list[NDArray[np.bool_]]) -> Arrays:
    """Return what became of each sample, at every eps."""
    import numpy as np

    return {
        "sample_ids": np.arange(len(y), dtype=np.int64),
        "labels": y,
        "clean_predictions": clean,
        "predictions": np.stack([one.predictions for one in scored]),
        "linf": np.stack([one.linf for one in scored]),
        "l2": np.stack([one.l2 for one in scored]),
        "zero_gradient": np.stack(zero),
    }


def collect_samples(
    x: FloatArray, y: IntArray, start: FloatArray, scored: list[Scored], shown: IntArray, positions: IntArray
) -> Arrays:
    """Return the images that a report shows. positions: of the shown samples among those whose images were kept."""
    import numpy as np

    return {
        "ids": shown.astype(np.int64),
        "labels": y[shown],
        "x": x[shown],
        "start": start,
        "x_adv": np.stack([one.x_adv[positions] for one in scored]),
        "seen": np.stack([one.seen[positions] for one in scored]),
        "predictions": np.stack([one.predictions[shown] for one in scored]),
    }


def collect_adversarial(y: IntArray, scored: list[Scored]) -> Arrays:
    """Return all adversarial images, for ``--save-adversarial``."""
    import numpy as np

    return {
        "ids": np.arange(len(y), dtype=np.int64),
        "labels": y,
        "x_adv": np.stack([one.x_adv for one in scored]),
        "predictions": np.stack([one.predictions for one in scored]),
    }
