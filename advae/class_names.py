"""Names of datasets that are restricted to some of their classes."""

from __future__ import annotations

from collections.abc import Sequence

CLASSES_IN_TITLE = 10
"""Most classes that are named; of more, the first three are, and the others counted."""


def name_restricted(name: str, classes: Sequence[str]) -> str:
    """Return the name of a dataset with the classes that it is restricted to, ``mnist, classes 3 and 7``."""
    named = [*classes] if len(classes) <= CLASSES_IN_TITLE else [*classes[:3], f"{len(classes) - 3} more"]
    return f"{name}, classes {', '.join(named[:-1])} and {named[-1]}"
