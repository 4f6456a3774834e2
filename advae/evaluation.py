"""One attack under one threat model, projected, verified and scored on the same samples at every eps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Any

from advae import metrics
from advae.attacks import ATTACKS, TARGETS_FROM, Attack, find_loss
from advae.attacks.goals import Goal
from advae.batching import lay_out_batches
from advae.errors import AdvaeError
from advae.records import ADVERSARIAL, OUTCOMES, SAMPLES, EpsResult, RunMetrics
from advae.threats import Surface

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import FloatArray, IntArray, RunRecipe

    Arrays = dict[str, np.ndarray[Any, Any]]

Tensor = Any

TOLERANCE = 1e-6
"""What float32 rounding may add to a perturbation of size eps."""

DRAWS_PER_BATCH = 100_000
"""Draws of a sampling purifier that belong to one batch; more than an attack has steps."""

MAX_RESTARTS = 1_000

SEED_STRIDE = 1_000_003
"""A prime, so that the draws of small seeds lie far apart."""

SHOWN = 10
"""Of how many samples, one a class, the images are stored for the report."""


@dataclass(frozen=True)
class Scored:
    """What one attack at one eps left: arrays over all n samples; images only of the m samples asked for.

    predictions: int64 (n,); linf, l2: float32 (n,); x_adv, seen: float32 (m, d); targets: class -> class aimed at,
    where the attack chose them.
    """

    predictions: IntArray
    linf: FloatArray
    l2: FloatArray
    x_adv: FloatArray
    seen: FloatArray
    _: KW_ONLY
    targets: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Evaluated:
    """The metrics of a run and the arrays that are stored with it, by file name."""

    metrics: RunMetrics
    arrays: dict[str, Arrays]


def evaluate(
    surface: Surface,
    recipe: RunRecipe,
    x: FloatArray,
    y: IntArray,
    *,
    on_batch: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluated:
    """Attack x at every eps of the recipe and return what is left, measured on what the scorer was handed.

    x: float32 (n, d) in [0, 1], the first test images in file order; y: int64 (n,). on_batch: (done, total).
    Raises AdvaeError where a proposed image leaves the budget or the range after projection: a defect of ours.
    """
    import numpy as np

    attack = ATTACKS[recipe.method]
    shown = _first_of_each_class(y)
    kept = np.arange(len(x)) if recipe.save_adversarial else shown
    passes = len(recipe.eps) * (2 if attack.choose_targets else 1)
    report = _count_batches(on_batch, passes * len(list(lay_out_batches(len(x)))))
    attacker = _Attacker(surface, attack, recipe, x, y, report)
    clean, start = attacker.score_clean(shown)
    scored = [attacker.attack(eps, kept) for eps in recipe.eps]
    # The targets, and so the first gradients, are often the same at every eps.
    zero_by_targets = {one.targets: attacker.zero_gradients(one.targets) for one in scored}
    zero = [zero_by_targets[one.targets] for one in scored]
    accuracy, interval = metrics.accuracy(y, clean)
    summary = RunMetrics(
        n=len(x),
        clean_accuracy=accuracy,
        clean_accuracy_interval=interval,
        results=tuple(
            _summarise(
                eps, y, clean, one, stuck, attacker.aims(one.targets) if attack.targeted else None, clip=recipe.clip
            )
            for eps, one, stuck in zip(recipe.eps, scored, zero, strict=True)
        ),
    )
    arrays = {
        OUTCOMES: _outcomes(y, clean, scored, zero),
        SAMPLES: _samples(x, y, start, scored, shown, np.searchsorted(kept, shown)),
    }
    if recipe.save_adversarial:
        arrays[ADVERSARIAL] = _adversarial(y, scored)
    return Evaluated(summary, arrays)


class _Attacker:
    """One attack compiled for one surface: a single trace serves every eps, step size, step count and batch."""

    def __init__(
        self,
        surface: Surface,
        attack: Attack,
        recipe: RunRecipe,
        x: FloatArray,
        y: IntArray,
        report: Callable[[], None],
    ) -> None:
        import tensorflow as tf

        self.surface, self.row, self.recipe, self.x, self.y, self.report = surface, attack, recipe, x, y, report
        self._run_compiled = tf.function(self._run_batch)
        self._gradient_compiled = tf.function(self._gradient_batch)
        self._clean_compiled = tf.function(self._clean_batch)
        # Natural targets are read off another attack, at the same eps on the same samples.
        self.source = _Attacker(surface, ATTACKS[TARGETS_FROM], recipe, x, y, report) if attack.choose_targets else None

    def aims(self, targets: tuple[int, ...] | None) -> IntArray:
        """Return the labels that the attack is handed: targets where it has them, else the true classes to leave."""
        import numpy as np

        if targets is not None:
            return np.asarray(targets, np.int64)[self.y]
        return self.y if self.recipe.target is None else np.full_like(self.y, self.recipe.target)

    def attack(self, eps: float, kept: IntArray) -> Scored:
        """Return the outcome of the attack at eps over all samples, images only of the positions in ``kept``."""
        import numpy as np
        import tensorflow as tf

        targets = self._choose_targets(eps)
        labels = self.aims(targets)
        steps = self.recipe.steps or 1
        size = self.row.stride * eps / steps if self.recipe.step_size is None else self.recipe.step_size
        numbers = [tf.constant(eps), tf.constant(size), tf.constant(steps), tf.constant(self.recipe.restarts or 1)]
        columns: list[tuple[np.ndarray[Any, Any], ...]] = []
        for index, rows, padded in lay_out_batches(len(self.x)):
            batch = [tf.constant(self.x[padded]), tf.constant(labels[padded]), tf.constant(index)]
            outputs = self._run_compiled(*batch, *numbers)
            start, x_adv, seen, logits = (output.numpy()[: len(rows)] for output in outputs)
            linf, l2 = metrics.perturbation_norms(start, x_adv)
            self._check(eps, linf if self.recipe.norm == "linf" else l2, start, x_adv)
            wanted = np.isin(rows, kept)
            columns.append(
                (metrics.decide(logits), linf.astype(np.float32), l2.astype(np.float32), x_adv[wanted], seen[wanted])
            )
            self.report()
        joined = [np.concatenate(column) for column in zip(*columns, strict=True)]
        return Scored(*joined, targets=targets)

    def zero_gradients(self, targets: tuple[int, ...] | None) -> NDArray[np.bool_]:
        """Return for each sample whether the attacker's first gradient is zero or not finite, bool (n,)."""
        import numpy as np
        import tensorflow as tf

        labels = self.aims(targets)
        parts = [
            self._gradient_compiled(
                tf.constant(self.x[padded]), tf.constant(labels[padded]), tf.constant(index)
            ).numpy()[: len(rows)]
            for index, rows, padded in lay_out_batches(len(self.x))
        ]
        return np.concatenate(parts)

    def score_clean(self, shown: IntArray) -> tuple[IntArray, FloatArray]:
        """Return the pipeline's predictions on the clean images, and the starting points of the shown ones."""
        import numpy as np
        import tensorflow as tf

        predictions, starts = [], []
        for index, rows, padded in lay_out_batches(len(self.x)):
            outputs = self._clean_compiled(tf.constant(self.x[padded]), tf.constant(index))
            start, logits = (output.numpy()[: len(rows)] for output in outputs)
            predictions.append(metrics.decide(logits))
            starts.append(start[np.isin(rows, shown)])
        return np.concatenate(predictions), np.concatenate(starts)

    # ------------------------------------------------------------ traced

    def _run_batch(
        self, x: Tensor, labels: Tensor, index: Tensor, eps: Tensor, step_size: Tensor, steps: Tensor, restarts: Tensor
    ) -> tuple[Tensor, ...]:
        """Return (start, x_adv, what the classifier sees, its logits) of a batch."""
        import tensorflow as tf

        start = self.surface.start(x, self._scoring_draw(index))
        goal = self._goal(labels, index, start)
        if not self.recipe.clip and self.row.unclipped:
            x_adv = self.row.unclipped(goal, start, eps=eps)
        else:
            loop = {"step_size": step_size, "steps": steps} if self.row.iterative else {}
            x_adv = self._propose(goal, start, eps, loop)
            if self.row.restarts:
                lowest = goal.look(x_adv, steps)[1]
                for restart in tf.range(1, restarts):
                    again = replace(goal, seed=self._seed(index, restart))
                    other = self._propose(again, start, eps, loop)
                    margins = goal.look(other, steps)[1]
                    # What an attacker would keep: by its own draws, not by the one that it is judged by.
                    x_adv = tf.where((margins < lowest)[:, None], other, x_adv)
                    lowest = tf.minimum(margins, lowest)
        seen = self.surface.see(x_adv, self._scoring_draw(index))
        return start, x_adv, seen, self.surface.classify(seen)

    def _propose(self, goal: Goal, start: Tensor, eps: Tensor, loop: dict[str, Tensor]) -> Tensor:
        """Return what the attack proposes, moved into the ball and into the valid range."""
        import tensorflow as tf

        x_raw = self.row.run(goal, start, eps=eps, **loop)
        return tf.clip_by_value(start + self._shorten(x_raw - start, eps), goal.lower, goal.upper)

    def _shorten(self, delta: Tensor, eps: Tensor) -> Tensor:
        """Return a perturbation moved into the ball."""
        import tensorflow as tf

        if self.recipe.norm == "linf":
            return tf.clip_by_value(delta, -eps, eps)
        length = tf.norm(delta, axis=-1, keepdims=True)
        # A little less than eps, since the sum of the squares is rounded too.
        return delta * tf.minimum(1.0, tf.math.divide_no_nan((1.0 - 1e-6) * eps, length))

    def _gradient_batch(self, x: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        import tensorflow as tf

        start = self.surface.start(x, self._scoring_draw(index))
        gradient = self.row.gradient(self._goal(labels, index, start), start)
        finite = tf.reduce_all(tf.math.is_finite(gradient), axis=-1)
        return ~finite | tf.reduce_all(gradient == 0.0, axis=-1)

    def _clean_batch(self, x: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        draw = self._scoring_draw(index)
        start = self.surface.start(x, draw)
        return start, self.surface.classify(self.surface.see(start, draw))

    def _goal(self, labels: Tensor, index: Tensor, start: Tensor) -> Goal:
        import tensorflow as tf

        first = self._first_draw() + index * DRAWS_PER_BATCH
        return Goal(
            logits=lambda z, draw: self.surface.craft(z, first + draw),
            labels=labels,
            targeted=self.row.targeted,
            loss=find_loss(self.recipe.loss) if self.recipe.loss else None,
            # A purifier with a linear output may start outside the range; moving it back would spend budget.
            lower=tf.minimum(start, 0.0),
            upper=tf.maximum(start, self.surface.upper),
            norm=self.recipe.norm,
            seed=self._seed(index, 0),
        )

    def _seed(self, index: Tensor, restart: Tensor) -> Tensor:
        """Return what a random start draws from: of the run, the batch and the restart."""
        import tensorflow as tf

        return tf.stack([self.recipe.seed, index * MAX_RESTARTS + restart])

    def _first_draw(self) -> int:
        """Return where the run's draws begin, so that ``--seed`` gives a sampling purifier other noise."""
        return (self.recipe.seed * SEED_STRIDE) % 2**30

    def _scoring_draw(self, index: Tensor) -> Tensor:
        """Return a draw that no attack step sees: the attacker must not know the noise that it is judged by."""
        return -1 - self._first_draw() - index

    # ------------------------------------------------------------ checked

    def _choose_targets(self, eps: float) -> tuple[int, ...] | None:
        if not (self.source and self.row.choose_targets):
            return None
        mistaken = self.source.attack(eps, self.y[:0]).predictions
        return self.row.choose_targets(metrics.confusion_matrix(self.y, mistaken, len(self.recipe.dataset.classes)))

    def _check(self, eps: float, length: NDArray[np.float64], start: FloatArray, x_adv: FloatArray) -> None:
        """Refuse what projection should have made impossible; what is not projected is not held to it."""
        lower, upper = start.clip(max=0.0), start.clip(min=self.surface.upper)
        inside = bool(((x_adv >= lower) & (x_adv <= upper)).all())
        worst = float(length.max())
        if self.recipe.clip and not (inside and worst <= eps + TOLERANCE):
            raise AdvaeError(
                f"attack {self.recipe.method!r} left its budget: {self.recipe.norm} {worst:.9g} at eps {eps!r}, "
                f"pixels from {x_adv.min():.9g} to {x_adv.max():.9g}; nothing was stored"
            )


def _count_batches(on_batch: Callable[[int, int], None], total: int) -> Callable[[], None]:
    done = 0

    def report() -> None:
        nonlocal done
        done += 1
        on_batch(done, total)

    return report


def _first_of_each_class(y: IntArray) -> IntArray:
    """Return the positions of the first sample of each class, in file order, at most SHOWN."""
    import numpy as np

    return np.sort(np.unique(y, return_index=True)[1])[:SHOWN]


def _summarise(
    eps: float,
    y: IntArray,
    clean: IntArray,
    scored: Scored,
    zero: NDArray[np.bool_],
    aims: IntArray | None,
    *,
    clip: bool,
) -> EpsResult:
    accuracy, interval = metrics.accuracy(y, scored.predictions)
    correct = clean == y
    fooled = scored.predictions[correct] != y[correct]
    return EpsResult(
        eps=eps,
        accuracy=accuracy,
        accuracy_interval=interval,
        attack_success_rate=float(fooled.mean()) if correct.any() else None,
        target_hit_rate=None if aims is None else _hit_rate(y, scored.predictions, aims),
        linf_max=float(scored.linf.max()),
        l2_mean=float(scored.l2.mean()),
        zero_gradient_fraction=float(zero.mean()),
        within_budget=clip,
        targets=scored.targets,
    )


def _hit_rate(y: IntArray, predictions: IntArray, aims: IntArray) -> float | None:
    """Return the share that reached its target, of the samples that were not of that class to begin with."""
    others = aims != y
    return float((predictions[others] == aims[others]).mean()) if others.any() else None


def _outcomes(y: IntArray, clean: IntArray, scored: list[Scored], zero: list[NDArray[np.bool_]]) -> Arrays:
    import numpy as np

    return {
        "sample_ids": np.arange(len(y), dtype=np.int64),
        "labels": y,
        "clean_predictions": clean,
        "predictions": np.stack([one.predictions for one in scored]),
        "linf": np.stack([one.linf for one in scored]),
        "l2": np.stack([one.l2 for one in scored]),
        "zero_gradient": np.stack(zero),
    }


def _samples(
    x: FloatArray, y: IntArray, start: FloatArray, scored: list[Scored], shown: IntArray, positions: IntArray
) -> Arrays:
    import numpy as np

    return {
        "ids": shown.astype(np.int64),
        "labels": y[shown],
        "x": x[shown],
        "start": start,
        "x_adv": np.stack([one.x_adv[positions] for one in scored]),
        "seen": np.stack([one.seen[positions] for one in scored]),
        "predictions": np.stack([one.predictions[shown] for one in scored]),
    }


def _adversarial(y: IntArray, scored: list[Scored]) -> Arrays:
    import numpy as np

    return {
        "ids": np.arange(len(y), dtype=np.int64),
        "labels": y,
        "x_adv": np.stack([one.x_adv for one in scored]),
        "predictions": np.stack([one.predictions for one in scored]),
    }
