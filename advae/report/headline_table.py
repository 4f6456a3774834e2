"""The headline as a table: a row for each pipeline, what it keeps and whether that can be believed."""

from __future__ import annotations

from advae.report.grids import Cell, Grid
from advae.report.judging import count_verdicts, summarize_verdicts
from advae.report.rows import Comparison, Row
from advae.report.runs import Rate
from advae.report.standings import Standing, find_standings
from advae.report.wording import (
    NOT_APPLICABLE,
    NOT_RUN,
    format_eps,
    format_rate,
    name_autoencoder,
    name_seeds,
    show_name,
)

TITLES = (
    "dataset",
    "classifier",
    "autoencoder",
    "eps",
    "n",
    "clean",
    "oblivious",
    "adaptive",
    "illusion gap",
    "verdicts",
    "details",
)


def tabulate_headlines(comparison: Comparison) -> Grid:
    """Return a row for each pipeline: what it keeps clean, against attackers of two kinds, and its verdicts.

    Pipelines of one dataset and kind of classifier stand on the same eps and samples as far as they were run there.
    Behind the words of a verdict is the number of checks that fail.
    """
    return Grid("What each pipeline keeps", TITLES, tuple(_write_row(one) for one in find_standings(comparison)))


def _write_row(standing: Standing) -> tuple[str, ...]:
    run, row = standing.pipeline.first, standing.row
    return (
        show_name(run.recipe.dataset.name),
        run.classifier_recipe.model,
        name_autoencoder(run) + name_seeds(run),
        Cell(format_eps(row.eps) + ("" if row.run.recipe.norm == "linf" else ", L2"), row.eps),
        Cell(str(row.run.metrics.n), row.run.metrics.n),
        _write_rate(standing.clean),
        _write_oblivious(standing),
        _write_adaptive(standing),
        _write_gap(standing),
        Cell(summarize_verdicts(standing.pipeline.verdicts), count_verdicts(standing.pipeline.verdicts)["FAIL"]),
        standing.pipeline.id,
    )


def _write_rate(rate: Rate) -> Cell:
    return Cell(format_rate(rate), rate.value)


def _write_attacked(row: Row | None) -> Cell:
    return _write_rate(row.own.attacked) if row else Cell(NOT_RUN, None)


def _write_oblivious(standing: Standing) -> Cell:
    return _write_attacked(standing.oblivious) if standing.defended else Cell(NOT_APPLICABLE, None)


def _write_adaptive(standing: Standing) -> Cell:
    """Return the number with what is wrong with it: it must not be copied without."""
    cell = _write_attacked(standing.adaptive)
    if standing.adaptive is None or standing.sound:
        return cell
    failed = bool(standing.pipeline.failures)
    return Cell(f"{cell}, {'not to be believed' if failed else 'not established'}", cell.value)


def _write_gap(standing: Standing) -> Cell:
    if not standing.defended:
        return Cell(NOT_APPLICABLE, None)
    if standing.gap is None:
        return Cell(NOT_RUN, None)
    size = f"{100 * standing.gap:.1f}".replace("-", "\N{MINUS SIGN}")
    return Cell(f"{size} points", standing.gap)
