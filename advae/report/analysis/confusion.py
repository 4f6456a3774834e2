"""Confusion matrices and classification reports of the stored predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from advae.metrics import accuracy, count_confusions, report_classes
from advae.report.analysis.eps_selection import MANY_EPS
from advae.report.analysis.tables import CsvLine, Findings, Table, TableRecord
from advae.report.data.contents import Comparison
from advae.report.data.runs import Rate, Run
from advae.report.data.word_tables import Cell, Grid, show_count, show_percentage
from advae.report.wording import format_eps, format_rate

if TYPE_CHECKING:
    from advae.records import IntArray


@dataclass(frozen=True)
class Scores:
    """Accuracy, confusion matrix and scikit-learn's report of one set of predictions."""

    eps: float | None
    """Eps of the attack; None for the clean images."""
    rate: Rate
    """Accuracy."""
    classes: int
    """Number of classes."""
    confusions: tuple[tuple[int, int, int], ...]
    """Counts above 0 as (true class, predicted class, count)."""
    report: dict[str, Any]
    """``classification_report(output_dict=True)`` with class numbers as keys, so that no class name clashes."""
    one_of: int = 1
    """Number of eps of the run."""

    @property
    def is_sparse(self) -> bool:
        """Whether programs are told only what is above 0 of the matrix: of many classes, or at many eps."""
        return self.is_large or self.one_of > MANY_EPS

    @property
    def is_large(self) -> bool:
        """Whether there are so many classes that only what is above 0 of the matrix is kept, and its ends are shown."""
        return self.classes > MANY_CLASSES

    @property
    def cells(self) -> int:
        """How many counts people are shown."""
        return 2 * MOST_SHOWN if self.is_large else self.classes**2

    @property
    def matrix(self) -> tuple[tuple[int, ...], ...]:
        """The confusion matrix, a row for each true class; not for many classes."""
        rows = [[0] * self.classes for _ in range(self.classes)]
        for true, predicted, count in self.confusions:
            rows[true][predicted] = count
        return tuple(map(tuple, rows))

    @property
    def title(self) -> str:
        what = "Clean accuracy" if self.eps is None else f"Robust accuracy, eps {format_eps(self.eps)}"
        return f"{what}: {format_rate(self.rate)}"


MANY_CLASSES = 100
"""From more classes on, a matrix is a list of what is above 0: of a thousand classes it has a million cells."""

MOST_SHOWN = 20
"""Mistakes and classes that people are shown of so many."""

MAX_CELLS = 60_000
"""Cells of confusion matrices that a page can hold and stay light; report.json has them all."""


def select_shown(findings: Findings) -> dict[str, tuple[Scores, ...]]:
    """Return the scores that a page shows of each run: all of few eps, else clean and largest eps only, else none."""
    ends = {
        id_: (scores[0], max(scores[1:], key=lambda one: one.eps or 0.0)) for id_, scores in findings.scores.items()
    }
    all_of_few = {id_: ends[id_] if scores[0].one_of > MANY_EPS else scores for id_, scores in findings.scores.items()}
    for choice in (all_of_few, ends):
        if sum(one.cells for scores in choice.values() for one in scores) <= MAX_CELLS:
            return dict(choice)
    return dict.fromkeys(findings.scores, ())


def score_runs(comparison: Comparison, sections: Mapping[str, Table] | None = None) -> Findings:
    """Return a comparison with the scores of its runs, and with the sections that the caller hands to the report."""
    return Findings(comparison, {run.id: score_run(run) for run in comparison.runs}, sections or {})


def score_run(run: Run) -> tuple[Scores, ...]:
    """Return the scores of a run's clean predictions, then those under attack at each eps."""
    predictions = zip(
        (None, *run.recipe.eps), (run.outcomes["clean_predictions"], *run.outcomes["predictions"]), strict=True
    )
    return tuple(_score_predictions(run, eps, predicted) for eps, predicted in predictions)


def _score_predictions(run: Run, eps: float | None, predictions: IntArray) -> Scores:
    labels, classes = run.outcomes["labels"], len(run.recipe.dataset.classes)
    (share, interval), found = accuracy(labels, predictions), count_confusions(labels, predictions)
    report = report_classes(labels, predictions, classes)
    return Scores(eps, Rate(share, *interval), classes, found, report, len(run.recipe.eps))


MISTAKES = ("true class", "predicted class", "images", "share of the class")
REPORT_COLUMNS = ("precision", "recall", "F1", "support")


def tabulate_matrix(run: Run, scores: Scores) -> Grid:
    """Return a confusion matrix as a table: a row for each true class, a column for each predicted one.

    Of many classes, the mistakes that were made most often.
    """
    names = run.recipe.dataset.classes
    if scores.is_large:
        return _tabulate_mistakes(names, scores)
    rows = ((name, *map(show_count, counts)) for name, counts in zip(names, scores.matrix, strict=True))
    return Grid(f"Confusion matrix, {scores.title}", ("true \\ predicted", *names), tuple(rows))


