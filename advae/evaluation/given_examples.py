"""The attacker whose adversarial examples come from a file: those that are farther than eps count as unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from advae.batching import split_rows
from advae.evaluation.attacker import Attacker
from advae.evaluation.proposals import Proposal
from advae.metrics import find_within, measure_distance
from advae.threats import Surface

if TYPE_CHECKING:
    from advae.records import FloatArray, IntArray, RunRecipe


class GivenExamples(Attacker):
    """An attacker that proposes adversarial examples that were made elsewhere.

    given: float32 (n, d) in [0, 1], one for each row of x.
    """

    def __init__(
        self,
        surface: Surface,
        recipe: RunRecipe,
        x: FloatArray,
        y: IntArray,
        report: Callable[[], None],
        given: FloatArray,
    ) -> None:
        super().__init__(surface, recipe, x, y, report)
        self.given, self.distance = given, measure_distance(x, given, recipe.norm)

    def propose(
        self,
        eps: float,
        rows: IntArray,
        targets: tuple[int, ...] | None,
        *,
        steps: int | None = None,
        first: int = 0,
    ) -> Iterator[Proposal]:
        """Yield the given examples within eps, and the unchanged images in place of the others, batch by batch."""
        import numpy as np

        for index, batch in split_rows(rows):
            if index >= first:
                within = find_within(self.distance[batch], eps)[:, None]
                yield Proposal(batch, self.x[batch], np.where(within, self.given[batch], self.x[batch]))
            self.report()
