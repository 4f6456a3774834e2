"""Confusion matrices and classification reports of the stored predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae.metrics import accuracy, confusion_matrix, report_classes
from advae.report.grids import Cell, Grid, show_count
from advae.report.rows import Comparison
from advae.report.runs import Rate, Run
from advae.report.wording import format_eps, format_rate

if TYPE_CHECKING:
    from advae.records import IntArray


@dataclass(frozen=True)
class Scores:
    """Accuracy, confusion matrix (rows = true class) and scikit-learn's report of one set of predictions.

    eps: None for the clean images. report: as ``classification_report(output_dict=True)`` gives it, the classes by
    their number: one that a user named "accuracy" must not overwrite that key.
    """

    eps: float | None
    rate: Rate
    matrix: tuple[tuple[int, ...], ...]
    report: dict[str, Any]

    @property
    def title(self) -> str:
        what = "Clean" if self.eps is None else f"Attacked, eps {format_eps(self.eps)}"
        return f"{what}: {format_rate(self.rate)} correct"


@dataclass(frozen=True)
class Findings:
    """What every format of the report is made from: the comparison, and each run's scores by its id."""

    comparison: Comparison
    scores: Mapping[str, tuple[Scores, ...]]


MAX_CELLS = 60_000
"""Cells of confusion matrices that a page can hold and stay light; report.json has them all."""


def select_shown(findings: Findings) -> dict[str, tuple[Scores, ...]]:
    """Return the scores that a page shows of each run: all, else clean and largest eps only, else none."""
    choices = (
        findings.scores,
        {id_: (scores[0], max(scores[1:], key=lambda one: one.eps or 0.0)) for id_, scores in findings.scores.items()},
    )
    for choice in choices:
        if sum(len(one.matrix) ** 2 for scores in choice.values() for one in scores) <= MAX_CELLS:
            return dict(choice)
    return dict.fromkeys(findings.scores, ())


def score_runs(comparison: Comparison) -> Findings:
    """Return a comparison with the scores of its runs."""
    return Findings(comparison, {run.id: score_run(run) for run in comparison.runs})


def score_run(run: Run) -> tuple[Scores, ...]:
    """Return the scores of a run's clean predictions, then those under attack at each eps."""
    predictions = zip(
        (None, *run.recipe.eps), (run.outcomes["clean_predictions"], *run.outcomes["predictions"]), strict=True
    )
    return tuple(_score_predictions(run, eps, predicted) for eps, predicted in predictions)


def _score_predictions(run: Run, eps: float | None, predictions: IntArray) -> Scores:
    labels, classes = run.outcomes["labels"], len(run.recipe.dataset.classes)
    matrix = confusion_matrix(labels, predictions, classes)
    share, interval = accuracy(labels, predictions)
    return Scores(eps, Rate(share, *interval), tuple(tuple(row) for row in matrix.tolist()), report_classes(matrix))


REPORT_COLUMNS = ("precision", "recall", "F1", "support")


def tabulate_matrix(run: Run, scores: Scores) -> Grid:
    """Return a confusion matrix as a table: a row for each true class, a column for each predicted one."""
    names = run.recipe.dataset.classes
    rows = ((name, *map(show_count, counts)) for name, counts in zip(names, scores.matrix, strict=True))
    return Grid(f"Confusion matrix, {scores.title}", ("true \\ predicted", *names), tuple(rows))


def tabulate_report(run: Run, scores: Scores) -> Grid:
    """Return scikit-learn's classification report as a table: each class, then the averages."""
    rows = tuple((name, *_write_scores(scores.report[key])) for key, name in name_groups(run).items())
    return Grid(f"Classification report, {scores.title}", ("class", *REPORT_COLUMNS), rows)


def name_groups(run: Run) -> dict[str, str]:
    """Return the names of the groups of samples that a classification report scores, by scikit-learn's key."""
    names = {str(label): name for label, name in enumerate(run.recipe.dataset.classes)}
    return names | {"macro avg": "macro average", "weighted avg": "weighted average"}


def _write_scores(group: dict[str, float]) -> tuple[Cell, ...]:
    shares = (group[key] for key in ("precision", "recall", "f1-score"))
    return *(Cell(f"{value:.3f}", value) for value in shares), Cell(f"{group['support']:.0f}", group["support"])
