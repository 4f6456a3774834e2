"""The results that a report shows: those of a pipeline, those stored with a run, and why ``--strict`` refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from advae.checks import (
    CHECKS,
    PipelineRuns,
    ScoredRun,
    check_certificates,
    check_together,
    list_counted,
    list_made_checks,
    not_run,
    number_of,
)
from advae.records import CheckResult, Norm, Status
from advae.report.analysis.tables import CsvLine, Findings, TableRecord
from advae.report.data.contents import AttackedPipeline, Comparison, Row
from advae.report.data.runs import Measured, Run
from advae.report.wording import NOT_ESTABLISHED, name_pipeline

NO_SUBJECT = "needs a valid adaptive run"


class RunCheckRecord(TableRecord):
    """The result of one check on one run alone."""

    classifier_id: str
    """The classifier's id in the registry."""
    run: str | None
    """The id of the run that was checked; null where the check needs a run that there is not."""
    place: int | None
    """The check's number in the list of checks; null for a check of a later version."""
    question: str
    """What the check asks."""
    check: str
    """The check's name."""
    status: Status
    """PASS, WARN, FAIL, or NOT RUN where what it needs was not run."""
    sentence: str
    """What was found, for people."""
    number: float | None
    """The number behind the sentence, in the check's own unit; null where there is none."""

    @property
    def absent(self) -> None:
        """Its status is the check's: a number that is null has no meaning for the check."""


class CheckRecord(RunCheckRecord):
    """The result of one check on the strongest adaptive attack on a pipeline, in one norm."""

    eps: float | None
    """The budget of that attack, in units of an image's range; null where there is no valid adaptive run."""
    norm: Norm | None
    """The norm of that attack; null where there is none."""
    pipeline: str
    """The pipeline in words: dataset, classifier, purifier, seeds other than 0."""
    headline: bool
    """Whether it is about the pipeline's headline number, or about its number in another norm."""


class FailureRecord(TableRecord):
    """A check that fails: on a pipeline's headline number, in another norm, or on one run alone."""

    check: str
    """The check's name."""
    sentence: str
    """What was found, for people."""
    run: str
    """The id of the run that it fails on."""
    eps: float | None
    """The budget that it was found at; null for what a run stored, which is on all its eps."""
    classifier_id: str
    """The classifier's id in the registry."""
    headline: bool
    """Whether it fails on the headline number of its pipeline, which is not reliable then."""

    @property
    def text(self) -> str:
        where = self.run if self.eps is None else f"{self.run} at eps {self.eps:.4g}"
        return f"{self.check} FAIL of {where}: {self.sentence}"


def check_headline(pipeline: AttackedPipeline) -> tuple[CheckResult, ...]:
    """Return the result of each of CHECKS on the pipeline's headline number; NOT RUN where it has none."""
    if pipeline.subject is None:
        random = any(run.metrics.stochastic for run in pipeline.runs)
        absent = {name: not_run(name, NO_SUBJECT) for name in list_made_checks(random=random)}
        found = check_certificates(pipeline.certificates, [_open_row(row) for row in pipeline.rows])
        return tuple((absent | {found.check: found}).values())
    return check_row(pipeline, pipeline.subject)


def check_row(pipeline: AttackedPipeline, subject: Row) -> tuple[CheckResult, ...]:
    """Return the result of each of CHECKS on one of the pipeline's adaptive rows, beside all its others."""
    own = {(row.run.id, row.index): _open_row(row) for row in pipeline.rows}
    others = (Measured(run, index) for run in pipeline.undefended for index in range(len(run.recipe.eps)))
    return check_together(
        PipelineRuns(
            subject=own[subject.run.id, subject.index],
            own=list(own.values()),
            undefended=[_open_row(other) for other in others],
            defended=pipeline.first.defended,
            asked=pipeline.asked,
            certificates=pipeline.certificates,
        )
    )


def _open_row(measured: Measured) -> ScoredRun:
    run, outcomes = measured.run, measured.run.outcomes
    return ScoredRun(
        id=run.id,
        recipe=run.recipe,
        metrics=run.metrics,
        index=measured.index,
        sample_ids=outcomes["sample_ids"],
        labels=outcomes["labels"],
        clean_predictions=outcomes["clean_predictions"],
        predictions=outcomes["predictions"][measured.index],
        success_rate=outcomes["success_rate"][measured.index] if run.metrics.fresh_draws else None,
        robust=measured.right,
    )


_STATUSES: tuple[Status, ...] = ("FAIL", "WARN", "PASS", "NOT RUN")


def count_results(results: Iterable[CheckResult | RunCheckRecord]) -> dict[Status, int]:
    """Return how many results there are of each status, the most serious first, without optional checks not run."""
    statuses = [result.status for result in list_counted(results)]
    return {status: statuses.count(status) for status in _STATUSES}


def summarize_checks(results: Iterable[CheckResult | RunCheckRecord]) -> str:
    """Return the counts in words, ``2 FAIL, 1 WARN, 9 PASS, 4 NOT RUN``."""
    return summarize_counts(count_results(results))


def summarize_counts(counts: Mapping[Status, int]) -> str:
    """Return how many results there are of each status in words, as ``summarize_checks`` does."""
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count)


def describe_subject(pipeline: AttackedPipeline) -> str:
    """Return what the pipeline's results are about, in words."""
    row = pipeline.subject
    return describe_place(row.id, row.eps, row.recipe.norm) if row else NO_SUBJECT


