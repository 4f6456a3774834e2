"""Attacks along a line, x + eps * direction: one gradient and one pass over the images serve every eps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from advae import batching
from advae.attacks.goals import Goal
from advae.batching import Tensor, split_rows
from advae.evaluation.attacker import Attacker
from advae.evaluation.run_arrays import Kept, Scored, join_columns
from advae.evaluation.scorer import MEASURED, Scorer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advae.records import IntArray


AT_ONCE = 1000
"""Rows whose images, changes and roundings stay in the caches of two cores."""


class Sweep:
    """Attacks and judges a batch at every eps before it goes on to the next; a single trace serves all of them.

    So no array holds more than a batch of images, but for those that are kept. Where an attack is not clipped and the
    logits are affine in the image they are affine in eps too: then no image is built to be judged.
    """

    def __init__(self, attacker: Attacker, scorer: Scorer, line: Callable[[Goal, Tensor], Tensor]) -> None:
        import tensorflow as tf

        self.attacker, self.scorer, self.line = attacker, scorer, line
        images, labels = tf.TensorSpec((None, attacker.x.shape[1]), tf.float32), tf.TensorSpec((None,), tf.int64)
        whole = tf.TensorSpec((), tf.int32)
        reals, positions = tf.TensorSpec((None,), tf.float32), tf.TensorSpec((None,), tf.int64)
        affine = scorer.surface.affine and not attacker.recipe.clip
        judge = self._judge_along_logits if affine else self._judge_images
        self._judge = tf.function(judge, [images, labels, labels, whole, reals, positions, positions])

    def score(
        self, eps: Sequence[float], targets: tuple[int, ...] | None, kept: Kept, *, at_once: int = AT_ONCE
    ) -> list[Scored]:
        """Return the outcome at each eps. Raises AdvaeError where an image is outside budget or range.

        at_once: rows of a batch that are worked on together; all of them for a pipeline that samples, whose draws are
        those of a batch.
        """
        import numpy as np
        import tensorflow as tf

        labels, parts = self.attacker.aims(targets), []
        for index, rows in _split(len(labels), at_once):
            places = (np.flatnonzero(np.isin(rows, wanted)) for wanted in (kept.images, kept.shown))
            truth = self.attacker.y[rows]
            inputs = (self.attacker.x[rows], labels[rows], truth, index, np.asarray(eps, np.float32), *places)
            parts.append({name: found.numpy() for name, found in self._judge(*map(tf.constant, inputs)).items()})
            if rows[-1] + 1 == len(labels) or (rows[-1] + 1) % batching.BATCH == 0:
                for _ in eps:
                    self.attacker.report()
        return [self._join(one, [_pick(part, i) for part in parts], targets) for i, one in enumerate(eps)]

    def _join(self, eps: float, parts: list[dict[str, NDArray[Any]]], targets: tuple[int, ...] | None) -> Scored:
        extremes = [float(part[name]) for part in parts for name in ("low", "high") if name in part]
        self.scorer.check(
            eps,
            longest=max(float(part["longest"]) for part in parts),
            inside=all(bool(part["inside"]) for part in parts),
            largest=max(float(part["largest"]) for part in parts),
            pixels=(min(extremes, default=0.0), max(extremes, default=0.0)),
        )
        return Scored(
            **join_columns(parts),
            targets=targets,
            pixel_range=(min(extremes), max(extremes)) if extremes else None,
            finite=all(bool(part["finite"]) for part in parts),
        )

    # ------------------------------------------------------------ traced

    def _judge_images(
        self, x: Tensor, labels: Tensor, truth: Tensor, index: Tensor, eps: Tensor, kept: Tensor, shown: Tensor
    ) -> dict[str, Tensor]:
        """Return the columns of ``Scored`` for a batch, with a leading axis of eps."""
        goal, start = self.attacker.place(x, labels, index)
        direction = self.line(goal, start)

        def judge(one: Tensor) -> dict[str, Tensor]:
            delta = one * direction
            clip = self.attacker.recipe.clip
            x_adv = self.attacker.keep_inside(goal, start, delta, one) if clip else start + delta
            return self.scorer.measure(start, x_adv, truth, index, kept, shown)

        return _map(judge, eps, self.scorer.measured)

    def _judge_along_logits(
        self, x: Tensor, labels: Tensor, truth: Tensor, index: Tensor, eps: Tensor, kept: Tensor, shown: Tensor
    ) -> dict[str, Tensor]:
        """Return the same of logits that are affine in eps; nothing is known of pixels and of rounding then."""
        import tensorflow as tf

        goal, start = self.attacker.place(x, labels, index)
        direction = self.line(goal, start)
        classify = self.scorer.surface.classify
        # Of an affine map: the bias falls out.
        slope = classify(direction) - classify(tf.zeros_like(direction[:1]))
        clean, sizes = classify(start), (tf.reduce_max(tf.abs(direction), axis=-1), tf.norm(direction, axis=-1))
        finite = tf.reduce_all(tf.math.is_finite(start)) & tf.reduce_all(tf.math.is_finite(direction))

        def judge(one: Tensor) -> dict[str, Tensor]:
            linf, l2 = (one * size for size in sizes)
            return {
                "predictions": self.scorer.decide(clean + one * slope),
                "linf": linf,
                "l2": l2,
                "x_adv": tf.gather(start, kept) + one * tf.gather(direction, kept),
                "seen": tf.gather(start, shown) + one * tf.gather(direction, shown),
                "finite": finite,
                "inside": tf.constant(False),
                "longest": tf.reduce_max(linf),
                "largest": tf.reduce_max(tf.abs(start)),
            }

        absent = ("rounded", "success_rate", "low", "high")
        return _map(judge, eps, [name for name in MEASURED if name not in absent])


def _split(n: int, at_once: int) -> Iterator[tuple[int, IntArray]]:
    """Yield the index of a batch and up to so many of its rows."""
    import numpy as np

    for index, rows in split_rows(np.arange(n)):
        for first in range(0, len(rows), at_once):
            yield index, rows[first : first + at_once]


def _pick(part: dict[str, NDArray[Any]], i: int) -> dict[str, NDArray[Any]]:
    return {name: array[i] for name, array in part.items()}


def _map(judge: Callable[[Tensor], dict[str, Tensor]], eps: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
    """Return what ``judge`` returns at each eps, stacked; one after the other, so that few images are there at once."""
    import tensorflow as tf

    signature = {name: MEASURED[name] for name in names}
    found: dict[str, Tensor] = tf.map_fn(judge, eps, fn_output_signature=signature, parallel_iterations=1)
    return found
