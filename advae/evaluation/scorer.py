"""The judge: what the pipeline makes of the images that it is handed, and how far they are from where they began."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae import metrics
from advae.batching import Tensor, split_rows
from advae.errors import AdvaeError
from advae.evaluation import eot
from advae.threats import THREATS, Surface

if TYPE_CHECKING:
    from advae.evaluation.attacker import Proposal
    from advae.records import FloatArray, IntArray, RunRecipe


TOLERANCE = 1e-6
"""What float32 rounding may add to a perturbation of size eps, on data in [0, 1]; on larger data as many times more."""

COMPARED = 256
"""Samples on which two draws are compared, to see whether the pipeline samples."""

MEASURED = {
    "predictions": "int64",
    "rounded": "int64",
    "success_rate": "float32",
    "linf": "float32",
    "l2": "float32",
    "x_adv": "float32",
    "seen": "float32",
    "low": "float32",
    "high": "float32",
    "finite": "bool",
    "inside": "bool",
    "longest": "float32",
    "largest": "float32",
}
"""What is measured of a batch in the graph itself: name -> dtype."""

SUM_OF_PROBABILITIES = 1e-3
"""How near to 1 outputs must add up to be taken for those of a softmax."""


@dataclass(frozen=True)
class Judged:
    """What the pipeline makes of a batch.

    predictions: int64 (m,); rounded: the same after rounding to 8 bits, None where what is attacked is no image; linf,
    l2: float32 (m,); seen: float32 (m, d), what the classifier is fed; low, high: smallest and largest pixel; finite:
    whether every pixel is.
    """

    predictions: IntArray
    rounded: IntArray | None
    linf: FloatArray
    l2: FloatArray
    seen: FloatArray
    low: float
    high: float
    finite: bool


@dataclass(frozen=True)
class Clean:
    """What the pipeline makes of the unchanged images, and what it is like.

    predictions: int64 (n,); start: float32 (m, d), the starting points of the shown samples; start_range: of all;
    clipped: share of purified pixels that clipping cut off, None where nothing is clipped on the attacker's way;
    probabilities: whether outputs are positive and add up to 1; stochastic: whether two draws differ.
    """

    predictions: IntArray
    start: FloatArray
    start_range: tuple[float, float]
    clipped: float | None
    probabilities: bool
    stochastic: bool


class Scorer:
    """Judges by draws that no attack sees. x: float32 (n, d) in [0, 1]."""

    def __init__(self, surface: Surface, recipe: RunRecipe, x: FloatArray) -> None:
        import tensorflow as tf

        self.surface, self.recipe, self.x = surface, recipe, x
        images, whole = tf.TensorSpec((None, x.shape[1]), tf.float32), tf.TensorSpec((), tf.int32)
        self._judge = tf.function(self._judge_batch, [images, whole])
        self._round = tf.function(self._judge_rounded, [images, whole])
        labels = tf.TensorSpec((None,), tf.int64)
        self._rate = tf.function(lambda x, y, index: self.rate(x, y, index, eot.score_many), [images, labels, whole])
        self._try = tf.function(lambda x, y, index: self.rate(x, y, index, eot.try_many), [images, labels, whole])
        self._start = tf.function(self._start_batch, [images, whole])

    @property
    def on_images(self) -> bool:
        """Whether what is judged are images, which others can store in 8 bits."""
        return THREATS[self.recipe.threat].on_input

    @property
    def measured(self) -> list[str]:
        """The names of what ``measure`` returns."""
        absent = {"rounded": not self.on_images, "success_rate": not self.surface.samples}
        return [name for name in MEASURED if not absent.get(name)]

    def measure_success(self, index: int, x_adv: FloatArray, y: IntArray) -> FloatArray | None:
        """Return in what share of MANY draws that nothing else saw the pipeline is wrong, float32 (m,).

        None for a pipeline that does not sample. y: the true classes.
        """
        return self._apply(self._rate, index, x_adv, y) if self.surface.samples else None

    def measure_trial(self, index: int, x_adv: FloatArray, y: IntArray) -> FloatArray:
        """Return in what share of draws that do not count the pipeline is wrong, float32 (m,).

        What an attacker learns from trying: from one draw where all are the same.
        """
        import numpy as np

        if self.surface.samples:
            return self._apply(self._try, index, x_adv, y)
        wrong: FloatArray = (self.try_out(index, x_adv) != y).astype(np.float32)
        return wrong

    def _apply(self, rate: Any, index: int, x_adv: FloatArray, y: IntArray) -> FloatArray:
        import tensorflow as tf

        found: FloatArray = rate(*map(tf.constant, (x_adv, y, index))).numpy()
        return found

    def judge(self, index: int, proposal: Proposal, eps: float) -> Judged:
        """Return what the pipeline makes of a proposal. Raises AdvaeError where it is outside budget or range."""
        import numpy as np
        import tensorflow as tf

        start, x_adv = proposal.start, proposal.x_adv
        inputs = tf.constant(x_adv), tf.constant(eot.score(self.recipe.seed, index))
        seen, logits = (output.numpy() for output in self._judge(*inputs))
        linf, l2 = metrics.perturbation_norms(start, x_adv)
        lower, upper = start.clip(max=0.0), start.clip(min=self.surface.upper)
        self.check(
            eps,
            longest=float((linf if self.recipe.norm == "linf" else l2).max()),
            inside=bool(((x_adv >= lower) & (x_adv <= upper)).all()),
            largest=float(abs(start).max()),
            pixels=(float(x_adv.min()), float(x_adv.max())),
        )
        return Judged(
            predictions=metrics.decide(logits),
            rounded=metrics.decide(self._round(*inputs).numpy()) if self.on_images else None,
            linf=linf.astype(np.float32),
            l2=l2.astype(np.float32),
            seen=seen,
            low=float(x_adv.min()),
            high=float(x_adv.max()),
            finite=bool(np.isfinite(x_adv).all()),
        )

    def try_out(self, index: int, x_adv: FloatArray, k: int | None = None) -> IntArray:
        """Return predictions by a draw that does not count, int64 (m,); k: by that one of a trial's many."""
        import tensorflow as tf

        seed = self.recipe.seed
        draw = eot.trial(seed, index) if k is None else eot.try_many(seed, index, k)
        return metrics.decide(self._judge(tf.constant(x_adv), tf.constant(draw))[1].numpy())

    def score_clean(self, shown: IntArray) -> Clean:
        """Return what the pipeline makes of the unchanged images. shown: whose starting points to keep."""
        import numpy as np
        import tensorflow as tf

        predictions, starts, ranges, clipped = [], [], [], []
        probabilities, stochastic = True, False
        for index, rows in split_rows(np.arange(len(self.x))):
            draw, other = (tf.constant(of(self.recipe.seed, index)) for of in (eot.score, eot.trial))
            start = self._start(tf.constant(self.x[rows]), draw)
            seen, logits = (output.numpy() for output in self._judge(start, draw))
            predictions.append(metrics.decide(logits))
            starts.append(start.numpy()[np.isin(rows, shown)])
            ranges += [float(start.numpy().min()), float(start.numpy().max())]
            clipped.append(float(((seen <= 0) | (seen >= 1)).mean()) * len(rows))
            probabilities &= _are_probabilities(logits)
            if index == 0:
                # A purifier that samples does so on its way to the starting point or behind it.
                few = self.x[rows[:COMPARED]]
                first, second = (
                    self._judge(self._start(tf.constant(few), one), one)[1].numpy() for one in (draw, other)
                )
                stochastic = not np.array_equal(first, second, equal_nan=True)
        through = self.surface.through
        return Clean(
            predictions=np.concatenate(predictions),
            start=np.concatenate(starts),
            start_range=(min(ranges), max(ranges)),
            clipped=sum(clipped) / len(self.x) if through and through.clips else None,
            probabilities=probabilities,
            stochastic=stochastic,
        )

    def check(self, eps: float, *, longest: float, inside: bool, largest: float, pixels: tuple[float, float]) -> None:
        """Refuse what projection should have made impossible; what is not projected is not held to it.

        longest: of all perturbations; inside: whether every pixel is in its range; largest: magnitude where they
        start. Raises AdvaeError.
        """
        if self.recipe.clip and not (inside and longest <= eps + TOLERANCE * max(1.0, largest)):
            raise AdvaeError(
                f"attack {self.recipe.method!r} left its budget: {self.recipe.norm} {longest:.9g} at eps {eps!r}, "
                f"pixels from {pixels[0]:.9g} to {pixels[1]:.9g}; nothing was stored"
            )

    # ------------------------------------------------------------ traced

    def _start_batch(self, x: Tensor, draw: Tensor) -> Tensor:
        return self.surface.start(x, draw)

    def _judge_batch(self, x_adv: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the classifier sees, and its logits."""
        seen = self.surface.see(x_adv, draw)
        return seen, self.surface.classify(seen)

    def _judge_rounded(self, x_adv: Tensor, draw: Tensor) -> Tensor:
        """Return the logits after rounding the images to 8 bits."""
        import tensorflow as tf

        return self._judge_batch(tf.round(x_adv * 255.0) / 255.0, draw)[1]

    def rate(self, x_adv: Tensor, y: Tensor, index: Tensor, draw: Callable[[int, Tensor, Tensor], Tensor]) -> Tensor:
        """Return in what share of MANY draws the pipeline is wrong, float32 (m,).

        draw: (seed, index, k) -> the k-th.
        """
        import tensorflow as tf

        wrong = tf.zeros_like(y)
        for k in tf.range(eot.MANY):
            decided = self.decide(self._judge_batch(x_adv, draw(self.recipe.seed, index, k))[1])
            wrong += tf.cast(decided != y, tf.int64)
        return tf.cast(wrong, tf.float32) / eot.MANY

    def measure(
        self, start: Tensor, x_adv: Tensor, y: Tensor, index: Tensor, kept: Tensor, shown: Tensor
    ) -> dict[str, Tensor]:
        """Return what is measured of a batch in the graph itself, by the names of ``measured``.

        y: the true classes; index: of the batch; kept, shown: positions of the samples of which x_adv, and what the
        classifier sees, is returned.
        """
        import tensorflow as tf

        draw = eot.score(self.recipe.seed, index)
        delta, (seen, logits) = x_adv - start, self._judge_batch(x_adv, draw)
        linf, l2 = tf.reduce_max(tf.abs(delta), axis=-1), tf.sqrt(tf.reduce_sum(delta * delta, axis=-1))
        low, high, (lower, upper) = tf.reduce_min(x_adv), tf.reduce_max(x_adv), self.surface.find_range(start)
        # A pixel that is not finite leaves no finite length.
        finite = tf.reduce_all(tf.math.is_finite(l2))
        # Comparing every pixel takes as long as attacking it; where the range is the same for all, two numbers tell.
        inside = (low >= lower) & (high <= upper) if self.on_images else (x_adv >= lower) & (x_adv <= upper)
        found = {
            "predictions": self.decide(logits),
            "linf": linf,
            "l2": l2,
            "x_adv": tf.gather(x_adv, kept),
            "seen": tf.gather(seen, shown),
            "low": low,
            "high": high,
            "finite": finite,
            "inside": finite & tf.reduce_all(inside),
            "longest": tf.reduce_max(linf if self.recipe.norm == "linf" else l2),
            "largest": tf.reduce_max(tf.abs(start)),
        }
        if self.on_images:
            found["rounded"] = self.decide(self._judge_rounded(x_adv, draw))
        if self.surface.samples:
            found["success_rate"] = self.rate(x_adv, y, index, eot.score_many)
        return found

    def decide(self, logits: Tensor) -> Tensor:
        """Return what ``metrics.decide`` does, in the graph."""
        import tensorflow as tf

        return tf.argmax(tf.where(tf.math.is_nan(logits), -float("inf"), logits), axis=-1)


def _are_probabilities(logits: FloatArray) -> bool:
    return bool((logits >= 0).all() and (abs(logits.sum(axis=-1) - 1.0) <= SUM_OF_PROBABILITIES).all())
