"""What several runs of one pipeline say together: computed when a report is made, NOT RUN where a run is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from advae import metrics
from advae.verdicts.cases import find_full_budget
from advae.verdicts.checks import CHECKS, UNJUDGED, not_run, say, show_share

if TYPE_CHECKING:
    from advae.records import RunRecipe, Status, Verdict
    from advae.verdicts.cases import Attacked, Case

SIGNIFICANT = 0.05
"""Level of McNemar's exact test below which a weaker attack that breaks more is no accident."""

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

AT_EVERY_EPS = ("adaptive", "black-box", "convergence")
"""Checks of whether the attack was as strong as it could be, which it has to be wherever a number stands."""

OF_MEMBERS = ("monotone", "convergence", "best-iterate")
"""Checks on what one attack does in its steps and at its eps, of which an ensemble has none, or often one only."""

GRAVEST: tuple[Status, ...] = ("FAIL", "WARN", "PASS", "NOT RUN")


def judge_case(case: Case) -> tuple[Verdict, ...]:
    """Return a verdict for each of CHECKS, in its order: what the subject's run says, and what all say together."""
    return tuple((_judge_at_every_eps if name in AT_EVERY_EPS else _judge)(name, case) for name in CHECKS)


def _judge_at_every_eps(name: str, case: Case) -> Verdict:
    """Return the gravest of a check's verdicts on what is left at each eps: a report shows them all."""
    own, *others = [(_judge(name, replace(case, subject=row)), row) for row in [case.subject, *_list_strongest(case)]]
    verdict, row = min([own, *others], key=lambda pair: GRAVEST.index(pair[0].status))
    if verdict.status == "PASS" and own[0].status == "NOT RUN":
        # What holds elsewhere says nothing of the number that stands.
        return own[0]
    # What a run has stored is on all its eps.
    if verdict.status == "NOT RUN" or verdict == row.find_verdict(name):
        return verdict
    return verdict.model_copy(update={"sentence": f"{verdict.sentence} (eps {row.eps:.4g})"})


def _judge(name: str, case: Case) -> Verdict:
    """Return a verdict on the subject; what an ensemble cannot say, the strongest of its attacks run alone that can."""
    own = _judge_alone(name, case)
    if own.status != "NOT RUN" or name not in OF_MEMBERS:
        return own
    for row in sorted(case.list_members(), key=lambda row: row.accuracy):
        verdict = _judge_alone(name, replace(case, subject=row))
        if verdict.status != "NOT RUN":
            return verdict.model_copy(update={"sentence": f"{row.recipe.method}: {verdict.sentence}"})
    return own


def _judge_alone(name: str, case: Case) -> Verdict:
    stored = case.subject.find_verdict(name)
    if name in TOGETHER and not (stored and stored.status == "FAIL"):
        found = TOGETHER[name](case)
        # One run's own words are better than none.
        return stored if stored and found.status == "NOT RUN" else found
    return stored or not_run(name, UNJUDGED)


def _list_strongest(case: Case) -> list[Attacked]:
    """Return the strongest adaptive row at each eps but the subject's, on the same samples in the same norm."""
    import numpy as np

    subject = case.subject
    by_eps: dict[float, list[Attacked]] = {}
    for row in case.own:
        same = row.recipe.norm == subject.recipe.norm and np.array_equal(row.sample_ids, subject.sample_ids)
        if same and row.recipe.threat == "adaptive" and row.result.within_budget and row.eps not in (0.0, subject.eps):
            by_eps.setdefault(row.eps, []).append(row)
    return [_find_strongest(rows) for rows in by_eps.values()]


def judge_samples(case: Case) -> Verdict:
    """The same images, in the same order, with the same labels, wherever numbers are compared."""
    import numpy as np

    first = case.subject
    rows = [*case.own, *case.undefended]
    same = [row for row in rows if len(row.labels) == len(first.labels)]
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


