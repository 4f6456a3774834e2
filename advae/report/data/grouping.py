"""Grouping by key."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

One = TypeVar("One")
Key = TypeVar("Key")


def group_by(several: Iterable[One], read: Callable[[One], Key]) -> dict[Key, list[One]]:
    """Return the items of each key, in their order, by key."""
    groups: dict[Key, list[One]] = {}
    for one in several:
        groups.setdefault(read(one), []).append(one)
    return groups
