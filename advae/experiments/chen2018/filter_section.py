"""The section on Chen and Sirkeci-Mergen 2018: their accuracies, and ours at the calibrated eps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from advae.experiments.calibration import choose_result
from advae.experiments.chen2018.filtered_accuracies import FILTERED, FilteredAccuracy
from advae.experiments.measured_accuracy import NEAR, Found, describe_found, list_objections, write_counts, write_found
from advae.named_plans import CHEN_PLAN, QUICK
from advae.records import find_eps
from advae.report.analysis.tables import Difference, Findings, NotRun, ShownShare, Table, TableRecord
from advae.report.data.contents import Comparison
from advae.report.data.runs import Measured, Run
from advae.report.data.word_tables import Cell, Grid, Part
from advae.report.wording import NBSP, NOT_APPLICABLE, NOT_RUN, format_eps, format_points

FILTER_TITLE = "Chen and Sirkeci-Mergen 2018 beside ours"

METHOD, DATASET = "fgsm", "mnist"
"""Their attack, and the images that they attack."""

FILTER_EXPLAINED = (
    "An autoencoder in front of a trained classifier, as a filter against FGSM. They print neither eps, nor the sizes "
    "of their networks, nor what the attacker knows. Our eps is calibrated: of a grid, the one at which FGSM takes the "
    "undefended classifier nearest to the accuracy that they print. Oblivious: FGSM on the classifier without the "
    "filter. Adaptive: FGSM through the filter. Strongest: the strongest other adaptive attack of the plan at the same "
    "eps; the last number under n is that of its images. Sizes and training are ours, as the plan says."
)

UNEXPLAINED = (
    "their eps, sizes and attacker are not known: another network falls to the same accuracy at another eps, which "
    "decides what a filter can do"
)
"""Why ours may differ from theirs."""


class FilterRecord(TableRecord):
    """What Chen and Sirkeci-Mergen print of one classifier, and ours."""

    classifier: str
    """Kind of the classifier: nn, a network, or lr, logistic regression."""
    images: str
    """Their images, in words: ten digits, or digits 3 and 7, of MNIST."""
    measured_on: str | None
    """The dataset that ours were measured on; null where nothing was run."""
    eps: float | None
    """Calibrated radius of the attack in units of an image's range, 0 to 1; null where it was not calibrated."""
    eps_from: str | None
    """The run over a grid of eps that it was read off; null likewise."""
    reached: bool | None
    """Whether the undefended classifier falls to their accuracy at some eps of the grid; null likewise."""
    undefended_published: ShownShare
    """Accuracy of their undefended classifier under FGSM, 0 to 1."""
    undefended: Found | NotRun
    """Robust accuracy of our undefended classifier under FGSM at the calibrated eps."""
    purified_published: ShownShare
    """Accuracy of theirs behind the autoencoder, 0 to 1."""
    clean: Found | NotRun
    """Clean accuracy of ours behind the autoencoder."""
    oblivious: Found | NotRun
    """Robust accuracy of ours behind the autoencoder under FGSM on the undefended classifier."""
    adaptive: Found | NotRun
    """Robust accuracy of ours behind the autoencoder under FGSM through both."""
    strongest: Found | NotRun
    """Robust accuracy of ours behind the autoencoder under the strongest adaptive attack of the plan."""
    strongest_attack: str | None
    """The strongest attack, as `advae attack --method` takes it; null where none was run."""
    difference: Difference | None
    """Ours under the oblivious attack minus theirs behind the autoencoder, as shares; null where ours was not run."""
    explanation: str | None
    """Why they differ; null where they do not."""


def find_filtered(comparison: Comparison) -> tuple[FilterRecord, ...]:
    """Return a row for each classifier of theirs on each dataset of the plan; ours is NotRun where it was not run.

    Empty for a report that is not of the plan.
    """
    if comparison.plan not in (CHEN_PLAN, CHEN_PLAN + QUICK):
        return ()
    datasets = dict.fromkeys(run.recipe.dataset.name for run in comparison.runs)
    return tuple(
        _describe([run for run in comparison.runs if run.recipe.dataset.name == dataset], published)
        for dataset in datasets
        for published in FILTERED
    )


def _describe(runs: Iterable[Run], published: FilteredAccuracy) -> FilterRecord:
    kind = (published.classifier, published.classes)
    same = [run for run in runs if (run.classifier_recipe.model, run.recipe.dataset.kept) == kind]
    sweep = _find_sweep(same)
    eps = choose_result(sweep.metrics.results, published.undefended).eps if sweep else None
    behind = _list_behind(same, sweep, eps)
    oblivious = _find(one for one in behind if (one.recipe.threat, one.recipe.method) == ("oblivious", METHOD))
    adaptive = [one for one in behind if one.recipe.threat == "adaptive"]
    others = [one for one in adaptive if one.recipe.method != METHOD]
    strongest = min(others, key=lambda one: one.accuracy, default=None)
    difference = oblivious.accuracy - published.purified if isinstance(oblivious, Found) else None
    lowest = min((result.accuracy for result in sweep.metrics.results), default=None) if sweep else None
    return FilterRecord(
        classifier=published.classifier,
        images=published.images,
        measured_on=sweep.dataset if sweep else None,
        eps=eps,
        eps_from=sweep.id if sweep else None,
        reached=None if lowest is None else lowest <= published.undefended,
        undefended_published=published.undefended,
        undefended=_find(_measure([sweep] if sweep else [], eps)),
        purified_published=published.purified,
        clean=next((describe_found(one.run, one.run.clean) for one in behind), NotRun()),
        oblivious=oblivious,
        adaptive=_find(one for one in adaptive if one.recipe.method == METHOD),
        strongest=_find([strongest] if strongest else []),
        strongest_attack=strongest.recipe.method if strongest else None,
        difference=difference,
        explanation=_explain(sweep) if sweep and difference is not None and abs(difference) > NEAR else None,
    )


