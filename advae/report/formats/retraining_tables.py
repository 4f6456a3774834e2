"""The report's tables on retrained classifiers, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from advae.report.analysis.headline_records import Strength
from advae.report.analysis.retrained import (
    RetrainedRecord,
    RoundRecord,
    list_retrained_classifiers,
    list_rounds,
)
from advae.report.analysis.tables import Findings, NotRun, Table
from advae.report.data.grouping import group_by
from advae.report.data.word_tables import Cell, Grid, Part, show_count, show_eps, show_rate
from advae.report.formats.record_tables import describe_strength
from advae.report.wording import NOT_RUN, format_points, format_rate

RETRAINED_EXPLAINED = (
    "Retraining on adversarial examples (RAD) is the forerunner of adversarial training: the classifier is fitted, "
    "attacked, and fitted again from scratch on what evades it. Its own attack measures what it was trained against: "
    "the robust accuracy under it is an upper bound. Overestimated: that number minus the robust accuracy under the "
    "strongest adaptive attack that was run at the same eps, on the same images."
)
ROUNDS_EXPLAINED = (
    "Round 0 is the classifier that is not retrained. In each round training images are attacked; an adversarial "
    "example is added if the round's classifier gets it wrong and the set does not have it. Behind a purifier the "
    "attack goes through it, and the purified image is added. Clean and robust accuracy are of the round's "
    "classifier on all test images, under the same attack at the same eps."
)

RETRAINED_TITLES = (
    *("pipeline", "rounds", "adversarial examples", "own attack", "eps", "robust accuracy, own attack"),
    *("the same in a run", "robust accuracy, strongest attack", "overestimated, points", "clean accuracy", "notes"),
)
ROUND_TITLES = ("round", "in the training set", "evading", "new", "clean accuracy", "robust accuracy", "n")


def _tabulate_retrained(findings: Findings) -> Iterator[Part]:
    if records := findings.collect(list_retrained_classifiers):
        yield Part(Grid("Retrained classifiers", RETRAINED_TITLES, tuple(map(_write_retrained, records))), {})


def _write_retrained(record: RetrainedRecord) -> tuple[str, ...]:
    return (
        record.pipeline,
        Cell(f"{record.rounds} of {record.most_rounds}", record.rounds),
        show_count(record.examples),
        record.method,
        show_eps(record.eps),
        Cell(f"{format_rate(record.robust)}, n = {record.n}", record.robust_accuracy),
        _write_strength(record.own),
        _write_strength(record.strongest),
        _write_difference(record.overestimated),
        show_rate(record.clean),
        "; ".join(record.notes) or "none",
    )


def _write_strength(found: Strength | NotRun) -> Cell:
    if isinstance(found, NotRun):
        return Cell(NOT_RUN, None)
    return Cell(f"{format_rate(found.rate)} {describe_strength(found)}", found.robust_accuracy)


def _write_difference(value: float | NotRun) -> Cell:
    return Cell(NOT_RUN, None) if isinstance(value, NotRun) else Cell(format_points(value), value)


def _tabulate_rounds(findings: Findings) -> Iterator[Part]:
    for id_, rounds in group_by(findings.collect(list_rounds), lambda one: one.classifier_id).items():
        yield Part(_write_rounds(rounds), {"classifier_id": id_}, f"{rounds[0].pipeline}, {id_}", _describe(rounds[0]))


def _describe(first: RoundRecord) -> str:
    return f"Attacked in each round: {first.attacked} training images, by {first.method} at eps {first.eps:.4g}."


def _write_rounds(rounds: Sequence[RoundRecord]) -> Grid:
    return Grid(f"Rounds of {rounds[0].classifier_id}", ROUND_TITLES, tuple(map(_write_round, rounds)))


def _write_round(one: RoundRecord) -> tuple[str, ...]:
    counts = map(show_count, (one.round, one.examples, one.evading, one.new))
    return *counts, show_rate(one.clean), show_rate(one.robust), show_count(one.n)


RETRAINING_TABLES: dict[str, Table] = {
    "retrained": Table(
        "Retrained classifiers under their own attack and a stronger one",
        RETRAINED_EXPLAINED,
        "report",
        _tabulate_retrained,
        RetrainedRecord,
        list_retrained_classifiers,
        marks=("classifier_id", "method", "rounds"),
    ),
    "retraining_rounds": Table(
        "Retraining, round by round",
        ROUNDS_EXPLAINED,
        "report",
        _tabulate_rounds,
        RoundRecord,
        list_rounds,
        marks=("classifier_id", "round", "evading"),
    ),
}
"""Tables of the catalogue, by name."""
