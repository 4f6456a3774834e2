"""The paper beside ours: its accuracies, ours under its own protocol, and what an attacker who knows of it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from advae.experiments import Published, explain_difference, list_published
from advae.report.grids import Cell, Grid
from advae.report.rows import Comparison
from advae.report.runs import Measured, Rate, Run, read_raw_range
from advae.report.wording import NOT_APPLICABLE, NOT_RUN, format_points, format_rate, format_share, show_name

EXPLANATION = (
    "Every accuracy that the paper prints, ours under its own protocol (raw output, the perturbation added behind the "
    "autoencoder, linear attacks neither projected nor clipped), and ours under an honest one: output rescaled to the "
    "image's intensity, the image itself perturbed inside its budget and its range by an attacker who knows of the "
    "autoencoder. A clean accuracy has no attacker; there the two are the raw and the rescaled output."
)

NEAR = 0.05
"""A difference that needs no explanation."""

STAND_INS = {"mnist": "digits"}
"""What is shown where a dataset of the paper's was not run: too small to compare with, and said to be so."""


@dataclass(frozen=True)
class Found:
    """An accuracy of ours: its rate, on how many images, and the run that measured it."""

    rate: Rate
    n: int
    run: str


@dataclass(frozen=True)
class Counterpart:
    """One accuracy of the paper and ours.

    dataset: that ours were measured on; protocol: under the paper's protocol; adaptive: behind the rescaled output, by
    an attacker who knows of the defence, or clean. None where that was not run.
    """

    published: Published
    dataset: str
    protocol: Found | None
    adaptive: Found | None

    @property
    def stands_in(self) -> bool:
        return self.dataset != self.published.dataset

    @property
    def difference(self) -> float | None:
        """Ours under the paper's protocol minus the paper's, as shares."""
        return self.protocol.rate.value - self.published.accuracy if self.protocol else None

    @property
    def explanation(self) -> str | None:
        """Why ours is another, where that is known; of the paper's own datasets only."""
        return None if self.stands_in or self.protocol is None else explain_difference(self.published.figure)

    @property
    def name(self) -> str:
        """What was attacked and how, in words."""
        one = self.published
        front = one.classifier if one.autoencoder == "none" else f"{one.classifier} behind {one.autoencoder}"
        return f"{front}, {'clean' if one.attack == 'none' else one.attack}"


def find_counterparts(comparison: Comparison) -> tuple[Counterpart, ...]:
    """Return a row for each accuracy of the paper, by figure; none of ours where it was not run.

    No rows at all where a report is neither the paper's experiment nor about what its protocol says of its datasets.
    """
    if not (comparison.reproduction or _follows_the_paper(comparison)):
        return ()
    there = {run.recipe.dataset.name for run in comparison.runs}
    return tuple(_find_counterpart(comparison.runs, published, there) for published in list_published())


def _follows_the_paper(comparison: Comparison) -> bool:
    """Whether anything was run on the paper's datasets under its own protocol: encoded, or not clipped."""
    ours = {published.dataset for published in list_published()}
    return any(
        run.recipe.dataset.name in ours and (run.recipe.threat == "encoded" or not run.recipe.clip)
        for run in comparison.runs
    )


def _find_counterpart(runs: Iterable[Run], published: Published, there: set[str]) -> Counterpart:
    dataset = published.dataset
    if dataset not in there and STAND_INS.get(dataset) in there:
        dataset = STAND_INS[dataset]
    same = [
        run
        for run in runs
        if (run.recipe.dataset.name, run.classifier_recipe.model, run.autoencoder_type)
        == (dataset, published.classifier, published.autoencoder)
    ]
    raw = [run for run in same if not run.autoencoder_recipe or run.autoencoder_recipe.rescale == "none"]
    honest = [run for run in same if read_raw_range(run) is None]
    return Counterpart(published, dataset, _find(raw, published, _is_protocol), _find(honest, published, _is_adaptive))


def _find(runs: Iterable[Run], published: Published, fits: Callable[[Run], bool]) -> Found | None:
    """Return what the runs say of one accuracy: on most images, of equals that of the smallest seed."""
    ordered = sorted(runs, key=lambda run: (-run.metrics.n, run.classifier_recipe.seed))
    if published.eps is None:
        return next((Found(run.clean, run.metrics.n, run.id) for run in ordered), None)
    for run in ordered:
        if run.recipe.method == published.attack and published.eps in run.recipe.eps and fits(run):
            measured = Measured(run, run.recipe.eps.index(published.eps))
            return Found(measured.attacked, run.metrics.n, run.id)
    return None


def _is_protocol(run: Run) -> bool:
    """Whether a run follows the paper: behind the autoencoder; a linear attack neither projected nor clipped."""
    linear = run.classifier_recipe.model == "lr"
    return run.recipe.threat == ("encoded" if run.defended else "adaptive") and run.recipe.clip is not linear


def _is_adaptive(run: Run) -> bool:
    return run.recipe.threat == "adaptive" and run.recipe.clip


# ---------------------------------------------------------------- for people

TITLES = (
    "figure",
    "dataset",
    "what was measured",
    "paper",
    "paper's protocol, ours",
    "difference, points",
    "adaptive, ours",
    "why",
)


def tabulate_paper(counterparts: Iterable[Counterpart]) -> Grid:
    """Return the paper beside ours as a table, a row for each of its accuracies."""
    return Grid("The paper beside ours", TITLES, tuple(_write_row(counterpart) for counterpart in counterparts))


def _write_row(counterpart: Counterpart) -> tuple[str, ...]:
    published, difference = counterpart.published, counterpart.difference
    return (
        Cell(str(published.figure), published.figure),
        f"{published.dataset}, ours: {show_name(counterpart.dataset)}" if counterpart.stands_in else published.dataset,
        counterpart.name,
        Cell(format_share(published.accuracy), published.accuracy),
        _write_found(counterpart.protocol),
        Cell(format_points(difference), difference),
        _write_found(counterpart.adaptive),
        _write_explanation(counterpart),
    )


def _write_explanation(counterpart: Counterpart) -> str:
    if counterpart.difference is None:
        return NOT_APPLICABLE
    if counterpart.stands_in:
        return f"{show_name(counterpart.dataset)} is not {counterpart.published.dataset}: nothing to compare"
    near = abs(counterpart.difference) <= NEAR
    return counterpart.explanation or ("within five points" if near else "not explained")


def _write_found(found: Found | None) -> str:
    return Cell(format_rate(found.rate), found.rate.value) if found else Cell(NOT_RUN, None)
