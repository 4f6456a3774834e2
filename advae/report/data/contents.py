"""What a report is made of: rows, pipelines, and the whole comparison, before anything is written about them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from advae.checks import ProvedImages, find_full_budget, find_strongest, rank_strength
from advae.checks.decision_surfaces import DrawnSurface
from advae.checks.single_run import WEAK_GRADIENTS
from advae.checks.strongest import find_most
from advae.metrics import mcnemar
from advae.records import CheckResult, Manifest, Norm, key_eps
from advae.report.data.code_attack_reader import SteeredCode
from advae.report.data.runs import Measured, Run, StoredPipeline
from advae.report.data.threat_models import INPUT_THREATS, place_threat
from advae.report.data.trained import Network
from advae.report.wording import format_budget

Terms = tuple[Norm, float, str]
"""Norm, key of the eps, and set of samples: what two numbers must share before one is set beside the other."""


@dataclass(frozen=True)
class Row(Measured):
    """One run at one eps, and the same attack on the undefended classifier."""

    undefended: Measured | None
    """Its undefended counterpart; None where no run fits; its own result for an undefended pipeline."""
    notes: tuple[str, ...] = ()
    """Warnings to read before using the numbers."""

    @property
    def defended(self) -> bool:
        """Whether there is a purifier."""
        return self.run.defended

    @property
    def valid(self) -> bool:
        """Whether it is an attack: inside its budget, and with one above 0."""
        return self.result.within_budget and self.eps > 0

    @property
    def terms(self) -> Terms:
        """What the row's number must share with another before one is set beside the other."""
        return self.recipe.norm, key_eps(self.eps), self.sample_key

    @cached_property
    def p_value(self) -> float | None:
        """McNemar's exact p of with against without on the same samples; None where there is no such pair."""
        return mcnemar(self.right, self.undefended.right) if self.defended and self.undefended else None


@dataclass(frozen=True)
class CheckedRow:
    """The check results on the strongest adaptive attack."""

    subject: Row
    """Row that was checked."""
    checks: tuple[CheckResult, ...]
    """One result for each of CHECKS."""


@dataclass(frozen=True)
class AttackedPipeline:
    """One classifier with its purifier, if any, and every row that was measured on it."""

    runs: tuple[Run, ...]
    """Its runs."""
    rows: tuple[Row, ...]
    """Its rows: each run at each eps."""
    undefended: tuple[Run, ...] = ()
    """Undefended runs on the same samples and kind of classifier, most similar first; empty if undefended itself."""
    subject: Row | None = None
    """Row of the headline number: strongest adaptive attack, on ``shared`` where possible; None without a valid one."""
    shared: Terms | None = None
    """Terms on which the pipelines of its kind are compared; None where there are none."""
    checks: tuple[CheckResult, ...] = ()
    """Result of each of CHECKS on ``subject``."""
    other_norms: tuple[CheckedRow, ...] = ()
    """The same of every other norm."""
    asked: tuple[str, ...] = ()
    """Ids of the runs that a user asked for, which come first among equals."""

    @property
    def first(self) -> Run:
        return self.runs[0]

    @property
    def id(self) -> str:
        return self.first.classifier.id

    @property
    def certificates(self) -> tuple[ProvedImages, ...]:
        """The certificates of its classifier."""
        return self.first.certificates

    @property
    def collapsed(self) -> bool:
        """Whether it predicts one class whatever the image."""
        return any(run.collapsed for run in self.runs)

    @property
    def imported(self) -> tuple[str, ...]:
        """Ids of what came from a bundle, of the classifier and of its purifier."""
        entries = (self.first.classifier, self.first.autoencoder)
        return tuple(entry.id for entry in entries if entry and entry.imported)

    @property
    def checked(self) -> tuple[CheckedRow, ...]:
        """Its results in every norm, those on the headline number first; none without a valid adaptive run."""
        return (CheckedRow(self.subject, self.checks), *self.other_norms) if self.subject else ()

    @property
    def failures(self) -> list[CheckResult]:
        """The failed checks of the headline number."""
        return [result for result in self.checks if result.status == "FAIL"]

    @property
    def doubt(self) -> str | None:
        """Why its robustness is not established, None where it is.

        That takes an adaptive attack at the eps of the strongest attack on its images, and one at the headline's.
        """
        strongest = self.find_strongest(INPUT_THREATS)
        if strongest is None:
            return "no valid attack on its images was run"
        found = self.find_doubt(strongest) or (self.find_doubt(self.subject) if self.subject else None)
        if found is None and self.subject and self.subject.result.zero_gradient_fraction > WEAK_GRADIENTS:
            return "this adaptive run had no usable gradient for too many samples"
        return found

    def find_doubt(self, row: Row) -> str | None:
        """Return why robustness is not established at a row's eps, None where an adaptive attack was run that can be.

        Attacks in another norm do not count here, and of gradients those on the most samples count.
        """
        norm = row.recipe.norm
        every, stuck = self._adaptive.get(norm, ([], []))
        place = bisect_left(every, key_eps(row.eps))
        if place == len(every):
            return f"no valid adaptive run at eps {format_budget(row.eps, norm)} or more"
        return "the adaptive run had no usable gradient for too many samples" if stuck[place] else None

    @cached_property
    def _adaptive(self) -> dict[Norm, tuple[list[float], list[bool]]]:
        """Return for each norm the keys of all eps of valid adaptive rows, ascending, and whether from there on none
        of those on the most samples had a usable gradient. Put together once: rows may be thousands.
        """
        found: dict[Norm, tuple[list[float], list[bool]]] = {}
        groups: dict[Norm, dict[str, list[Row]]] = {}
        usable: set[tuple[Norm, str]] = set()
        for row in sorted(self.list_valid(["adaptive"]), key=lambda row: -key_eps(row.eps)):
            norm, eps = row.recipe.norm, key_eps(row.eps)
            groups.setdefault(norm, {}).setdefault(row.sample_key, []).append(row)
            if row.result.zero_gradient_fraction <= WEAK_GRADIENTS:
                usable.add((norm, row.sample_key))
            every, stuck = found.setdefault(norm, ([], []))
            is_stuck = (norm, find_most(groups[norm])) not in usable
            if every and every[0] == eps:
                stuck[0] = is_stuck
            else:
                every.insert(0, eps)
                stuck.insert(0, is_stuck)
        return found

    def find_strongest(self, threats: Iterable[str], norm: Norm | None = None) -> Row | None:
        """Return the strongest valid row of these threats in a norm, by default linf, else L2.

        A budget that reaches every image tests the attack, not the defence: it counts only where there is no other.
        """
        valid = self.list_valid(threats)
        limited = [row for row in valid if key_eps(row.eps) < find_full_budget(row.recipe)] or valid
        norms = {row.recipe.norm for row in limited}
        wanted = norm or ("linf" if "linf" in norms else "l2")
        return find_strongest([row for row in limited if row.recipe.norm == wanted], self.asked)

    def find_worst(self, threat: str) -> dict[Terms, Row]:
        """Return the strongest valid row of a threat model, for each norm, eps and set of samples."""
        worst: dict[Terms, Row] = {}
        for row in sorted(self.list_valid([threat]), key=lambda row: rank_strength(row, self.asked)):
            worst.setdefault(row.terms, row)
        return worst

    def list_valid(self, threats: Iterable[str]) -> list[Row]:
        """Return the valid rows of these threats."""
        wanted = set(threats)
        return [row for row in self.rows if row.recipe.threat in wanted and row.valid]