def _tabulate_mistakes(names: Sequence[str], scores: Scores) -> Grid:
    """Return the mistakes that were made most often, with the share of the class's images."""
    wrong = [found for found in scores.confusions if found[0] != found[1]]
    shown = sorted(wrong, key=lambda found: (-found[2], found))[:MOST_SHOWN]
    rows = (
        (names[true], names[predicted], show_count(count), show_percentage(count / scores.report[str(true)]["support"]))
        for true, predicted, count in shown
    )
    return Grid(f"Most frequent mistakes, {scores.title}", MISTAKES, tuple(rows))


def tabulate_report(run: Run, scores: Scores) -> Grid:
    """Return scikit-learn's classification report as a table: each class, of many the worst, then the averages."""
    names = name_groups(run)
    if scores.is_large:
        worst = sorted(range(scores.classes), key=lambda label: scores.report[str(label)]["f1-score"])[:MOST_SHOWN]
        names = {key: name for key, name in names.items() if not key.isdigit() or int(key) in worst}
    rows = tuple((name, *_write_scores(scores.report[key])) for key, name in names.items())
    return Grid(f"Classification report, {scores.title}", ("class", *REPORT_COLUMNS), rows)


def name_groups(run: Run) -> dict[str, str]:
    """Return the names of the groups of samples that a classification report scores, by scikit-learn's key."""
    names = {str(label): name for label, name in enumerate(run.recipe.dataset.classes)}
    return names | {"macro avg": "macro average", "weighted avg": "weighted average"}


def _write_scores(group: dict[str, float]) -> tuple[Cell, ...]:
    shares = (group[key] for key in ("precision", "recall", "f1-score"))
    return *(Cell(f"{value:.3f}", value) for value in shares), Cell(f"{group['support']:.0f}", group["support"])


# ---------------------------------------------------------------- for programs


class GroupScores(TableRecord):
    """The scores of the samples of one class, or their average over classes."""

    precision: float
    """Share of the images predicted as the class that are of it, 0 to 1; 0 where none was."""
    recall: float
    """Share of the class's images that are predicted as it, 0 to 1; 0 where there is none."""
    f1: float = Field(serialization_alias="f1-score")
    """Harmonic mean of precision and recall, 0 to 1."""
    support: float
    """Number of images of the class."""


class ScoresRecord(TableRecord):
    """The predictions of one run at one eps, by class."""

    eps: float | None
    """The budget of the attack, in units of an image's range; null for the unchanged images."""
    confusion_matrix: tuple[tuple[int, ...], ...] | None
    """Number of images by true label (outer) and predicted label (inner); null for more than 100 classes, which have
    confusion_counts."""
    confusion_counts: tuple[tuple[int, int, int], ...] | None = Field(default=None, exclude_if=lambda one: one is None)
    """What the confusion matrix of more than 100 classes has above 0: true label, predicted label, number of images;
    absent for fewer classes."""
    classification_report: dict[str, GroupScores | float]
    """scikit-learn's report: the scores of each label by its number, their averages `macro avg` and `weighted avg`,
    and `accuracy`."""


def describe_scores(scores: Scores) -> ScoresRecord:
    """Return the record of the predictions of one run at one eps."""
    report = {
        key: GroupScores(f1=group["f1-score"], **{name: group[name] for name in ("precision", "recall", "support")})
        if isinstance(group, dict)
        else group
        for key, group in scores.report.items()
    }
    return ScoresRecord(
        eps=scores.eps,
        confusion_matrix=None if scores.is_sparse else scores.matrix,
        confusion_counts=scores.confusions if scores.is_sparse else None,
        classification_report=report,
    )


def list_matrix_lines(findings: Findings) -> Iterator[CsvLine]:
    """Yield a line for each run, eps (None: the unchanged images), true class and predicted class.

    Of many classes, or at many eps, for those above 0.
    """
    for run in findings.comparison.runs:
        names = run.recipe.dataset.classes
        for scores in findings.scores[run.id]:
            for label, predicted, count in scores.confusions if scores.is_sparse else _list_cells(scores.matrix):
                yield {
                    "run": run.id,
                    "eps": scores.eps,
                    "true_label": label,
                    "true_class": names[label],
                    "predicted_label": predicted,
                    "predicted_class": names[predicted],
                    "count": count,
                }


def _list_cells(matrix: Iterable[Iterable[int]]) -> Iterator[tuple[int, int, int]]:
    for label, counts in enumerate(matrix):
        yield from ((label, predicted, count) for predicted, count in enumerate(counts))


def list_score_lines(findings: Findings) -> Iterator[CsvLine]:
    """Yield a line for each run, eps (None: the unchanged images) and class, then the averages, without a label."""
    for run in findings.comparison.runs:
        names = name_groups(run)
        for scores in findings.scores[run.id]:
            for key, name in names.items():
                group = scores.report[key]
                yield {
                    "run": run.id,
                    "eps": scores.eps,
                    "label": int(key) if key.isdigit() else None,
                    "class": name,
                    "precision": group["precision"],
                    "recall": group["recall"],
                    "f1": group["f1-score"],
                    "support": int(group["support"]),
                }
