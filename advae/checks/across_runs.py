"""The checks that compare several runs of one pipeline, made for a report; NOT RUN where a run is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from advae.checks.broken_proofs import check_certificates
from advae.checks.check_table import GRAVITY, not_run, say, show_points, show_share
from advae.checks.ensembles import check_ensemble
from advae.checks.evidence import find_full_budget
from advae.checks.less_knowledge import SHARE_ROUNDING, check_adaptive, check_black_box, grade_lead
from advae.checks.sample_checks import check_collapse
from advae.checks.strongest import find_strongest, pick_strongest
from advae.records import key_eps
from advae.run_options import list_crafting, values_of

if TYPE_CHECKING:
    from advae.checks.evidence import PipelineRuns, ScoredRun
    from advae.records import CheckResult, RunRecipe, Status

COST = 0.02
"""Clean accuracy that a purifier may cost without a warning: two points."""

CONVERGED = 0.01
"""By how much twice the iterations, or more restarts, may change the robust accuracy: one point."""

MANY_RESTARTS = 5
"""Fewest random restarts of a run with many restarts."""

ALL_BUT_STEPS = [name for name in list_crafting() if name not in ("steps", "step_size")]
"""Options of attacks that are compared for their number of steps, on which the size of a step depends."""


def check_samples(pipeline: PipelineRuns) -> CheckResult:
    """Check that compared runs use the same images, in the same order, with the same labels."""
    import numpy as np

    first = pipeline.subject
    runs: dict[str, ScoredRun] = {}
    # One row of each run is enough: its rows, which may be thousands, share the samples.
    for row in (*pipeline.own, *pipeline.undefended):
        runs.setdefault(row.id, row)
    # Runs that chose as many images in another way have other images.
    same = [
        row
        for row in runs.values()
        if len(row.labels) == len(first.labels) and row.recipe.sample == first.recipe.sample
    ]
    for row in same:
        if difference := _find_difference(row, first):
            return say("samples", "FAIL", f"{row.id} and {first.id} {difference}")
    others = {row.id for row in same} - {first.id}
    if not others:
        return not_run("samples")
    counts = np.bincount(first.labels)
    what = (
        f"{len(others) + 1} runs on the same {len(first.labels)} samples, {counts.min()} to {counts.max()} of a class"
    )
    return say("samples", "PASS", what, len(others) + 1)


def _find_difference(row: ScoredRun, first: ScoredRun) -> str | None:
    """Return how the samples of two runs, or their clean predictions, differ; None where they do not."""
    import numpy as np

    ids, labels = np.array_equal(row.sample_ids, first.sample_ids), np.array_equal(row.labels, first.labels)
    digests = {digest for one in (row, first) if (digest := one.metrics.samples_digest)}
    if not (ids and labels and len(digests) <= 1):
        return f"do not have the same {'ids' if not ids else 'labels' if not labels else 'images'}"
    # Predictions may differ by a random purifier's draw, or by the order of float32 sums.
    comparable = row.metrics.stochastic is False and row.recipe.threat == first.recipe.threat
    clean = np.array_equal(row.clean_predictions, first.clean_predictions)
    if row.recipe.classifier == first.recipe.classifier and comparable and not clean:
        return "disagree on the unchanged images"
    return None


def check_clean_accuracy(pipeline: PipelineRuns) -> CheckResult:
    """Check that all classes are predicted, and that the purifier costs little clean accuracy."""
    alone, cost = check_collapse(pipeline.subject.recipe, pipeline.subject.metrics), _weigh_cost(pipeline)
    if alone.status == "NOT RUN":
        return cost
    if alone.status == "FAIL" or cost.status == "NOT RUN":
        return alone
    return alone.model_copy(update={"sentence": f"{alone.sentence}; {cost.sentence}"})


def _weigh_cost(pipeline: PipelineRuns) -> CheckResult:
    if not pipeline.defended:
        return not_run("clean-accuracy", "there is no purifier")
    other = next(iter(_pick_undefended(pipeline, same_attack=False)), None)
    if other is None:
        return not_run("clean-accuracy")
    with_, without = pipeline.subject.metrics.clean_accuracy, other.metrics.clean_accuracy
    gain = with_ - without
    sentence = f"clean accuracy {show_share(with_)}, undefended {show_share(without)}: {show_points(gain)} points"
    return say("clean-accuracy", "WARN" if -gain > COST + SHARE_ROUNDING else "PASS", sentence, gain)


def check_iterative(pipeline: PipelineRuns) -> CheckResult:
    """Check that an iterative attack is at least as strong as a single step, which is its own first step."""
    pairs = [
        (grade_lead(many, single), many.accuracy - single.accuracy, many, single) for many, single in _pair(pipeline)
    ]
    if not pairs:
        return not_run("iterative")
    status, ahead, many, single = max(pairs, key=lambda pair: (GRAVITY.index(pair[0]), pair[1]))
    sentence = (
        f"robust accuracy {show_share(many.accuracy)} under {many.recipe.method}, {show_share(single.accuracy)} under "
        f"{single.recipe.method}, at eps {many.eps:.4g}"
    )
    return say("iterative", status, sentence, ahead)


def _pair(pipeline: PipelineRuns) -> Iterator[tuple[ScoredRun, ScoredRun]]:
    """Yield the strongest iterative attack and a single step beside it, for each eps on the most samples."""
    norm = pipeline.subject.recipe.norm
    adaptive = [row for row in pipeline.own if row.recipe.threat == "adaptive" and row.recipe.norm == norm]
    found: dict[float, list[tuple[ScoredRun, ScoredRun]]] = {}
    # At eps 0 no attack changes anything.
    for step in (row for row in adaptive if not row.iterative and row.eps > 0):
        beside = [row for row in replace(pipeline, subject=step).beside("adaptive") if row.iterative]
        if beside:
            found.setdefault(key_eps(step.eps), []).append((pick_strongest(beside, pipeline.asked), step))
    for pairs in found.values():
        most = max(len(step.labels) for _, step in pairs)
        yield from (pair for pair in pairs if len(pair[1].labels) == most)


def check_full_budget(pipeline: PipelineRuns) -> CheckResult:
    """Check that the robust accuracy falls to chance under a budget that reaches every image."""
    most = find_full_budget(pipeline.subject.recipe)
    rows = [
        row
        for row in pipeline.own
        if row.recipe.threat == "adaptive"
        and row.recipe.norm == pipeline.subject.recipe.norm
        and row.iterative
        and key_eps(row.eps) >= most
        and row.result.within_budget
    ]
    best = find_strongest(rows, pipeline.asked)
    if best is None:
        return not_run("full-budget")
    chance = 1 / len(best.recipe.dataset.classes)
    what = f"robust accuracy {show_share(best.accuracy)} under {best.recipe.method} at eps {best.eps:.4g}"
    within = best.result.accuracy_interval[0] <= chance
    status: Status = "PASS" if best.accuracy <= chance else "WARN" if within else "FAIL"
    return say("full-budget", status, f"{what}; chance is {show_share(chance)}", best.accuracy)


def check_convergence(pipeline: PipelineRuns) -> CheckResult:
    """Check that twice the iterations of the same attack change the robust accuracy little.

    The subject is compared with a longer run of the same attack, or else with a shorter one.
    """
    subject = pipeline.subject
    if subject.recipe.steps is None:
        return not_run("convergence", "the attack has no iterations that could be doubled")
    alike = [row for row in pipeline.beside(subject.recipe.threat) if _rest(row.recipe) == _rest(subject.recipe)]
    longer = [row for row in alike if _count_steps(row) >= 2 * _count_steps(subject)]
    shorter = [row for row in alike if 2 * _count_steps(row) <= _count_steps(subject)]
    if not longer and not shorter:
        return not_run("convergence")
    few = subject if longer else max(shorter, key=_count_steps)
    many = min(longer, key=_count_steps) if longer else subject
    moved = few.accuracy - many.accuracy
    sentence = (
        f"robust accuracy {show_share(few.accuracy)} after {few.recipe.steps} iterations, "
        f"{show_share(many.accuracy)} after {many.recipe.steps}"
    )
    return say("convergence", "PASS" if abs(moved) < CONVERGED else "FAIL", sentence, moved)


def _count_steps(row: ScoredRun) -> int:
    return row.recipe.steps or 0


def _rest(recipe: RunRecipe) -> tuple[object, ...]:
    """Return the options that two attacks share if they differ in their steps only."""
    return recipe.method, values_of(recipe, ALL_BUT_STEPS)


def check_restarts(pipeline: PipelineRuns) -> CheckResult:
    """Check that more random restarts lower the robust accuracy little."""
    adaptive = pipeline.beside("adaptive")
    many = [row for row in adaptive if (row.recipe.restarts or 1) >= MANY_RESTARTS]
    few = [row for row in adaptive if (row.recipe.restarts or 1) < MANY_RESTARTS]
    if not many:
        return not_run("restarts")
    if not few:
        return not_run("restarts", "needs a run with fewer restarts")
    best = pick_strongest(many)
    # Prefer the same attack with fewer restarts: another one may differ in its steps, too.
    before = pick_strongest([row for row in few if row.recipe.method == best.recipe.method] or few)
    brought = before.accuracy - best.accuracy
    what = f"{best.recipe.restarts} random restarts of {best.recipe.method}"
    sentence = f"{what} lower the robust accuracy by {100 * brought:.2f} points"
    return say("restarts", "PASS" if brought < CONVERGED else "WARN", sentence, brought)


def check_undefended(pipeline: PipelineRuns) -> CheckResult:
    """Check that the same attack breaks the undefended counterpart; an attack that does not is too weak."""
    if not pipeline.defended:
        return not_run("undefended", "there is no purifier")
    rows = _pick_undefended(pipeline, same_attack=True)
    if not rows:
        return not_run("undefended")
    best = pick_strongest(rows)
    clean, robust = best.metrics.clean_accuracy, best.accuracy
    what = f"undefended: robust accuracy {show_share(robust)} under {best.recipe.method}"
    sentence = f"{what}, clean accuracy {show_share(clean)}"
    status: Status = (
        "PASS" if robust <= clean / 2 else "WARN" if robust < best.metrics.clean_accuracy_interval[0] else "FAIL"
    )
    return say("undefended", status, sentence, robust)


def check_certificate(pipeline: PipelineRuns) -> CheckResult:
    """Check that no attack breaks an image that is certified, in any norm and whatever the subject."""
    return check_certificates(pipeline.certificates, pipeline.own)


def _pick_undefended(pipeline: PipelineRuns, *, same_attack: bool) -> list[ScoredRun]:
    """Return the runs of the undefended counterpart on the subject's samples; same_attack: with its method only."""
    import numpy as np

    subject = pipeline.subject
    if same_attack:
        method = subject.recipe.method
        return [row for row in pipeline.undefended if row.recipe.method == method and row.is_beside(subject)]
    # One row of each run is enough: its rows, which may be thousands, share the samples.
    runs = {row.id: row.sample_ids for row in pipeline.undefended}
    same = {id_ for id_, ids in runs.items() if np.array_equal(ids, subject.sample_ids)}
    return [row for row in pipeline.undefended if row.id in same]


TOGETHER: dict[str, Callable[[PipelineRuns], CheckResult]] = {
    "samples": check_samples,
    "clean-accuracy": check_clean_accuracy,
    "iterative": check_iterative,
    "full-budget": check_full_budget,
    "adaptive": check_adaptive,
    "black-box": check_black_box,
    "convergence": check_convergence,
    "restarts": check_restarts,
    "undefended": check_undefended,
    "ensemble": check_ensemble,
    "certificate": check_certificate,
}
