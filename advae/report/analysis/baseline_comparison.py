"""Autoencoders beside baselines, which have learnt nothing, under the same attacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from advae.checks import pick_strongest
from advae.models.baselines import BASELINES
from advae.report.analysis.headline_choice import group_by_kind
from advae.report.analysis.tables import (
    AttackRecord,
    Difference,
    Findings,
    KindRecord,
    ShownInterval,
    ShownShare,
    read_attack,
)
from advae.report.data.commands import suggest_baselines
from advae.report.data.contents import AttackedPipeline, Comparison, Row
from advae.report.data.pairing import identify_attack
from advae.report.data.runs import Measured
from advae.report.wording import name_autoencoder

Role = Literal["undefended", "baseline", "retrained", "autoencoder"]


class BaselineRecord(AttackRecord, KindRecord):
    """One purifier, or none, under an attack that an autoencoder and a baseline both met."""

    status: Literal["measured", "NOT RUN"]
    """Whether it was measured."""
    classifier_id: str | None
    """The classifier's id in the registry; null where none was trained behind such a purifier."""
    run: str | None
    """The run's id in the registry; null where it was not measured."""
    role: Role
    """The classifier is undefended, or behind a baseline, or behind an autoencoder; retrained does not occur here."""
    purifier: str
    """Kind of the purifier, as `advae train-ae --type` takes it; none for the undefended classifier."""
    robust_accuracy: ShownShare | None
    """Share of the images still classified correctly under attack, 0 to 1; null where it was not measured."""
    robust_accuracy_interval: ShownInterval | None
    """Wilson's 95 % confidence interval of the robust accuracy."""
    benefit: Difference | None
    """Robust accuracy behind the purifier minus that of the undefended classifier, -1 to 1; null where either was not
    measured."""
    purifier_name: str
    """The purifier in words, with the classifier's id where another has the same name; none for the undefended
    classifier."""


class MissingBaselines(KindRecord):
    """Baselines that were not run under every attack that is compared, for one classifier on one dataset."""

    missing: tuple[str, ...]
    """The kinds of baselines that are missing."""
    command: str
    """One line that runs them."""


@dataclass(frozen=True)
class ComparedAttack:
    """One attack at one eps on the same samples."""

    first: Row
    """Row of the first autoencoder that met the attack."""
    undefended: Measured | None
    """The same attack on the undefended classifier; None where it was not run."""
    rows: dict[str, Row]
    """Row of each pipeline, by classifier id."""

    def measure_benefit(self, row: Row) -> float | None:
        """Return what a purifier brings: accuracy minus accuracy without; None where the latter is missing."""
        return row.accuracy - self.undefended.accuracy if self.undefended else None


@dataclass(frozen=True)
class BaselineComparison:
    """Autoencoders and baselines in front of one kind of classifier on one dataset."""

    baselines: tuple[AttackedPipeline, ...]
    """Pipelines with a baseline."""
    autoencoders: tuple[AttackedPipeline, ...]
    """Pipelines with an autoencoder."""
    matches: tuple[ComparedAttack, ...]
    """The attacks that an autoencoder and a baseline both met."""

    @property
    def name(self) -> str:
        run = self.autoencoders[0].first
        return f"{run.dataset}, {run.classifier_recipe.model}"

    @property
    def missing(self) -> tuple[str, ...]:
        """The kinds of baselines that every comparison should have, and this one lacks."""
        return tuple(kind for kind, row in BASELINES.items() if row.expected and not self.is_complete(kind))

    @property
    def command(self) -> str | None:
        """One line that runs the missing baselines, as the first autoencoder was attacked."""
        subject = self.autoencoders[0].subject or self.autoencoders[0].rows[0]
        return suggest_baselines(subject.run, self.missing) if self.missing else None

    def list_baselines(self, kind: str) -> list[AttackedPipeline]:
        """Return the baselines of one kind."""
        return [pipeline for pipeline in self.baselines if pipeline.first.autoencoder_type == kind]

    def is_complete(self, kind: str) -> bool:
        """Whether a baseline of this kind met every attack that is compared, and there is one."""
        ids = {pipeline.id for pipeline in self.list_baselines(kind)}
        return bool(self.matches) and all(ids & match.rows.keys() for match in self.matches)


def find_baseline_comparisons(comparison: Comparison) -> list[BaselineComparison]:
    """Return a comparison for each dataset and kind of classifier with an autoencoder somewhere."""
    defended = [pipeline for pipeline in comparison.pipelines if pipeline.first.autoencoder]
    return [compared for compared in map(_build_comparison, group_by_kind(defended)) if compared.autoencoders]


