"""A sweep that goes up in eps and attacks only what no smaller eps broke.

What is broken at a smaller eps is broken at the larger ones: its adversarial example lies inside the larger ball. Only
where images leave an attack at their first success (``stops_at_success``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from advae.batching import list_rows
from advae.evaluation.run_artifacts import SCORE_COLUMNS, EpsScores, SavedSamples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advae.records import IntArray


def score_upwards(
    score: Callable[[float, IntArray], EpsScores], eps: Sequence[float], y: IntArray, saved: SavedSamples
) -> list[EpsScores]:
    """Return the scores at each eps, in the order of ``eps``; attacks are made from the smallest to the largest.

    score: (eps, rows) -> the scores of the attack on these rows; y: int64 (n,), the true classes; saved: whose images
    the scores have.
    """
    found: dict[int, EpsScores] = {}
    below: EpsScores | None = None
    for place in sorted(range(len(eps)), key=eps.__getitem__):
        rows = list_rows(y) if below is None else list_unbroken(below, y)
        fresh = score(eps[place], rows) if len(rows) else None
        below = found[place] = _carry(below, fresh, rows, y, saved)
    return [found[place] for place in range(len(eps))]


def list_unbroken(scores: EpsScores, y: IntArray) -> IntArray:
    """Return the rows that are attacked again at a larger eps, int64, rising; y: int64 (n,), the true classes."""
    import numpy as np

    return np.flatnonzero(_rank(scores, y) < 2)


def _rank(scores: EpsScores, y: IntArray) -> IntArray:
    """Return 0 for an image that is not broken, 1 for a broken one, 2 if it is so after rounding to 8 bits, too."""
    import numpy as np

    wrong = scores.predictions != y
    lasting = wrong if scores.rounded is None else wrong & (scores.rounded != y)
    rank: IntArray = np.add(wrong, lasting, dtype=np.int64)
    return rank


def _carry(
    below: EpsScores | None, fresh: EpsScores | None, rows: IntArray, y: IntArray, saved: SavedSamples
) -> EpsScores:
    """Return the scores at an eps: those of ``fresh`` where its image is at least as good, else those of ``below``.

    fresh: of the attack on ``rows``, None where it attacked nothing; below: at the next smaller eps, None at the first.
    """
    import numpy as np

    if below is None or fresh is None:
        first = fresh if below is None else below
        assert first
        return replace(first, carried=np.full(len(y), below is not None), members=fresh.members if fresh else None)
    taken = rows[_rank(fresh, y[rows]) >= _rank(below, y)[rows]]
    wanted = dict.fromkeys(SCORE_COLUMNS, list_rows(y)) | {"x_adv": saved.images, "seen": saved.shown}
    columns: dict[str, Any] = {
        name: _replace_rows(getattr(below, name), getattr(fresh, name), of, rows, taken) for name, of in wanted.items()
    }
    # The range at the smaller eps is that of all images there, so that none is left out.
    lows, highs = zip(*(one.pixel_range for one in (below, fresh) if one.pixel_range), strict=True)
    return replace(
        below,
        **columns,
        carried=~np.isin(list_rows(y), taken),
        pixel_range=(min(lows), max(highs)),
        finite=below.finite and fresh.finite,
        members=fresh.members,
    )


def _replace_rows(
    old: NDArray[Any] | None, new: NDArray[Any] | None, of: IntArray, rows: IntArray, taken: IntArray
) -> NDArray[Any] | None:
    """Return a column with the values of the taken rows replaced; None for a column that the scores do not have.

    old: the column for the rows ``of``; new: for those of them that are among ``rows``; all of them rise.
    """
    import numpy as np

    if old is None or new is None:
        return None
    replaced = old.copy()
    replaced[np.isin(of, taken)] = new[np.isin(of[np.isin(of, rows)], taken)]
    return replaced
