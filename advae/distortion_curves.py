"""Distortion-distortion curves: how far a perturbation moves a reconstruction towards another image; numpy and SciPy.

x: the norm of the perturbation, relative to the distance of the two images. y: the distance of the reconstruction from
the target, relative to that of the unperturbed one, from 1 (nothing reached) to 0 (as near as the target's own
reconstruction). Gondim-Ribeiro, Tabacof, Valle 2018, arXiv:1806.04646.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Truths = NDArray[np.bool_]

LEAST_WAY = 0.01
"""Smallest difference of the two reconstructions' distances from the target, relative to the distance of the two
images, for which a pair has a curve: y divides by it."""

HALF = 0.5
"""The y at which half of the way to the target is made."""


@dataclass(frozen=True, eq=False)
class PairDistances:
    """Distances of pairs of images, L2 in units of x; arrays are float64."""

    images: Floats
    """From the original image to the target image, (p,)."""
    before: Floats
    """From the original's reconstruction to the target image, (p,)."""
    best: Floats
    """From the target's reconstruction to the target image, (p,)."""
    distortion: Floats
    """Norm of each perturbation, (p, k)."""
    reached: Floats
    """From each adversarial example's reconstruction to the target image, (p, k)."""

    def find_complete(self) -> Truths:
        """Return which pairs have a curve, bool (p,): all is finite, and the two reconstructions are told apart."""
        import numpy as np

        finite = np.isfinite(self.distortion).all(1) & np.isfinite(self.reached).all(1)
        with np.errstate(invalid="ignore"):
            way = self.before - self.best
            return finite & np.isfinite(way) & (self.images > 0) & (way >= LEAST_WAY * self.images)

    def relate(self, pairs: Truths) -> tuple[Floats, Floats]:
        """Return the relative x and y of the attacks on some pairs, (pairs, k) both. pairs: bool (p,)."""
        x = self.distortion[pairs] / self.images[pairs, None]
        best = self.best[pairs, None]
        return x, (self.reached[pairs] - best) / (self.before[pairs, None] - best)


def trace_curve(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return the curve of one pair over x from 0 to 1, both ends included, rising in x and never rising in y.

    x, y: (k,), of the attacks in any order. The curve begins at (0, 1). At each x it has the smallest y of all attacks
    up to there, because an attacker with a larger budget can use a smaller perturbation. Points are joined by straight
    lines. Behind the last attack it is level; attacks beyond x = 1 only decide the line that leaves at 1.
    """
    import numpy as np

    order = np.lexsort((-y, x))
    xs = np.concatenate([[0.0], x[order]])
    ys = np.minimum.accumulate(np.concatenate([[1.0], y[order]]))
    end = float(np.interp(1.0, xs, ys))
    within = xs < 1.0
    return np.concatenate([xs[within], [1.0]]), np.concatenate([ys[within], [end]])


def measure_area(x: Floats, y: Floats) -> float:
    """Return the area under the curve of one pair, by the trapezoidal rule over x from 0 to 1.

    1: no perturbation up to the distance of the two images changes anything. About 0.5: what is moved in the image is
    moved in the reconstruction, as without an autoencoder. 0: the least perturbation reaches the target.
    """
    import numpy as np

    xs, ys = trace_curve(x, y)
    return float(np.trapezoid(ys, xs))


def find_half(x: Floats, y: Floats) -> float | None:
    """Return the smallest x at which the curve of one pair is at HALF or below; None where it is not up to x = 1."""
    import numpy as np

    xs, ys = trace_curve(x, y)
    there = np.flatnonzero(ys <= HALF)
    if not len(there):
        return None
    place = int(there[0])
    x0, x1, y0, y1 = xs[place - 1], xs[place], ys[place - 1], ys[place]
    return float(x0 + (x1 - x0) * (y0 - HALF) / (y0 - y1))


def average_curves(x: Floats, y: Floats, grid: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of the curves of several pairs at the x of a grid, (len(grid),) both.

    x, y: (p, k), p > 0. The deviation is that of the population, 0 for one pair.
    """
    import numpy as np

    curves = np.array([np.interp(grid, *trace_curve(*pair)) for pair in zip(x, y, strict=True)])
    return curves.mean(axis=0), curves.std(axis=0)


def summarize_curves(x: Floats, y: Floats) -> dict[str, Any]:
    """Return mean, deviation and interval of the areas of pairs, and how far it is half way; (p, k) both.

    The names are the fields of CodeAttackMetrics; None where there are too few pairs.
    """
    areas = [measure_area(*pair) for pair in zip(x, y, strict=True)]
    halves = [half for pair in zip(x, y, strict=True) if (half := find_half(*pair)) is not None]
    mean, deviation, interval = describe_mean(areas)
    return {
        "n": len(areas),
        "area": mean,
        "area_deviation": deviation,
        "area_interval": interval,
        "half_distortion": math.fsum(halves) / len(halves) if halves else None,
        "half_reached": len(halves),
    }


def describe_mean(values: list[float]) -> tuple[float | None, float | None, tuple[float, float] | None]:
    """Return mean, sample standard deviation and the mean's 95 % interval by Student's t; None where n is too small."""
    from scipy.special import stdtrit

    n = len(values)
    mean = math.fsum(values) / n if n else None
    if mean is None or n < 2:
        return mean, None, None
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    margin = float(stdtrit(n - 1, 0.975)) * deviation / math.sqrt(n)
    return mean, deviation, (mean - margin, mean + margin)
