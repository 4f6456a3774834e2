"""How numbers and names are written for people, the same in every format, which then cleans and escapes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from advae.checks import find_version, show_points
from advae.models.baselines import BASELINES
from advae.records import DatasetRef, EpsResult, Norm, RunMetrics, RunRecipe
from advae.records.pipeline_names import name_defence, name_purifier, name_retraining
from advae.report.data.runs import Rate, Run, StoredPipeline, read_raw_range
from advae.run_options import RUN_OPTIONS, NamedOption

TITLE = "Robust accuracy report"
"""What a report is called where its finding is not; the first line of its Markdown, by which it is recognized."""

FORMER_TITLE = "What the autoencoder is worth"
"""Title of earlier versions, whose Markdown files are replaced, too."""

COLLAPSED = "collapsed"
"""Of a pipeline that predicts one class whatever the image."""

NOT_RUN = "NOT RUN"
"""In place of a number that was not measured: never a blank, never a guess."""

NOT_APPLICABLE = "n/a"
"""In place of a number that has no meaning, as the target hit rate of an untargeted attack."""

AGAIN = "What is already in the registry is not computed again, and the ids stay the same."

SMALLEST_P = 0.001

NOT_ESTABLISHED = "robustness not established"

IMPORTED = "imported"
"""Mark of an entry that came from a bundle, and of one that depends on such an entry."""

IMPORTED_EXPLAINED = (
    "Imported: it came from a bundle, or depends on an entry that did, so its numbers were measured elsewhere; "
    "what follows from the stored outcomes was computed again here."
)

BENEFIT = (
    "In brackets: the robust accuracy behind the purifier minus that of the undefended classifier, in points. An "
    "autoencoder that adds no more than a baseline (blur, projection, two grey levels) has not learnt to protect."
)

UPPER_BOUND = "adversarial examples made elsewhere: an upper bound, never a reliable result"
"""Of the robust accuracy under examples from a file."""

MISPLACED = "most are farther than every eps: are they of these test images, in their order?"
"""Of examples from a file of which few count."""

DRAW_RULES = {"any_of_k": "any of {k}", "majority_of_k": "majority of {k}"}
"""Rules by which an image counts as correct over draws of a pipeline that samples, by the name in records; in words:
broken by any wrong draw, or by at least half of them."""

NBSP = "\N{NO-BREAK SPACE}"


def show_class(dataset: DatasetRef, label: int) -> str:
    """Return the name of a class, and its number where the name says something else."""
    name = dataset.classes[label]
    return name if name == str(label) else f"{name} ({label})"


def format_eps(eps: float, norm: Norm = "linf") -> str:
    """Return eps in both scales, ``0.196 (50/255)``; alone in L2, where a grey level is no measure of it."""
    return f"{eps:.3g}{NBSP}({round(eps * 255, 2):g}/255)" if norm == "linf" else f"{eps:.3g}"


def format_budget(eps: float, norm: Norm) -> str:
    """Return eps and, where it is another than linf, its norm."""
    return format_eps(eps, norm) + ("" if norm == "linf" else ", L2")


def format_share(value: float | None) -> str:
    """Return a share of [0, 1] as a percentage with one decimal."""
    return NOT_APPLICABLE if value is None else f"{100 * value:.1f}{NBSP}%"


def describe_distances(recipe: RunRecipe, metrics: RunMetrics) -> str:
    """Return the measured distances of examples from a file; empty for attacks made here."""
    if metrics.distances is None:
        return ""
    least, median, most = metrics.distances
    return f"{recipe.norm} distance from the test images {least:.3g} to {most:.3g}, median {median:.3g}"


def describe_beyond(metrics: RunMetrics, results: Iterable[EpsResult]) -> Iterator[str]:
    """Yield for each eps how many examples from a file are farther, and whether they are so at the largest eps."""
    for result in results:
        if result.over_budget:
            yield f"eps {result.eps:.4g}: {result.over_budget} of {metrics.n} are farther and count as unchanged"
    widest = max(metrics.results, key=lambda result: result.eps)
    if 2 * (widest.over_budget or 0) > metrics.n:
        yield MISPLACED


def format_points(difference: float | None) -> str:
    """Return a difference of two shares in points, ``+12.3``."""
    return NOT_RUN if difference is None else show_points(difference)


def describe_change(difference: float) -> str:
    """Return a difference of two shares in words, seen from the first: ``loses 7.2 points``."""
    if round(1000 * difference) == 0:
        return "no difference"
    return f"{'gains' if difference > 0 else 'loses'} {100 * abs(difference):.1f} points"


def format_p(value: float | None) -> str:
    """Return a p-value with three decimals, ``<0.001`` below."""
    return NOT_APPLICABLE if value is None else "<0.001" if value < SMALLEST_P else f"{value:.3f}"


def format_rate(rate: Rate | None) -> str:
    """Return a rate with its interval, ``97.3 % [96.9, 97.6]``."""
    if rate is None:
        return NOT_RUN
    return f"{format_share(rate.value)} [{100 * rate.low:.1f},{NBSP}{100 * rate.high:.1f}]"


def name_autoencoder(pipeline: StoredPipeline) -> str:
    """Return the purifier in words, ``none`` where there is none, and whether the classifier was retrained."""
    recipe, retrained = pipeline.autoencoder_recipe, name_retraining(pipeline.classifier_recipe)
    if recipe is None:
        return retrained or "none"
    name = name_purifier(recipe, raw=bool(read_raw_range(pipeline)), protects=recipe.protects)
    return f"{name}, classifier {retrained}" if retrained else name


def name_kind(pipeline: StoredPipeline) -> str:
    """Return the name of a pipeline without its seeds: dataset, classifier, purifier."""
    purifier = pipeline.autoencoder_recipe
    protects = purifier.protects if purifier else None
    raw, baseline = bool(read_raw_range(pipeline)), pipeline.autoencoder_type in BASELINES
    defence = name_defence(pipeline.classifier_recipe, purifier, baseline=baseline, raw=raw, protects=protects)
    return f"{pipeline.dataset}: {defence}"


def name_pipeline(pipeline: StoredPipeline) -> str:
    """Return the name of a pipeline: its kind, and its seeds unless 0; an autoencoder's where it is another."""
    return name_kind(pipeline) + describe_seeds(pipeline)


