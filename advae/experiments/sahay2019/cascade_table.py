"""The table of the cascade's authors: theirs, ours under the same attack, and ours under adaptive attacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from advae.experiments.sahay2019.cascade_accuracies import (
    ATTACKED,
    CASCADE_COLUMNS,
    CASCADED,
    DENOISED,
    MEASURED_ON,
    REDUCED,
    PublishedAccuracy,
    list_cascade_accuracies,
)
from advae.models.cascade_stages import BOTH, CASCADE, DENOISE, REDUCE, STAGES
from advae.named_plans import QUICK, SAHAY_PLAN
from advae.records import LayersOptions, find_eps
from advae.report.analysis.tables import Difference, Findings, NotRun, ShownInterval, ShownShare, TableRecord
from advae.report.data.contents import Comparison
from advae.report.data.runs import Measured, Rate, Run

WEAK, STRONGER = "fgsm", "pgd"
"""The attack of the authors, and a stronger one."""

COLUMN_OF_STAGES = {DENOISE: DENOISED, REDUCE: REDUCED, BOTH: CASCADED}


class Ours(TableRecord):
    """An accuracy of ours."""

    status: Literal["measured"] = "measured"
    """Whether it was measured."""
    accuracy: ShownShare
    """Share of the images classified correctly, 0 to 1."""
    accuracy_interval: ShownInterval
    """Wilson's 95 % interval of the accuracy."""
    n: int
    """Number of test images."""
    run: str
    """The id of the run that measured it."""


class SahayRecord(TableRecord):
    """One place of the authors' table, and ours."""

    dataset: str
    """The dataset that ours were measured on; theirs is mnist."""
    column: str
    """What is in front of the classifier: attacked, nothing; denoised, the denoiser; reduced, the encoder of the
    reduction alone; cascaded, the denoiser and that encoder."""
    code_size: int | None
    """Numbers of the code that is classified; null where images are."""
    eps: float | None
    """Radius of the attack, in units of an image's range; null for the clean images."""
    published: ShownShare | None
    """The accuracy of the authors; null where they have none, and on another dataset than theirs."""
    oblivious: Ours | NotRun
    """Ours under their attack: FGSM on the undefended classifier, which does not know of the defence."""
    adaptive: Ours | NotRun
    """Ours under FGSM on the whole pipeline, adaptive."""
    strong: Ours | NotRun
    """Ours under PGD on the whole pipeline, adaptive: a stronger attack, on fewer images and eps."""
    difference: Difference | None
    """Ours under their attack minus theirs; null where one of them is missing."""


class Place(NamedTuple):
    """A pipeline of the table."""

    column: str
    """One of CASCADE_COLUMNS."""
    code_size: int | None
    """Numbers of the code that is classified; None where images are."""

    @property
    def name(self) -> str:
        """The column in words."""
        return self.column if self.code_size is None else f"{self.column}, {self.code_size}"


def find_sahay_place(run: Run) -> Place | None:
    """Return the place of a run's pipeline in the table; None for one that is no part of it."""
    classifier, purifier = run.classifier_recipe, run.autoencoder_recipe
    if not isinstance(classifier.options, LayersOptions):
        return None
    if purifier is None:
        return Place(ATTACKED, None)
    if purifier.type != CASCADE:
        return None
    column = COLUMN_OF_STAGES.get(str(purifier.options.get(STAGES)))
    if column is None or (column == DENOISED) is not (classifier.code is None):
        return None
    return Place(column, classifier.code)


def list_sahay(comparison: Comparison) -> tuple[SahayRecord, ...]:
    """Return the table of each dataset, column by column; empty for a report without a classifier of a cascade."""
    placed = [(place, run) for run in comparison.runs if (place := find_sahay_place(run))]
    cascaded = any(place.column == CASCADED for place, _ in placed)
    if not (cascaded or comparison.plan in (SAHAY_PLAN, SAHAY_PLAN + QUICK)):
        return ()
    datasets = dict.fromkeys(run.dataset for _, run in placed)
    return tuple(
        record
        for dataset in datasets
        for record in _list_of_dataset(dataset, [(place, run) for place, run in placed if run.dataset == dataset])
    )


def _list_of_dataset(dataset: str, placed: list[tuple[Place, Run]]) -> Iterator[SahayRecord]:
    """Yield the clean accuracy and that at each eps of each column, as far as theirs or ours exist."""
    published = {
        (Place(one.column, one.code_size), one.eps): one for one in list_cascade_accuracies() if dataset == MEASURED_ON
    }
    order = sorted(
        {place for place, _ in placed}, key=lambda one: (CASCADE_COLUMNS.index(one.column), one.code_size or 0)
    )
    for place in order:
        runs = sorted((run for other, run in placed if other == place), key=_sort_key)
        radii = {eps for run in runs if run.recipe.method in (WEAK, STRONGER) for eps in run.recipe.eps}
        for eps in (None, *sorted(radii)):
            yield _make_record(dataset, place, eps, runs, _find_published(published, place, eps))


def _find_published(
    published: dict[tuple[Place, float | None], PublishedAccuracy], place: Place, eps: float | None
) -> float | None:
    found = published.get((place, None if eps is None else round(eps, 6)))
    return found.accuracy if found else None


def _make_record(
    dataset: str, place: Place, eps: float | None, runs: list[Run], published: float | None
) -> SahayRecord:
    # The undefended classifier has no purifier: FGSM on it is adaptive.
    weak = "adaptive" if place.column == ATTACKED else "oblivious"
    oblivious = _find(runs, WEAK, weak, eps)
    ours = oblivious.accuracy if isinstance(oblivious, Ours) else None
    return SahayRecord(
        dataset=dataset,
        column=place.column,
        code_size=place.code_size,
        eps=eps,
        published=published,
        oblivious=oblivious,
        adaptive=_find(runs, WEAK, "adaptive", eps),
        strong=_find(runs, STRONGER, "adaptive", eps),
        difference=None if ours is None or published is None else ours - published,
    )


def _sort_key(run: Run) -> tuple[int, int, str]:
    """Return the key by which the runs of one pipeline are tried: most images, first seed."""
    return -run.metrics.n, run.classifier_recipe.seed, run.id


def _find(runs: Iterable[Run], method: str, threat: str, eps: float | None) -> Ours | NotRun:
    """Return the accuracy under an attack, of the clean images for no eps."""
    for run in runs:
        recipe = run.recipe
        if (recipe.method, recipe.threat, recipe.norm, recipe.clip) != (method, threat, "linf", True):
            continue
        if eps is None:
            return _describe(run, run.clean)
        place = find_eps(recipe.eps, eps)
        if place is not None:
            return _describe(run, Measured(run, place).attacked)
    return NotRun()


def _describe(run: Run, rate: Rate) -> Ours:
    return Ours(accuracy=rate.value, accuracy_interval=(rate.low, rate.high), n=run.metrics.n, run=run.id)


def collect_sahay(findings: Findings) -> tuple[SahayRecord, ...]:
    """Return the records of a report's findings."""
    return list_sahay(findings.comparison)
