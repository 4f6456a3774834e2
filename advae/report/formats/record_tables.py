"""The report's tables for people, from their records: the same rows of words for the page, Markdown and a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from advae.records import Norm, key_eps
from advae.report.analysis.activations import ActivationRecord
from advae.report.analysis.baseline_comparison import BaselineRecord
from advae.report.analysis.certified_accuracy import CertifiedRange
from advae.report.analysis.check_results import RunCheckRecord, summarize_counts
from advae.report.analysis.eps_selection import select_eps
from advae.report.analysis.headline_records import HeadlineRecord, Strength
from advae.report.analysis.number_records import PipelineNumber
from advae.report.analysis.ratings import DefenceRating
from advae.report.analysis.seed_spread import SeedRecord
from advae.report.analysis.tables import NotRun
from advae.report.analysis.threat_comparison import ThreatModelRecord
from advae.report.data.grouping import group_by
from advae.report.data.word_tables import Cell, Grid, show_count, show_eps, show_percentage, show_rate
from advae.report.formats.certificate_tables import CERTIFIED, show_certified
from advae.report.wording import (
    NOT_APPLICABLE,
    NOT_RUN,
    describe_terms,
    format_budget,
    format_eps,
    format_points,
    format_rate,
    format_share,
)

# ---------------------------------------------------------------- headlines

HEADLINE_TITLES = (
    "classifier",
    "autoencoder",
    "robust accuracy, adaptive",
    CERTIFIED,
    "robust accuracy, oblivious",
    "illusion gap",
    "clean accuracy",
    "defence",
    "checks",
    "eps",
    "n",
    "attack",
    "dataset",
    "details",
)


def tabulate_headlines(records: Iterable[HeadlineRecord], numbers: Iterable[PipelineNumber]) -> Grid:
    """Return a row for each pipeline: robust (under two threat models), certified and clean accuracy, both ratings.

    numbers: the headline of each pipeline, for its rating. The certified accuracy is left out where no pipeline has
    one. A number at another eps or on other images than a reader expects names its attack. The number of checks that
    fail is behind the words of the checks.
    """
    records, ratings = list(records), {one.classifier_id: one.defence for one in numbers}
    rows = [_write_headline(record, ratings.get(record.classifier_id)) for record in records]
    place = HEADLINE_TITLES.index(CERTIFIED)
    if any(record.certified for record in records):
        return Grid("Robust accuracy of each pipeline", HEADLINE_TITLES, tuple(rows))
    titles, *shown = (row[:place] + row[place + 1 :] for row in (HEADLINE_TITLES, *rows))
    return Grid("Robust accuracy of each pipeline", titles, tuple(shown))


def _write_headline(record: HeadlineRecord, rating: DefenceRating | None) -> tuple[str, ...]:
    shown, nothing = record.shown, Cell(NOT_APPLICABLE, None)
    return (
        record.classifier,
        record.purifier_name,
        _write_adaptive(record),
        show_certified(record.certified),
        _write_strength(record.oblivious) if record.oblivious else nothing,
        _write_gap(record.illusion_gap),
        show_rate(record.clean),
        rating.result if rating else "reference",
        Cell(summarize_counts(record.checks), record.checks["FAIL"]),
        Cell(format_budget(record.eps, record.norm), record.eps) if record.eps is not None and record.norm else nothing,
        Cell(shown.images, shown.n) if shown else nothing,
        shown.attack if shown else nothing,
        record.dataset,
        record.classifier_id,
    )


def _write_strength(strength: Strength | NotRun) -> Cell:
    """Return the robust accuracy, with the attack where it is not on the terms that a reader expects."""
    if isinstance(strength, NotRun):
        return Cell(NOT_RUN, None)
    cell = show_rate(strength.rate)
    return cell if strength.comparable else Cell(f"{cell} {describe_strength(strength)}", cell.value)


def describe_strength(strength: Strength) -> str:
    """Return the attack of a number that is shown among others, ``pgd, 80 steps, eps 0.1, n = 1000``."""
    return describe_terms(strength.attack, strength.eps, strength.images)


def _write_adaptive(record: HeadlineRecord) -> Cell:
    """Return the number with what is wrong with it: it must not be copied without."""
    cell = _write_strength(record.adaptive)
    if cell.value is None or record.reliable:
        return cell
    return Cell(f"{cell}, {'not reliable' if record.checks['FAIL'] else 'not established'}", cell.value)


def _write_gap(gap: float | NotRun | None) -> Cell:
    if not isinstance(gap, float):
        return Cell(NOT_APPLICABLE if gap is None else NOT_RUN, None)
    return Cell(f"{write_gap(gap)} points", gap)


def write_gap(gap: float) -> str:
    """Return an illusion gap in points, without a word."""
    return f"{100 * gap:.1f}".replace("-", "\N{MINUS SIGN}")


# ---------------------------------------------------------------- one pipeline, one run


def tabulate_checks(name: str, records: Iterable[RunCheckRecord]) -> Grid:
    """Return check results as a table."""
    return Grid(name, ("", "check", "status", "what was found"), tuple(map(_write_check, records)))


def _write_check(record: RunCheckRecord) -> tuple[str, ...]:
    return show_count(record.place), record.question, record.status, record.sentence


def tabulate_threats(records: Sequence[ThreatModelRecord], *, sized: bool) -> Grid:
    """Return a row for each threat model of one pipeline, from the least knowledge to the most, and a column an eps.

    sized: whether to say on how many images.
    """
    by_budget = group_by(records, lambda record: (record.norm, key_eps(record.eps)))
    columns = select_eps(by_budget.values(), _describe_budget)
    cells = [{one.threat: _write_threat(one, sized) for one in column} for column in columns]
    threats = dict.fromkeys(record.threat for record in records)
    rows = [(threat, *(column[threat] for column in cells)) for threat in threats]
    proved = [max((one.certified for one in column if one.certified), key=_rank, default=None) for column in columns]
    rows += [(f"anything ({CERTIFIED})", *map(show_certified, proved))] if any(proved) else []
    titles = ("what the attacker knows", *(_name_budget(*_describe_budget(column)[:2]) for column in columns))
    return Grid("Robust accuracy by threat model", titles, tuple(rows))


def _rank(found: CertifiedRange) -> tuple[int, float]:
    """Return the sort key of certified accuracies at one eps: the one on the most images, then the highest."""
    return found.n, found.accuracy


def _describe_budget(records: Sequence[ThreatModelRecord]) -> tuple[Norm, float, float]:
    """Return the norm, the smallest eps that is written for it, and the lowest robust accuracy; 1 without an attack."""
    accuracies = (one.robust_accuracy for one in records if one.robust_accuracy is not None)
    return records[0].norm, min(one.eps for one in records), min(accuracies, default=1.0)


def _name_budget(norm: Norm, eps: float) -> str:
    return f"eps {format_eps(eps)}" + ("" if norm == "linf" else ", L2")


def _write_threat(record: ThreatModelRecord, sized: bool) -> Cell:
    if record.robust is None:
        return Cell(record.status, None)
    n = f", n = {record.images}" if sized else ""
    return Cell(f"{format_rate(record.robust)} {record.attack}{n}", record.robust.value)


# ---------------------------------------------------------------- pipelines beside each other


def tabulate_baselines(name: str, records: Sequence[BaselineRecord]) -> Grid:
    """Return the robust accuracy undefended, behind each baseline and each autoencoder, and the difference.

    records: of one kind of classifier on one dataset. Those of an attack follow each other, undefended first.
    """
    matches: list[list[BaselineRecord]] = []
    for record in records:
        matches += [[]] if record.role == "undefended" else []
        matches[-1].append(record)
    columns = matches[0][1:] if matches else []
    titles = ("attack", "threat", "eps", "undefended", *(f"behind {one.purifier_name}" for one in columns))
    rows = tuple(map(_write_match, select_eps(matches, _describe_match)))
    return Grid(f"Baselines and autoencoders: {name}", titles, rows)


def _describe_match(match: Sequence[BaselineRecord]) -> tuple[str | None, float, float]:
    """Return the run, eps and robust accuracy of the first autoencoder that met an attack."""
    first = next(one for one in match if one.role == "autoencoder" and one.run)
    return first.run, first.eps, first.robust_accuracy or 0.0


def _write_match(match: Sequence[BaselineRecord]) -> tuple[str, ...]:
    first = match[0]
    return first.attack, first.threat, show_eps(first.eps), *map(_write_purified, match)


def _write_purified(record: BaselineRecord) -> Cell:
    if record.robust_accuracy is None:
        return Cell(NOT_RUN, None)
    benefit = "" if record.role == "undefended" else f" ({format_points(record.benefit)})"
    return Cell(f"{format_share(record.robust_accuracy)}{benefit}", record.robust_accuracy)


def tabulate_spreads(spreads: Iterable[SeedRecord]) -> Grid:
    """Return the spread over seeds as a table."""
    titles = ("pipeline", "attack", "threat", "eps", "seeds", "mean", "minimum", "maximum")
    shown = select_eps(spreads, lambda spread: (spread.runs[0], spread.eps, spread.mean))
    return Grid("Robust accuracy over seeds", titles, tuple(map(_write_spread, shown)))


def _write_spread(spread: SeedRecord) -> tuple[str, ...]:
    shares = map(show_percentage, (spread.mean, spread.minimum, spread.maximum))
    return spread.pipeline, spread.attack, spread.threat, show_eps(spread.eps), show_count(spread.seeds), *shares


def tabulate_activations(records: Iterable[ActivationRecord]) -> Grid:
    """Return autoencoders that differ in their activations as a table; no rows where there is nothing to compare."""
    titles = ("autoencoder", "hidden activations", "training loss", "validation loss", "squared error", "id")
    return Grid("Autoencoders that differ in their activations", titles, tuple(map(_write_activations, records)))


def _write_activations(record: ActivationRecord) -> tuple[str, ...]:
    numbers = (record.training_loss, record.validation_loss, record.squared_error)
    return record.autoencoder, record.hidden_activations, *map(_write_number, numbers), record.id


def _write_number(value: float | None) -> Cell:
    return Cell(NOT_APPLICABLE if value is None else f"{value:.4g}", value)
