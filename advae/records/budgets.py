"""Equality of budgets: attacks compute in float32, where 0.3 and 0.1 + 0.2 are the same number."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache

SMALLEST = 2.0**-126
"""The smallest normal float32: TensorFlow reads smaller numbers as 0."""


def key_eps(eps: float) -> float:
    """Return the float32 that an attack uses for an eps; two eps with the same float32 are one budget.

    Recipes store the exact eps, so ids depend on it. An eps above the range of float32 is its own key.
    """
    try:
        key: float = struct.unpack("<f", struct.pack("<f", eps))[0]
    except OverflowError:
        return eps
    return 0.0 if abs(key) < SMALLEST else key


def vanishes(number: float) -> bool:
    """Return whether a number other than 0.0 is 0 in float32; True for -0.0."""
    return key_eps(number) == 0 and str(number) != "0.0"


def find_eps(several: Sequence[float], eps: float) -> int | None:
    """Return the index of an eps among several, compared in float32; None where it is not among them."""
    return place_eps(tuple(several)).get(key_eps(eps))


@lru_cache(maxsize=64)
def place_eps(several: tuple[float, ...]) -> dict[float, int]:
    """Return the first index of each distinct eps, by its key; cached, because a run may have thousands of eps."""
    return {key_eps(eps): place for place, eps in reversed([*enumerate(several)])}


def unite_eps(several: Iterable[float]) -> dict[float, float]:
    """Return the distinct eps in ascending order: key -> the smallest eps with that key."""
    found: dict[float, float] = {}
    for eps in sorted(several):
        found.setdefault(key_eps(eps), eps)
    return found
