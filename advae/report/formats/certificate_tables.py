"""The tables of certified accuracies, the same rows of words for the page, Markdown and a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from advae.report.analysis.certified_accuracy import CertifiedRange, CertifiedRecord, SmoothedRecord
from advae.report.analysis.purifier_gain import CertifiedWithout
from advae.report.analysis.tables import NotRun
from advae.report.data.runs import Rate
from advae.report.data.word_tables import Cell, Grid, show_count, show_rate
from advae.report.wording import (
    NOT_APPLICABLE,
    NOT_RUN,
    format_budget,
    format_p,
    format_points,
    format_rate,
    format_share,
    mark_imported,
)

CERTIFIED = "certified accuracy"
"""Title of the column that is left out where nothing is certified."""

UNKNOWN = "unknown"
"""The upper end of the robust accuracy where no attack was run."""

CERTIFIED_TITLES = (
    "dataset",
    "classifier",
    "autoencoder",
    "method",
    "eps",
    "n",
    "clean accuracy",
    "certified accuracy",
    "strongest attack on the same images",
    "robust accuracy between",
    "certified without the purifier",
    "certificate",
)

SMOOTHED_TITLES = (
    "dataset",
    "classifier",
    "autoencoder",
    "sigma",
    "radius",
    "n",
    "clean accuracy",
    "abstained",
    "certified accuracy",
    "samples",
    "alpha",
    "seconds an image",
    "certificate",
)


def tabulate_certified(records: Iterable[CertifiedRecord]) -> Grid:
    """Return a row for each certificate and eps: certified accuracy, and the strongest attack on the same images."""
    return Grid("Certified accuracy", CERTIFIED_TITLES, tuple(map(_write_certified, records)))


def _write_certified(record: CertifiedRecord) -> tuple[str, ...]:
    return (
        record.dataset,
        record.classifier,
        record.purifier_name,
        record.method,
        Cell(format_budget(record.eps, record.norm), record.eps),
        show_count(record.n),
        show_rate(record.clean),
        show_rate(record.certified),
        _write_attack(record),
        _write_between(record),
        _write_gain(record.without),
        record.certificate + mark_imported(record.imported),
    )


def _write_attack(record: CertifiedRecord) -> Cell:
    found = record.strongest
    if isinstance(found, NotRun):
        return Cell(NOT_RUN, None)
    rate = Rate(found.robust_accuracy, *found.robust_accuracy_interval)
    terms = [f"{record.attack}", *([f"eps {record.attack_eps:.3g}"] if record.attack_eps != record.eps else [])]
    terms += [] if found.n == record.n else [f"n = {found.n}"]
    return Cell(f"{format_rate(rate)} {', '.join(terms)}", rate.value)


def _write_between(record: CertifiedRecord) -> Cell:
    """Return the interval [certified, strongest attack] as a cell that sorts by its lower end."""
    found = record.strongest
    if isinstance(found, NotRun):
        return Cell(f"{format_share(record.certified_accuracy)} to {UNKNOWN}", record.certified_accuracy)
    size = "" if found.all_attacked else f", n = {found.n}"
    return Cell(f"{format_share(found.accuracy)} to {format_share(found.robust_accuracy)}{size}", found.accuracy)


def _write_gain(found: CertifiedWithout | NotRun | None) -> Cell:
    """Return the certified accuracy without the purifier, and what the purifier brings."""
    if found is None or isinstance(found, NotRun):
        return Cell(NOT_APPLICABLE if found is None else NOT_RUN, None)
    gain = f"{format_points(found.difference)}, p {format_p(found.mcnemar_p)}"
    brings = f"the purifier brings nothing ({gain})" if found.nothing else f"the purifier brings {gain}"
    return Cell(f"{format_share(found.accuracy)}; {brings}", found.accuracy)


def show_certified(found: CertifiedRange | None) -> Cell:
    """Return the certified accuracy with its interval, its method, and n where it is not that of the attack."""
    if found is None:
        return Cell(NOT_APPLICABLE, None)
    return Cell(f"{format_rate(found.certified)} {found.source}", found.accuracy)


def tabulate_smoothed(records: Iterable[SmoothedRecord]) -> Grid:
    """Return a row for each certificate of a smoothed pipeline and each radius."""
    return Grid("Certified accuracy of smoothed pipelines", SMOOTHED_TITLES, tuple(map(_write_smoothed, records)))


def _write_smoothed(record: SmoothedRecord) -> tuple[str, ...]:
    return (
        record.dataset,
        record.classifier,
        record.purifier_name,
        Cell(f"{record.sigma:g}", record.sigma),
        Cell(format_budget(record.eps, record.norm), record.eps),
        show_count(record.n),
        show_rate(record.clean),
        show_count(record.abstained),
        show_rate(record.certified),
        show_count(record.samples),
        Cell(f"{record.alpha:g}", record.alpha),
        Cell(f"{record.seconds_per_image:.3g}", record.seconds_per_image),
        record.certificate + mark_imported(record.imported),
    )
