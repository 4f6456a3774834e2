"""Ensembles of attacks, such as ``worst``: each sample is attacked by the members in turn until one succeeds."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from advae import batching
from advae.attacks import ATTACKS, Attack
from advae.attacks.ensemble_members import Member
from advae.batching import split_rows
from advae.evaluation.attack_state import AttackState, has_form, pack_members, read_members
from advae.evaluation.attacker import Attacker, stops_at_success
from advae.evaluation.proposals import Proposal
from advae.evaluation.time_left import TimeLeft
from advae.interrupts import delay_interrupts
from advae.records import MemberResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advae.evaluation.scorer import Scorer
    from advae.records import FloatArray, IntArray, RunRecipe


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


FOUND_COLUMNS = ("start", "x_adv", "best", "found_by", "attacked")
"""The arrays of ``BestProposals``."""


@dataclass(eq=False)
class BestProposals:
    """The best proposals that an ensemble has found at one eps; each batch of a member changes them."""

    start: FloatArray
    """The points to which the perturbations are added, float32 (n, d)."""
    x_adv: FloatArray
    """The best proposals, float32 (n, d)."""
    best: FloatArray
    """How good they are, float32 (n,): the share of trial draws with a success, see ``EnsembleSearch``."""
    found_by: IntArray
    """The position of the member that proposed each, int64 (n,)."""
    attacked: IntArray
    """The rows that the current member attacks, int64, rising."""
    batches: int = 0
    """How many of its batches are finished."""
    members: tuple[MemberResult, ...] = ()
    """What the finished members added."""

    def pack(self, columns: Iterable[str]) -> dict[str, NDArray[Any]]:
        """Return this as arrays. columns: which of FOUND_COLUMNS."""
        import numpy as np

        arrays = {name: getattr(self, name) for name in columns}
        return arrays | {"batches": np.array([self.batches]), **pack_members(self.members)}


class EnsembleSearch:
    """The search of an ensemble at one eps for the best proposal of each sample.

    Each sample gets the proposal of the first member that succeeds, else that of the last member. Where images leave an
    attack at their first success, it must remain one after rounding to 8 bits; one that does not is returned only where
    no member finds a better one. Success is measured on trial draws; the score uses other draws. On a pipeline that
    samples, a success is a wrong prediction in every trial draw; where no member succeeds, the proposal with the most
    wrong draws is returned.
    """

    def __init__(self, members: Sequence[Attacker], scorer: Scorer, state: AttackState, watch: TimeLeft) -> None:
        self.members, self.scorer, self.state, self.watch = members, scorer, state, watch
        self.stops = stops_at_success(scorer.surface, scorer.recipe)
        # Where images are perturbed, the starting points are the images.
        self._columns = [name for name in FOUND_COLUMNS if name != "start" or not scorer.on_images]

    def run(self, eps: float, rows: IntArray) -> BestProposals:
        """Return the best proposals for some rows; batches that an interrupted attack finished are not made again."""
        found = self._resume(eps, rows)
        for number in range(len(found.members), len(self.members)):
            self._run_member(number, eps, found)
            # Where rounding undoes a success, it is one all the same, of half the weight.
            robust = float((found.best[rows] < (0.5 if self.stops else 1)).sum() / len(found.best))
            done = _summarise(self.members[number].recipe, len(found.attacked), robust)
            with delay_interrupts():
                found.members += (done,)
                found.attacked, found.batches = rows[found.best[rows] < 1], 0
        return found

    def _run_member(self, number: int, eps: float, found: BestProposals) -> None:
        proposals = self.members[number].propose(eps, found.attacked, None, first=found.batches)
        self.watch.begin(eps, number, len(found.attacked), done=found.batches * batching.BATCH)
        while True:
            # An interrupt would leave the batch half entered.
            with delay_interrupts():
                proposal = next(proposals, None)
                if proposal is None:
                    return
                self._enter(number, proposal, found)
                self.state.keep(eps, functools.partial(found.pack, self._columns))
                self.watch.finish_batch(len(proposal.rows))

    def _enter(self, number: int, proposal: Proposal, found: BestProposals) -> None:
        """Enter the proposals of a batch that are at least as good as those before."""
        truth = self.members[0].y[proposal.rows]
        wrong = self.scorer.measure_trial(found.batches, proposal.x_adv, truth)
        if self.stops:
            wrong *= 0.5 + 0.5 * self.scorer.measure_rounded(found.batches, proposal.x_adv, truth)
        better = wrong >= found.best[proposal.rows]
        rows = proposal.rows[better]
        found.start[rows], found.x_adv[rows] = proposal.start[better], proposal.x_adv[better]
        found.best[rows], found.found_by[rows] = wrong[better], number
        found.batches += 1

    def _resume(self, eps: float, rows: IntArray) -> BestProposals:
        """Return what an interrupted attack found at an eps, or a search that has not begun."""
        import numpy as np

        x, attacks = self.members[0].x, tuple(one.recipe for one in self.members)
        n = len(x)
        if arrays := self.state.find(eps, finished=False):
            arrays = {"start": x.copy()} | arrays
            expected = {"start": x.shape, "x_adv": x.shape, "best": (n,), "found_by": (n,), "batches": (1,)}
            if has_form(arrays, expected) and np.isin(arrays.get("attacked", -1), rows).all():
                columns: dict[str, Any] = {name: arrays[name] for name in FOUND_COLUMNS}
                return BestProposals(
                    **columns, batches=int(arrays["batches"][0]), members=read_members(arrays, attacks)
                )
            self.state.discard(eps)
        return BestProposals(x.copy(), x.copy(), np.zeros(n, np.float32), np.zeros(n, np.int64), rows)


def list_proposals(found: BestProposals, rows: IntArray) -> Iterator[Proposal]:
    """Yield the best proposals for some rows, batch by batch."""
    for _, batch in split_rows(rows):
        yield Proposal(batch, found.start[batch], found.x_adv[batch])


def _summarise(recipe: RunRecipe, attacked: int, accuracy: float) -> MemberResult:
    return MemberResult(attack=recipe.method, loss=recipe.loss, attacked=attacked, accuracy=accuracy)