def judge_clean_accuracy(case: Case) -> Verdict:
    """What the purifier costs where nobody attacks."""
    if not case.defended:
        return not_run("clean-accuracy", "there is no purifier")
    other = next(iter(_pick_undefended(case, same_attack=False)), None)
    if other is None:
        return not_run("clean-accuracy")
    with_, without = case.subject.metrics.clean_accuracy, other.metrics.clean_accuracy
    drop = without - with_
    sentence = f"{show_share(with_)} behind the purifier, {show_share(without)} without: {100 * drop:+.1f} points"
    return say("clean-accuracy", "WARN" if drop > COST + ROUNDING else "PASS", sentence, drop)


def judge_iterative(case: Case) -> Verdict:
    """A single step is the first step of many."""
    adaptive = [row for row in case.own if row.recipe.threat == "adaptive"]
    pairs = []
    for step in (row for row in adaptive if not row.iterative):
        beside = [row for row in adaptive if row.iterative and row.is_beside(step)]
        pairs += [(_find_strongest(beside), step)] if beside else []
    if not pairs:
        return not_run("iterative")
    many, single = max(pairs, key=lambda pair: pair[0].accuracy - pair[1].accuracy)
    ahead = many.accuracy - single.accuracy
    what = f"{many.recipe.method} leaves {show_share(many.accuracy)}, {single.recipe.method}"
    sentence = f"{what} {show_share(single.accuracy)} at eps {many.eps:.4g}"
    return say("iterative", _grade_lead(ahead, single, many), sentence, ahead)


def _find_strongest(rows: Sequence[Attacked]) -> Attacked:
    return min(rows, key=lambda row: row.accuracy)


def _grade_lead(ahead: float, weaker: Attacked, stronger: Attacked) -> Status:
    """Return the status of a weaker attack that is ahead by some share of the samples."""
    if ahead <= 0:
        return "PASS"
    return "FAIL" if metrics.mcnemar(stronger.right, weaker.right) < SIGNIFICANT else "WARN"


def judge_full_budget(case: Case) -> Verdict:
    """With a budget that reaches every image, what is left is luck."""
    most = find_full_budget(case.subject.recipe)
    rows = [
        row
        for row in case.own
        if row.recipe.threat == "adaptive"
        and row.recipe.norm == case.subject.recipe.norm
        and row.iterative
        and row.eps >= most
        and row.result.within_budget
    ]
    if not rows:
        return not_run("full-budget")
    best = _find_strongest(rows)
    chance = 1 / len(best.recipe.dataset.classes)
    sentence = f"{best.recipe.method} at eps {best.eps:.4g} leaves {show_share(best.accuracy)}, chance is"
    within = best.result.accuracy_interval[0] <= chance
    status: Status = "PASS" if best.accuracy <= chance else "WARN" if within else "FAIL"
    return say("full-budget", status, f"{sentence} {show_share(chance)}", best.accuracy)


def judge_adaptive(case: Case) -> Verdict:
    """Whoever knows more can do whatever the others do."""
    import numpy as np

    weaker = case.beside(*WEAKER)
    if not weaker:
        return not_run("adaptive")
    left = np.logical_and.reduce([row.right for row in case.beside("adaptive")])
    only = np.logical_and(left, ~np.logical_and.reduce([row.right for row in weaker]))
    best = _find_strongest(weaker)
    names = ", ".join(dict.fromkeys(row.recipe.threat for row in weaker))
    sentence = f"{int(only.sum())} of {len(only)} samples were broken by weaker attackers only ({names})"
    lead = _grade_lead(case.subject.accuracy - best.accuracy, best, case.subject)
    if lead == "FAIL":
        ahead = f"{best.recipe.threat} leaves {show_share(best.accuracy)}, adaptive {show_share(case.subject.accuracy)}"
        return say("adaptive", "FAIL", f"{ahead}; {sentence}", float(only.mean()))
    warned = lead == "WARN" or only.mean() > ONLY_WEAKER
    return say("adaptive", "WARN" if warned else "PASS", sentence, float(only.mean()))


