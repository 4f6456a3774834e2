"""What has the same key together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

One = TypeVar("One")
Key = TypeVar("Key")


def group_by(several: Iterable[One], read: Callable[[One], Key]) -> dict[Key, list[One]]:
    """Return lists of what has the same key, in order, by that key."""
    groups: dict[Key, list[One]] = {}
    for one in several:
        groups.setdefault(read(one), []).append(one)
    return groups
