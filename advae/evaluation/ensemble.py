"""Ensembles of attacks, such as ``worst``: each sample is attacked by the members in turn until one succeeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from advae.attacks import ATTACKS, Attack
from advae.attacks.ensemble_members import Member
from advae.batching import split_rows
from advae.evaluation.attacker import Attacker, Proposal, stops_at_success
from advae.records import MemberResult

if TYPE_CHECKING:
    from advae.evaluation.scorer import Scorer
    from advae.records import IntArray, RunRecipe


def list_members(recipe: RunRecipe, *, scores_only: bool = False) -> list[tuple[RunRecipe, Attack]]:
    """Return recipe and row of each of an ensemble's attacks in their order; of any other attack its own alone.

    scores_only: whether the attacker can only ask, so that members that need gradients are left out.
    """
    row = ATTACKS[recipe.method]
    if not row.members:
        return [(recipe, row)]
    # The version for random pipelines has no member that can only ask.
    sampling = recipe.draws is not None and not scores_only
    members = row.list_members(recipe.norm, sampling=sampling)
    members = tuple(one for one in members if not (scores_only and ATTACKS[one.attack].takes_gradients))
    return [_fill_in(one, recipe) for one in members]


def _fill_in(member: Member, recipe: RunRecipe) -> tuple[RunRecipe, Attack]:
    row = ATTACKS[member.attack]
    row = replace(row, run=member.run or row.run)
    options: dict[str, Any] = {
        "method": member.attack,
        "loss": member.loss or row.loss,
        "steps": None if row.queries else row.steps,
        "queries": (member.queries or recipe.queries) if row.queries else None,
        # A query returns one draw of a pipeline that samples.
        "draws": None if row.queries else recipe.draws,
        "restarts": row.restarts,
    }
    return recipe.model_copy(update=options), row


def propose_in_turn(
    members: Sequence[Attacker],
    scorer: Scorer,
    eps: float,
    rows: IntArray,
    tell: Callable[[MemberResult], None] = lambda result: None,
) -> Iterator[Proposal]:
    """Yield for each of some samples the proposal of the first member that succeeds, else that of the last member.

    Where images leave an attack at their first success, it must remain one after rounding to 8 bits; one that does not
    is returned only where no member finds a better one.
    Success is measured on trial draws; the score uses other draws. On a pipeline that samples, a success is a wrong
    prediction in every trial draw; where no member succeeds, the proposal with the most wrong draws is returned.
    tell: takes what each member added.
    """
    import numpy as np

    first, stops = members[0], stops_at_success(scorer.surface, scorer.recipe)
    start, x_adv, best = first.x.copy(), first.x.copy(), np.zeros(len(first.y), np.float32)
    for member in members:
        attacked = rows[best[rows] < 1]
        for index, proposal in enumerate(member.propose(eps, attacked, None)):
            truth = first.y[proposal.rows]
            wrong = scorer.measure_trial(index, proposal.x_adv, truth)
            if stops:
                wrong *= 0.5 + 0.5 * scorer.measure_rounded(index, proposal.x_adv, truth)
            better = wrong >= best[proposal.rows]
            found = proposal.rows[better]
            start[found], x_adv[found] = proposal.start[better], proposal.x_adv[better]
            best[found] = wrong[better]
        # Where rounding undoes a success, it is one all the same, of half the weight.
        robust = best[rows] < (0.5 if stops else 1)
        tell(_summarise(member.recipe, len(attacked), float(robust.sum() / len(first.y))))
    for _, batch in split_rows(rows):
        yield Proposal(batch, start[batch], x_adv[batch])


def _summarise(recipe: RunRecipe, attacked: int, accuracy: float) -> MemberResult:
    return MemberResult(attack=recipe.method, loss=recipe.loss, attacked=attacked, accuracy=accuracy)
