"""Ensembles of attacks, such as ``worst``: each sample is attacked by the members in turn until one succeeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from advae.attacks import ATTACKS, Attack
from advae.attacks.ensemble_members import Member
from advae.batching import list_rows, split_rows
from advae.evaluation.attacker import Attacker, Proposal
from advae.records import MemberResult

if TYPE_CHECKING:
    from advae.evaluation.scorer import Scorer
    from advae.records import RunRecipe


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
    members: Sequence[Attacker], scorer: Scorer, eps: float, tell: Callable[[MemberResult], None] = lambda result: None
) -> Iterator[Proposal]:
    """Yield for each sample the proposal of the first member that succeeds, else that of the last member.

    Success is measured on trial draws; the score uses other draws. On a pipeline that samples, a success is a wrong
    prediction in every trial draw; where no member succeeds, the proposal with the most wrong draws is returned.
    tell: takes what each member added.
    """
    import numpy as np

    first = members[0]
    start, x_adv, best = first.x.copy(), first.x.copy(), np.zeros(len(first.y), np.float32)
    for member in members:
        attacked = np.flatnonzero(best < 1)
        for index, proposal in enumerate(member.propose(eps, attacked, None)):
            wrong = scorer.measure_trial(index, proposal.x_adv, first.y[proposal.rows])
            better = wrong >= best[proposal.rows]
            rows = proposal.rows[better]
            start[rows], x_adv[rows] = proposal.start[better], proposal.x_adv[better]
            best[rows] = wrong[better]
        tell(_summarise(member.recipe, len(attacked), float((best < 1).mean())))
    for _, rows in split_rows(list_rows(first.y)):
        yield Proposal(rows, start[rows], x_adv[rows])


def _summarise(recipe: RunRecipe, attacked: int, accuracy: float) -> MemberResult:
    return MemberResult(attack=recipe.method, loss=recipe.loss, attacked=attacked, accuracy=accuracy)
