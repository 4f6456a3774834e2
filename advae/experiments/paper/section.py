"""The paper beside ours: its accuracies, ours under its own protocol, and what an attacker who knows of it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from advae.experiments import PAPER_EPOCHS, Published, explain_difference, list_published
from advae.records import NetworkOptions, find_eps
from advae.report.data.contents import Comparison
from advae.report.data.runs import Measured, Rate, Run, read_raw_range
from advae.report.formats.word_tables import Cell, Grid, show_count, show_share
from advae.report.wording import DEFAULT_LOSS, NOT_APPLICABLE, NOT_RUN, format_eps, format_points, format_rate

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
    """An accuracy of ours: its rate, on how many images, and the run that measured it.

    objections: what keeps it from being a valid result, or from being believed, empty where nothing is known.
    """

    rate: Rate
    n: int
    run: str
    objections: tuple[str, ...] = ()


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
        """Ours under the paper's protocol minus the paper's, as shares; None where ours is on other images."""
        if self.protocol is None or self.stands_in:
            return None
        return self.protocol.rate.value - self.published.accuracy

    @property
    def explanation(self) -> str | None:
        """Why ours is far from the paper's, None where it is not, or where nobody knows."""
        far = self.difference is not None and abs(self.difference) > NEAR
        return explain_difference(self.published.figure) if far else None

    @property
    def name(self) -> str:
        """What was attacked and how, in words."""
        one = self.published
        front = one.classifier if one.autoencoder == "none" else f"{one.classifier} behind {one.autoencoder}"
        return f"{front}, clean" if one.eps is None else f"{front}, {one.attack}, eps {format_eps(one.eps)}"


def find_counterparts(comparison: Comparison) -> tuple[Counterpart, ...]:
    """Return a row for each accuracy of the paper, by figure; none of ours where it was not run.

    No rows at all where a report is neither the paper's experiment nor about what its protocol says of its datasets.
    """
    if not (comparison.reproduction or _follows_the_paper(comparison)):
        return ()
    there = {run.dataset for run in comparison.runs}
    return tuple(_find_counterpart(comparison.runs, published, there) for published in list_published())


def _follows_the_paper(comparison: Comparison) -> bool:
    """Whether anything was run on the paper's datasets under its own protocol: encoded, or not clipped."""
    ours = {published.dataset for published in list_published()}
    return any(
        run.dataset in ours and (run.recipe.threat == "encoded" or not run.recipe.clip) for run in comparison.runs
    )


def _find_counterpart(runs: Iterable[Run], published: Published, there: set[str]) -> Counterpart:
    dataset = published.dataset
    if dataset not in there and STAND_INS.get(dataset) in there:
        dataset = STAND_INS[dataset]
    same = [
        run
        for run in runs
        if (run.dataset, run.classifier_recipe.model, run.autoencoder_type)
        == (dataset, published.classifier, published.autoencoder)
    ]
    raw = [run for run in same if not run.autoencoder_recipe or run.autoencoder_recipe.rescale == "none"]
    honest = [run for run in same if read_raw_range(run) is None]
    return Counterpart(published, dataset, _find(raw, published, _is_protocol), _find(honest, published, _is_adaptive))


def _find(runs: Iterable[Run], published: Published, fits: Callable[[Run], bool]) -> Found | None:
    """Return what the runs say of one accuracy: the run on most images, of equals the one most like the paper's."""
    ordered = sorted(runs, key=_rate_distance)
    if published.eps is None:
        return next((Found(run.clean, run.metrics.n, run.id) for run in ordered), None)
    for run in ordered:
        recipe = run.recipe
        same = (recipe.method, recipe.target, recipe.norm) == (published.attack, published.target, "linf")
        place = find_eps(recipe.eps, published.eps)
        if same and place is not None and fits(run):
            measured = Measured(run, place)
            return Found(measured.attacked, run.metrics.n, run.id, tuple(_list_objections(measured)))
    return None


def _rate_distance(run: Run) -> tuple[float, ...]:
    """Return how far a run is from what the paper did: in its images first, then its options, then its seeds."""
    recipe, trained = run.recipe, run.classifier_recipe.options
    epochs = trained.epochs if isinstance(trained, NetworkOptions) else PAPER_EPOCHS
    other = (recipe.loss not in (None, DEFAULT_LOSS), recipe.step_size is not None)
    return (
        -run.metrics.n,
        abs(epochs - PAPER_EPOCHS),
        *map(float, other),
        recipe.steps or 0,
        run.classifier_recipe.seed,
    )


def _list_objections(measured: Measured) -> Iterator[str]:
    if not measured.result.within_budget:
        yield "not a valid result"
    for verdict in measured.run.metrics.verdicts:
        if verdict.status == "FAIL" and verdict.check != "budget":
            yield f"{verdict.check} FAIL"


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
    "n",
    "run, protocol",
    "run, adaptive",
)


def tabulate_paper(counterparts: Iterable[Counterpart]) -> Grid:
    """Return the paper beside ours as a table, a row for each of its accuracies."""
    return Grid("The paper beside ours", TITLES, tuple(_write_row(counterpart) for counterpart in counterparts))


def _write_row(counterpart: Counterpart) -> tuple[str, ...]:
    published, difference = counterpart.published, counterpart.difference
    found = (counterpart.protocol, counterpart.adaptive)
    points = NOT_APPLICABLE if counterpart.stands_in else format_points(difference)
    return (
        show_count(published.figure),
        f"{published.dataset}, ours: {counterpart.dataset}" if counterpart.stands_in else published.dataset,
        counterpart.name,
        show_share(published.accuracy),
        _write_found(counterpart.protocol),
        Cell(points, difference),
        _write_found(counterpart.adaptive),
        _write_explanation(counterpart),
        _write_counts(found),
        *(one.run if one else NOT_RUN for one in found),
    )


def _write_explanation(counterpart: Counterpart) -> str:
    if counterpart.stands_in:
        return f"{counterpart.dataset} is not {counterpart.published.dataset}: nothing to compare"
    if counterpart.difference is None:
        return NOT_APPLICABLE
    near = abs(counterpart.difference) <= NEAR
    return "within five points" if near else counterpart.explanation or "not explained"


def _write_counts(found: Iterable[Found | None]) -> Cell:
    """Return how many images ours stand on; both numbers where they differ."""
    counts = list(dict.fromkeys(one.n for one in found if one))
    return Cell(" and ".join(map(str, counts)) or NOT_RUN, min(counts, default=None))


def _write_found(found: Found | None) -> str:
    if found is None:
        return Cell(NOT_RUN, None)
    return Cell(", ".join((format_rate(found.rate), *found.objections)), found.rate.value)