def describe_seeds(pipeline: StoredPipeline) -> str:
    """Return what to add to a pipeline's name for its seeds; nothing where they are 0."""
    seed, purifier = pipeline.classifier_recipe.seed, pipeline.autoencoder_recipe
    other = f", autoencoder seed {purifier.seed}" if purifier and purifier.seed != seed else ""
    return (f", seed {seed}" if seed else "") + other


def format_area(area: float | None, interval: tuple[float, float] | None = None) -> str:
    """Return an area with its interval, ``0.389 [0.359, 0.420]``; n/a where no pair has a curve."""
    ends = f" [{interval[0]:.3f},{NBSP}{interval[1]:.3f}]" if interval else ""
    return f"{format_distortion(area)}{ends}"


def format_distortion(value: float | None) -> str:
    """Return a relative distortion, or an area's deviation, with three decimals; n/a where there is none."""
    return NOT_APPLICABLE if value is None else f"{value:.3f}"


def mark_imported(imported: object) -> str:
    """Return what to add to a name where something is imported: a time, or the ids of what is; else nothing."""
    return f", {IMPORTED}" if imported else ""


def name_attack(run: Run) -> str:
    """Return the attack's method with what sets it apart: its target, then options as words, numbers and switches."""
    recipe = run.recipe
    target = f" to class {show_class(recipe.dataset, recipe.target)}" if recipe.target is not None else ""
    options = [
        _name_option(option, getattr(recipe, option.name)) for option in sorted(RUN_OPTIONS.values(), key=_order)
    ]
    version = find_version(recipe)
    return ", ".join([f"{recipe.method}{target}", *filter(None, [version and f"{version} version", *options])])


def _order(option: NamedOption) -> int:
    return {int: 1, bool: 2}.get(option.type, 0)


def _name_option(option: NamedOption, value: Any) -> str:
    return option.row.named(value) if option.row.named and value not in (None, option.default) else ""


def describe_terms(attack: str, eps: float, images: str) -> str:
    """Return the attack of a number that is shown among others, ``pgd, 80 steps, eps 0.1, n = 1000``."""
    return f"{attack}, eps {eps:.3g}, n = {images}"


def describe_run(run: Run) -> str:
    """Return a caption's sentence: what was attacked, how, on how many samples, and the id to find it by."""
    facts = f"n = {run.size}, seed {run.recipe.seed}, {run.id}{mark_imported(run.imported)}"
    return f"{name_pipeline(run)}; attack {name_attack(run)}, threat model {run.recipe.threat}, {facts}"
