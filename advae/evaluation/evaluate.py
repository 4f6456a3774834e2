"""One attack under one threat model, projected, verified and scored on the same samples at every eps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from advae import metrics
from advae.attacks import ATTACKS
from advae.batching import list_rows, split_rows
from advae.class_accuracy import measure_by_class
from advae.evaluation.attack_costs import expect_costs, measure_costs
from advae.evaluation.attack_progress import AttackProgress, list_probed, measure_progress, measure_until_success
from advae.evaluation.attack_state import AttackState
from advae.evaluation.attacker import Attacker, stops_at_success
from advae.evaluation.clean_scores import CleanScores, score_clean
from advae.evaluation.each_eps import EachEps
from advae.evaluation.ensemble import list_members
from advae.evaluation.eot_agreement import measure_agreement
from advae.evaluation.eps_sweep import ROWS_AT_ONCE, score_along_line
from advae.evaluation.given_examples import GivenExamples
from advae.evaluation.purifier_draws import KEPT_DRAWS, SCORING_DRAWS, draw_for_fixed
from advae.evaluation.run_artifacts import (
    EpsScores,
    SavedSamples,
    collect_adversarial,
    collect_outcomes,
    collect_samples,
    first_of_each_class,
)
from advae.evaluation.scorer import Scorer
from advae.evaluation.target_choice import choose_targets, find_source
from advae.evaluation.time_left import TimeLeft
from advae.identity import SAMPLES
from advae.records import ADVERSARIAL, OUTCOMES, EpsResult, MemberResult, RunMetrics
from advae.threats import Surface, fix_draw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import FloatArray, IntArray, RunRecipe

    Arrays = dict[str, np.ndarray[Any, Any]]

OnBatch = Callable[[int, int], None]
"""(batches done, batches in all) -> None."""

OnTimeLeft = Callable[[float], None]
"""(seconds that are left) -> None."""


@dataclass(frozen=True)
class Evaluated:
    """The result of an evaluation, to be stored as a run."""

    metrics: RunMetrics
    """The metrics of the run, without check results."""
    arrays: dict[str, Arrays]
    """File name -> the arrays that are stored with the run."""


def evaluate(
    surface: Surface,
    recipe: RunRecipe,
    x: FloatArray,
    y: IntArray,
    *,
    ids: IntArray | None = None,
    given: FloatArray | None = None,
    on_batch: OnBatch = lambda done, total: None,
    on_time_left: OnTimeLeft | None = None,
    state: AttackState | None = None,
) -> Evaluated:
    """Attack x at every eps of the recipe and return the robust accuracies, which the scorer measures.

    x: float32 (n, d) in [0, 1]; y: int64 (n,); ids: int64 (n,), positions in the test set, None for the first n.
    given: float32 (n, d) in [0, 1], the adversarial examples that the attack ``from-file`` proposes.
    on_batch: called after each batch. on_time_left: called before a long attack, and after each of its batches; None:
    the time is not measured.
    state: what an interrupted attack finished, and where more is kept; None: the attack starts at the beginning.
    Raises AdvaeError where a projected adversarial example is outside the budget or the range: a defect of advae.
    """
    surface = fix_draw(surface, draw_for_fixed(recipe.seed))
    shown, ids = first_of_each_class(y), list_rows(y) if ids is None else ids
    saved = SavedSamples(_choose_saved(surface, recipe, y, shown), shown)
    scorer = Scorer(surface, recipe, x)
    source, attackers = _make_attackers(surface, recipe, x, y, ids, on_batch, given)
    clean = score_clean(scorer, shown)
    if attackers[0].line and len(attackers) == 1:
        rows_at_once = len(y) if clean.stochastic else ROWS_AT_ONCE
        targets = choose_targets(recipe, source, scorer, rows_at_once)
        scores = score_along_line(attackers[0], scorer, targets, saved, rows_at_once)
    else:
        costs = expect_costs(attackers, scorer, clean.predictions == y) if on_time_left else None
        watch = TimeLeft(costs, recipe.eps, len(y), on_time_left)
        scores = EachEps(attackers, scorer, saved, state or AttackState(recipe), watch).score_all()
    zero = _find_zero_gradients(attackers, scores)
    clean_success = _measure_clean_success(scorer, x, y)
    outcomes = collect_outcomes(ids, y, clean.predictions, scores, zero, recipe.eps, clean_success)
    if given is not None:
        outcomes[metrics.DISTANCE] = metrics.measure_distance(x, given, recipe.norm)
    arrays = {OUTCOMES: outcomes, SAMPLES: collect_samples(ids, x, y, clean.start, scores, saved)}
    if recipe.save_adversarial:
        arrays[ADVERSARIAL] = collect_adversarial(ids, y, scores)
    return Evaluated(_summarise_run(scorer, attackers, clean, outcomes, scores), arrays)


def _find_zero_gradients(attackers: list[Attacker], scores: list[EpsScores]) -> list[NDArray[np.bool_]]:
    """Return for each eps which samples have a first gradient that is zero or not finite, bool (n,) each."""
    # Plain cross-entropy saturates where other losses of the same set do not.
    steepest = next((one for one in attackers if one.recipe.loss != "ce"), attackers[0])
    # Often the targets are the same at every eps; then the first gradients are the same, too.
    by_targets = {targets: steepest.zero_gradients(targets) for targets in {one.targets for one in scores}}
    return [by_targets[one.targets] for one in scores]


def _summarise_run(
    scorer: Scorer, attackers: list[Attacker], clean: CleanScores, outcomes: Arrays, scores: list[EpsScores]
) -> RunMetrics:
    """Return the metrics of the run, without check results."""
    recipe, surface, y = scorer.recipe, scorer.surface, attackers[0].y
    classes = len(recipe.dataset.classes)
    return RunMetrics(
        **metrics.measure_clean(outcomes, classes),
        clean_class_accuracy=measure_by_class(y, metrics.find_robust(outcomes, None), classes),
        **metrics.measure_given(outcomes),
        **metrics.measure_smallest_eps(outcomes),
        results=tuple(_summarise(recipe, attackers, outcomes, index, one) for index, one in enumerate(scores)),
        samples_digest=metrics.digest_samples(scorer.x, y),
        start_range=clean.start_range,
        clipped_fraction=clean.clipped,
        probabilities=clean.probabilities,
        stochastic=clean.stochastic,
        backward=_name_backward(surface),
        fresh_draws=SCORING_DRAWS if surface.samples else None,
        k_draws=KEPT_DRAWS if surface.samples else None,
        eot_agreement=measure_agreement(attackers),
    )


FEW_WITHOUT_STEPS = 500
"""Images by which the time of an attack without steps is measured."""


def estimate_attack(surface: Surface, recipe: RunRecipe, x: FloatArray, y: IntArray, patience: float) -> float:
    """Return about how many seconds ``evaluate`` takes, measured on a few images or steps.

    patience: see ``measure_costs``.
    """
    start = time.monotonic()
    if ATTACKS[recipe.method].given or ATTACKS[recipe.method].linear_only:
        return _extrapolate(surface, recipe, x, y)
    fixed = fix_draw(surface, draw_for_fixed(recipe.seed))
    scorer = Scorer(fixed, recipe, x)
    _, attackers = _make_attackers(fixed, recipe, x, y, list_rows(y), lambda done, total: None, None)
    clean = score_clean(scorer, list_rows(y)[:0])
    begun = time.monotonic() - start
    costs = measure_costs(attackers, scorer, clean.predictions == y, patience=patience)
    return begun + costs.tracing + costs.total


def _extrapolate(surface: Surface, recipe: RunRecipe, x: FloatArray, y: IntArray) -> float:
    """Return the same for an attack whose time is mostly that of tracing, from two numbers of images."""
    many = min(FEW_WITHOUT_STEPS, len(y))

    def measure(n: int) -> float:
        start = time.monotonic()
        evaluate(surface, recipe, x[:n], y[:n], given=x[:n] if ATTACKS[recipe.method].given else None)
        return time.monotonic() - start

    fewer = max(1, many // 5)
    few, all_ = measure(fewer), measure(many)
    return all_ + max(all_ - few, 0.0) / max(1, many - fewer) * (len(y) - many)


def _choose_saved(surface: Surface, recipe: RunRecipe, y: IntArray, shown: IntArray) -> IntArray:
    """Return the rows whose adversarial examples are kept: all, or those that are shown or measured again."""
    import numpy as np

    if recipe.save_adversarial:
        return list_rows(y)
    return np.union1d(shown, list_probed(len(y))) if stops_at_success(surface, recipe) else shown


def _make_attackers(
    surface: Surface,
    recipe: RunRecipe,
    x: FloatArray,
    y: IntArray,
    ids: IntArray,
    on_batch: OnBatch,
    given: FloatArray | None,
) -> tuple[Attacker | None, list[Attacker]]:
    """Return the attacker whose mistakes give the targets, if any, and the attack or the members of the ensemble."""
    source, members = find_source(recipe), list_members(recipe, scores_only=surface.scores_only)
    batches = sum(1 for _ in split_rows(list_rows(y)))
    report = _count_batches(on_batch, len(recipe.eps) * (len(members) + bool(source)) * batches)
    if given is not None:
        return None, [GivenExamples(surface, recipe, x, y, report, given)]
    attackers = [Attacker(surface, member, x, y, report, row, ids) for member, row in members]
    return (Attacker(surface, source, x, y, report) if source else None), attackers


def _count_batches(on_batch: OnBatch, total: int) -> Callable[[], None]:
    done = 0

    def report() -> None:
        nonlocal done
        # The count may differ from the total: measure_progress is not in it, and what is broken is not attacked again.
        done = min(done + 1, total)
        on_batch(done, total)

    return report


def _measure_clean_success(scorer: Scorer, x: FloatArray, y: IntArray) -> Arrays:
    """Return the success on the unchanged images, as ``Scorer.measure_success`` does; empty without sampling."""
    import numpy as np

    parts = [scorer.measure_success(index, x[rows], y[rows]) for index, rows in split_rows(list_rows(y))]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _name_backward(surface: Surface) -> Literal["exact", "identity", "blur", "none"]:
    if surface.scores_only:
        return "none"
    return surface.through.backward if surface.through else "exact"


def _measure_progress(attacker: Attacker, eps: float, scores: EpsScores) -> AttackProgress | None:
    if scores.carried is None:
        return measure_progress(attacker, eps, scores.targets)
    # The rows that are measured again are the first of those that are saved.
    many = len(list_probed(len(attacker.y)))
    return measure_until_success(attacker, eps, scores.x_adv[:many], scores.carried[:many])


def _count_broken(
    members: tuple[MemberResult, ...] | None, outcomes: Arrays, index: int
) -> tuple[MemberResult, ...] | None:
    """Return what the members of an ensemble added at one eps, with how many images each of them broke."""
    counts = metrics.measure_broken(outcomes, index, len(members)) if members else None
    if members is None or counts is None:
        return members
    return tuple(one.model_copy(update={"broken": count}) for one, count in zip(members, counts, strict=True))


def _summarise(
    recipe: RunRecipe, attackers: list[Attacker], outcomes: Arrays, index: int, scores: EpsScores
) -> EpsResult:
    attacker, eps = attackers[0], recipe.eps[index]
    # The members of an ensemble attack different samples, so none of them shows the ensemble's progress.
    measured = len(attackers) == 1 and recipe.clip
    progress = _measure_progress(attacker, eps, scores) if measured else None
    return EpsResult(
        eps=eps,
        **metrics.measure_attacked(outcomes, index, metrics.find_aims(attacker.y, recipe.target, scores.targets)),
        **metrics.measure_lengths(outcomes, index, recipe.norm),
        **metrics.count_beyond(outcomes, eps),
        **metrics.measure_carried(outcomes, index),
        within_budget=recipe.clip,
        targets=scores.targets,
        pixel_range=scores.pixel_range,
        finite=scores.finite,
        accuracy_8bit=None if scores.rounded is None else metrics.accuracy(attacker.y, scores.rounded)[0],
        loss_curve=progress.loss_curve if progress else None,
        lost_fraction=progress.lost_fraction if progress else None,
        class_accuracy=measure_by_class(attacker.y, metrics.find_robust(outcomes, index), len(recipe.dataset.classes)),
        members=_count_broken(scores.members, outcomes, index),
    )