def _explain(sweep: Run) -> str:
    return UNEXPLAINED if sweep.recipe.dataset.name == DATASET else f"theirs is of {DATASET}, ours of {sweep.dataset}"


def _find_sweep(runs: Iterable[Run]) -> Run | None:
    """Return the run that eps is read off: of FGSM on the undefended classifier, the one of most eps, first seed."""
    bare = [run for run in runs if not run.defended and run.recipe.method == METHOD and run.recipe.clip]
    return min(bare, key=lambda run: (-len(run.recipe.eps), run.classifier_recipe.seed), default=None)


def _list_behind(runs: Iterable[Run], sweep: Run | None, eps: float | None) -> list[Measured]:
    """Return what was measured at the eps on the swept classifier behind a purifier, on most images first."""
    own = [run for run in runs if run.defended and sweep and run.classifier_recipe.origin == sweep.classifier.id]
    return sorted(_measure(own, eps), key=lambda one: -one.metrics.n)


def _measure(runs: Iterable[Run], eps: float | None) -> list[Measured]:
    """Return what runs found at an eps, without those that did not attack there."""
    places = ((run, None if eps is None else find_eps(run.recipe.eps, eps)) for run in runs)
    return [Measured(run, place) for run, place in places if place is not None]


def _find(measured: Iterable[Measured]) -> Found | NotRun:
    found = (describe_found(one.run, one.attacked, tuple(list_objections(one))) for one in measured)
    return next(found, NotRun())


# ---------------------------------------------------------------- for people

COLUMN_HEADS = (
    "classifier",
    "images",
    "ours on",
    "eps, calibrated",
    "undefended, theirs",
    "undefended, ours",
    "purified, theirs",
    "purified and oblivious, ours",
    "difference, points",
    "purified and adaptive, ours",
    "purified, strongest adaptive, ours",
    "purified, clean, ours",
    "why",
    "n",
    "run, undefended",
    "run, oblivious",
    "run, adaptive",
    "run, strongest",
)


def tabulate_filtered(records: Iterable[FilterRecord]) -> Grid:
    """Return the comparison as a table, a row for each classifier."""
    return Grid(FILTER_TITLE, COLUMN_HEADS, tuple(map(_write_row, records)))


def _write_row(record: FilterRecord) -> tuple[str, ...]:
    found = (record.undefended, record.oblivious, record.adaptive, record.strongest)
    strongest = write_found(record.strongest)
    if record.strongest_attack:
        strongest = Cell(f"{strongest} ({record.strongest_attack})", getattr(record.strongest, "accuracy", None))
    return (
        record.classifier,
        record.images,
        record.measured_on or NOT_RUN,
        _write_eps(record),
        _write_published(record.undefended_published),
        write_found(record.undefended),
        _write_published(record.purified_published),
        write_found(record.oblivious),
        Cell(format_points(record.difference), record.difference),
        write_found(record.adaptive),
        strongest,
        write_found(record.clean),
        _write_reason(record),
        write_counts(found),
        *(one.run if isinstance(one, Found) else NOT_RUN for one in found),
    )


def _write_published(share: float) -> Cell:
    """Return an accuracy with the two decimals that they print."""
    return Cell(f"{100 * share:.2f}{NBSP}%", share)


def _write_eps(record: FilterRecord) -> Cell:
    if record.eps is None:
        return Cell(NOT_RUN, None)
    lowest = "" if record.reached else "; their accuracy is not reached, so this one is the lowest"
    return Cell(format_eps(record.eps) + lowest, record.eps)


def _write_reason(record: FilterRecord) -> str:
    if record.difference is None:
        return NOT_APPLICABLE
    return record.explanation or "within five points"


def _tabulate(findings: Findings) -> Iterator[Part]:
    records = find_filtered(findings.comparison)
    if records:
        yield Part(tabulate_filtered(records), {})


CHEN_SECTION = Table(
    FILTER_TITLE,
    FILTER_EXPLAINED,
    "report",
    _tabulate,
    FilterRecord,
    collect=lambda findings: find_filtered(findings.comparison),
    marks=("undefended_published", "eps_from", "reached"),
)
"""The section that the commands add to the report under the name ``chen2018``."""
