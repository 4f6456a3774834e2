"""Each pipeline beside the others: its robust accuracy on the terms that most of its kind were attacked on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from advae.checks import find_strongest
from advae.records import CheckResult
from advae.report.analysis.baseline_comparison import is_baseline
from advae.report.analysis.headline_choice import group_by_kind
from advae.report.data.commands import suggest_attack
from advae.report.data.contents import AttackedPipeline, Comparison, Row, Terms
from advae.report.data.runs import Rate, Run
from advae.report.wording import COLLAPSED, describe_seeds, mark_imported, name_autoencoder


@dataclass(frozen=True)
class PipelineSummary:
    """The robust accuracy of a pipeline under an adaptive attack, and under an oblivious one."""

    pipeline: AttackedPipeline
    """The pipeline."""
    oblivious: Row | None
    """Oblivious row on the subject's terms, else at its eps on other images; None where there is none."""
    namesake: bool = False
    """Whether another pipeline of its kind has the same name."""

    @property
    def adaptive(self) -> Row | None:
        """The row of the headline number, the same everywhere."""
        return self.pipeline.subject

    @property
    def shared(self) -> Terms | None:
        """The terms on which the others of its kind are shown, as far as they were attacked there."""
        return self.pipeline.shared

    @property
    def name(self) -> str:
        """The purifier in words, with the classifier's id where that alone tells it from another."""
        run = self.pipeline.first
        marks = (f", {COLLAPSED}" if self.collapsed else "") + mark_imported(self.imported)
        return f"{name_autoencoder(run)}{describe_seeds(run)}{marks}{f' ({self.pipeline.id})' if self.namesake else ''}"

    @property
    def imported(self) -> tuple[str, ...]:
        """Ids of what came from a bundle, of the run that is shown and of the entries that it depends on."""
        return self._find_run().imported

    @property
    def collapsed(self) -> bool:
        return self.pipeline.collapsed

    @property
    def defended(self) -> bool:
        return self.pipeline.first.defended

    @property
    def is_defence(self) -> bool:
        """Whether its purifier is an autoencoder: not none, and no baseline."""
        return self.defended and not is_baseline(self.pipeline)

    @property
    def row(self) -> Row | None:
        """The row that tells eps and samples: the adaptive one, else the oblivious one."""
        return self.adaptive or self.oblivious

    @property
    def terms(self) -> Terms | None:
        return self.row.terms if self.row else None

    @property
    def clean(self) -> Rate:
        return self._find_run().clean

    @property
    def gap(self) -> float | None:
        """The illusion gap, None where one side is missing or the two were not run on the same terms."""
        if self.oblivious is None or self.adaptive is None or self.oblivious.terms != self.terms:
            return None
        return self.oblivious.accuracy - self.adaptive.accuracy

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """One for each of CHECKS, on the adaptive row."""
        return self.pipeline.checks

    @property
    def failures(self) -> list[CheckResult]:
        return self.pipeline.failures

    @property
    def doubt(self) -> str | None:
        """Why robustness is not established, None where it is."""
        return self.pipeline.doubt

    @property
    def reliable(self) -> bool:
        """Whether the adaptive number is established and no check fails."""
        return self.adaptive is not None and self.doubt is None and not self.failures

    @property
    def command(self) -> str | None:
        """The command that runs the side that is missing, None where none is."""
        recipe = self._find_run().recipe
        if self.adaptive is None:
            return suggest_attack(recipe, "adaptive")
        return suggest_attack(recipe, "oblivious") if self.defended and self.gap is None else None

    def _find_run(self) -> Run:
        """Return the run of the row that is shown, else of the strongest attack of any kind."""
        if self.row:
            return self.row.run
        strongest = self.pipeline.find_strongest({run.recipe.threat for run in self.pipeline.runs})
        return (strongest or self.pipeline.rows[0]).run


@dataclass(frozen=True)
class ClassifierGroup:
    """The summaries of all pipelines with one kind of classifier on one dataset."""

    summaries: tuple[PipelineSummary, ...]
    """In the order of the report; at least one."""

    @property
    def first(self) -> PipelineSummary:
        return self.summaries[0]

    @cached_property
    def defences(self) -> tuple[PipelineSummary, ...]:
        """Those with an autoencoder in front."""
        return tuple(summary for summary in self.summaries if summary.is_defence)

    @cached_property
    def baselines(self) -> tuple[PipelineSummary, ...]:
        """Those with a purifier in front that has learnt nothing."""
        return tuple(summary for summary in self.summaries if summary.defended and not summary.is_defence)


def group_pipelines(comparison: Comparison) -> tuple[ClassifierGroup, ...]:
    """Return the summary of every pipeline, by dataset and kind of classifier, in the order of the report."""
    return tuple(_build_group(pipelines) for pipelines in group_by_kind(comparison.pipelines))


def summarize_pipelines(comparison: Comparison) -> tuple[PipelineSummary, ...]:
    """Return the summary of every pipeline, in the order of the report."""
    return tuple(summary for group in group_pipelines(comparison) for summary in group.summaries)


def _build_group(pipelines: Sequence[AttackedPipeline]) -> ClassifierGroup:
    summaries = [PipelineSummary(pipeline, _find_oblivious(pipeline)) for pipeline in pipelines]
    names = Counter(summary.name for summary in summaries)
    return ClassifierGroup(tuple(replace(summary, namesake=names[summary.name] > 1) for summary in summaries))


def _find_oblivious(pipeline: AttackedPipeline) -> Row | None:
    """Return the strongest oblivious row on the headline's terms, else at its eps.

    A pipeline without a headline number has the strongest that there is.
    """
    wanted, worst = pipeline.subject.terms if pipeline.subject else pipeline.shared, pipeline.find_worst("oblivious")
    beside = [row for terms, row in worst.items() if wanted and terms[:2] == wanted[:2]]
    row = (worst.get(wanted) if wanted else None) or find_strongest(beside, pipeline.asked)
    return row if row or pipeline.subject else pipeline.find_strongest(["oblivious"])
