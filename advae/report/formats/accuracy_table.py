"""The accuracy table: its columns, the same for every format."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from advae.report.analysis.eps_selection import explain_selection, select_eps
from advae.report.analysis.run_results import AccuracyRecord, MeasuredResult
from advae.report.analysis.tables import Findings, NotRun, join_rate
from advae.report.data.runs import Rate
from advae.report.data.word_tables import Cell, Grid
from advae.report.formats.certificate_tables import CERTIFIED, show_certified
from advae.report.wording import NOT_RUN, format_eps, format_p, format_rate, format_share

NOT_VALID_MARK = " not valid"
"""Behind an accuracy under an attack outside its budget."""


@dataclass(frozen=True)
class AccuracyColumn:
    """A column of the accuracy table."""

    title: str
    """Title."""
    text: Callable[[AccuracyRecord], str]
    """Record -> text for people."""
    value: Callable[[AccuracyRecord], float | str | None]
    """Record -> value to sort by; None where there is no number."""
    meaning: str
    """Meaning of its numbers."""

    def read(self, row: AccuracyRecord) -> str:
        """Return a row's cell: a Cell where the column is one of numbers."""
        text, value = self.text(row), self.value(row)
        return text if isinstance(value, str) else Cell(text, value)


def _write_robust(side: MeasuredResult | None) -> str:
    mark = "" if side is None or side.within_budget else NOT_VALID_MARK
    return format_rate(side.robust if side else None) + mark


def _write_p(record: AccuracyRecord) -> str:
    return NOT_RUN if isinstance(record.mcnemar_p, NotRun) else format_p(record.mcnemar_p)


def _name_column(title: str, read: Callable[[AccuracyRecord], str], meaning: str) -> AccuracyColumn:
    return AccuracyColumn(title, read, read, meaning)


def _draw_column(title: str, field: str, meaning: str) -> AccuracyColumn:
    """Return a column on the draws of a pipeline that samples; field: of the share, beside that of its interval."""

    def find_rate(row: AccuracyRecord) -> Rate | None:
        return join_rate(getattr(row, field), getattr(row, f"{field}_interval"))

    return AccuracyColumn(title, lambda row: format_rate(find_rate(row)), lambda row: getattr(row, field), meaning)


DRAW_COLUMNS = (
    _draw_column(
        "one-shot",
        "one_shot_accuracy",
        "robust accuracy by one fresh draw of a pipeline that samples; its robust accuracy is the any-of-k one",
    ),
    _draw_column(
        "any of k",
        "any_of_k_accuracy",
        "share of the images under attack on which all of k = 10 fresh draws are right",
    ),
    _draw_column(
        "majority of k",
        "majority_of_k_accuracy",
        "share of the images under attack on which more of the k draws are right than wrong: a tie counts as wrong",
    ),
    _draw_column("clean, any of k", "clean_any_of_k_accuracy", "the same as any of k, on the unchanged images"),
    _draw_column(
        "clean, majority of k", "clean_majority_of_k_accuracy", "the same as majority of k, on the unchanged images"
    ),
)
"""Columns that are shown where a pipeline samples."""

