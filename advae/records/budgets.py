"""When two budgets are one: attacks work in float32, where 0.3 and 0.1 + 0.2 are the same number."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache

SMALLEST = 2.0**-126
"""The smallest normal float32: TensorFlow takes what is smaller for 0."""


def key_eps(eps: float) -> float:
    """Return the float32 that an attack uses for an eps; eps that share it are one budget.

    Recipes keep the exact eps, which ids are made from. An eps above the range of float32 is its own key.
    """
    try:
        key: float = struct.unpack("<f", struct.pack("<f", eps))[0]
    except OverflowError:
        return eps
    return 0.0 if abs(key) < SMALLEST else key


def vanishes(number: float) -> bool:
    """Return whether a number is not written as 0, but is 0 to what computes with it; -0.0 is such a one."""
    return key_eps(number) == 0 and str(number) != "0.0"


def find_eps(several: Sequence[float], eps: float) -> int | None:
    """Return the place of a budget among several, None where it is none of them."""
    return place_eps(tuple(several)).get(key_eps(eps))


@lru_cache(maxsize=64)
def place_eps(several: tuple[float, ...]) -> dict[float, int]:
    """Return where each budget stands first: a run may have thousands, each of which is looked for."""
    return {key_eps(eps): place for place, eps in reversed([*enumerate(several)])}


def unite_eps(several: Iterable[float]) -> dict[float, float]:
    """Return the budgets among several in ascending order: key -> the smallest eps that is written for it."""
    found: dict[float, float] = {}
    for eps in sorted(several):
        found.setdefault(key_eps(eps), eps)
    return found
