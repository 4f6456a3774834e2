"""The results that a report shows: those of a pipeline, those stored with a run, and why ``--strict`` refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from advae.checks import CHECKS, PipelineRuns, ScoredRun, check_together, not_run, number_of
from advae.records import CheckResult, Status
from advae.report.data.contents import AttackedPipeline, Comparison, Row
from advae.report.data.runs import Measured, Run
from advae.report.data.word_tables import Grid, show_count
from advae.report.wording import NOT_ESTABLISHED, name_pipeline

NO_SUBJECT = "needs a valid adaptive run"


def check_headline(pipeline: AttackedPipeline) -> tuple[CheckResult, ...]:
    """Return the result of each of CHECKS on the pipeline's headline number; NOT RUN where it has none."""
    if pipeline.subject is None:
        return tuple(not_run(name, NO_SUBJECT) for name in CHECKS)
    return check_row(pipeline, pipeline.subject)


def check_row(pipeline: AttackedPipeline, subject: Row) -> tuple[CheckResult, ...]:
    """Return the result of each of CHECKS on one of the pipeline's adaptive rows, beside all its others."""
    own = {(row.run.id, row.own.index): _open_row(row.own) for row in pipeline.rows}
    others = (Measured(run, index) for run in pipeline.undefended for index in range(len(run.recipe.eps)))
    return check_together(
        PipelineRuns(
            subject=own[subject.run.id, subject.own.index],
            own=list(own.values()),
            undefended=[_open_row(other) for other in others],
            defended=pipeline.first.defended,
            asked=pipeline.asked,
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
    )


_GRAVITY: tuple[Status, ...] = ("FAIL", "WARN", "PASS", "NOT RUN")


def count_results(results: Iterable[CheckResult]) -> dict[Status, int]:
    """Return how many results there are of each status, the gravest first."""
    statuses = [result.status for result in results]
    return {status: statuses.count(status) for status in _GRAVITY}


def summarize_checks(results: Iterable[CheckResult]) -> str:
    """Return the counts in words, ``2 FAIL, 1 WARN, 9 PASS, 4 NOT RUN``."""
    return ", ".join(f"{count} {status}" for status, count in count_results(results).items() if count)


def describe_subject(pipeline: AttackedPipeline) -> str:
    """Return what the pipeline's results are about, in words."""
    return describe_place(pipeline.subject) if pipeline.subject else NO_SUBJECT


def describe_place(subject: Row) -> str:
    """Return the run and budget of a row, ``run-0123456789ab at eps 0.3``."""
    return f"{subject.id} at eps {subject.eps:.4g}{'' if subject.recipe.norm == 'linf' else ', L2'}"


def tabulate_checks(name: str, results: Iterable[CheckResult]) -> Grid:
    """Return results as a table."""
    return Grid(name, ("", "check", "status", "what was found"), tuple(map(_write_row, results)))


def _write_row(result: CheckResult) -> tuple[str, ...]:
    return show_count(number_of(result.check)), CHECKS[result.check].question, result.status, result.sentence


def tabulate_stored(run: Run) -> Grid:
    """Return the results on a run alone."""
    return tabulate_checks(f"Checks on {run.id} alone", run.metrics.verdicts)


def summarize_stored(run: Run) -> tuple[str, ...]:
    """Return a run's failed and warned checks, each with its status."""
    return tuple(f"{one.check} {one.status}" for one in run.metrics.verdicts if one.status in _BAD)


_BAD = ("FAIL", "WARN")


@dataclass(frozen=True)
class Failure:
    """A check that fails. run, eps: what it was found on; eps: None for what a run stored, which is on all its eps.

    headline: whether it is one of the pipeline's headline number, which is not reliable then.
    """

    check: str
    sentence: str
    run: str
    eps: float | None
    classifier: str
    headline: bool

    @property
    def text(self) -> str:
        where = self.run if self.eps is None else f"{self.run} at eps {self.eps:.4g}"
        return f"{self.check} FAIL of {where}: {self.sentence}"


def find_failures(pipeline: AttackedPipeline) -> list[Failure]:
    """Return every check that fails on a pipeline: on its headline number, in another norm, and on one run alone.

    All that counts failures counts these: each format of the report, ``--strict``, ``--check`` and ``--fail-under``.
    """
    found = [
        Failure(result.check, result.sentence, panel.subject.id, panel.subject.eps, pipeline.id, number == 0)
        for number, panel in enumerate(pipeline.checked)
        for result in panel.checks
        if result.status == "FAIL"
    ]
    alone = [
        Failure(result.check, result.sentence, run.id, None, pipeline.id, headline=False)
        for run in pipeline.runs
        for result in run.metrics.verdicts
        # On how few or which images one run was made says nothing of a number that was found on others.
        if result.status == "FAIL" and not (result.check == "sample-size" and pipeline.checked)
    ]
    return found + [one for one in alone if not any(_includes(told, one) for told in found)]


def _includes(told: Failure, alone: Failure) -> bool:
    """Whether a failure of several runs already says what one of them has stored."""
    same = told.run == alone.run or alone.run in told.sentence or told.check == "clean-accuracy"
    return told.check == alone.check and same


def list_all_failures(pipelines: Iterable[AttackedPipeline]) -> list[Failure]:
    """Return every check that fails on any of the pipelines."""
    return [failure for pipeline in pipelines for failure in find_failures(pipeline)]


def count_elsewhere(pipelines: Iterable[AttackedPipeline]) -> dict[str, int]:
    """Return how many failures there are beside those of the headline numbers, by check."""
    return dict(Counter(one.check for one in list_all_failures(pipelines) if not one.headline))


def describe_left_out(id_: str, why: str) -> str:
    """Return that an entry is left out of a report, and why."""
    return f"{id_} is left out: {why}"


def list_failures(comparison: Comparison) -> list[str]:
    """Return why a report is not to be relied on.

    Checks that fail, defences whose robustness is not established, and entries that it leaves out.
    """
    return list(dict.fromkeys(_find_reasons(comparison)))


def _find_reasons(comparison: Comparison) -> Iterator[str]:
    yield from (describe_left_out(id_, why) for id_, why in comparison.left_out.items())
    for pipeline in comparison.pipelines:
        if pipeline.first.defended and pipeline.doubt:
            yield f"{NOT_ESTABLISHED} for {name_pipeline(pipeline.first)}, {pipeline.id}: {pipeline.doubt}"
        yield from (failure.text for failure in find_failures(pipeline))
