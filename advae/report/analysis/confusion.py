"""Confusion matrices and classification reports of the stored predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from advae.metrics import count_confusions, report_classes
from advae.report.analysis.eps_selection import MANY_EPS
from advae.report.analysis.tables import CsvLine, Findings, TableRecord
from advae.report.data.runs import Measured, Run
from advae.report.data.word_tables import Cell, Grid, show_count, show_percentage
from advae.report.wording import format_eps, format_rate

if TYPE_CHECKING:
    from advae.records import IntArray

MANY_CLASSES = 100
"""From more classes on, a matrix is a list of what is above 0: of a thousand classes it has a million cells."""

MOST_SHOWN = 20
"""Mistakes and classes that people are shown of so many."""

MAX_CELLS = 60_000
"""Cells of confusion matrices that a page can hold and stay light; report.json has them all."""


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

    @property
    def groups(self) -> dict[str, GroupScores]:
        """The report without the accuracy."""
        return {key: one for key, one in self.classification_report.items() if isinstance(one, GroupScores)}

    @property
    def classes(self) -> int:
        return sum(key.isdigit() for key in self.classification_report)

    @property
    def is_large(self) -> bool:
        """Whether there are so many classes that people are shown only the ends of the matrix."""
        return self.classes > MANY_CLASSES

    @property
    def cells(self) -> int:
        """How many counts people are shown."""
        return 2 * MOST_SHOWN if self.is_large else self.classes**2

    @property
    def matrix(self) -> tuple[tuple[int, ...], ...]:
        """The confusion matrix, a row for each true class; not for many classes."""
        return self.confusion_matrix or fill_matrix(self.confusion_counts or (), self.classes)


def fill_matrix(counts: Iterable[tuple[int, int, int]], classes: int) -> tuple[tuple[int, ...], ...]:
    """Return a confusion matrix of counts (true class, predicted class, count)."""
    rows = [[0] * classes for _ in range(classes)]
    for true, predicted, count in counts:
        rows[true][predicted] = count
    return tuple(map(tuple, rows))


def score_runs(findings: Findings) -> dict[str, tuple[ScoresRecord, ...]]:
    """Return the scores of each run by its id: of its clean predictions, then under attack at each eps."""
    return dict(findings.collect(_score_runs))


def _score_runs(findings: Findings) -> Iterator[tuple[str, tuple[ScoresRecord, ...]]]:
    for run in findings.comparison.runs:
        predictions = (run.outcomes["clean_predictions"], *run.outcomes["predictions"])
        scored = (_score(run, eps, found) for eps, found in zip((None, *run.recipe.eps), predictions, strict=True))
        yield run.id, tuple(scored)


def _score(run: Run, eps: float | None, predictions: IntArray) -> ScoresRecord:
    labels, classes = run.outcomes["labels"], len(run.recipe.dataset.classes)
    counts, sparse = count_confusions(labels, predictions), classes > MANY_CLASSES or len(run.recipe.eps) > MANY_EPS
    report = {
        key: GroupScores(f1=group.pop("f1-score"), **group) if isinstance(group, dict) else group
        for key, group in report_classes(labels, predictions, classes).items()
    }
    return ScoresRecord(
        eps=eps,
        confusion_matrix=None if sparse else fill_matrix(counts, classes),
        confusion_counts=counts if sparse else None,
        classification_report=report,
    )


def select_shown(findings: Findings) -> dict[str, tuple[ScoresRecord, ...]]:
    """Return the scores that a page shows of each run: all of few eps, else clean and largest eps only, else none."""
    every = score_runs(findings)
    ends: dict[str, tuple[ScoresRecord, ...]] = {
        id_: (scores[0], max(scores[1:], key=lambda one: one.eps or 0.0)) for id_, scores in every.items()
    }
    all_of_few = {id_: scores if len(scores) <= MANY_EPS + 1 else ends[id_] for id_, scores in every.items()}
    for choice in (all_of_few, ends):
        if sum(one.cells for scores in choice.values() for one in scores) <= MAX_CELLS:
            return choice
    return dict.fromkeys(every, ())


# ---------------------------------------------------------------- for people


def title_scores(run: Run, scores: ScoresRecord) -> str:
    """Return the accuracy that scores are the details of, in words."""
    if scores.eps is None:
        return f"Clean accuracy: {format_rate(run.clean)}"
    rate = Measured(run, run.recipe.eps.index(scores.eps)).one_shot
    return f"Robust accuracy, eps {format_eps(scores.eps)}: {format_rate(rate)}"


MATRIX_NAME = "Confusion matrix"
MISTAKES = ("true class", "predicted class", "images", "share of the class")
REPORT_COLUMNS = ("precision", "recall", "F1", "support")


def tabulate_matrix(run: Run, scores: ScoresRecord) -> Grid:
    """Return a confusion matrix as a table: a row for each true class, a column for each predicted one.

    Of many classes, the mistakes that were made most often.
    """
    names = run.recipe.dataset.classes
    if scores.is_large:
        mistakes = tuple(_list_mistakes(names, scores))
        return Grid(f"Most frequent mistakes, {title_scores(run, scores)}", MISTAKES, mistakes)
    rows = ((name, *map(show_count, counts)) for name, counts in zip(names, scores.matrix, strict=True))
    return Grid(f"{MATRIX_NAME}, {title_scores(run, scores)}", ("true \\ predicted", *names), tuple(rows))


def _list_mistakes(names: Sequence[str], scores: ScoresRecord) -> Iterator[tuple[str, ...]]:
    """Yield the mistakes that were made most often, with the share of the class's images."""
    wrong = [found for found in scores.confusion_counts or () if found[0] != found[1]]
    for true, predicted, count in sorted(wrong, key=lambda found: (-found[2], found))[:MOST_SHOWN]:
        share = count / scores.groups[str(true)].support
        yield names[true], names[predicted], show_count(count), show_percentage(share)


