"""The arrays that are stored with a run: the outcome of each sample, and the images that a report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae.metrics import BROKEN_BY, CARRIED, NOT_BROKEN, SMALLEST_EPS, find_robust, find_smallest_eps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import FloatArray, IntArray, MemberResult

    Arrays = dict[str, np.ndarray[Any, Any]]

SHOWN_SAMPLES = 10
"""Most samples whose images are stored for the report, at most one of each class."""


@dataclass(frozen=True)
class SavedSamples:
    """Positions of the samples whose images are saved."""

    images: IntArray
    """Samples whose adversarial examples are saved; int64, ascending."""
    shown: IntArray
    """Samples whose purified adversarial examples are saved, for the report; int64, ascending, a part of ``images``."""


@dataclass(frozen=True)
class EpsScores:
    """The scorer's measurements at one eps, over all n samples."""

    predictions: IntArray
    """Predicted classes of the adversarial examples, int64 (n,)."""
    rounded: IntArray | None
    """Predicted classes after rounding x_adv to 8 bits, int64 (n,); None where x_adv is purified data, not an image."""
    success_rate: FloatArray | None
    """Share of draws with a wrong prediction, float32 (n,) in [0, 1]; None for a pipeline that does not sample."""
    wrong_draws: NDArray[np.bool_] | None
    """Whether the prediction is wrong on each of the KEPT_DRAWS, bool (n, KEPT_DRAWS); None as above."""
    linf: FloatArray
    """L-infinity norms of the perturbations, float32 (n,), in units of x."""
    l2: FloatArray
    """L2 norms of the perturbations, float32 (n,), in units of x."""
    x_adv: FloatArray
    """Adversarial examples of ``SavedSamples.images``, float32 (m, d)."""
    seen: FloatArray
    """Input of the classifier for the samples of ``SavedSamples.shown``, float32 (m, d)."""
    targets: tuple[int, ...] | None
    """True class -> target class; None for an attack that does not choose its targets."""
    pixel_range: tuple[float, float] | None
    """Smallest and largest pixel of x_adv; None where no image was built."""
    finite: bool
    """Whether all pixels of x_adv are finite."""
    members: tuple[MemberResult, ...] | None = None
    """What each attack of an ensemble added; None for a single attack."""
    carried: NDArray[np.bool_] | None = None
    """Whether the adversarial example of each sample is that of a smaller eps, which broke it, bool (n,); None where
    every sample is attacked at every eps."""
    found_by: IntArray | None = None
    """Position of the member of an ensemble that found each adversarial example, int64 (n,); None for a single
    attack."""


SCORE_COLUMNS = ("predictions", "rounded", "success_rate", "wrong_draws", "linf", "l2", "x_adv", "seen", "found_by")
"""The arrays of ``EpsScores`` that are joined from the batches."""


def join_columns(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the arrays of ``EpsScores``, joined over the batches; None for an array that the batches do not have."""
    import numpy as np

    return {
        name: None if parts[0].get(name) is None else np.concatenate([part[name] for part in parts])
        for name in SCORE_COLUMNS
    }


def join_scores(parts: Sequence[EpsScores]) -> EpsScores:
    """Return the scores of batches that follow each other at one eps as those of all their samples."""
    lows, highs = zip(*(one.pixel_range for one in parts if one.pixel_range), strict=True)
    return EpsScores(
        **join_columns([vars(one) for one in parts]),
        targets=None,
        pixel_range=(min(lows), max(highs)),
        finite=all(one.finite for one in parts),
    )


def first_of_each_class(y: IntArray) -> IntArray:
    """Return the positions of the first sample of each class, in file order, at most SHOWN_SAMPLES."""
    import numpy as np

    return np.sort(np.unique(y, return_index=True)[1])[:SHOWN_SAMPLES]


def collect_outcomes(
    ids: IntArray,
    y: IntArray,
    clean: IntArray,
    scores: list[EpsScores],
    zero: list[NDArray[np.bool_]],
    eps: Sequence[float],
    clean_success: Arrays | None = None,
) -> Arrays:
    """Return the outcome of each sample at every eps.

    For a pipeline that samples also success_rate, float32 (eps, n), and clean_success_rate, float32 (n,): the share of
    SCORING_DRAWS with a wrong prediction for the adversarial example, and for the unchanged image; and wrong_draws,
    bool (eps, n, KEPT_DRAWS), and clean_wrong_draws, bool (n, KEPT_DRAWS): on which of the first draws it is wrong.
    Every wrong class counts as a success, also for a targeted attack. For a sweep that does not attack again what is
    broken also carried, bool (eps, n), and smallest_eps, float64 (n,), the smallest eps that breaks each sample,
    infinite where none does. For an ensemble also broken_by, int64 (eps, n), the position of the member that broke each
    sample, NOT_BROKEN where none did.
    clean_success: the two arrays of the unchanged images, empty for a pipeline that does not sample.
    """
    import numpy as np

    carried = [one.carried for one in scores if one.carried is not None]
    found: Arrays = {
        "sample_ids": ids.astype(np.int64),
        "labels": y,
        "clean_predictions": clean,
        "predictions": np.stack([one.predictions for one in scores]),
        "linf": np.stack([one.linf for one in scores]),
        "l2": np.stack([one.l2 for one in scores]),
        "zero_gradient": np.stack(zero),
    }
    for name, array in (clean_success or {}).items():
        found |= {f"clean_{name}": array, name: np.stack([getattr(one, name) for one in scores])}
    # At one eps nothing can be carried.
    if len(carried) > 1:
        found |= {CARRIED: np.stack(carried), SMALLEST_EPS: find_smallest_eps(y, found["predictions"], eps)}
    members = [one.found_by for one in scores if one.found_by is not None]
    if members:
        robust = np.stack([find_robust(found, index) for index in range(len(scores))])
        found[BROKEN_BY] = np.where(robust, NOT_BROKEN, np.stack(members))
    return found


def collect_samples(
    ids: IntArray, x: FloatArray, y: IntArray, start: FloatArray, scores: list[EpsScores], saved: SavedSamples
) -> Arrays:
    """Return the images that a report shows."""
    import numpy as np

    shown, positions = saved.shown, np.searchsorted(saved.images, saved.shown)
    return {
        "ids": ids[shown].astype(np.int64),
        "labels": y[shown],
        "x": x[shown],
        "start": start,
        "x_adv": np.stack([one.x_adv[positions] for one in scores]),
        "seen": np.stack([one.seen for one in scores]),
        "predictions": np.stack([one.predictions[shown] for one in scores]),
    }


def collect_adversarial(ids: IntArray, y: IntArray, scores: list[EpsScores]) -> Arrays:
    """Return all adversarial examples, for ``--save-adversarial``."""
    import numpy as np

    return {
        "ids": ids.astype(np.int64),
        "labels": y,
        "x_adv": np.stack([one.x_adv for one in scores]),
        "predictions": np.stack([one.predictions for one in scores]),
    }
