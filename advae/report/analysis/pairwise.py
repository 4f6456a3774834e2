"""Differences between any two pipelines at one eps, on identical images, with McNemar's test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from advae.checks.strongest import SIGNIFICANT
from advae.metrics import mcnemar
from advae.records import Norm
from advae.report.analysis.eps_choices import EpsChoice, list_eps_choices
from advae.report.analysis.headline_choice import choose_number
from advae.report.analysis.tables import Difference, Findings, ShownShare, TableRecord
from advae.report.data.contents import Row
from advae.report.data.runs import Measured
from advae.report.wording import describe_change, format_p

if TYPE_CHECKING:
    from advae.records import IntArray

MOST_COMPARED = 40
"""Pipelines of a dataset that are compared in pairs; of more the first in the order of the report."""


class PairRecord(TableRecord):
    """The robust accuracy of one pipeline beside that of another, on identical images at one eps."""

    dataset: str
    """The dataset's name; for one's own file, the name of the file."""
    norm: Norm
    """The norm that bounds the perturbation."""
    eps: float
    """The budget, in units of an image's range, 0 to 1."""
    first: str
    """The id of the first classifier in the registry."""
    second: str
    """The id of the second classifier in the registry."""
    first_accuracy: ShownShare
    """Robust accuracy of the first on these images, 0 to 1, under its strongest adaptive attack."""
    second_accuracy: ShownShare
    """Robust accuracy of the second on these images, 0 to 1, under its strongest adaptive attack."""
    difference: Difference
    """The first minus the second, -1 to 1: negative where the first loses."""
    mcnemar_p: ShownShare
    """How likely so large a difference is by chance, 0 to 1: McNemar's exact test on the same images."""
    n: int
    """Number of images that both were attacked on."""
    first_run: str
    """The id of the first's run."""
    second_run: str
    """The id of the second's run."""

    @property
    def significant(self) -> bool:
        """Whether the difference is not due to chance."""
        return self.difference != 0 and self.mcnemar_p < SIGNIFICANT

    @property
    def text(self) -> str:
        """The difference in words, seen from the first: ``loses 7.2 points (p 0.012, n = 360)``."""
        chance = "" if self.significant or self.difference == 0 else ", within chance"
        return f"{describe_change(self.difference)} (p {format_p(self.mcnemar_p)}, n = {self.n}{chance})"


def list_pairs(findings: Findings) -> Iterator[PairRecord]:
    """Yield a record for each eps to choose and each pair of pipelines that were attacked on common images."""
    for choice in findings.collect(list_eps_choices):
        own = [one for one in findings.comparison.pipelines if one.first.dataset == choice.dataset]
        rows = [row for one in own[:MOST_COMPARED] if (row := choose_number(one, choice.terms))]
        yield from compare_pairs(choice, rows)


def compare_pairs(choice: EpsChoice, rows: Sequence[Row]) -> Iterator[PairRecord]:
    """Yield a record for each pair of rows at an eps; none for pairs without common images."""
    for first, second in combinations(rows, 2):
        ours, theirs = find_common(first, second)
        n = len(ours)
        if n:
            right, other = first.right[ours], second.right[theirs]
            yield PairRecord(
                dataset=choice.dataset,
                norm=choice.norm,
                eps=choice.eps,
                first=first.run.classifier.id,
                second=second.run.classifier.id,
                first_accuracy=int(right.sum()) / n,
                second_accuracy=int(other.sum()) / n,
                difference=(int(right.sum()) - int(other.sum())) / n,
                mcnemar_p=mcnemar(right, other),
                n=n,
                first_run=first.id,
                second_run=second.id,
            )


def find_common(first: Measured, second: Measured) -> tuple[IntArray, IntArray]:
    """Return the positions of the images that both attacked, in the first and in the second, int64 (m,) each."""
    import numpy as np

    if first.sample_key == second.sample_key:
        every = np.arange(len(first.labels))
        return every, every
    _, ours, theirs = np.intersect1d(first.sample_ids, second.sample_ids, return_indices=True)
    same = first.labels[ours] == second.labels[theirs]
    return ours[same], theirs[same]