def describe_place(run: str | None, eps: float | None, norm: Norm | None) -> str:
    """Return the run and budget of a row, ``run-0123456789ab at eps 0.3``; what is missing where there is none."""
    return NO_SUBJECT if eps is None else f"{run} at eps {eps:.4g}{'' if norm == 'linf' else ', L2'}"


def summarize_stored(run: Run) -> tuple[str, ...]:
    """Return a run's failed and warned checks, each with its status."""
    return tuple(f"{one.check} {one.status}" for one in run.metrics.verdicts if one.status in _BAD)


_BAD = ("FAIL", "WARN")


def find_failures(pipeline: AttackedPipeline) -> list[FailureRecord]:
    """Return every check that fails on a pipeline: on its headline number, in another norm, and on one run alone.

    All that counts failures counts these: each format of the report, ``--strict``, ``--check`` and ``--fail-under``.
    """
    found = [
        failure
        for panel in pipeline.checked
        for failure in _list_failed(panel.checks, panel.subject, pipeline, headline=panel.subject is pipeline.subject)
    ]
    if not pipeline.checked:
        found += _list_failed(pipeline.checks, pipeline.first, pipeline, headline=True)
    alone = [
        failure
        for run in pipeline.runs
        for failure in _list_failed(run.metrics.verdicts, run, pipeline, headline=False)
        # On how few or which images one run was made says nothing of a number that was found on others.
        if not (failure.check == "sample-size" and pipeline.checked)
    ]
    return found + [one for one in alone if not any(_includes(other, one) for other in found)]


def _list_failed(
    results: Iterable[CheckResult], found_on: Row | Run, pipeline: AttackedPipeline, *, headline: bool
) -> Iterator[FailureRecord]:
    for one in results:
        if one.status == "FAIL":
            yield FailureRecord(
                check=one.check,
                sentence=one.sentence,
                run=found_on.id,
                eps=found_on.eps if isinstance(found_on, Row) else None,
                classifier_id=pipeline.id,
                headline=headline,
            )


def _includes(several: FailureRecord, alone: FailureRecord) -> bool:
    """Whether a failure of several runs already says what one of them has stored."""
    same = several.run == alone.run or alone.run in several.sentence or several.check == "clean-accuracy"
    return several.check == alone.check and same


def list_all_failures(pipelines: Iterable[AttackedPipeline]) -> list[FailureRecord]:
    """Return every check that fails on any of the pipelines."""
    return [failure for pipeline in pipelines for failure in find_failures(pipeline)]


def count_elsewhere(pipelines: Iterable[AttackedPipeline]) -> dict[str, int]:
    """Return how many failures there are beside those of the headline numbers, by check."""
    return dict(Counter(one.check for one in list_all_failures(pipelines) if not one.headline))


def describe_excluded(id_: str, why: str) -> str:
    """Return the line for an entry that is excluded from a report, with the reason."""
    return f"{id_} is excluded: {why}"


def list_failures(comparison: Comparison) -> list[str]:
    """Return why a report is not to be relied on.

    Checks that fail, defences whose robustness is not established, and entries that it excludes.
    """
    return list(dict.fromkeys(_find_reasons(comparison)))


def _find_reasons(comparison: Comparison) -> Iterator[str]:
    yield from (describe_excluded(id_, why) for id_, why in comparison.excluded.items())
    for pipeline in comparison.pipelines:
        if pipeline.first.defended and pipeline.doubt:
            yield f"{NOT_ESTABLISHED} for {name_pipeline(pipeline.first)}, {pipeline.id}: {pipeline.doubt}"
        yield from (failure.text for failure in find_failures(pipeline))


# ---------------------------------------------------------------- records


def list_checks(findings: Findings) -> Iterator[CheckRecord]:
    """Yield a record for each pipeline, norm and check."""
    for pipeline in findings.comparison.pipelines:
        yield from list_pipeline_checks(pipeline)


def list_pipeline_checks(pipeline: AttackedPipeline) -> Iterator[CheckRecord]:
    """Yield a record for each check of a pipeline: on its headline number, then in the other norm."""
    for row, headline, results in _list_checked(pipeline):
        facts: CsvLine = {
            "run": row.id if row else None,
            "eps": row.eps if row else None,
            "norm": row.recipe.norm if row else None,
        }
        facts |= {"classifier_id": pipeline.id, "pipeline": name_pipeline(pipeline.first), "headline": headline}
        yield from (CheckRecord(**facts, **_describe_check(result)) for result in results)


def _list_checked(pipeline: AttackedPipeline) -> Iterator[tuple[Row | None, bool, tuple[CheckResult, ...]]]:
    if not pipeline.checked:
        yield None, True, pipeline.checks
    for number, checked in enumerate(pipeline.checked):
        yield checked.subject, number == 0, checked.checks


def list_run_checks(findings: Findings) -> Iterator[RunCheckRecord]:
    """Yield a record for each run and check that needs no other run."""
    for run in findings.comparison.runs:
        for result in run.metrics.verdicts:
            yield RunCheckRecord(classifier_id=run.classifier.id, run=run.id, **_describe_check(result))


def _describe_check(result: CheckResult) -> dict[str, Any]:
    return {
        "place": number_of(result.check),
        "question": CHECKS[result.check].question,
        **result.model_dump(),
    }
