"""The comparison with the paper: its accuracies, ours under the same protocol, and ours under an adaptive attack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from advae.experiments.measured_accuracy import NEAR, Found, describe_found, list_objections, write_counts, write_found
from advae.experiments.paper.explanations import explain_difference
from advae.experiments.paper.published import Published, list_published
from advae.models.classifiers import is_linear
from advae.models.layers import PAPER_EPOCHS
from advae.named_plans import PAPER_PLAN
from advae.records import NetworkOptions, find_eps
from advae.report.analysis.tables import Findings, NotRun, ShownShare, Table, TableRecord
from advae.report.data.contents import Comparison
from advae.report.data.runs import Measured, Run, read_raw_range
from advae.report.data.word_tables import Cell, Grid, Part, show_count, show_percentage
from advae.report.wording import NOT_APPLICABLE, NOT_RUN, format_eps, format_points
from advae.run_options import DEFAULT_LOSS

EXPLANATION = (
    "Every accuracy that the paper prints, ours under its own protocol (raw output, the perturbation added behind the "
    "autoencoder, linear attacks neither projected nor clipped), and ours under an adaptive attack: output rescaled "
    "to the image's intensity, the image itself perturbed inside its budget and its range, the autoencoder known to "
    "the attacker. Clean accuracies have no attacker; there the two are the raw and the rescaled output."
)


class PaperRecord(TableRecord):
    """One accuracy that the paper prints, and ours."""

    figure: int
    """Number of the figure in the paper."""
    dataset: str
    """The dataset that the paper measured on."""
    classifier: str
    """Kind of the classifier: nn or mlp, a network, or lr, logistic regression."""
    autoencoder: str
    """Kind of the autoencoder in front of the classifier; none where there is none."""
    attack: str
    """The attack, none for the clean images."""
    eps: float | None
    """Radius of the attack in units of an image's range; null for the clean images."""
    accuracy: ShownShare
    """What the paper prints: the share of its confusion matrix on the diagonal, 0 to 1."""
    n: int
    """Samples in the paper's confusion matrix."""
    measured_on: str
    """The dataset that ours were measured on: the paper's."""
    protocol: Found | NotRun
    """Ours under the paper's protocol: raw output, perturbed behind the autoencoder; a linear attack neither projected
    nor clipped."""
    adaptive: Found | NotRun
    """Ours under an adaptive attack: rescaled output, the image attacked within its budget; or clean."""
    difference: float | None
    """Ours under the paper's protocol minus the paper's, as shares; null where ours was not run."""
    explanation: str | None
    """Why they differ; null where they do not, or where it is not known."""

    @property
    def name(self) -> str:
        """The name of the pipeline and the attack."""
        front = self.classifier if self.autoencoder == "none" else f"{self.classifier} behind {self.autoencoder}"
        return f"{front}, clean" if self.eps is None else f"{front}, {self.attack}, eps {format_eps(self.eps)}"


def find_counterparts(comparison: Comparison) -> tuple[PaperRecord, ...]:
    """Return a row for each accuracy of the paper on the report's datasets, by figure; ours is NotRun where it was not
    run.

    Empty for a report that is neither the paper's experiment nor has a run under the paper's protocol on its datasets.
    """
    if not (comparison.plan == PAPER_PLAN or _follows_the_paper(comparison)):
        return ()
    there = {run.dataset for run in comparison.runs}
    of_these = (published for published in list_published() if published.dataset in there)
    return tuple(_find_counterpart(comparison.runs, published) for published in of_these)


def _follows_the_paper(comparison: Comparison) -> bool:
    """Whether a run on a dataset of the paper follows its protocol: encoded, or not clipped."""
    ours = {published.dataset for published in list_published()}
    return any(
        run.dataset in ours and (run.recipe.threat == "encoded" or not run.recipe.clip) for run in comparison.runs
    )


def _find_counterpart(runs: Iterable[Run], published: Published) -> PaperRecord:
    same = [
        run
        for run in runs
        if (run.dataset, run.classifier_recipe.model, run.autoencoder_type)
        == (published.dataset, published.classifier, published.autoencoder)
    ]
    raw = [run for run in same if not run.autoencoder_recipe or run.autoencoder_recipe.rescale == "none"]
    rescaled = [run for run in same if read_raw_range(run) is None]
    protocol, adaptive = _find(raw, published, _is_protocol), _find(rescaled, published, _is_adaptive)
    difference = protocol.accuracy - published.accuracy if isinstance(protocol, Found) else None
    return PaperRecord(
        **published.model_dump(exclude={"twin_of"}),
        eps=published.eps,
        measured_on=published.dataset,
        protocol=protocol,
        adaptive=adaptive,
        difference=difference,
        explanation=explain_difference(published.figure) if difference and abs(difference) > NEAR else None,
    )


def _find(runs: Iterable[Run], published: Published, fits: Callable[[Run], bool]) -> Found | NotRun:
    """Return our accuracy for one of the paper's: from the run on most images, of equal ones the most similar run."""
    ordered = sorted(runs, key=_rate_distance)
    if published.eps is None:
        return next((describe_found(run, run.clean) for run in ordered), NotRun())
    for run in ordered:
        recipe = run.recipe
        same = (recipe.method, recipe.target, recipe.norm) == (published.attack, published.target, "linf")
        place = find_eps(recipe.eps, published.eps)
        if same and place is not None and fits(run):
            measured = Measured(run, place)
            return describe_found(run, measured.attacked, tuple(list_objections(measured)))
    return NotRun()


def _rate_distance(run: Run) -> tuple[float, ...]:
    """Return the sort key of runs, the most similar to the paper's first: by images, then options, then seeds."""
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


def _is_protocol(run: Run) -> bool:
    """Whether a run follows the paper: behind the autoencoder; a linear attack neither projected nor clipped."""
    linear = is_linear(run.classifier_recipe)
    return run.recipe.threat == ("encoded" if run.defended else "adaptive") and run.recipe.clip is not linear


def _is_adaptive(run: Run) -> bool:
    return run.recipe.threat == "adaptive" and run.recipe.clip


# ---------------------------------------------------------------- for people

PAPER_TITLES = (
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


def tabulate_paper(records: Iterable[PaperRecord]) -> Grid:
    """Return the comparison with the paper as a table, a row for each of its accuracies."""
    return Grid("The paper beside ours", PAPER_TITLES, tuple(map(_write_row, records)))


def _write_row(record: PaperRecord) -> tuple[str, ...]:
    found = (record.protocol, record.adaptive)
    return (
        show_count(record.figure),
        record.dataset,
        record.name,
        show_percentage(record.accuracy),
        write_found(record.protocol),
        Cell(format_points(record.difference), record.difference),
        write_found(record.adaptive),
        _write_explanation(record),
        write_counts(found),
        *(one.run if isinstance(one, Found) else NOT_RUN for one in found),
    )


def _write_explanation(record: PaperRecord) -> str:
    if record.difference is None:
        return NOT_APPLICABLE
    return "within five points" if abs(record.difference) <= NEAR else record.explanation or "not explained"


def _tabulate(findings: Findings) -> Iterator[Part]:
    records = find_counterparts(findings.comparison)
    if records:
        yield Part(tabulate_paper(records), {})


PAPER_SECTION = Table(
    "The paper beside ours",
    EXPLANATION,
    "report",
    _tabulate,
    PaperRecord,
    collect=lambda findings: find_counterparts(findings.comparison),
    marks=("figure", "difference", "measured_on"),
)
"""The section that the commands add to the report under the name ``paper``."""
