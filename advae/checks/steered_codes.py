"""The checks on an attack on a code: whether it is strong enough for its areas, which are too large where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae.checks.check_table import Check
from advae.records import CheckResult, Status

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Truths = NDArray[np.bool_]

CODE_CHECKS: dict[str, Check] = {
    "range": Check(
        "Is every adversarial example finite and in [0, 1]?",
        "An adversarial example is no valid image: the attack did more than it may, so the area is too small.",
    ),
    "pairs": Check(
        "Are there enough pairs, and does each have a curve?",
        "Few pairs give a wide interval. A pair without a curve is one whose two reconstructions are equally far from "
        "the target: the autoencoder does not tell these images apart, and the area leaves them out.",
    ),
    "objective": Check(
        "Does the attack lower its objective for each pair?",
        "For some pairs the attack at the smallest weight does not come half as near to the target's code: its "
        "gradient is zero or misleading. Their area is too large.",
    ),
    "blending": Check(
        "Is the attack at least as good as blending the two images, pixel by pixel?",
        "Blending the original with the target, which needs no gradient, has a lower objective than the attack. The "
        "attack has not converged, so the area is too large. Use more --steps.",
    ),
    "monotone": Check(
        "Does a smaller weight never lead to a code farther from the target's?",
        "The minimum for a smaller weight of the perturbation is at least as near to the target's code, so where the "
        "attack ends farther away, it has not converged. The area is too large. Use more --steps.",
    ),
    "target": Check(
        "Does the attack reach the reconstruction of the target?",
        "Even with the smallest weight the reconstruction stays away from the target's. Where the purifier scales "
        "its output to the input's total, no code alone decides it. The area is then an upper bound for this attack.",
    ),
}
"""The checks, by name, in the order of the report."""

ENOUGH_PAIRS = 25
"""As many as in the papers."""

COUNTED = 0.01
"""Difference of two objectives that counts, relative to the distance of the two codes before the attack."""

SELDOM = 0.05
"""Share of pairs and weights from which on a check fails; below it warns."""

NEAR_TARGET = 0.2
"""Mean of the smallest y up to which the attack reaches the target."""


@dataclass(frozen=True, eq=False)
class SteeredPairs:
    """What the checks read of an attack; the weights C are in rising order. Rows are the pairs that have a curve."""

    pixel_range: tuple[float, float]
    """Smallest and largest pixel of all adversarial examples; NaN where one is not finite."""
    left_out: int
    """Pairs without a curve."""
    codes_apart: Floats
    """Distance of the two images' codes before the attack, (p,)."""
    distances: Floats
    """Distance of the adversarial examples' codes from the targets', (p, k)."""
    objectives: Floats
    """The attack's objectives, (p, k)."""
    blends: Floats
    """Lowest objective of a blend of the two images, (p, k)."""
    smallest_y: Floats
    """Smallest y of each pair, (p,)."""


def check_steering(found: SteeredPairs) -> tuple[CheckResult, ...]:
    """Return the result of each of CODE_CHECKS."""
    return tuple(_list_results(found))


def _list_results(found: SteeredPairs) -> Iterator[CheckResult]:
    low, high = found.pixel_range
    inside = low >= 0 and high <= 1
    yield _result("range", "PASS" if inside else "FAIL", f"pixels from {low:.3g} to {high:.3g}")
    n = len(found.codes_apart)
    yield _check_pairs(n, found.left_out)
    if not n:
        yield from (_result(name, "NOT RUN", "no pair has a curve") for name in list(CODE_CHECKS)[2:])
        return
    apart = found.codes_apart[:, None]
    stuck = int((found.distances[:, 0] > found.codes_apart / 2).sum())
    sentence = f"{n - stuck} of {n} pairs come at least half as near to the target's code"
    yield _result("objective", _grade(stuck / n), sentence, stuck / n)
    worse = _share(found.objectives > found.blends + COUNTED * apart)
    yield _result("blending", _grade(worse), f"a blend is better for {worse:.1%} of pairs and weights", worse)
    farther = _share(found.distances[:, :-1] > found.distances[:, 1:] + COUNTED * apart)
    yield _result("monotone", _grade(farther), f"{farther:.1%} of the steps to a smaller weight end farther", farther)
    mean = float(found.smallest_y.mean())
    status: Status = "PASS" if mean <= NEAR_TARGET else "WARN"
    yield _result("target", status, f"the mean of the smallest y is {mean:.3f}", mean)


def _check_pairs(n: int, left_out: int) -> CheckResult:
    status: Status = "FAIL" if not n else "WARN" if n < ENOUGH_PAIRS or left_out else "PASS"
    missing = f", {left_out} left out" if left_out else ""
    return _result("pairs", status, f"{n} {'pair has a curve' if n == 1 else 'pairs have a curve'}{missing}", float(n))


def _share(truths: Truths) -> float:
    return float(truths.mean()) if truths.size else 0.0


def _grade(share: float) -> Status:
    return "PASS" if not share else "WARN" if share <= SELDOM else "FAIL"


def _result(check: str, status: Status, sentence: str, number: float | None = None) -> CheckResult:
    return CheckResult(check=check, status=status, sentence=sentence, number=number)
