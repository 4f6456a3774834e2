"""The arrays that are stored with a run: what became of each sample, and the images that a report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import FloatArray, IntArray

    Arrays = dict[str, np.ndarray[Any, Any]]

SHOWN = 10
"""Of how many samples, one a class, the images are stored for the report."""


@dataclass(frozen=True)
class Kept:
    """Positions of the samples of which images are kept, int64, sorted: attacked images, and what the pipeline saw."""

    images: IntArray
    shown: IntArray


@dataclass(frozen=True)
class Scored:
    """What one attack at one eps left: arrays over all n samples; images only of the samples that are kept.

    predictions: int64 (n,), rounded: the same after rounding to 8 bits, None where what is attacked is no image;
    success_rate: float32 (n,), in what share of many fresh draws the classifier is wrong, None for a pipeline that does
    not sample; linf, l2: float32 (n,); x_adv, seen: float32 (m, d) of ``Kept.images`` and ``Kept.shown``; targets:
    class -> class aimed at, where the attack chose them; pixel_range: None where no image was built; finite: of all
    x_adv.
    """

    predictions: IntArray
    rounded: IntArray | None
    success_rate: FloatArray | None
    linf: FloatArray
    l2: FloatArray
    x_adv: FloatArray
    seen: FloatArray
    targets: tuple[int, ...] | None
    pixel_range: tuple[float, float] | None
    finite: bool


COLUMNS = ("predictions", "rounded", "success_rate", "linf", "l2", "x_adv", "seen")
"""The arrays of ``Scored``, which every batch has its part of."""


def join_columns(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the arrays of ``Scored`` put together over the batches; None for what they do not have."""
    import numpy as np

    return {
        name: None if parts[0].get(name) is None else np.concatenate([part[name] for part in parts]) for name in COLUMNS
    }


def first_of_each_class(y: IntArray) -> IntArray:
    """Return the positions of the first sample of each class, in file order, at most SHOWN."""
    import numpy as np

    return np.sort(np.unique(y, return_index=True)[1])[:SHOWN]


def collect_outcomes(
    ids: IntArray,
    y: IntArray,
    clean: IntArray,
    scored: list[Scored],
    zero: list[NDArray[np.bool_]],
    clean_success: FloatArray | None = None,
) -> Arrays:
    """Return what became of each sample, at every eps.

    Of a pipeline that samples also success_rate, float32 (eps, n), and clean_success_rate, float32 (n,): in what share
    of ``draws.MANY`` fresh draws, which no attack saw, the classifier is wrong on the attacked image, and on the
    unchanged one. A success on a draw is a wrong class, whatever the target of the attack; times MANY it is a count.
    """
    import numpy as np

    rates = [one.success_rate for one in scored if one.success_rate is not None]
    found: Arrays = {
        "sample_ids": ids.astype(np.int64),
        "labels": y,
        "clean_predictions": clean,
        "predictions": np.stack([one.predictions for one in scored]),
        "linf": np.stack([one.linf for one in scored]),
        "l2": np.stack([one.l2 for one in scored]),
        "zero_gradient": np.stack(zero),
    }
    if clean_success is not None:
        found |= {"clean_success_rate": clean_success, "success_rate": np.stack(rates)}
    return found


def collect_samples(
    ids: IntArray, x: FloatArray, y: IntArray, start: FloatArray, scored: list[Scored], kept: Kept
) -> Arrays:
    """Return the images that a report shows."""
    import numpy as np

    shown, positions = kept.shown, np.searchsorted(kept.images, kept.shown)
    return {
        "ids": ids[shown].astype(np.int64),
        "labels": y[shown],
        "x": x[shown],
        "start": start,
        "x_adv": np.stack([one.x_adv[positions] for one in scored]),
        "seen": np.stack([one.seen for one in scored]),
        "predictions": np.stack([one.predictions[shown] for one in scored]),
    }


def collect_adversarial(ids: IntArray, y: IntArray, scored: list[Scored]) -> Arrays:
    """Return all adversarial images, for ``--save-adversarial``."""
    import numpy as np

    return {
        "ids": ids.astype(np.int64),
        "labels": y,
        "x_adv": np.stack([one.x_adv for one in scored]),
        "predictions": np.stack([one.predictions for one in scored]),
    }
