"""The accuracy table: its columns, the same for every format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from advae.report.analysis.eps_selection import explain_selection, select_eps
from advae.report.data.contents import Comparison, Row
from advae.report.data.runs import Measured
from advae.report.data.word_tables import Cell, Grid
from advae.report.wording import NOT_RUN, format_eps, format_p, format_rate, format_share, name_attack, name_autoencoder


@dataclass(frozen=True)
class AccuracyColumn:
    """A column of the accuracy table. text: for people; value: what it sorts by, None where there is no number."""

    title: str
    text: Callable[[Row], str]
    value: Callable[[Row], float | str | None]
    explanation: str

    def read(self, row: Row) -> str:
        """Return a row's cell: a Cell where the column is one of numbers."""
        text, value = self.text(row), self.value(row)
        return text if isinstance(value, str) else Cell(text, value)


def _read_clean(side: Measured | None) -> float | None:
    return side.run.metrics.clean_accuracy if side else None


def _read_attacked(side: Measured | None) -> float | None:
    return side.result.accuracy if side else None


def _write_clean(side: Measured | None) -> str:
    return format_rate(side.run.clean if side else None)


def _write_attacked(side: Measured | None) -> str:
    mark = "" if side is None or side.result.within_budget else " not valid"
    return format_rate(side.attacked if side else None) + mark


def _write_p(row: Row) -> str:
    return NOT_RUN if row.defended and row.undefended is None else format_p(row.p_value)


def _name_column(title: str, read: Callable[[Row], str], explanation: str) -> AccuracyColumn:
    return AccuracyColumn(title, read, read, explanation)


ACCURACY_COLUMNS = (
    _name_column("dataset", lambda row: row.run.dataset, "what the images are"),
    _name_column("classifier", lambda row: row.run.classifier_recipe.model, "nn: network; lr: logistic regression"),
    _name_column("autoencoder", lambda row: name_autoencoder(row.run), "kind of the purifier in front"),
    _name_column("attack", lambda row: name_attack(row.run), "method, and the class it aims at"),
    _name_column("threat", lambda row: row.run.recipe.threat, "what the attacker knows: see the threat models"),
    AccuracyColumn(
        "eps",
        lambda row: format_eps(row.eps, row.recipe.norm),
        lambda row: row.eps,
        "budget in the attack's norm, as a share and of 255",
    ),
    AccuracyColumn(
        "clean accuracy, undefended",
        lambda row: _write_clean(row.undefended),
        lambda row: _read_clean(row.undefended),
        "accuracy on the unchanged images without the autoencoder, with its 95 % interval",
    ),
    AccuracyColumn(
        "clean accuracy",
        lambda row: _write_clean(row.defended),
        lambda row: _read_clean(row.defended),
        "accuracy on the unchanged images behind the autoencoder, with its 95 % interval",
    ),
    AccuracyColumn(
        "robust accuracy, undefended",
        lambda row: _write_attacked(row.undefended),
        lambda row: _read_attacked(row.undefended),
        "accuracy under attack without the autoencoder, with its 95 % interval",
    ),
    AccuracyColumn(
        "robust accuracy",
        lambda row: _write_attacked(row.defended),
        lambda row: _read_attacked(row.defended),
        "accuracy under attack behind the autoencoder, with its 95 % interval",
    ),
    AccuracyColumn(
        "p-value",
        _write_p,
        lambda row: row.p_value,
        "how likely so large a difference between with and without is by accident: McNemar's exact test on the same "
        "images; below 0.05 it is no accident",
    ),
    _name_column("notes", lambda row: "; ".join(row.notes) or "none", "warnings about the number"),
    AccuracyColumn(
        "attack success rate",
        lambda row: format_share(row.own.result.attack_success_rate),
        lambda row: row.own.result.attack_success_rate,
        "share of the initially correct images that the attack changes",
    ),
    AccuracyColumn(
        "8-bit",
        lambda row: format_share(row.own.result.accuracy_8bit),
        lambda row: row.own.result.accuracy_8bit,
        "accuracy after the attacked images were rounded to 8 bits, as a file would; n/a where it was not measured",
    ),
    AccuracyColumn(
        "target hit",
        lambda row: format_share(row.own.result.target_hit_rate),
        lambda row: row.own.result.target_hit_rate,
        "share that ended in the class aimed at; n/a for an untargeted attack",
    ),
    AccuracyColumn(
        "linf max",
        lambda row: f"{row.own.result.linf_max:.3g}",
        lambda row: row.own.result.linf_max,
        "largest change of any pixel, measured on the result",
    ),
    AccuracyColumn(
        "zero gradients",
        lambda row: format_share(row.own.result.zero_gradient_fraction),
        lambda row: row.own.result.zero_gradient_fraction,
        "share of samples whose first gradient is zero or not finite",
    ),
    AccuracyColumn("n", lambda row: row.run.size, lambda row: row.run.metrics.n, "number of test images"),
    _name_column("run", lambda row: row.run.id, "the id that `advae registry show` takes"),
)


def tabulate_accuracy(comparison: Comparison) -> Grid:
    """Return the accuracy table: one row for each run and eps shown that is not merely the counterpart of another."""
    rows = (tuple(column.read(row) for column in ACCURACY_COLUMNS) for row in select_rows(comparison))
    return Grid("Accuracy table", tuple(column.title for column in ACCURACY_COLUMNS), tuple(rows))


def select_rows(comparison: Comparison) -> list[Row]:
    """Return the rows that people are shown: all of a run with few eps, a selection of one with many."""
    return select_eps(comparison.table_rows, lambda row: (row.id, row.eps, row.accuracy))


def explain_rows(comparison: Comparison, file: str) -> str:
    """Return the sentence that says that tables are a selection of the eps; nothing where they have all."""
    return explain_selection((len(run.recipe.eps) for run in comparison.runs), file)


def is_valid(row: Row) -> bool:
    """Whether both sides of a row stayed inside the budget."""
    return all(side.result.within_budget for side in (row.own, row.undefended) if side)
