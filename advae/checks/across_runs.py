"""What several runs of one pipeline say together: computed when a report is made, NOT RUN where a run is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from advae import metrics
from advae.checks.check_table import GRAVITY, not_run, say, show_points, show_share
from advae.checks.ensembles import check_ensemble
from advae.checks.evidence import find_full_budget
from advae.checks.sample_checks import check_collapse
from advae.checks.strongest import SIGNIFICANT, find_strongest, pick_strongest
from advae.records import key_eps

if TYPE_CHECKING:
    from advae.checks.evidence import PipelineRuns, ScoredRun
    from advae.records import CheckResult, RunRecipe, Status

COST = 0.02
"""Clean accuracy that a purifier may take before there is a warning: two points."""

LEVELLED = 0.01
"""How far doubling the steps may move the accuracy: one point."""

BLACK_BOX = 0.002
"""By how much a black-box attack may be ahead."""

ONLY_WEAKER = 0.01
"""Share of samples broken by weaker attackers only above which there is a warning."""

ROUNDING = 1e-9
"""What the difference of two shares may be beside itself: 0.2 - 0.198 is more than 0.002."""

MANY_STARTS = 5

WEAKER = ("noise", "oblivious", "transfer")


def check_samples(pipeline: PipelineRuns) -> CheckResult:
    """The same images, in the same order, with the same labels, wherever numbers are compared."""
    import numpy as np

    first = pipeline.subject
    runs: dict[str, ScoredRun] = {}
    # The rows of a run, of which there may be thousands, share its samples.
    for row in (*pipeline.own, *pipeline.undefended):
        runs.setdefault(row.id, row)
    # Drawn in another way, as many images are others.
    same = [
        row
        for row in runs.values()
        if len(row.labels) == len(first.labels) and row.recipe.sample == first.recipe.sample
    ]
    others = {row.id for row in same} - {first.id}
    for row in same:
        ids, labels = np.array_equal(row.sample_ids, first.sample_ids), np.array_equal(row.labels, first.labels)
        digests = {digest for one in (row, first) if (digest := one.metrics.samples_digest)}
        if not (ids and labels and len(digests) <= 1):
            what = "ids" if not ids else "labels" if not labels else "images"
            return say("samples", "FAIL", f"{row.id} and {first.id} do not have the same {what}")
        # Behind another purifier's draw, or added up in another order, a prediction may differ.
        comparable = row.metrics.stochastic is False and row.recipe.threat == first.recipe.threat
        clean = np.array_equal(row.clean_predictions, first.clean_predictions)
        if row.recipe.classifier == first.recipe.classifier and comparable and not clean:
            return say("samples", "FAIL", f"{row.id} and {first.id} disagree on the unchanged images")
    if not others:
        return not_run("samples")
    counts = np.bincount(first.labels)
    what = (
        f"{len(others) + 1} runs on the same {len(first.labels)} samples, {counts.min()} to {counts.max()} of a class"
    )
    return say("samples", "PASS", what, len(others) + 1)


def check_clean_accuracy(pipeline: PipelineRuns) -> CheckResult:
    """Whether all classes are predicted, and what the purifier costs where nobody attacks."""
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
    sentence = f"{show_share(with_)} behind the purifier, {show_share(without)} without: {show_points(gain)} points"
    return say("clean-accuracy", "WARN" if -gain > COST + ROUNDING else "PASS", sentence, gain)


def check_iterative(pipeline: PipelineRuns) -> CheckResult:
    """A single step is the first step of many."""
    pairs = [
        (_grade_lead(many, single), many.accuracy - single.accuracy, many, single) for many, single in _pair(pipeline)
    ]
    if not pairs:
        return not_run("iterative")
    status, ahead, many, single = max(pairs, key=lambda pair: (GRAVITY.index(pair[0]), pair[1]))
    what = f"{many.recipe.method} leaves {show_share(many.accuracy)}, {single.recipe.method}"
    sentence = f"{what} {show_share(single.accuracy)} at eps {many.eps:.4g}"
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


def _grade_lead(stronger: ScoredRun, weaker: ScoredRun) -> Status:
    """Return the status of what should be the weaker of two attacks on the same samples, by how far it is ahead."""
    if weaker.accuracy >= stronger.accuracy:
        return "PASS"
    return "FAIL" if metrics.mcnemar(stronger.right, weaker.right) < SIGNIFICANT else "WARN"


def check_full_budget(pipeline: PipelineRuns) -> CheckResult:
    """With a budget that reaches every image, what is left is luck."""
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
    sentence = f"{best.recipe.method} at eps {best.eps:.4g} leaves {show_share(best.accuracy)}, chance is"
    within = best.result.accuracy_interval[0] <= chance
    status: Status = "PASS" if best.accuracy <= chance else "WARN" if within else "FAIL"
    return say("full-budget", status, f"{sentence} {show_share(chance)}", best.accuracy)


def check_adaptive(pipeline: PipelineRuns) -> CheckResult:
    """Whoever knows more can do whatever the others do."""
    import numpy as np

    weaker = pipeline.beside(*WEAKER)
    if not weaker:
        return not_run("adaptive")
    left = np.logical_and.reduce([row.right for row in pipeline.beside("adaptive")])
    only = np.logical_and(left, ~np.logical_and.reduce([row.right for row in weaker]))
    best = pick_strongest(weaker)
    names = ", ".join(dict.fromkeys(row.recipe.threat for row in weaker))
    sentence = f"{int(only.sum())} of {len(only)} samples were broken by weaker attackers only ({names})"
    lead = _grade_lead(pipeline.subject, best)
    if lead == "FAIL":
        ahead = (
            f"{best.recipe.threat} leaves {show_share(best.accuracy)}, adaptive {show_share(pipeline.subject.accuracy)}"
        )
        return say("adaptive", "FAIL", f"{ahead}; {sentence}", float(only.mean()))
    warned = lead == "WARN" or only.mean() > ONLY_WEAKER
    return say("adaptive", "WARN" if warned else "PASS", sentence, float(only.mean()))


def check_black_box(pipeline: PipelineRuns) -> CheckResult:
    """An attack without gradients that is ahead of those with them says that the gradients are no good.

    An ensemble that asks for scores itself is never behind: its number stands, but whether gradients found it is
    asked of the runs without queries.
    """
    rows = pipeline.beside("black-box")
    if not rows:
        return not_run("black-box")
    by_gradients = [row for row in pipeline.beside("adaptive") if row.recipe.queries is None]
    if not by_gradients:
        return not_run(
            "black-box", f"{pipeline.subject.recipe.method} asks for scores itself: needs pgd or apgd beside it"
        )
    best, gradients = pick_strongest(rows), pick_strongest(by_gradients)
    behind = gradients.accuracy - best.accuracy
    sentence = (
        f"{best.recipe.queries or 'some'} queries leave {show_share(best.accuracy)}, "
        f"gradients alone ({gradients.recipe.method}) {show_share(gradients.accuracy)}"
    )
    if pipeline.subject.accuracy - best.accuracy > BLACK_BOX + ROUNDING:
        return say("black-box", "FAIL", sentence, behind)
    if behind > BLACK_BOX + ROUNDING:
        return say("black-box", "WARN", f"{sentence}: they mislead, and more queries may find more", behind)
    return say("black-box", "PASS", sentence, behind)


def check_convergence(pipeline: PipelineRuns) -> CheckResult:
    """Twice the steps, all else equal: of the subject, or the subject itself where it is the longer one."""
    subject = pipeline.subject
    if subject.recipe.steps is None:
        return not_run("convergence", "the attack takes no steps that could be doubled")
    alike = [row for row in pipeline.beside(subject.recipe.threat) if _rest(row.recipe) == _rest(subject.recipe)]
    longer = [row for row in alike if _count_steps(row) >= 2 * _count_steps(subject)]
    shorter = [row for row in alike if 2 * _count_steps(row) <= _count_steps(subject)]
    if not longer and not shorter:
        return not_run("convergence")
    few = subject if longer else max(shorter, key=_count_steps)
    many = min(longer, key=_count_steps) if longer else subject
    moved = few.accuracy - many.accuracy
    what = f"{few.recipe.steps} steps leave {show_share(few.accuracy)}, {many.recipe.steps}"
    sentence = f"{what} {show_share(many.accuracy)}"
    return say("convergence", "PASS" if abs(moved) < LEVELLED else "FAIL", sentence, moved)


def _count_steps(row: ScoredRun) -> int:
    return row.recipe.steps or 0


def _rest(recipe: RunRecipe) -> tuple[object, ...]:
    """Return what two attacks must share to differ in their steps only."""
    return recipe.method, recipe.loss, recipe.restarts, recipe.draws, recipe.target


def check_restarts(pipeline: PipelineRuns) -> CheckResult:
    """What other starting points find."""
    adaptive = pipeline.beside("adaptive")
    many = [row for row in adaptive if (row.recipe.restarts or 1) >= MANY_STARTS]
    few = [row for row in adaptive if (row.recipe.restarts or 1) < MANY_STARTS]
    if not many:
        return not_run("restarts")
    if not few:
        return not_run("restarts", "needs a run with fewer restarts")
    best = pick_strongest(many)
    # More steps must not pass for more restarts, where the same attack was run with fewer.
    before = pick_strongest([row for row in few if row.recipe.method == best.recipe.method] or few)
    brought = before.accuracy - best.accuracy
    sentence = f"{best.recipe.restarts} restarts of {best.recipe.method} bring {100 * brought:.2f} points"
    return say("restarts", "PASS" if brought < LEVELLED else "WARN", sentence, brought)


def check_undefended(pipeline: PipelineRuns) -> CheckResult:
    """An attack that cannot break the bare classifier is too weak to judge a defence."""
    if not pipeline.defended:
        return not_run("undefended", "there is no purifier")
    rows = _pick_undefended(pipeline, same_attack=True)
    if not rows:
        return not_run("undefended")
    best = pick_strongest(rows)
    clean, left = best.metrics.clean_accuracy, best.accuracy
    sentence = f"without the purifier {best.recipe.method} leaves {show_share(left)} of {show_share(clean)}"
    status: Status = (
        "PASS" if left <= clean / 2 else "WARN" if left < best.metrics.clean_accuracy_interval[0] else "FAIL"
    )
    return say("undefended", status, sentence, left)


def _pick_undefended(pipeline: PipelineRuns, *, same_attack: bool) -> list[ScoredRun]:
    """Return the undefended rows on the subject's samples, where asked for under the subject's attack."""
    import numpy as np

    subject = pipeline.subject
    if same_attack:
        method = subject.recipe.method
        return [row for row in pipeline.undefended if row.recipe.method == method and row.is_beside(subject)]
    # The rows of a run, of which there may be thousands, share its samples.
    runs = {row.id: row.sample_ids for row in pipeline.undefended}
    same = {id_ for id_, ids in runs.items() if np.array_equal(ids, subject.sample_ids)}
    return [row for row in pipeline.undefended if row.id in same]


def find_worst(verdicts: Iterable[CheckResult]) -> list[CheckResult]:
    """Return the failures, then the warnings."""
    found = list(verdicts)
    return [verdict for status in ("FAIL", "WARN") for verdict in found if verdict.status == status]


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
}