ACCURACY_COLUMNS = (
    _name_column("dataset", lambda row: row.dataset, "what the images are"),
    _name_column("classifier", lambda row: row.classifier, "nn: network; lr: logistic regression"),
    _name_column("autoencoder", lambda row: row.purifier_name, "kind of the purifier in front"),
    _name_column("attack", lambda row: str(row.attack), "method, and the class it aims at"),
    _name_column("threat", lambda row: row.threat, "what the attacker knows: see the threat models"),
    AccuracyColumn(
        "eps",
        lambda row: format_eps(row.eps, row.norm),
        lambda row: row.eps,
        "budget in the attack's norm, as a share and of 255",
    ),
    AccuracyColumn(
        "clean accuracy, undefended",
        lambda row: format_rate(row.undefended.clean if row.undefended else None),
        lambda row: row.undefended.clean_accuracy if row.undefended else None,
        "accuracy of the undefended classifier on the unchanged images, with its 95 % confidence interval",
    ),
    AccuracyColumn(
        "clean accuracy",
        lambda row: format_rate(row.defended.clean if row.defended else None),
        lambda row: row.defended.clean_accuracy if row.defended else None,
        "accuracy behind the purifier on the unchanged images, with its 95 % confidence interval",
    ),
    AccuracyColumn(
        "robust accuracy, undefended",
        lambda row: _write_robust(row.undefended),
        lambda row: row.undefended.robust_accuracy if row.undefended else None,
        "accuracy of the undefended classifier under attack, with its 95 % confidence interval",
    ),
    AccuracyColumn(
        "robust accuracy",
        lambda row: _write_robust(row.defended),
        lambda row: row.defended.robust_accuracy if row.defended else None,
        "accuracy behind the purifier under attack, with its 95 % confidence interval",
    ),
    AccuracyColumn(
        CERTIFIED,
        lambda row: show_certified(row.certified),
        lambda row: row.certified.accuracy if row.certified else None,
        "share of the images that are classified correctly everywhere within eps, by proof, with its 95 % confidence "
        "interval: the robust accuracy is not below it; n/a where no certificate was made",
    ),
    AccuracyColumn(
        "p-value",
        _write_p,
        lambda row: None if isinstance(row.mcnemar_p, NotRun) else row.mcnemar_p,
        "McNemar's exact test of the difference between defended and undefended, on the same images; below 0.05 the "
        "difference is significant",
    ),
    _name_column("notes", lambda row: "; ".join(row.notes) or "none", "warnings about the number"),
    AccuracyColumn(
        "attack success rate",
        lambda row: format_share(row.attack_success_rate),
        lambda row: row.attack_success_rate,
        "share of the initially correct images that the attack changes",
    ),
    AccuracyColumn(
        "8-bit",
        lambda row: format_share(row.accuracy_8bit),
        lambda row: row.accuracy_8bit,
        "accuracy after the adversarial examples were rounded to 8 bits, as in a file; n/a where it was not measured",
    ),
    AccuracyColumn(
        "target hit",
        lambda row: format_share(row.target_hit_rate),
        lambda row: row.target_hit_rate,
        "share that ended in the class aimed at; n/a for an untargeted attack",
    ),
    AccuracyColumn(
        "linf max",
        lambda row: f"{row.linf_max:.3g}",
        lambda row: row.linf_max,
        "largest change of any pixel, measured on the result",
    ),
    AccuracyColumn(
        "zero gradients",
        lambda row: format_share(row.zero_gradient_fraction),
        lambda row: row.zero_gradient_fraction,
        "share of samples whose first gradient is zero or not finite",
    ),
    AccuracyColumn("n", lambda row: str(row.images), lambda row: row.n, "number of test images"),
    _name_column("run", lambda row: str(row.run), "the id that `advae registry show` takes"),
    *DRAW_COLUMNS,
)


def tabulate_accuracy(records: Iterable[AccuracyRecord]) -> Grid:
    """Return the accuracy table: one row for each run and eps shown that is not merely the counterpart of another."""
    shown = _select_rows(records)
    proved = any(row.certified for row in shown)
    random = any(row.k_draws for row in shown)
    columns = [
        column
        for column in ACCURACY_COLUMNS
        if (proved or column.title != CERTIFIED) and (random or column not in DRAW_COLUMNS)
    ]
    rows = (tuple(column.read(row) for column in columns) for row in shown)
    titles, meanings = zip(*((column.title, column.meaning) for column in columns), strict=True)
    return Grid("Accuracy table", titles, tuple(rows), meanings)


def _select_rows(records: Iterable[AccuracyRecord]) -> list[AccuracyRecord]:
    """Return the records that people are shown: all of a run with few eps, a selection of one with many."""
    every = list(records)
    counterparts = {(row.undefended.run, row.undefended.eps) for row in every if row.defended and row.undefended}
    shown = (row for row in every if (row.run, row.eps) not in counterparts)
    return select_eps(shown, lambda row: (row.run, row.eps, row.robust_accuracy or 0.0))


def explain_rows(findings: Findings, file: str) -> str:
    """Return the sentence that says that tables are a selection of the eps; nothing where they have all."""
    return explain_selection((len(run.recipe.eps) for run in findings.comparison.runs), file)
