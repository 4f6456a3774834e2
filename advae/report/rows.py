"""What a report is made of: rows, pipelines, and the whole comparison, before anything is written about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from advae.metrics import mcnemar
from advae.records import Manifest, Verdict
from advae.report.networks import Network
from advae.report.runs import Measured, Run
from advae.report.threat_models import INPUT_THREATS, place_threat
from advae.report.wording import format_budget
from advae.verdicts import find_full_budget
from advae.verdicts.single import WEAK


@dataclass(frozen=True)
class Row:
    """One run at one eps (``own``) and the same attack without the autoencoder (``undefended``).

    undefended: None where no run fits; for an undefended pipeline it is ``own`` itself. notes: what a reader must
    know before believing the numbers.
    """

    own: Measured
    undefended: Measured | None
    notes: tuple[str, ...] = ()

    @property
    def run(self) -> Run:
        return self.own.run

    @property
    def defended(self) -> Measured | None:
        """The side with an autoencoder, None for an undefended pipeline."""
        return self.own if self.run.defended else None

    @property
    def eps(self) -> float:
        return self.own.result.eps

    @property
    def valid(self) -> bool:
        """Whether it is an attack: inside its budget, and with one above 0."""
        return self.own.result.within_budget and self.eps > 0

    @cached_property
    def p_value(self) -> float | None:
        """McNemar's exact p of with against without on the same samples; None where there is no such pair."""
        if self.defended is None or self.undefended is None:
            return None
        return mcnemar(self.defended.right, self.undefended.right)


@dataclass(frozen=True)
class Pipeline:
    """One classifier with what stands in front of it, and every row that was measured on it.

    undefended: runs on the same samples of classifiers of the same kind without purifier, the likest first; none for
    a pipeline that is one itself. verdicts: one for each of CHECKS, on ``subject``.
    """

    runs: tuple[Run, ...]
    rows: tuple[Row, ...]
    undefended: tuple[Run, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    @property
    def first(self) -> Run:
        return self.runs[0]

    @property
    def id(self) -> str:
        return self.first.classifier.id

    @property
    def subject(self) -> Row | None:
        """The row that verdicts are about: what the strongest adaptive attack leaves."""
        return self.find_strongest(["adaptive"])

    @property
    def failures(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.status == "FAIL"]

    @property
    def doubt(self) -> str | None:
        """Why its robustness is not established at the eps of the strongest attack on its images, None where it is."""
        strongest = self.find_strongest(INPUT_THREATS)
        return self.find_doubt(strongest) if strongest else "no valid attack on its images was run"

    def find_doubt(self, row: Row) -> str | None:
        """Return why robustness is not established at a row's eps, None where an adaptive attack was run that can be.

        What an attack in another norm leaves says nothing here.
        """
        norm, eps = row.run.recipe.norm, row.eps
        adaptive = [
            other for other in self.list_valid(["adaptive"]) if other.run.recipe.norm == norm and other.eps >= eps
        ]
        if not adaptive:
            return f"no valid adaptive run at eps {format_budget(eps, norm)} or more"
        if all(row.own.result.zero_gradient_fraction > WEAK for row in adaptive):
            return "the adaptive run had no usable gradient for too many samples"
        return None

    def find_strongest(self, threats: Iterable[str]) -> Row | None:
        """Return the valid row of these threats with the lowest accuracy, at the smallest eps that reaches it.

        A budget that reaches every image says whether the attack works, not what is left: it counts where there is no
        other.
        """
        valid = self.list_valid(threats)
        limited = [row for row in valid if row.eps < find_full_budget(row.run.recipe)]
        return min(limited or valid, key=lambda row: (row.own.result.accuracy, row.eps), default=None)

    def list_valid(self, threats: Iterable[str]) -> list[Row]:
        """Return the valid rows of these threats."""
        wanted = set(threats)
        return [row for row in self.rows if row.run.recipe.threat in wanted and row.valid]


@dataclass(frozen=True)
class Comparison:
    """Everything that a report shows.

    networks: the distinct trained entries that have a loss history or images to show, those that no run rests on last.
    reproduction: whether it is the paper's experiment, so that all that the paper prints stands beside it.
    """

    runs: tuple[Run, ...]
    rows: tuple[Row, ...]
    pipelines: tuple[Pipeline, ...]
    networks: tuple[Network, ...]
    reproduction: bool = False

    @property
    def table_rows(self) -> tuple[Row, ...]:
        """All rows but those of undefended runs that another row already shows as its counterpart."""
        shown = {(row.undefended.run.id, row.eps) for row in self.rows if row.defended and row.undefended}
        return tuple(row for row in self.rows if (row.run.id, row.eps) not in shown)

    @property
    def threats(self) -> tuple[str, ...]:
        """The threat models of the runs, strongest first."""
        return tuple(sorted({run.recipe.threat for run in self.runs}, key=place_threat))

    @property
    def headlines(self) -> tuple[Pipeline, ...]:
        """The pipelines that are worth a headline: all that are not merely the counterpart of another one."""
        ids = {row.run.classifier.id for row in self.table_rows}
        return tuple(pipeline for pipeline in self.pipelines if pipeline.id in ids)


def list_runs_of(rows: Iterable[Row]) -> Iterator[Run]:
    """Yield each distinct run of the rows once, a row's counterpart before its own run."""
    seen: set[str] = set()
    for row in rows:
        for measured in (row.undefended, row.own):
            if measured and measured.run.id not in seen:
                seen.add(measured.run.id)
                yield measured.run


def list_parents(run: Run) -> list[Manifest]:
    """Return the trained entries that a run rests on, each after those that it needs itself."""
    return [entry for entry in (run.autoencoder, run.twin, run.surrogate, run.classifier) if entry]