def _build_comparison(pipelines: list[AttackedPipeline]) -> BaselineComparison:
    baselines = [pipeline for pipeline in pipelines if is_baseline(pipeline)]
    baselines.sort(key=lambda pipeline: list(BASELINES).index(pipeline.first.autoencoder_type))
    autoencoders = [pipeline for pipeline in pipelines if not is_baseline(pipeline)]
    matches = [_build_match(autoencoders, rows) for rows in _match_rows(pipelines)]
    return BaselineComparison(tuple(baselines), tuple(autoencoders), tuple(match for match in matches if match))


def is_baseline(pipeline: AttackedPipeline) -> bool:
    """Whether a pipeline's purifier is a baseline and no autoencoder."""
    return pipeline.first.autoencoder_type in BASELINES


def _match_rows(pipelines: list[AttackedPipeline]) -> list[dict[str, Row]]:
    """Return the rows of each attack, eps and set of samples, by classifier; the worst where there are several."""
    found: dict[tuple[object, ...], dict[str, Row]] = {}
    for pipeline in pipelines:
        # Of a run, which may have thousands of rows, once.
        attacks = {run.id: identify_attack(run) for run in pipeline.runs}
        for row in pipeline.rows:
            if row.valid:
                group = found.setdefault((attacks[row.id], row.terms), {})
                best = group.setdefault(pipeline.id, row)
                group[pipeline.id] = pick_strongest([best, row])
    return list(found.values())


def _build_match(autoencoders: list[AttackedPipeline], rows: dict[str, Row]) -> ComparedAttack | None:
    """Return a match; None where not both an autoencoder and a baseline met the attack."""
    ours = [rows[pipeline.id] for pipeline in autoencoders if pipeline.id in rows]
    if not ours or len(ours) == len(rows):
        return None
    without = next((row.undefended for row in ours if row.undefended), None)
    return ComparedAttack(ours[0], without, rows)


# ---------------------------------------------------------------- records


def list_baselines(findings: Findings) -> Iterator[BaselineRecord]:
    """Yield a record for each attack that is compared and each purifier, and for none."""
    for compared in find_baseline_comparisons(findings.comparison):
        for match in compared.matches:
            yield from _list_match(compared, match)


def _list_match(compared: BaselineComparison, match: ComparedAttack) -> Iterator[BaselineRecord]:
    yield _describe_purified(match, "undefended", "none", match.undefended)
    for kind in BASELINES:
        same = compared.list_baselines(kind)
        yield from (_describe_pipeline(match, "baseline", pipeline, same) for pipeline in same)
        if not same and BASELINES[kind].expected:
            yield _describe_purified(match, "baseline", kind, None)
    for pipeline in compared.autoencoders:
        yield _describe_pipeline(match, "autoencoder", pipeline, compared.autoencoders)


def _describe_pipeline(
    match: ComparedAttack, role: Role, pipeline: AttackedPipeline, others: Sequence[AttackedPipeline]
) -> BaselineRecord:
    row = match.rows.get(pipeline.id)
    record = _describe_purified(match, role, pipeline.first.autoencoder_type, row)
    more = {"classifier_id": pipeline.id, "purifier_name": _name(pipeline, others)}
    return record.model_copy(update=more | ({"benefit": match.measure_benefit(row)} if row else {}))


def _name(pipeline: AttackedPipeline, others: Sequence[AttackedPipeline]) -> str:
    """Return the purifier's name, with the classifier's id where another has the same name."""
    name = name_autoencoder(pipeline.first)
    namesakes = [other for other in others if name_autoencoder(other.first) == name]
    return name if len(namesakes) == 1 else f"{name} ({pipeline.id})"


def _describe_purified(match: ComparedAttack, role: Role, kind: str, side: Measured | None) -> BaselineRecord:
    run, rate = match.first.run, side.attacked if side else None
    return BaselineRecord(
        status="measured" if side else "NOT RUN",
        classifier_id=side.run.classifier.id if side else None,
        run=side.run.id if side else None,
        dataset=run.dataset,
        classifier=run.classifier_recipe.model,
        **read_attack(match.first),
        role=role,
        purifier=kind,
        purifier_name=kind,
        robust_accuracy=rate.value if rate else None,
        robust_accuracy_interval=(rate.low, rate.high) if rate else None,
        benefit=None,
    )


def list_missing_baselines(findings: Findings) -> Iterator[MissingBaselines]:
    """Yield a record for each comparison that lacks baselines."""
    for compared in find_baseline_comparisons(findings.comparison):
        run = compared.autoencoders[0].first
        if compared.command:
            yield MissingBaselines(
                dataset=run.dataset,
                classifier=run.classifier_recipe.model,
                missing=compared.missing,
                command=compared.command,
            )
