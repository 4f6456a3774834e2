"""The attacker: one attack, compiled for one attack surface; proposes adversarial examples inside budget and range."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from advae.attacks import ATTACKS, Attack, find_loss
from advae.attacks.goals import Goal, is_ahead
from advae.attacks.image_draws import make_keys
from advae.attacks.leaving import find_final
from advae.batching import Tensor, list_rows, split_rows
from advae.evaluation.proposals import Look, Proposal
from advae.evaluation.purifier_draws import FIRST_UNSEEN_DRAW, draw_for_attack, draw_for_score, seed_restart
from advae.metrics import find_aims
from advae.threats import Surface
from advae.tracing import trace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import FloatArray, IntArray, RunRecipe


class Attacker:
    """An attack on one surface. One TensorFlow trace serves every eps, step size, step count and batch.

    x: float32 (n, d) in [0, 1]; y: true classes, int64 (n,). report: called after each batch. row: of the attack, where
    an ensemble changes it; None: that of ATTACKS. ids: positions in the test set, int64 (n,), to which random starts
    belong; None for the first n.
    """

    def __init__(
        self,
        surface: Surface,
        recipe: RunRecipe,
        x: FloatArray,
        y: IntArray,
        report: Callable[[], None],
        row: Attack | None = None,
        ids: IntArray | None = None,
    ) -> None:
        import tensorflow as tf

        self.surface, self.recipe, self.x, self.y, self.report = surface, recipe, x, y, report
        self.row = row or ATTACKS[recipe.method]
        self.ids = list_rows(y) if ids is None else ids
        images, labels = tf.TensorSpec((None, x.shape[1]), tf.float32), tf.TensorSpec((None,), tf.int64)
        real, whole = tf.TensorSpec((), tf.float32), tf.TensorSpec((), tf.int32)
        # The number of rows varies: samples with a success are dropped, and measure_progress attacks a few only.
        self._propose = trace(self._propose_batch, [images, labels, labels, whole, real, real, whole, whole])
        self._gradient = trace(self._gradient_batch, [images, labels, whole])
        self._look = trace(self._look_at_batch, [images, images, labels, whole])

    def aims(self, targets: tuple[int, ...] | None) -> IntArray:
        """Return the labels for the attack, int64 (n,): the target classes, or the true classes where untargeted."""
        found = find_aims(self.y, self.recipe.target, targets)
        return self.y if found is None else found

    @property
    def line(self) -> Callable[[Goal, Tensor], Tensor] | None:
        """(goal, start) -> a direction that does not depend on eps; None for an attack that has no such direction."""
        return self.row.direction if self.recipe.clip else self.row.unclipped

    @property
    def stops(self) -> bool:
        """Whether an image leaves the attack at its first success."""
        return stops_at_success(self.surface, self.recipe)

    @property
    def _restarts(self) -> int:
        return self.recipe.restarts or 1

    @property
    def steps(self) -> int:
        """Number of steps, or of queries for a score-based attack."""
        return self.recipe.queries or self.recipe.steps or 1

    def propose(
        self,
        eps: float,
        rows: IntArray,
        targets: tuple[int, ...] | None,
        *,
        steps: int | None = None,
        first: int = 0,
    ) -> Iterator[Proposal]:
        """Yield the proposals of the attack at eps for some rows, batch by batch.

        steps: number of steps to take, None for all; the step size stays that of the whole attack. first: the first
        batch that is attacked.
        """
        labels = self.aims(targets)
        size = self.row.stride * eps / self.steps if self.recipe.step_size is None else self.recipe.step_size
        numbers = (eps, size, steps or self.steps)
        for index, batch in split_rows(rows):
            if index >= first:
                yield self._propose_best(index, batch, labels, numbers)
            self.report()

    def _propose_best(
        self, index: int, rows: IntArray, labels: IntArray, numbers: tuple[float, float, int]
    ) -> Proposal:
        """Return the best point of all restarts; a sample that is a success on every draw is not attacked again.

        Where images leave at their first success, only those that have not left are attacked again. The best point is
        best in the attacker's view: on its own draws, not on the one that is used for the score.
        """
        import numpy as np

        found = self._try(index, rows, labels, numbers, restart=0)
        if self._restarts == 1:
            return Proposal(rows, *found[:2])
        # Copies, because the memory of TensorFlow's arrays must not be written to.
        start, x_adv, lowest, share = (array.copy() for array in found)
        unbroken = np.arange(len(rows))
        for restart in range(1, self._restarts):
            unbroken = unbroken[share[unbroken] < 1]
            if not len(unbroken):
                break
            found = self._try(index, rows[unbroken], labels, numbers, restart=restart)
            better = is_ahead(found[3], found[2], share[unbroken], lowest[unbroken])
            improved = unbroken[better]
            start[improved], x_adv[improved], lowest[improved], share[improved] = (array[better] for array in found)
        return Proposal(rows, start, x_adv)

    def _try(
        self, index: int, rows: IntArray, labels: IntArray, numbers: tuple[float, float, int], *, restart: int
    ) -> list[FloatArray]:
        """Return start, x_adv, margins and shares of some rows of a batch, attacked from one starting point."""
        import tensorflow as tf

        inputs = (self.x[rows], labels[rows], self.ids[rows], index, *numbers, restart)
        return [output.numpy() for output in self._propose(*map(tf.constant, inputs))]

    def zero_gradients(self, targets: tuple[int, ...] | None) -> NDArray[np.bool_]:
        """Return for each sample whether the attacker's first gradient is zero or not finite, bool (n,)."""
        import numpy as np
        import tensorflow as tf

        labels = self.aims(targets)
        parts = [
            self._gradient(tf.constant(self.x[rows]), tf.constant(labels[rows]), tf.constant(index)).numpy()
            for index, rows in split_rows(np.arange(len(self.x)))
        ]
        return np.concatenate(parts)

    def look(self, rows: IntArray, x_adv: FloatArray | None, targets: tuple[int, ...] | None) -> Look:
        """Return the attacker's view of a batch at x_adv; where x_adv is None, at the starting points."""
        import tensorflow as tf

        x = tf.constant(self.x[rows])
        labels = tf.constant(self.aims(targets)[rows])
        at = self._start(x) if x_adv is None else tf.constant(x_adv)
        margins, shares = (found.numpy() for found in self._look(x, at, labels, tf.constant(0)))
        return Look(margins, shares if self.surface.craft_samples else None, shares >= 1 if self.stops else None)

    # ------------------------------------------------------------ traced

    def _start(self, x: Tensor, index: Tensor = 0) -> Tensor:
        return self.surface.start(x, draw_for_score(self.recipe.seed, index))

    def _propose_batch(
        self,
        x: Tensor,
        labels: Tensor,
        ids: Tensor,
        index: Tensor,
        eps: Tensor,
        step_size: Tensor,
        steps: Tensor,
        restart: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return start, x_adv, and the attacker's view of x_adv: margins and shares of successful draws."""
        import tensorflow as tf

        start = self._start(x, index)
        goal = replace(self._goal(labels, index, start, restart), keys=make_keys(ids, restart))
        loop = {"step_size": step_size, "steps": steps} if self.row.iterative else {}
        x_adv = self.keep_inside(goal, start, self.row.run(goal, start, eps=eps, **loop) - start, eps)
        # The view costs a twentieth of ten steps. With one start there is nothing to choose, so it is not computed.
        margins = shares = tf.zeros_like(x_adv[:, 0])
        if self._restarts > 1:
            margins, shares = self._measure(goal, x_adv, steps, block=1)
        return start, x_adv, margins, shares

    def _measure(self, goal: Goal, x: Tensor, draw: Tensor, *, block: int) -> tuple[Tensor, Tensor]:
        """Return the margins at x and the share of successful draws: fresh ones for a random goal, else 0 or 1.

        Where images leave at their first success it is 1 only for an image that has left.
        """
        import tensorflow as tf

        if goal.noisy:
            shares, margins = goal.measure_success(x, block)
        else:
            margins = goal.look(x, draw)[1]
            won = margins < 0.0
            if goal.stops:
                won = find_final(goal, x, margins, draw, tf.zeros_like(won))
            shares = tf.cast(won, tf.float32)
        return margins, shares

    def place(self, x: Tensor, labels: Tensor, index: Tensor) -> tuple[Goal, Tensor]:
        """Return the goal of the attack on a batch, and its starting points."""
        start = self._start(x, index)
        return self._goal(labels, index, start), start

    def keep_inside(self, goal: Goal, start: Tensor, delta: Tensor, eps: Tensor) -> Tensor:
        """Return start + delta, moved into the ball around start and into the valid range."""
        import tensorflow as tf

        return tf.clip_by_value(start + self._shorten(delta, eps), goal.lower, goal.upper)

    def _shorten(self, delta: Tensor, eps: Tensor) -> Tensor:
        """Return a perturbation moved into the ball."""
        import tensorflow as tf

        if self.recipe.norm == "linf":
            return tf.clip_by_value(delta, -eps, eps)
        length = tf.norm(delta, axis=-1, keepdims=True)
        # Slightly less than eps, because the sum of the squares is rounded, too.
        return delta * tf.minimum(1.0, tf.math.divide_no_nan((1.0 - 1e-6) * eps, length))

    def _gradient_batch(self, x: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        import tensorflow as tf

        start = self._start(x, index)
        gradient = self.row.gradient(self._goal(labels, index, start), start)
        finite = tf.reduce_all(tf.math.is_finite(gradient), axis=-1)
        return ~finite | tf.reduce_all(gradient == 0.0, axis=-1)

    def _look_at_batch(self, x: Tensor, x_adv: Tensor, labels: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        return self._measure(self._goal(labels, index, self._start(x, index)), x_adv, 0, block=2)

    def _goal(self, labels: Tensor, index: Tensor, start: Tensor, restart: Tensor = 0) -> Goal:
        import tensorflow as tf

        def craft(z: Tensor, draw: Tensor) -> Tensor:
            # Adds exactly 0: where the logits do not depend on z, as behind a rounding layer, the gradient is then 0,
            # not None.
            return self.surface.craft(z, draw_for_attack(self.recipe.seed, index, draw)) + 0.0 * tf.reduce_sum(
                z, axis=-1, keepdims=True
            )

        lower, upper = self.surface.find_range(start)
        return Goal(
            logits=craft,
            labels=labels,
            targeted=self.row.targeted,
            loss=find_loss(self.recipe.loss) if self.recipe.loss else None,
            lower=lower,
            upper=upper,
            norm=self.recipe.norm,
            shape=self.recipe.dataset.shape,
            seed=seed_restart(self.recipe.seed, index, restart),
            eot_samples=self.recipe.draws or 1,
            noisy=self.surface.craft_samples,
            first_unseen=FIRST_UNSEEN_DRAW,
            stops=self.stops,
        )


def stops_at_success(surface: Surface, recipe: RunRecipe) -> bool:
    """Whether an image leaves an attack, and a sweep over eps, at its first success.

    It does so only where the attacker asks the very function that is scored: elsewhere a success may be none for the
    scorer, and further steps count.
    """
    return ATTACKS[recipe.method].leaves and surface.asks_scored and recipe.clip
