"""The result of an evaluation: robust accuracies, checks, a table, a report."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.errors import UsageError
from advae.metrics import find_robust, wilson_interval
from advae.paths import to_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.notebooks.subjects import Subject
    from advae.records import CheckResult, FloatArray, IntArray, Manifest, RunMetrics, RunRecipe
    from advae.registry import Registry

    Arrays = dict[str, np.ndarray[Any, Any]]

STATUS_RANKS = ("NOT RUN", "PASS", "WARN", "FAIL")
"""The statuses of a check, the worst last."""


@dataclass(frozen=True, eq=False)
class EvaluatedRun:
    """One method under one threat model, at every eps."""

    recipe: RunRecipe
    """Everything that determines the run, with defaults filled in."""
    metrics: RunMetrics
    """Its numbers and checks, as ``advae attack`` stores them."""
    outcomes: Arrays = field(repr=False)
    """Labels, predictions and norms of each image."""
    arrays: dict[str, Arrays] = field(repr=False, default_factory=dict)
    """All arrays that a registry would store; empty where one does."""
    manifest: Manifest | None = field(repr=False, default=None)
    """The entry; None where the run is not stored."""


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """What ``evaluate`` found.

    >>> import advae
    >>> from sklearn.datasets import load_digits
    >>> x, y = load_digits().images / 16, load_digits().target
    >>> pipeline = advae.open_registry().load("best")
    >>> result = advae.evaluate(pipeline, x[:50], y[:50], methods=["fgsm", "bim"], eps=[0, 0.3])
    >>> sorted(result.robust_accuracy), result.checks["budget"].status
    ([0.0, 0.3], 'PASS')
    """

    runs: tuple[EvaluatedRun, ...]
    """A run for each method."""
    subjects: tuple[Subject, ...] = ()
    """The pipeline, and others that the attacker used; empty where the runs are stored."""
    images: tuple[FloatArray, IntArray] | None = None
    """Images and labels that were given; None where the runs are stored."""
    registry: Registry | None = None
    """The registry that has the runs; None where nothing is stored."""

    def __repr__(self) -> str:
        names = "+".join(run.recipe.method for run in self.runs)
        first = self.runs[0].recipe
        found = ", ".join(f"eps {eps:g}: {accuracy:.4f}" for eps, accuracy in self._accuracies.items())
        return f"Evaluation({names}, {first.threat}, {first.norm}; clean: {self.clean_accuracy:.4f}, {found})"

    @property
    def n(self) -> int:
        """Number of attacked images."""
        return self.runs[0].metrics.n

    def _correct(self, eps: float) -> NDArray[np.bool_]:
        """Return which images every method left correctly classified at an eps, bool (n,)."""
        import numpy as np

        found = [find_robust(run.outcomes, run.recipe.eps.index(eps)) for run in self.runs]
        correct: NDArray[np.bool_] = np.all(found, axis=0)
        return correct

    @property
    def _accuracies(self) -> dict[float, float]:
        return {eps: int(self._correct(eps).sum()) / self.n for eps in self.runs[0].recipe.eps}

    @property
    def robust_accuracy(self) -> float | dict[float, float]:
        """Robust accuracy, 0 to 1: a number for one method and one eps, else eps -> number.

        Of several methods an image counts only where none of them succeeded; ``to_frame`` has each method's own. Where
        the pipeline samples, an image counts only if every kept draw is right (any-of-k).
        """
        found = self._accuracies
        return next(iter(found.values())) if len(found) == len(self.runs) == 1 else found

    @property
    def intervals(self) -> dict[float, tuple[float, float]]:
        """The 95 % confidence interval (Wilson) of the robust accuracy, by eps."""
        return {eps: wilson_interval(int(self._correct(eps).sum()), self.n) for eps in self.runs[0].recipe.eps}

    @property
    def clean_accuracy(self) -> float:
        """Accuracy on the unchanged images, 0 to 1."""
        return self.runs[0].metrics.clean_accuracy

    @property
    def checks(self) -> dict[str, CheckResult]:
        """The checks of whether the numbers are reliable, by name; of several methods the worst result."""
        found: dict[str, CheckResult] = {}
        for one in (check for run in self.runs for check in run.metrics.verdicts):
            if one.check not in found or STATUS_RANKS.index(one.status) > STATUS_RANKS.index(found[one.check].status):
                found[one.check] = one
        return found

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with a row for each method and eps. Raises UsageError where pandas is missing."""
        try:
            import pandas
        except ImportError:
            raise UsageError("to_frame needs pandas: pip install pandas") from None
        return pandas.DataFrame(
            [
                {
                    "method": run.recipe.method,
                    "threat": run.recipe.threat,
                    "norm": run.recipe.norm,
                    "n": run.metrics.n,
                    "clean_accuracy": run.metrics.clean_accuracy,
                    **one.model_dump(include=set(FRAME_COLUMNS)),
                    "accuracy_low": one.accuracy_interval[0],
                    "accuracy_high": one.accuracy_interval[1],
                }
                for run in self.runs
                for one in run.metrics.results
            ]
        )

    def report(self, out: str | Path = "advae-report") -> Path:
        """Write the report that ``advae report`` writes, as a page, Markdown, JSON and CSV; return the page's path.

        out: the folder. Where nothing is stored, the report is made of entries in a temporary folder: the ids that it
        shows are of no registry, and the commands in it cannot be run. Raises UsageError, DiskError.
        """
        from advae.notebooks.temporary_entries import publish_aside
        from advae.report import write_report

        folder = to_path(out)
        if self.registry:
            return write_report(self.registry, [run.manifest for run in self.runs if run.manifest], folder)["html"]
        if self.images is None:
            raise UsageError("an evaluation without images has no report")
        contents = [(run.recipe, run.metrics, run.arrays) for run in self.runs]
        with publish_aside(contents, self.subjects, *self.images) as (registry, runs):
            return write_report(registry, runs, folder)["html"]


FRAME_COLUMNS = (
    *("eps", "accuracy", "attack_success_rate", "linf_max", "l2_mean", "zero_gradient_fraction"),
    *("any_of_k_accuracy", "majority_of_k_accuracy"),
)
"""Fields of a result that are columns of ``to_frame``; the last two only for a pipeline that samples."""
