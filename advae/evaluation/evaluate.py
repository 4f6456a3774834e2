"""One attack under one threat model, projected, verified and scored on the same samples at every eps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from advae import metrics
from advae.batching import split_rows
from advae.evaluation.attacker import Attacker, Proposal, find_source, list_members
from advae.evaluation.eot import DRAWS_PER_BATCH, MANY
from advae.evaluation.probing import Probe, probe
from advae.evaluation.run_arrays import (
    Kept,
    Scored,
    collect_adversarial,
    collect_outcomes,
    collect_samples,
    first_of_each_class,
    join_columns,
)
from advae.evaluation.scorer import Scorer
from advae.evaluation.sweeping import AT_ONCE, Sweep
from advae.identity import SAMPLES
from advae.records import ADVERSARIAL, OUTCOMES, EpsResult, RunMetrics
from advae.threats import Surface

if TYPE_CHECKING:
    import numpy as np

    from advae.records import FloatArray, IntArray, RunRecipe

    Arrays = dict[str, np.ndarray[Any, Any]]

__all__ = ["DRAWS_PER_BATCH", "Evaluated", "evaluate"]

OnBatch = Callable[[int, int], None]


@dataclass(frozen=True)
class Evaluated:
    """The metrics of a run, without verdicts, and the arrays that are stored with it, by file name."""

    metrics: RunMetrics
    arrays: dict[str, Arrays]


def evaluate(
    surface: Surface,
    recipe: RunRecipe,
    x: FloatArray,
    y: IntArray,
    *,
    ids: IntArray | None = None,
    on_batch: OnBatch = lambda done, total: None,
) -> Evaluated:
    """Attack x at every eps of the recipe and return what is left, measured on what the scorer was handed.

    x: float32 (n, d) in [0, 1]; y: int64 (n,); ids: int64 (n,), their places in the test set, None for the first n.
    on_batch: (done, total).
    Raises AdvaeError where a proposed image leaves the budget or the range after projection: a defect of ours.
    """
    import numpy as np

    shown = first_of_each_class(y)
    kept = Kept(np.arange(len(x)) if recipe.save_adversarial else shown, shown)
    scorer = Scorer(surface, recipe, x)
    attack = _Attack(surface, recipe, x, y, scorer, on_batch)
    clean = scorer.score_clean(shown)
    scored = attack.score(kept, stochastic=clean.stochastic)
    clean_success = _measure_clean_success(scorer, x, y)
    # The targets, and so the first gradients, are often the same at every eps.
    zero_by_targets = {one.targets: attack.first.zero_gradients(one.targets) for one in scored}
    zero = [zero_by_targets[one.targets] for one in scored]
    ids = _all(y) if ids is None else ids
    outcomes = collect_outcomes(ids, y, clean.predictions, scored, zero, clean_success)
    summary = RunMetrics(
        **metrics.measure_clean(outcomes, len(recipe.dataset.classes)),
        results=tuple(_summarise(attack, outcomes, index, one) for index, one in enumerate(scored)),
        samples_digest=metrics.digest_samples(x, y),
        start_range=clean.start_range,
        clipped_fraction=clean.clipped,
        probabilities=clean.probabilities,
        stochastic=clean.stochastic,
        backward=_name_backward(surface),
        fresh_draws=MANY if surface.samples else None,
    )
    arrays = {OUTCOMES: outcomes, SAMPLES: collect_samples(ids, x, y, clean.start, scored, kept)}
    if recipe.save_adversarial:
        arrays[ADVERSARIAL] = collect_adversarial(ids, y, scored)
    return Evaluated(summary, arrays)


def _measure_clean_success(scorer: Scorer, x: FloatArray, y: IntArray) -> FloatArray | None:
    """Return in what share of fresh draws each unchanged image is taken for another class, None where none differ."""
    import numpy as np

    parts = [scorer.measure_success(index, x[rows], y[rows]) for index, rows in split_rows(_all(y))]
    found = [part for part in parts if part is not None]
    return np.concatenate(found) if found else None


def _name_backward(surface: Surface) -> Literal["exact", "identity"]:
    return "identity" if surface.through and not surface.through.differentiable else "exact"


class _Attack:
    """One attack, or an ensemble of several, and what its targets come from."""

    def __init__(
        self, surface: Surface, recipe: RunRecipe, x: FloatArray, y: IntArray, scorer: Scorer, on_batch: OnBatch
    ) -> None:
        self.recipe, self.x, self.y, self.scorer = recipe, x, y, scorer
        source, members = find_source(recipe), list_members(recipe)
        report = _count_batches(on_batch, len(recipe.eps) * (len(members) + bool(source)) * _count(len(x)))
        self.members = [Attacker(surface, member, x, y, report) for member in members]
        self.source = Attacker(surface, source, x, y, report) if source else None

    @property
    def first(self) -> Attacker:
        return self.members[0]

    def score(self, kept: Kept, *, stochastic: bool) -> list[Scored]:
        """Return the outcome at each eps over all samples, images only of those that are kept.

        stochastic: whether the pipeline samples.
        """
        if self.first.line and len(self.members) == 1:
            at_once = len(self.y) if stochastic else AT_ONCE
            return self._sweep(self.first, self._choose_targets(at_once), kept, at_once)
        return [self._score_one(eps, kept) for eps in self.recipe.eps]

    def probe(self, eps: float, targets: tuple[int, ...] | None) -> Probe | None:
        """Return how the attack gets on; None for an ensemble, whose members go on where others gave up."""
        return probe(self.first, eps, targets) if len(self.members) == 1 and self.recipe.clip else None

    def _sweep(
        self, attacker: Attacker, targets: Sequence[tuple[int, ...] | None], kept: Kept, at_once: int
    ) -> list[Scored]:
        """Return the outcome at each eps of an attack along a line. targets: at each eps; equal ones share a pass."""
        assert attacker.line
        sweep, found = Sweep(attacker, self.scorer, attacker.line), dict[int, Scored]()
        for one in dict.fromkeys(targets):
            places = [i for i, other in enumerate(targets) if other == one]
            scored = sweep.score([self.recipe.eps[i] for i in places], one, kept, at_once=at_once)
            found |= dict(zip(places, scored, strict=True))
        return [found[i] for i in range(len(targets))]

    def _score_one(self, eps: float, kept: Kept) -> Scored:
        import numpy as np

        alone = len(self.members) == 1
        proposals = self.first.propose(eps, _all(self.y), None) if alone else self._propose_worst(eps)
        parts, lows, highs, finite = [], [], [], True
        for index, proposal in enumerate(proposals):
            found = self.scorer.judge(index, proposal, eps)
            rates = self.scorer.measure_success(index, proposal.x_adv, self.y[proposal.rows])
            saved, shown = (np.isin(proposal.rows, wanted) for wanted in (kept.images, kept.shown))
            images = {"x_adv": proposal.x_adv[saved], "seen": found.seen[shown]}
            parts.append(vars(found) | images | {"success_rate": rates})
            lows.append(found.low)
            highs.append(found.high)
            finite &= found.finite
        return Scored(**join_columns(parts), targets=None, pixel_range=(min(lows), max(highs)), finite=finite)

    def _propose_worst(self, eps: float) -> Iterator[Proposal]:
        """Yield for each sample what the first member that fools the pipeline proposes, else the last one's.

        What fools it is found by trying, as an attacker would; the draws that count are other ones. A pipeline that
        samples is fooled where it is wrong in every draw of a trial, else the proposal that fools most draws is kept.
        """
        import numpy as np

        start, x_adv, best = self.x.copy(), self.x.copy(), np.zeros(len(self.y), np.float32)
        for member in self.members:
            for index, proposal in enumerate(member.propose(eps, np.flatnonzero(best < 1), None)):
                found = self.scorer.measure_trial(index, proposal.x_adv, self.y[proposal.rows])
                better = found >= best[proposal.rows]
                kept = proposal.rows[better]
                start[kept], x_adv[kept] = proposal.start[better], proposal.x_adv[better]
                best[kept] = found[better]
        for _, rows in split_rows(_all(self.y)):
            yield Proposal(rows, start[rows], x_adv[rows])

    def _choose_targets(self, at_once: int) -> Sequence[tuple[int, ...] | None]:
        """Return for each eps which class each class is to become, None where the attack does not choose."""
        choose, classes = self.first.row.choose_targets, len(self.recipe.dataset.classes)
        if not (self.source and choose):
            return [None] * len(self.recipe.eps)
        images = _all(self.y) if self.scorer.surface.samples else self.y[:0]
        mistaken = self._sweep(self.source, [None] * len(self.recipe.eps), Kept(images, self.y[:0]), at_once)
        return [choose(self._count_mistakes(one, classes)) for one in mistaken]

    def _count_mistakes(self, scored: Scored, classes: int) -> IntArray:
        """Return what each class is taken for; of a pipeline that samples in many draws, none of which counts."""
        if not self.scorer.surface.samples:
            return metrics.confusion_matrix(self.y, scored.predictions, classes)
        parts = [
            metrics.confusion_matrix(self.y[rows], self.scorer.try_out(index, scored.x_adv[rows], k), classes)
            for index, rows in split_rows(_all(self.y))
            for k in range(MANY)
        ]
        return sum(parts[1:], parts[0])


def _all(y: IntArray) -> IntArray:
    import numpy as np

    return np.arange(len(y))


def _count(n: int) -> int:
    import numpy as np

    return sum(1 for _ in split_rows(np.arange(n)))


def _count_batches(on_batch: OnBatch, total: int) -> Callable[[], None]:
    done = 0

    def report() -> None:
        nonlocal done
        # What an ensemble drops, and what a probe adds, was not counted beforehand.
        done = min(done + 1, total)
        on_batch(done, total)

    return report


def _summarise(attack: _Attack, outcomes: Arrays, index: int, scored: Scored) -> EpsResult:
    recipe, eps = attack.recipe, attack.recipe.eps[index]
    probed = attack.probe(eps, scored.targets)
    return EpsResult(
        eps=eps,
        **metrics.measure_attacked(outcomes, index, metrics.find_aims(attack.y, recipe.target, scored.targets)),
        **metrics.measure_lengths(outcomes, index, recipe.norm),
        within_budget=recipe.clip,
        targets=scored.targets,
        pixel_range=scored.pixel_range,
        finite=scored.finite,
        accuracy_8bit=None if scored.rounded is None else metrics.accuracy(attack.y, scored.rounded)[0],
        loss_curve=probed.loss_curve if probed else None,
        lost_fraction=probed.lost_fraction if probed else None,
    )
