"""The scales of a chart: where a value lies, and which round values are written beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

LOG_SPAN = 20.0
"""Values that span more than this factor are drawn on a logarithmic scale."""


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic scale."""

    label: str
    """Text beside the axis."""
    low: float
    """Value at its start."""
    high: float
    """Value at its end."""
    ticks: tuple[tuple[float, str], ...]
    """Value and text of each tick."""
    logarithmic: bool = False
    """Whether the scale is logarithmic."""

    def place(self, value: float) -> float:
        """Return where a value lies: 0 at the low end, 1 at the high one."""
        low, high, value = map(math.log, (self.low, self.high, value)) if self.logarithmic else (
            self.low, self.high, value
        )  # fmt: skip
        return (value - low) / (high - low)


def write_plain(value: float) -> str:
    """Return a number as short as it can be, with a true minus sign."""
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def write_percent(value: float) -> str:
    """Return a share as a percentage."""
    return f"{100 * value:g}\N{NO-BREAK SPACE}%"


def make_axis(
    label: str,
    low: float,
    high: float,
    *,
    most: int = 6,
    write: Callable[[float], str] = write_plain,
    whole: bool = False,
) -> Axis:
    """Return a linear scale with at most ``most`` steps between its round values. whole: whether those are whole."""
    if not high > low:
        low, high = low - 0.5, high + 0.5
    values = _choose_round(low, high, most)
    return Axis(
        label, low, high, tuple((value, write(value)) for value in values if not whole or value == round(value))
    )


def make_loss_axis(label: str, values: Iterable[float]) -> Axis:
    """Return a scale that holds all values: logarithmic where they are positive and span more than LOG_SPAN."""
    low, high = _find_ends(values)
    if low > 0 and high / low > LOG_SPAN:
        low, high = low / 1.1, high * 1.1
        return Axis(
            f"{label} (log scale)", low, high, tuple((value, write_plain(value)) for value in _choose_log(low, high)),
            logarithmic=True,
        )  # fmt: skip
    margin = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return make_axis(label, low - margin, high + margin)


def _find_ends(values: Iterable[float]) -> tuple[float, float]:
    known = list(values)
    return min(known), max(known)


def _choose_round(low: float, high: float, most: int) -> list[float]:
    """Return the multiples of 1, 2 or 5 times a power of ten between two values."""
    least = (high - low) / most
    power = 10.0 ** math.floor(math.log10(least))
    # Of 0.2 and 0.3 the quotients are a hair beside whole numbers.
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]


def _choose_log(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten between two values, or fewer where they span many decades."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(powers) <= 4 else (1,)
    every = 1 + len(powers) // 8
    values = (factor * 10.0**power for power in powers[::every] for factor in factors)
    return [value for value in values if low <= value <= high]
