"""An attack, or an ensemble, at each eps; what it has finished is kept, so that an interrupted one continues."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from advae import batching
from advae.batching import list_rows, split_rows
from advae.evaluation.attack_state import AttackState, Packing
from advae.evaluation.attacker import Attacker, stops_at_success
from advae.evaluation.carrying import score_upwards
from advae.evaluation.ensemble import EnsembleSearch, list_proposals
from advae.evaluation.run_artifacts import EpsScores, SavedSamples, join_scores
from advae.evaluation.time_left import TimeLeft
from advae.interrupts import delay_interrupts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advae.evaluation.scorer import Scorer
    from advae.records import IntArray


class EachEps:
    """The scores at each eps of an attack, or of an ensemble, that does not go along a line.

    attackers: the attack alone, or the members of the ensemble; saved: the samples whose images the scores have.
    """

    def __init__(
        self,
        attackers: Sequence[Attacker],
        scorer: Scorer,
        saved: SavedSamples,
        state: AttackState,
        watch: TimeLeft,
    ) -> None:
        self.attackers, self.scorer, self.saved = attackers, scorer, saved
        self.state, self.watch = state, watch
        self.y = attackers[0].y

    def score_all(self) -> list[EpsScores]:
        """Return the scores at each eps of the recipe, in its order."""
        recipe = self.scorer.recipe
        if stops_at_success(self.scorer.surface, recipe):
            return score_upwards(self._score, recipe.eps, self.y, self.saved)
        return [self._score(eps, list_rows(self.y)) for eps in recipe.eps]

    def _score(self, eps: float, rows: IntArray) -> EpsScores:
        """Return the scores of some rows at one eps: those that are kept, or new ones."""
        packing = self._make_packing(rows)
        if arrays := self.state.find(eps, finished=True):
            scores = packing.read(arrays, tuple(one.recipe for one in self.attackers))
            if scores:
                for attacker in self.attackers:
                    for _ in split_rows(rows):
                        attacker.report()
                return scores
            self.state.discard(eps)
        scores = self._search(eps, rows) if len(self.attackers) > 1 else self._score_alone(eps, rows)
        self.state.finish(eps, packing.pack(scores))
        return scores

    def _search(self, eps: float, rows: IntArray) -> EpsScores:
        """Return the scores of the best proposals of an ensemble for some rows."""
        found = EnsembleSearch(self.attackers, self.scorer, self.state, self.watch).run(eps, rows)
        proposals = enumerate(list_proposals(found, rows))
        scores = join_scores([self.scorer.score(index, one, eps, self.y, self.saved) for index, one in proposals])
        return replace(scores, members=found.members, found_by=found.found_by[rows])

    def _score_alone(self, eps: float, rows: IntArray) -> EpsScores:
        """Return the scores of a single attack on some rows; batches that were finished before are not made again."""
        import numpy as np

        parts, done = self._resume(eps, rows)

        def pack() -> dict[str, np.ndarray]:
            begun = self._make_packing(rows[: done * batching.BATCH])
            return begun.pack(join_scores(parts)) | {"batches": np.array([done])}

        proposals = self.attackers[0].propose(eps, rows, None, first=done)
        self.watch.begin(eps, 0, len(rows), done=done * batching.BATCH)
        while True:
            # An interrupt would leave the batch half entered.
            with delay_interrupts():
                proposal = next(proposals, None)
                if proposal is None:
                    return join_scores(parts)
                parts.append(self.scorer.score(done, proposal, eps, self.y, self.saved))
                done += 1
                self.state.keep(eps, pack)
                self.watch.finish_batch(len(proposal.rows))

    def _resume(self, eps: float, rows: IntArray) -> tuple[list[EpsScores], int]:
        """Return the scores of the batches that an interrupted attack finished, and how many batches those are."""
        arrays = self.state.find(eps, finished=False)
        if not arrays:
            return [], 0
        batches = int(arrays["batches"][0]) if "batches" in arrays else 0
        packing = self._make_packing(rows[: batches * batching.BATCH])
        scores = packing.read(arrays, (self.attackers[0].recipe,)) if batches else None
        if scores is None:
            self.state.discard(eps)
            return [], 0
        return [scores], batches

    def _make_packing(self, rows: IntArray) -> Packing:
        return Packing(rows, self.saved, self.scorer.x.shape[1])
