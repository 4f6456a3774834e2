"""The input of the checks: runs at one eps with the outcome of each sample, and the runs of a pipeline."""

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

    from advae.checks.certified import ProvedImages
    from advae.records import CheckResult, EpsResult, FloatArray, IntArray, RunMetrics, RunRecipe


@dataclass(frozen=True, eq=False)
class ScoredRun:
    """One run at one eps, with the outcome of each sample."""

    id: str
    """Id of the run."""
    recipe: RunRecipe
    """Recipe of the run."""
    metrics: RunMetrics
    """Metrics of the run, at all its eps."""
    index: int
    """Position of the eps among those of the run."""
    sample_ids: IntArray = field(repr=False)
    """Positions of the samples in the test set, int64 (n,)."""
    labels: IntArray = field(repr=False)
    """True classes, int64 (n,)."""
    clean_predictions: IntArray = field(repr=False)
    """Predicted classes of the unchanged images, int64 (n,)."""
    predictions: IntArray = field(repr=False)
    """Predicted classes of the adversarial examples, int64 (n,)."""
    success_rate: FloatArray | None = field(default=None, repr=False)
    """Share of fresh draws with a wrong prediction, float32 (n,) in [0, 1]; None where it was not measured."""
    robust: NDArray[np.bool_] | None = field(default=None, repr=False)
    """Which samples are right on every kept draw, bool (n,), for a pipeline that samples; None: by ``predictions``."""

    @property
    def result(self) -> EpsResult:
        return self.metrics.results[self.index]

    @property
    def eps(self) -> float:
        return self.result.eps

    @property
    def accuracy(self) -> float:
        """The robust accuracy that is reported: any-of-k where it samples."""
        return self.result.robust_accuracy

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which samples are still classified correctly, on every kept draw where the pipeline samples."""
        right: NDArray[np.bool_] = self.predictions == self.labels if self.robust is None else self.robust
        return right

    @cached_property
    def ball(self) -> tuple[str, float]:
        """Norm and key of the eps."""
        return self.recipe.norm, key_eps(self.eps)

    @cached_property
    def sample_key(self) -> str:
        """A key that is equal for runs on exactly the same samples."""
        return identify_samples(self.sample_ids, self.labels)

    @property
    def iterative(self) -> bool:
        return is_iterative(self.recipe)

    @property
    def by_one_draw(self) -> bool:
        """Whether a pipeline that samples was scored by one draw, as in older records."""
        return bool(self.metrics.stochastic) and self.metrics.k_draws is None

    def find_check_result(self, check: str) -> CheckResult | None:
        """Return the stored result of a check that needs one run only, None for any other check."""
        return next((result for result in self.metrics.verdicts if result.check == check), None)

    def is_beside(self, other: ScoredRun) -> bool:
        """Whether two runs attack the same samples within the same norm and eps, and are scored alike."""
        import numpy as np

        return (
            self.ball == other.ball
            and self.by_one_draw == other.by_one_draw
            and self.result.within_budget
            and other.result.within_budget
            and (self.sample_ids is other.sample_ids or np.array_equal(self.sample_ids, other.sample_ids))
        )


@dataclass(frozen=True)
class PipelineRuns:
    """The runs of a pipeline, among them the one whose robust accuracy is checked."""

    subject: ScoredRun
    """The strongest adaptive row, whose robust accuracy is reported."""
    own: Sequence[ScoredRun]
    """All rows of the pipeline, including the subject."""
    undefended: Sequence[ScoredRun]
    """Rows of classifiers of the same kind and data without purifier; empty where the pipeline has no purifier."""
    defended: bool
    """Whether the pipeline has a purifier."""
    asked: Sequence[str] = ()
    """Ids of the runs that the user asked for, which come first among equally strong ones."""
    certificates: Sequence[ProvedImages] = ()
    """Certificates of the pipeline's classifier; empty where none was made."""
    by_ball: dict[tuple[str, float], list[ScoredRun]] = field(default_factory=dict, compare=False, repr=False)
    """The rows of ``own`` by norm and eps; filled at the first use."""

    @property
    def random(self) -> bool:
        """Whether the pipeline samples, as far as one of its rows says so."""
        return any(row.metrics.stochastic for row in self.own)

    def beside(self, *threats: str) -> list[ScoredRun]:
        """Return the pipeline's rows under some threat models that attack what the subject attacks."""
        # Copies with another subject share this dictionary, because the rows may be thousands.
        if not self.by_ball:
            for row in self.own:
                self.by_ball.setdefault(row.ball, []).append(row)
        same = self.by_ball.get(self.subject.ball, [])
        return [row for row in same if row.recipe.threat in threats and row.is_beside(self.subject)]

    def list_members(self) -> list[ScoredRun]:
        """Return the rows of the subject's ensemble members on the same samples; empty where it is no ensemble."""
        recipe = self.subject.recipe
        names = list_member_names(recipe)
        return [row for row in self.beside(recipe.threat) if row.recipe.method in names]


def list_member_names(recipe: RunRecipe) -> set[str]:
    """Return the names of an ensemble's attacks; empty for a single attack, and for one that this version lacks."""
    attack = ATTACKS.get(recipe.method)
    if attack is None:
        return set()
    return {one.attack for one in attack.list_members(recipe.norm, sampling=recipe.draws is not None)}


def find_full_budget(recipe: RunRecipe) -> float:
    """Return the smallest eps whose ball around any image contains every other image."""
    return 1.0 if recipe.norm == "linf" else recipe.dataset.shape.diameter
