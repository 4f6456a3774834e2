"""Which of very many eps people are shown, in tables and on curves; JSON and CSV have all."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from advae.report.wording import format_eps

Shown = TypeVar("Shown")

MANY_EPS = 100
"""From more eps of one run on, a selection is shown."""

SHOWN_EPS = 20
"""Eps that a table has of so many, spread evenly; beside them those that must not be missing."""

DRAWN_EPS = 200
"""Points that a curve has of so many, in the same way."""

SELECTED = (
    f"Of more than {MANY_EPS} eps about {SHOWN_EPS} are shown, spread evenly from the smallest to the largest, with "
    "those of the lowest and the highest accuracy; {file} and report.json have all."
)


def select_eps(
    several: Iterable[Shown],
    describe: Callable[[Shown], tuple[Hashable, float, float]],
    *,
    most: int = SHOWN_EPS,
) -> list[Shown]:
    """Return what is shown, in the same order: everything where there are few eps, a selection where there are many.

    describe: what the eps belong to, each with its own selection; the eps; the accuracy.
    """
    every = list(several)
    groups: dict[Hashable, list[tuple[float, float, int]]] = {}
    for place, one in enumerate(every):
        group, eps, accuracy = describe(one)
        groups.setdefault(group, []).append((eps, accuracy, place))
    kept = {place for group in groups.values() for place in _select_places(group, most)}
    return [one for place, one in enumerate(every) if place in kept]


def _select_places(group: Sequence[tuple[float, float, int]], most: int) -> list[int]:
    if len(group) <= MANY_EPS:
        return [place for _, _, place in group]
    ranked = sorted(group)
    last = len(ranked) - 1
    ends = [end(ranked, key=lambda one: one[1]) for end in (min, max)]
    return [place for _, _, place in (*(ranked[last * step // (most - 1)] for step in range(most)), *ends)]


def list_eps(several: Sequence[float]) -> str:
    """Return every eps in both scales; of many their number and their ends."""
    if len(several) <= MANY_EPS:
        return ", ".join(map(format_eps, several))
    return f"{format_eps(min(several))} to {format_eps(max(several))}, {len(several)} of them"


def explain_selection(counts: Iterable[int], file: str) -> str:
    """Return the sentence that says that a table is a selection; nothing where no count of eps is large."""
    return SELECTED.format(file=file) if max(counts, default=0) > MANY_EPS else ""
