"""Ensembles of attacks, such as ``worst``: each sample is attacked by the members in turn until one succeeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from advae.attacks import ATTACKS
from advae.batching import list_rows, split_rows
from advae.evaluation.attacker import Attacker, Proposal

if TYPE_CHECKING:
    from advae.evaluation.scorer import Scorer
    from advae.records import RunRecipe


def list_members(recipe: RunRecipe, *, scores_only: bool = False) -> list[RunRecipe]:
    """Return the recipes of an ensemble's attacks in their order; of any other attack its own recipe alone.

    scores_only: whether the attacker can only ask, so that members that need gradients are left out.
    """
    members = ATTACKS[recipe.method].members.get(recipe.norm)
    if members is None:
        return [recipe]
    members = tuple(one for one in members if not (scores_only and ATTACKS[one[0]].takes_gradients))
    return [recipe.model_copy(update=_fill_in(method, loss, recipe)) for method, loss in members]


def _fill_in(method: str, loss: str | None, recipe: RunRecipe) -> dict[str, Any]:
    row = ATTACKS[method]
    return {
        "method": method,
        "loss": loss or row.loss,
        "steps": None if row.queries else row.steps,
        "queries": recipe.queries if row.queries else None,
        # A query returns one draw of a pipeline that samples.
        "draws": None if row.queries else recipe.draws,
        "restarts": row.restarts,
    }


def propose_in_turn(members: Sequence[Attacker], scorer: Scorer, eps: float) -> Iterator[Proposal]:
    """Yield for each sample the proposal of the first member that succeeds, else that of the last member.

    Success is measured on trial draws; the score uses other draws. On a pipeline that samples, a success is a wrong
    prediction in every trial draw; where no member succeeds, the proposal with the most wrong draws is returned.
    """
    import numpy as np

    first = members[0]
    start, x_adv, best = first.x.copy(), first.x.copy(), np.zeros(len(first.y), np.float32)
    for member in members:
        for index, proposal in enumerate(member.propose(eps, np.flatnonzero(best < 1), None)):
            wrong = scorer.measure_trial(index, proposal.x_adv, first.y[proposal.rows])
            better = wrong >= best[proposal.rows]
            rows = proposal.rows[better]
            start[rows], x_adv[rows] = proposal.start[better], proposal.x_adv[better]
            best[rows] = wrong[better]
    for _, rows in split_rows(list_rows(first.y)):
        yield Proposal(rows, start[rows], x_adv[rows])
