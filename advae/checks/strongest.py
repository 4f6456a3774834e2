"""Choice of the strongest attack on a pipeline, whose robust accuracy is reported; the only rule for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from advae import metrics
from advae.attacks import ATTACKS
from advae.records import key_eps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import IntArray, RunRecipe

SIGNIFICANT = 0.05
"""Level of McNemar's exact test below which a difference on the same samples is not due to chance."""


class Measurement(Protocol):
    """One run at one eps, with the outcome of each sample.

    sample_ids, labels: int64 (n,); right: which samples are still classified correctly, bool (n,); sample_key: equal
    for runs on exactly the same samples.
    """

    @property
    def id(self) -> str: ...
    @property
    def recipe(self) -> RunRecipe: ...
    @property
    def eps(self) -> float: ...
    @property
    def accuracy(self) -> float: ...
    @property
    def sample_ids(self) -> IntArray: ...
    @property
    def labels(self) -> IntArray: ...
    @property
    def sample_key(self) -> str: ...
    @property
    def right(self) -> NDArray[np.bool_]: ...


M = TypeVar("M", bound=Measurement)


def find_strongest(rows: Iterable[M], asked: Sequence[str] = ()) -> M | None:
    """Return the row whose robust accuracy is reported, of rows in one norm on any samples; None where there is none.

    It is the strongest row on the largest set of samples. A row on other samples replaces it only if its eps is not
    larger and its robust accuracy on the common samples is significantly lower. asked: ids of the runs that the user
    asked for, in that order, which come first among equals.
    """
    groups = group_by_samples(rows)
    if not groups:
        return None
    first, *others = groups
    leader = pick_strongest(first, asked)
    for challenger in (row for group in others for row in sorted(group, key=lambda row: rank_strength(row, asked))):
        if key_eps(challenger.eps) <= key_eps(leader.eps) and is_stronger(challenger, leader):
            leader = challenger
    return leader


def pick_strongest(rows: Iterable[M], asked: Sequence[str] = ()) -> M:
    """Return the strongest of rows on the same samples, at the smallest eps that reaches its accuracy."""
    return min(rows, key=lambda row: rank_strength(row, asked))


def rank_strength(row: Measurement, asked: Sequence[str] = ()) -> tuple[object, ...]:
    """Return the sort key of rows on the same samples, the strongest first.

    Of rows with equal accuracy and eps, iterative attacks come first, then runs that were asked for, then more effort.
    """
    recipe = row.recipe
    place = asked.index(row.id) if row.id in asked else len(asked)
    effort = (recipe.steps or 0, recipe.restarts or 1, recipe.queries or 0)
    return (row.accuracy, key_eps(row.eps), not is_iterative(recipe), place, *(-amount for amount in effort))


def is_stronger(challenger: Measurement, leader: Measurement) -> bool:
    """Whether an attack's robust accuracy is significantly lower than another's on the samples that both attacked."""
    import numpy as np

    _, ours, theirs = np.intersect1d(challenger.sample_ids, leader.sample_ids, return_indices=True)
    same = challenger.labels[ours] == leader.labels[theirs]
    right, before = challenger.right[ours][same], leader.right[theirs][same]
    return bool(right.sum() < before.sum()) and metrics.mcnemar(right, before) < SIGNIFICANT


def group_by_samples(rows: Iterable[M]) -> list[list[M]]:
    """Return the rows grouped by the samples that they attack, the largest set first.

    Of equally large sets, that with the most classes comes first, then that with the most rows.
    """
    groups: dict[str, list[M]] = {}
    for row in rows:
        groups.setdefault(row.sample_key, []).append(row)
    return [groups[key] for key in sorted(groups, key=lambda key: _rank_group(key, groups[key]))]


def find_most(groups: Mapping[str, Sequence[Measurement]]) -> str:
    """Return the key of the group that ``group_by_samples`` puts first; groups: sample key -> rows on these samples."""
    if len(groups) == 1:
        return next(iter(groups))
    return min(groups, key=lambda key: _rank_group(key, groups[key]))


def _rank_group(key: str, rows: Sequence[Measurement]) -> tuple[object, ...]:
    # The key is the last criterion, so that the result does not depend on the order of the rows.
    return rank_samples(rows[0]), -len(rows), key


def rank_samples(row: Measurement) -> tuple[int, int]:
    """Return the sort key of sets of samples: the largest first, of equal ones that with the most classes."""
    return -len(row.labels), -len(set(row.labels.tolist()))


def identify_samples(sample_ids: IntArray, labels: IntArray) -> str:
    """Return a key that is equal for runs on the same samples, in the same order and with the same labels."""
    digest = hashlib.sha256(sample_ids.astype("<i8").tobytes())
    digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()


def is_iterative(recipe: RunRecipe) -> bool:
    """Whether an attack evaluates the classifier more than once; an ensemble does, although it stores no steps."""
    attack = ATTACKS.get(recipe.method)
    ensemble = attack is not None and bool(attack.members)
    return ensemble or recipe.steps is not None or recipe.queries is not None
