"""Attacks along a line, x + eps * direction: one gradient and one pass over the images serve every eps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from advae import batching
from advae.attacks.goals import Goal
from advae.batching import Tensor, split_rows
from advae.evaluation.attacker import Attacker
from advae.evaluation.run_artifacts import EpsScores, SavedSamples, join_columns
from advae.evaluation.scorer import MEASURED_IN_GRAPH, Scorer
from advae.tracing import trace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advae.records import IntArray


ROWS_AT_ONCE = 1000
"""Rows whose images, perturbations and rounded copies fit into the caches of two cores."""


class EpsSweep:
    """Attack and score of one batch at every eps, then of the next batch; one trace serves all.

    No array holds more than a batch of images, except those that are saved. Where an attack is not clipped and the
    logits are affine in the image, the logits are affine in eps, too: then no adversarial example is built to score it.
    """

    def __init__(self, attacker: Attacker, scorer: Scorer, line: Callable[[Goal, Tensor], Tensor]) -> None:
        import tensorflow as tf

        self.attacker, self.scorer, self.line = attacker, scorer, line
        images, labels = tf.TensorSpec((None, attacker.x.shape[1]), tf.float32), tf.TensorSpec((None,), tf.int64)
        whole = tf.TensorSpec((), tf.int32)
        reals, positions = tf.TensorSpec((None,), tf.float32), tf.TensorSpec((None,), tf.int64)
        affine = scorer.surface.affine and not attacker.recipe.clip
        measure = self._extrapolate_logits if affine else self._measure_images
        self._measure = trace(measure, [images, labels, labels, whole, reals, positions, positions])

    def score(
        self,
        eps: Sequence[float],
        targets: tuple[int, ...] | None,
        saved: SavedSamples,
        *,
        rows_at_once: int = ROWS_AT_ONCE,
    ) -> list[EpsScores]:
        """Return the scores at each eps. Raises AdvaeError where an image is outside budget or range.

        rows_at_once: rows of a batch that are computed together; all rows for a pipeline that samples, because a batch
        has one draw.
        """
        import numpy as np
        import tensorflow as tf

        labels, parts = self.attacker.aims(targets), []
        for index, rows in _split(len(labels), rows_at_once):
            places = (np.flatnonzero(np.isin(rows, wanted)) for wanted in (saved.images, saved.shown))
            truth = self.attacker.y[rows]
            inputs = (self.attacker.x[rows], labels[rows], truth, index, np.asarray(eps, np.float32), *places)
            parts.append({name: found.numpy() for name, found in self._measure(*map(tf.constant, inputs)).items()})
            if rows[-1] + 1 == len(labels) or (rows[-1] + 1) % batching.BATCH == 0:
                for _ in eps:
                    self.attacker.report()
        return [
            self._join(one, [{name: array[i] for name, array in part.items()} for part in parts], targets)
            for i, one in enumerate(eps)
        ]

    def _join(self, eps: float, parts: list[dict[str, NDArray[Any]]], targets: tuple[int, ...] | None) -> EpsScores:
        extremes = [float(part[name]) for part in parts for name in ("low", "high") if name in part]
        self.scorer.check(
            eps,
            longest=max(float(part["longest"]) for part in parts),
            inside=all(bool(part["inside"]) for part in parts),
            largest=max(float(part["largest"]) for part in parts),
            pixels=(min(extremes, default=0.0), max(extremes, default=0.0)),
        )
        return EpsScores(
            **join_columns(parts),
            targets=targets,
            pixel_range=(min(extremes), max(extremes)) if extremes else None,
            finite=all(bool(part["finite"]) for part in parts),
        )

    # ------------------------------------------------------------ traced

    def _measure_images(
        self, x: Tensor, labels: Tensor, truth: Tensor, index: Tensor, eps: Tensor, saved: Tensor, shown: Tensor
    ) -> dict[str, Tensor]:
        """Return the columns of ``EpsScores`` for a batch, with a leading axis of eps."""
        goal, start = self.attacker.place(x, labels, index)
        direction = self.line(goal, start)

        def measure(one: Tensor) -> dict[str, Tensor]:
            delta = one * direction
            clip = self.attacker.recipe.clip
            x_adv = self.attacker.keep_inside(goal, start, delta, one) if clip else start + delta
            return self.scorer.measure(start, x_adv, truth, index, saved, shown)

        return _map(measure, eps, self.scorer.measured)

    def _extrapolate_logits(
        self, x: Tensor, labels: Tensor, truth: Tensor, index: Tensor, eps: Tensor, saved: Tensor, shown: Tensor
    ) -> dict[str, Tensor]:
        """Return the same for logits that are affine in eps; pixels and 8-bit rounding are not measured then."""
        import tensorflow as tf

        goal, start = self.attacker.place(x, labels, index)
        direction = self.line(goal, start)
        classify = self.scorer.surface.classify
        # The difference of two outputs of an affine map has no bias.
        slope = classify(direction) - classify(tf.zeros_like(direction[:1]))
        clean, sizes = classify(start), (tf.reduce_max(tf.abs(direction), axis=-1), tf.norm(direction, axis=-1))
        finite = tf.reduce_all(tf.math.is_finite(start)) & tf.reduce_all(tf.math.is_finite(direction))

        def measure(one: Tensor) -> dict[str, Tensor]:
            linf, l2 = (one * size for size in sizes)
            return {
                "predictions": self.scorer.decide(clean + one * slope),
                "linf": linf,
                "l2": l2,
                "x_adv": tf.gather(start, saved) + one * tf.gather(direction, saved),
                "seen": tf.gather(start, shown) + one * tf.gather(direction, shown),
                "finite": finite,
                "inside": tf.constant(False),
                "longest": tf.reduce_max(linf),
                "largest": tf.reduce_max(tf.abs(start)),
            }

        absent = ("rounded", "success_rate", "wrong_draws", "low", "high")
        return _map(measure, eps, [name for name in MEASURED_IN_GRAPH if name not in absent])


def score_along_line(
    attacker: Attacker,
    scorer: Scorer,
    targets: Sequence[tuple[int, ...] | None],
    saved: SavedSamples,
    rows_at_once: int,
) -> list[EpsScores]:
    """Return the scores at each eps of an attack along a line. targets: at each eps; equal ones share one sweep."""
    assert attacker.line
    sweep, found = EpsSweep(attacker, scorer, attacker.line), dict[int, EpsScores]()
    for one in dict.fromkeys(targets):
        places = [i for i, other in enumerate(targets) if other == one]
        scores = sweep.score([attacker.recipe.eps[i] for i in places], one, saved, rows_at_once=rows_at_once)
        found |= dict(zip(places, scores, strict=True))
    return [found[i] for i in range(len(targets))]


def _split(n: int, rows_at_once: int) -> Iterator[tuple[int, IntArray]]:
    """Yield the index of a batch and up to so many of its rows."""
    import numpy as np

    for index, rows in split_rows(np.arange(n)):
        for first in range(0, len(rows), rows_at_once):
            yield index, rows[first : first + rows_at_once]


def _map(measure: Callable[[Tensor], dict[str, Tensor]], eps: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
    """Return the outputs of ``measure`` at each eps, stacked. They are computed one after the other to save memory."""
    import tensorflow as tf

    signature = {name: MEASURED_IN_GRAPH[name] for name in names}
    found: dict[str, Tensor] = tf.map_fn(measure, eps, fn_output_signature=signature, parallel_iterations=1)
    return found
