"""The headline as a table: the robust accuracy of each pipeline, and whether it is reliable."""

from __future__ import annotations

from advae.report.analysis.check_results import count_results, summarize_checks
from advae.report.analysis.ranking import PipelineSummary, summarize_pipelines
from advae.report.data.contents import Comparison, Row, Terms
from advae.report.data.word_tables import Cell, Grid, show_rate
from advae.report.wording import NOT_APPLICABLE, NOT_RUN, describe_terms, format_budget, name_attack

HEADLINE_TITLES = (
    "dataset",
    "classifier",
    "autoencoder",
    "eps",
    "n",
    "attack",
    "clean accuracy",
    "robust accuracy, oblivious",
    "robust accuracy, adaptive",
    "illusion gap",
    "checks",
    "details",
)


def tabulate_headlines(comparison: Comparison) -> Grid:
    """Return a row for each pipeline: clean accuracy, robust accuracy under two threat models, checks.

    Pipelines of one dataset and kind of classifier are shown at the same eps and on the same samples as far as they
    were run there and no other attack is clearly stronger; any other number names its attack. The number of checks
    that fail is behind the words of the checks.
    """
    return Grid(
        "Robust accuracy of each pipeline", HEADLINE_TITLES, tuple(map(_write_row, summarize_pipelines(comparison)))
    )


def _write_row(summary: PipelineSummary) -> tuple[str, ...]:
    run, row, nothing = summary.pipeline.first, summary.row, Cell(NOT_APPLICABLE, None)
    return (
        run.dataset,
        run.classifier_recipe.model,
        summary.name,
        Cell(format_budget(row.eps, row.run.recipe.norm), row.eps) if row else nothing,
        Cell(row.run.size, row.run.metrics.n) if row else nothing,
        name_attack(row.run) if row else nothing,
        show_rate(summary.clean),
        _write_oblivious(summary),
        _write_adaptive(summary),
        _write_gap(summary),
        Cell(summarize_checks(summary.checks), count_results(summary.checks)["FAIL"]),
        summary.pipeline.id,
    )


def _write_attacked(row: Row | None, terms: Terms | None) -> Cell:
    """Return the robust accuracy, with the attack where it is not on the terms that a reader expects."""
    if row is None:
        return Cell(NOT_RUN, None)
    cell = show_rate(row.own.attacked)
    return cell if terms in (None, row.terms) else Cell(f"{cell} {describe_terms(row.run, row.eps)}", cell.value)


def _write_oblivious(summary: PipelineSummary) -> Cell:
    if not summary.defended:
        return Cell(NOT_APPLICABLE, None)
    return _write_attacked(summary.oblivious, summary.terms)


def _write_adaptive(summary: PipelineSummary) -> Cell:
    """Return the number with what is wrong with it: it must not be copied without."""
    cell = _write_attacked(summary.adaptive, summary.shared)
    if summary.adaptive is None or summary.reliable:
        return cell
    return Cell(f"{cell}, {'not reliable' if summary.failures else 'not established'}", cell.value)


def _write_gap(summary: PipelineSummary) -> Cell:
    if not summary.defended:
        return Cell(NOT_APPLICABLE, None)
    if summary.gap is None:
        return Cell(NOT_RUN, None)
    size = f"{100 * summary.gap:.1f}".replace("-", "\N{MINUS SIGN}")
    return Cell(f"{size} points", summary.gap)