@dataclass(frozen=True)
class Comparison:
    """Everything that a report shows."""

    runs: tuple[Run, ...]
    """The runs."""
    rows: tuple[Row, ...]
    """Each run at each eps."""
    pipelines: tuple[AttackedPipeline, ...]
    """The pipelines, in the order of the report."""
    networks: tuple[Network, ...]
    """Distinct trained entries that have a loss history or images; those that no run depends on are last."""
    plan: str | None = None
    """The plan, a name of PLANS, whose cells these are; None for another plan, and for a report of a registry."""
    about: str | None = None
    """What the plan says that it does; None where it says nothing, and for a report of a registry."""
    excluded: Mapping[str, str] = field(default_factory=dict)
    """Id of an entry that could not be read or that contradicts itself -> why."""
    unattacked: tuple[StoredPipeline, ...] = ()
    """Pipelines with certificates and without a run, in a fixed order."""
    surfaces: tuple[tuple[StoredPipeline, DrawnSurface], ...] = ()
    """Decision surfaces with their pipelines, in a fixed order; the pipelines may have no run."""
    code_attacks: tuple[SteeredCode, ...] = ()
    """Attacks on the codes of autoencoders, in a fixed order; no classifier takes part in them."""

    @property
    def datasets(self) -> list[str]:
        """The names of the datasets, in alphabetical order."""
        pipelines: tuple[StoredPipeline, ...] = (*self.runs, *self.unattacked)
        return sorted({one.dataset for one in pipelines} | {attack.dataset for attack in self.code_attacks})

    @property
    def proofs(self) -> tuple[tuple[StoredPipeline, ProvedImages], ...]:
        """Each certificate with its pipeline, those of attacked pipelines first."""
        stored = (*(pipeline.first for pipeline in self.pipelines), *self.unattacked)
        return tuple((one, certificate) for one in stored for certificate in one.certificates)

    @property
    def certificates(self) -> tuple[ProvedImages, ...]:
        """The certificates of its pipelines."""
        return tuple(certificate for _, certificate in self.proofs)

    @property
    def imported(self) -> bool:
        """Whether anything came from a bundle."""
        certificates = any(certificate.imported for certificate in self.certificates)
        steered = any(attack.imported for attack in self.code_attacks)
        return certificates or steered or any(run.imported for run in list_runs_of(self.rows))

    @property
    def table_rows(self) -> tuple[Row, ...]:
        """All rows but those of undefended runs that another row already shows as its counterpart."""
        shown = {(row.undefended.id, row.undefended.index) for row in self.rows if row.defended and row.undefended}
        return tuple(row for row in self.rows if (row.id, row.index) not in shown)

    @property
    def threats(self) -> tuple[str, ...]:
        """The threat models of the runs, strongest first."""
        return tuple(sorted({run.recipe.threat for run in self.runs}, key=place_threat))

    @property
    def headlines(self) -> tuple[AttackedPipeline, ...]:
        """The pipelines that have a headline: all that are not merely the counterpart of another one."""
        ids = {row.run.classifier.id for row in self.table_rows}
        return tuple(pipeline for pipeline in self.pipelines if pipeline.id in ids)


def list_runs_of(rows: Iterable[Row]) -> Iterator[Run]:
    """Yield each distinct run of the rows once, a row's counterpart before its own run."""
    seen: set[str] = set()
    for row in rows:
        for measured in (row.undefended, row):
            if measured and measured.run.id not in seen:
                seen.add(measured.run.id)
                yield measured.run


def list_parents(run: Run) -> list[Manifest]:
    """Return the trained entries that a run depends on, each after those that it needs itself."""
    return [entry for entry in (run.autoencoder, run.twin, run.surrogate, run.classifier) if entry]