def judge_black_box(case: Case) -> Verdict:
    """An attack without gradients that is ahead of those with them says that the gradients are no good.

    An ensemble that asks for scores itself is never behind: its number stands, but whether gradients found it is
    asked of the runs without queries.
    """
    rows = case.beside("black-box")
    if not rows:
        return not_run("black-box")
    by_gradients = [row for row in case.beside("adaptive") if row.recipe.queries is None]
    if not by_gradients:
        return not_run("black-box", f"{case.subject.recipe.method} asks for scores itself: needs pgd or apgd beside it")
    best, gradients = _find_strongest(rows), _find_strongest(by_gradients)
    behind = gradients.accuracy - best.accuracy
    sentence = (
        f"{best.recipe.queries or 'some'} queries leave {show_share(best.accuracy)}, "
        f"gradients alone ({gradients.recipe.method}) {show_share(gradients.accuracy)}"
    )
    if case.subject.accuracy - best.accuracy > BLACK_BOX + ROUNDING:
        return say("black-box", "FAIL", sentence, behind)
    if behind > BLACK_BOX + ROUNDING:
        return say("black-box", "WARN", f"{sentence}: they mislead, and more queries may find more", behind)
    return say("black-box", "PASS", sentence, behind)


def judge_convergence(case: Case) -> Verdict:
    """Twice the steps, all else equal: of the subject, or the subject itself where it is the longer one."""
    subject = case.subject
    if subject.recipe.steps is None:
        return not_run("convergence", "the attack takes no steps that could be doubled")
    alike = [row for row in case.beside(subject.recipe.threat) if _rest(row.recipe) == _rest(subject.recipe)]
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


def _count_steps(row: Attacked) -> int:
    return row.recipe.steps or 0


def _rest(recipe: RunRecipe) -> tuple[object, ...]:
    """Return what two attacks must share to differ in their steps only."""
    return recipe.method, recipe.loss, recipe.restarts, recipe.draws, recipe.target


def judge_restarts(case: Case) -> Verdict:
    """What other starting points find."""
    adaptive = case.beside("adaptive")
    many = [row for row in adaptive if (row.recipe.restarts or 1) >= MANY_STARTS]
    few = [row for row in adaptive if (row.recipe.restarts or 1) < MANY_STARTS]
    if not many:
        return not_run("restarts")
    if not few:
        return not_run("restarts", "needs a run with fewer restarts")
    best = _find_strongest(many)
    # More steps must not pass for more restarts, where the same attack was run with fewer.
    before = _find_strongest([row for row in few if row.recipe.method == best.recipe.method] or few)
    brought = before.accuracy - best.accuracy
    sentence = f"{best.recipe.restarts} restarts of {best.recipe.method} bring {100 * brought:.2f} points"
    return say("restarts", "PASS" if brought < LEVELLED else "WARN", sentence, brought)


def judge_undefended(case: Case) -> Verdict:
    """An attack that cannot break the bare classifier is too weak to judge a defence."""
    if not case.defended:
        return not_run("undefended", "there is no purifier")
    rows = _pick_undefended(case, same_attack=True)
    if not rows:
        return not_run("undefended")
    best = _find_strongest(rows)
    clean, left = best.metrics.clean_accuracy, best.accuracy
    sentence = f"without the purifier {best.recipe.method} leaves {show_share(left)} of {show_share(clean)}"
    status: Status = (
        "PASS" if left <= clean / 2 else "WARN" if left < best.metrics.clean_accuracy_interval[0] else "FAIL"
    )
    return say("undefended", status, sentence, left)


def _pick_undefended(case: Case, *, same_attack: bool) -> list[Attacked]:
    """Return the undefended rows on the subject's samples, where asked for under the subject's attack."""
    import numpy as np

    subject = case.subject
    if same_attack:
        method = subject.recipe.method
        return [row for row in case.undefended if row.recipe.method == method and row.is_beside(subject)]
    return [row for row in case.undefended if np.array_equal(row.sample_ids, subject.sample_ids)]


def find_worst(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return the failures, then the warnings."""
    found = list(verdicts)
    return [verdict for status in ("FAIL", "WARN") for verdict in found if verdict.status == status]


TOGETHER: dict[str, Callable[[Case], Verdict]] = {
    "samples": judge_samples,
    "clean-accuracy": judge_clean_accuracy,
    "iterative": judge_iterative,
    "full-budget": judge_full_budget,
    "adaptive": judge_adaptive,
    "black-box": judge_black_box,
    "convergence": judge_convergence,
    "restarts": judge_restarts,
    "undefended": judge_undefended,
}