def tabulate_report(run: Run, scores: ScoresRecord) -> Grid:
    """Return scikit-learn's classification report as a table: each class, of many the worst, then the averages."""
    names = name_groups(run)
    groups = scores.groups
    if scores.is_large:
        worst = sorted(range(scores.classes), key=lambda label: groups[str(label)].f1)[:MOST_SHOWN]
        names = {key: name for key, name in names.items() if not key.isdigit() or int(key) in worst}
    rows = tuple((name, *_write_scores(groups[key])) for key, name in names.items())
    return Grid(f"Classification report, {title_scores(run, scores)}", ("class", *REPORT_COLUMNS), rows)


def name_groups(run: Run) -> dict[str, str]:
    """Return the names of the groups of samples that a classification report scores, by scikit-learn's key."""
    names = {str(label): name for label, name in enumerate(run.recipe.dataset.classes)}
    return names | {"macro avg": "macro average", "weighted avg": "weighted average"}


def _write_scores(group: GroupScores) -> tuple[Cell, ...]:
    shares = (Cell(f"{value:.3f}", value) for value in (group.precision, group.recall, group.f1))
    return *shares, Cell(f"{group.support:.0f}", group.support)


# ---------------------------------------------------------------- for programs


def list_matrix_lines(findings: Findings) -> Iterator[CsvLine]:
    """Yield a line for each run, eps (None: the unchanged images), true class and predicted class.

    Of many classes, or at many eps, for those above 0.
    """
    for run in findings.comparison.runs:
        names = run.recipe.dataset.classes
        for scores in score_runs(findings)[run.id]:
            for label, predicted, count in scores.confusion_counts or _list_cells(scores.matrix):
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
        for scores in score_runs(findings)[run.id]:
            for key, group in scores.groups.items():
                yield {
                    "run": run.id,
                    "eps": scores.eps,
                    "label": int(key) if key.isdigit() else None,
                    "class": names[key],
                    "precision": group.precision,
                    "recall": group.recall,
                    "f1": group.f1,
                    "support": int(group.support),
                }
