"""What is compared: runs at one eps with what became of each sample, and the runs of a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from advae.attacks import ATTACKS
from advae.checks.strongest import identify_samples, is_iterative
from advae.records import key_eps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import CheckResult, EpsResult, FloatArray, IntArray, RunMetrics, RunRecipe


@dataclass(frozen=True, eq=False)
class ScoredRun:
    """One run at one eps, with what became of each sample.

    id: of the run; index: of the eps among the run's; sample_ids, labels, clean_predictions, predictions: int64 (n,);
    success_rate: float32 (n,), the share of fresh draws on which the classifier is wrong, None where none was measured.
    """

    id: str
    recipe: RunRecipe
    metrics: RunMetrics
    index: int
    sample_ids: IntArray = field(repr=False)
    labels: IntArray = field(repr=False)
    clean_predictions: IntArray = field(repr=False)
    predictions: IntArray = field(repr=False)
    success_rate: FloatArray | None = field(default=None, repr=False)

    @property
    def result(self) -> EpsResult:
        return self.metrics.results[self.index]

    @property
    def eps(self) -> float:
        return self.result.eps

    @property
    def accuracy(self) -> float:
        return self.result.accuracy

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which samples are still classified correctly."""
        right: NDArray[np.bool_] = self.predictions == self.labels
        return right

    @cached_property
    def ball(self) -> tuple[str, float]:
        """Norm and key of the eps."""
        return self.recipe.norm, key_eps(self.eps)

    @cached_property
    def sample_key(self) -> str:
        """What runs on the very same samples have in common."""
        return identify_samples(self.sample_ids, self.labels)

    @property
    def iterative(self) -> bool:
        return is_iterative(self.recipe)

    def find_check_result(self, check: str) -> CheckResult | None:
        """Return what the run says on a check that needs no other, None for any other check."""
        return next((verdict for verdict in self.metrics.verdicts if verdict.check == check), None)

    def is_beside(self, other: ScoredRun) -> bool:
        """Whether two runs attack the same samples in the same ball."""
        import numpy as np

        return (
            self.ball == other.ball
            and self.result.within_budget
            and other.result.within_budget
            and (self.sample_ids is other.sample_ids or np.array_equal(self.sample_ids, other.sample_ids))
        )


@dataclass(frozen=True)
class PipelineRuns:
    """What is judged: the row that a pipeline's number stands on, beside all else that is known.

    subject: the strongest adaptive row; own: all rows of the pipeline, the subject among them; undefended: rows of
    classifiers of the same kind and data without purifier, where the pipeline has one. asked: ids of the runs that a
    user asked for, which come first among equals. by_ball: the same rows by norm and eps, filled when it is needed.
    """

    subject: ScoredRun
    own: Sequence[ScoredRun]
    undefended: Sequence[ScoredRun]
    defended: bool
    asked: Sequence[str] = ()
    by_ball: dict[tuple[str, float], list[ScoredRun]] = field(default_factory=dict, compare=False, repr=False)

    def beside(self, *threats: str) -> list[ScoredRun]:
        """Return the pipeline's rows under some threat models that attack what the subject attacks."""
        # What is said of another subject of the same rows shares it: they may be thousands.
        if not self.by_ball:
            for row in self.own:
                self.by_ball.setdefault(row.ball, []).append(row)
        same = self.by_ball.get(self.subject.ball, [])
        return [row for row in same if row.recipe.threat in threats and row.is_beside(self.subject)]

    def list_members(self) -> list[ScoredRun]:
        """Return, where the subject's attack is an ensemble, the rows beside it of the attacks it is made of."""
        recipe = self.subject.recipe
        attack = ATTACKS.get(recipe.method)
        names = {name for name, _ in attack.members.get(recipe.norm, ())} if attack else set[str]()
        return [row for row in self.beside(recipe.threat) if row.recipe.method in names]


def find_full_budget(recipe: RunRecipe) -> float:
    """Return the smallest eps whose ball around any image holds every other."""
    return 1.0 if recipe.norm == "linf" else float(recipe.dataset.side)
