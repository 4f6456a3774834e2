"""An accuracy of ours beside one that a paper prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from advae.report.analysis.tables import NotRun, ShownInterval, ShownShare, TableRecord
from advae.report.data.runs import Measured, Rate, Run
from advae.report.data.word_tables import Cell
from advae.report.wording import NOT_RUN, format_rate

NEAR = 0.05
"""Largest difference of two accuracies, as a share, that needs no explanation."""


class Found(TableRecord):
    """An accuracy of ours beside one of the paper."""

    status: Literal["measured"] = "measured"
    """Whether it was measured."""
    accuracy: ShownShare
    """Share of the images classified correctly, 0 to 1: robust accuracy, or clean accuracy on the unchanged images."""
    accuracy_interval: ShownInterval
    """Wilson's 95 % interval of the accuracy."""
    n: int
    """Number of test images."""
    run: str
    """The id of the run that measured it."""
    objections: tuple[str, ...] = ()
    """Reasons why the result is not valid or not reliable; empty where none is known."""


def describe_found(run: Run, rate: Rate, objections: tuple[str, ...] = ()) -> Found:
    """Return an accuracy that a run measured."""
    interval = (rate.low, rate.high)
    return Found(accuracy=rate.value, accuracy_interval=interval, n=run.metrics.n, run=run.id, objections=objections)


def list_objections(measured: Measured) -> Iterator[str]:
    """Yield why a result is not valid or not reliable."""
    if not measured.result.within_budget:
        yield "not a valid result"
    for result in measured.run.metrics.verdicts:
        if result.status == "FAIL" and result.check != "budget":
            yield f"{result.check} FAIL"


def write_counts(found: Iterable[Found | NotRun]) -> Cell:
    """Return the number of images that ours were measured on; both numbers where they differ."""
    counts = list(dict.fromkeys(one.n for one in found if isinstance(one, Found)))
    return Cell(" and ".join(map(str, counts)) or NOT_RUN, min(counts, default=None))


def write_found(found: Found | NotRun) -> str:
    """Return the cell of an accuracy, with its interval and the objections to it."""
    if isinstance(found, NotRun):
        return Cell(NOT_RUN, None)
    rate = Rate(found.accuracy, *found.accuracy_interval)
    return Cell(", ".join((format_rate(rate), *found.objections)), found.accuracy)
